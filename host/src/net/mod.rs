//! Connections that the host opens, plain or secured with TLS against the certificates that the system trusts, and
//! requests over them.

mod post;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

pub(crate) use post::{PostError, Target, post};

/// A connection, of whatever kind.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Secures a connection to the server of this name (a host name, or an address without brackets).
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a name that no certificate can have; otherwise what the handshake failed with.
pub(crate) async fn secure(connection: TcpStream, server: &str) -> io::Result<Box<dyn Connection>> {
    let name =
        ServerName::try_from(server.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    // The certificates are files.
    let config = tokio::task::spawn_blocking(config).await.map_err(io::Error::other)??;
    Ok(Box::new(TlsConnector::from(config).connect(name, connection).await?))
}

/// How TLS is spoken; read from the system when it is first asked for.
fn config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (trusted, _) = roots.add_parsable_certificates(found.certs);
        if trusted == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!(
                "this system trusts no certificate authority{why}; install its certificates (in Debian: ca-certificates), \
                 or set SSL_CERT_FILE"
            ));
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|error| error.to_string())?;
        Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
    });
    made.clone().map_err(io::Error::other)
}

/// The largest head of a response, in bytes.
pub(crate) const MAX_HEAD: usize = 64 << 10;
/// How many fields the head of a response has at most.
const MAX_FIELDS: usize = 256;

/// Sends one request over a connection of its own, which ends with the body of the response.
///
/// # Errors
/// hyper's, also for a head that is too large.
pub(crate) async fn exchange<B>(
    connection: Box<dyn Connection>,
    request: Request<B>,
) -> hyper::Result<Response<Received>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
    let (mut sender, connection) = client.handshake(TokioIo::new(connection)).await?;
    // Whatever it fails with, request or body fail with too.
    let driver = Driver(tokio::spawn(async move { drop(connection.await) }).abort_handle());
    let response = sender.send_request(request).await?;
    Ok(response.map(|incoming| Received { incoming, _driver: driver }))
}

/// The task that drives a connection; it ends when this is dropped.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response.
#[derive(Debug)]
pub(crate) struct Received {
    incoming: Incoming,
    _driver: Driver,
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
