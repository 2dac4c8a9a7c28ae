//! Sends what a plugin asks for, to whom it may.

use std::error::Error as _;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Method, Request, Response, Uri};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tracing::warn;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::AllowedHost;
use super::allowed_host::{Host, Target};
use crate::net::{self, Connection, MAX_HEAD, Received};
use crate::plugin::Grants;
use crate::plugin::supervisor::Supervisor;

/// How many requests of an instance are on their way at once, their answers included until these are read.
const REQUESTS: usize = 64;

/// How many names an instance has looked up at once: each takes a thread of the host's for as long as the system likes.
const LOOKUPS: usize = 4;

/// The longest that a request waits, whatever a plugin asks for: for a connection, for the head of the response, and
/// between the pieces of its body. The plugin's own call has a limit beside it.
const CONNECT: Duration = Duration::from_secs(10);
const FIRST_BYTE: Duration = Duration::from_secs(60);
const BETWEEN_BYTES: Duration = Duration::from_secs(60);

/// The requests of one instance. Redirects are not followed: a response is what the server said.
#[derive(Clone, Debug)]
pub(in super::super) struct HttpClient {
    supervisor: Arc<Supervisor>,
    grants: Arc<Grants>,
    places: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for HttpClient {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _told: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let client = self.clone();
        Box::new(async move {
            let response = client.send(request, options.unwrap_or_default()).await?;
            // The connection is driven by a task of its own, which ends with the body.
            Ok((response, Box::new(async { Ok(()) }) as _))
        })
    }
}

impl HttpClient {
    pub(in super::super) fn new(supervisor: Arc<Supervisor>, grants: Arc<Grants>) -> Self {
        let (places, lookups) = (Arc::new(Semaphore::new(REQUESTS)), Arc::new(Semaphore::new(LOOKUPS)));
        Self { supervisor, grants, places, lookups }
    }

    async fn send(self, mut request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
        let (target, scheme) = target(request.uri())?;
        if *request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let allowed: Vec<&AllowedHost> = self.grants.http.iter().filter(|allowed| allowed.admits(&target)).collect();
        if allowed.is_empty() {
            self.tell(format_args!(
                "wanted to call {target}, and may not; to grant it: `grants: {{ http: [\"{target}\"] }}`"
            ));
            return Err(Error::HttpRequestDenied);
        }
        let limit = |wanted: Option<Duration>, most: Duration| wanted.map_or(most, |wanted| wanted.min(most));
        let connecting = self.connect(&target, &allowed, scheme == Scheme::HTTPS);
        let connection = timeout(limit(options.connect_timeout, CONNECT), connecting).await;
        let connection = connection.map_err(|_| Error::ConnectionTimeout)??;

        let host = HeaderValue::try_from(request.uri().authority().map_or("", |authority| authority.as_str()));
        request.headers_mut().insert(HOST, host.map_err(|_| Error::HttpRequestUriInvalid)?);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        let answered = timeout(limit(options.first_byte_timeout, FIRST_BYTE), net::exchange(connection, request)).await;
        let response = answered.map_err(|_| Error::ConnectionReadTimeout)?.map_err(plain)?;
        let patience = limit(options.between_bytes_timeout, BETWEEN_BYTES);
        Ok(response.map(|incoming| {
            let alarm = Box::pin(sleep(patience));
            Paced { incoming, patience, alarm, _place: place }.boxed_unsync()
        }))
    }

    /// Looks the host up once, and connects to an address of what was found that the grant reaches, and to no other.
    async fn connect(
        &self,
        target: &Target,
        allowed: &[&AllowedHost],
        tls: bool,
    ) -> Result<Box<dyn Connection>, Error> {
        let found: Vec<IpAddr> = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.look_up(name, target.port).await?,
        };
        let is_reached = |address: &IpAddr| allowed.iter().any(|allowed| allowed.reaches(*address));
        let reached: Vec<SocketAddr> =
            found.iter().copied().filter(is_reached).map(|address| SocketAddr::new(address, target.port)).collect();
        let Some(first) = found.first() else { return Err(Error::DestinationNotFound) };
        if reached.is_empty() {
            self.tell(format_args!(
                "may call {target}, which is at {first}, and its grant does not reach there; if that is meant, name the \
                 address in `grants.http`"
            ));
            return Err(Error::DestinationIpProhibited);
        }
        let connection = TcpStream::connect(&reached[..]).await.map_err(|error| refused(&error))?;
        // A request is small and waited for.
        let _ = connection.set_nodelay(true);
        if !tls {
            return Ok(Box::new(connection));
        }
        let server = match &target.host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        net::secure(connection, &server).await.map_err(|error| {
            self.tell(format_args!("called {target}, which is not to be trusted or does not speak TLS: {error}"));
            Error::TlsCertificateError
        })
    }

    /// The addresses of a name. A lookup goes on in its thread when nobody waits for it any more, and counts until it ends.
    async fn look_up(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, Error> {
        let unknown = || Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None };
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| unknown())?;
        let name = name.to_owned();
        let looking = tokio::task::spawn_blocking(move || {
            let _place = place;
            (name.as_str(), port).to_socket_addrs()
        });
        let found = looking.await.map_err(|_| unknown())?.map_err(|_| unknown())?;
        Ok(found.map(|address| address.ip()).collect())
    }

    /// Tells the operator, at the rate of the plugin's own lines.
    fn tell(&self, what: std::fmt::Arguments<'_>) {
        let (plugin, store) = (&*self.supervisor.plugin, &*self.supervisor.store);
        if let Some(line) = self.supervisor.admit_line(&format!("the plugin {plugin} {what}")) {
            warn!(plugin, store, "{line}");
        }
    }
}

/// Where a request wants to go. Nobody is named in it beside the host.
fn target(uri: &Uri) -> Result<(Target, Scheme), Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let scheme = uri.scheme().cloned().ok_or(Error::HttpRequestUriInvalid)?;
    if authority.as_str().contains('@') {
        return Err(Error::HttpRequestUriInvalid);
    }
    let default = if scheme == Scheme::HTTPS { 443 } else { 80 };
    // A port that is written and is none would otherwise be taken for absent.
    let written = authority.as_str().strip_prefix(authority.host()).is_some_and(|port| !port.is_empty());
    let port = match authority.port_u16() {
        Some(0) => return Err(Error::HttpRequestUriInvalid),
        None if written => return Err(Error::HttpRequestUriInvalid),
        port => port.unwrap_or(default),
    };
    let host = Host::parse(authority.host()).ok_or(Error::HttpRequestUriInvalid)?;
    Ok((Target { host, port, is_default_port: port == default }, scheme))
}

fn refused(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::DestinationUnavailable,
    }
}

/// hyper's failure as what it means to a guest.
fn plain(error: hyper::Error) -> Error {
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(u32::try_from(MAX_HEAD).ok())
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if error.source().is_some_and(|source| source.is::<std::io::Error>()) {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}

/// The body of a response, whose pieces may not be too long apart.
#[derive(Debug)]
struct Paced {
    incoming: Received,
    patience: Duration,
    alarm: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.patience;
                self.alarm.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(plain)))
            }
            Poll::Pending => self.alarm.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::plugin::Restart;

    fn client(allowed: &[&str]) -> HttpClient {
        let http = allowed.iter().map(|allowed| allowed.parse().unwrap()).collect();
        let supervisor = Supervisor::for_test(Restart::default());
        HttpClient::new(Arc::new(supervisor), Arc::new(Grants { http, ..Grants::default() }))
    }

    async fn get(client: &HttpClient, uri: &str) -> Result<(u16, Bytes), Error> {
        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).body(body).unwrap();
        let patience = Duration::from_millis(300);
        let options = RequestOptions {
            connect_timeout: None,
            first_byte_timeout: Some(patience),
            between_bytes_timeout: Some(patience),
        };
        let response = client.clone().send(request, options).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// A server that answers every connection with these bytes and then waits; and how many came.
    async fn server(answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, served) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&served);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _ = connection.read(&mut head).await;
                    let _ = connection.write_all(answer).await;
                    sleep(Duration::from_secs(60)).await;
                });
            }
        });
        (address, served)
    }

    #[tokio::test]
    async fn what_is_not_granted_is_not_called() {
        let (address, served) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let port = address.port();
        let here = format!("http://127.0.0.1:{port}/");
        for allowed in [&[][..], &["127.0.0.1"], &["10.0.0.1:80"], &["*.example.org"]] {
            let refused = get(&client(allowed), &here).await;
            assert!(matches!(refused, Err(Error::HttpRequestDenied)), "{refused:?}");
        }
        assert_eq!(served.load(Ordering::Relaxed), 0);
        let granted = client(&[&format!("127.0.0.1:{port}")]);
        assert_eq!(get(&granted, &here).await.unwrap(), (200, "hi".into()));
        // The same place under its name is another host.
        let named = format!("http://localhost:{port}/");
        assert!(matches!(get(&granted, &named).await, Err(Error::HttpRequestDenied)));
        assert_eq!(get(&client(&[&format!("localhost:{port}")]), &named).await.unwrap().0, 200);
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_followed_by_a_pattern() {
        // A name that resolves to loopback on every system (RFC 6761).
        let (address, served) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let pattern = client(&[&format!("*.localhost:{}", address.port())]);
        let refused = get(&pattern, &format!("http://inside.localhost:{}/", address.port())).await;
        let refused_or_unknown = matches!(refused, Err(Error::DestinationIpProhibited | Error::DnsError { .. }));
        assert!(refused_or_unknown, "{refused:?}");
        assert_eq!(served.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_or_does_not_end_is_an_error() {
        let of = |answer: &'static [u8]| async move {
            let (address, _) = server(answer).await;
            get(&client(&[&address.to_string()]), &format!("http://{address}/")).await
        };
        assert!(matches!(of(b"").await, Err(Error::ConnectionReadTimeout)));
        let slow = of(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").await;
        assert!(matches!(slow, Err(Error::ConnectionReadTimeout)), "{slow:?}");
        assert!(matches!(of(b"SSH-2.0-x\r\n\r\n").await, Err(Error::HttpProtocolError)));
        let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 2 * MAX_HEAD]].concat();
        let large = of(head.leak()).await;
        assert!(matches!(large, Err(Error::HttpResponseHeaderSectionSize(_))), "{large:?}");
        let away = of(b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(away.0, 302, "a redirect is the plugin's to follow, if it may");
    }

    #[test]
    fn a_uri_names_its_host_plainly() {
        let is_fine = |uri: &str| target(&uri.parse().unwrap()).is_ok();
        assert!(is_fine("http://a.b/c") && is_fine("https://[::1]:8443/") && is_fine("http://a.b:81"));
        for uri in [
            "http://user@a.b/",
            "http://user:pw@a.b/",
            "http://a.b:0/",
            "http://a.b:/",
            "http://0x7f.1/",
            "http://127.1/",
        ] {
            assert!(!is_fine(uri), "{uri}");
        }
    }
}
