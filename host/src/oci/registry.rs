//! One registry, spoken to after the specification of distribution: <https://github.com/opencontainers/distribution-spec>.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::credentials::Credentials;
use super::{CONNECT, OciError, PATIENCE, Reference};
use crate::net::{self, Connection, Received};

/// How often a registry may send on, to where it keeps its blobs.
const REDIRECTS: usize = 5;
/// The largest answer that is no blob, in bytes.
const MAX_DOCUMENT: usize = 4 << 20;

/// The registry of a reference.
pub(super) struct Registry<'a> {
    reference: &'a Reference,
    scheme: &'static str,
    credentials: Option<Credentials>,
    /// What the registry is shown, once it has asked for something.
    authorization: Option<String>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(reference: &'a Reference, plain_http: bool) -> Result<Self, OciError> {
        let credentials = Credentials::find(reference.registry())?;
        let scheme = if plain_http { "http" } else { "https" };
        let authorization = match &credentials {
            Some(Credentials::Bearer(token)) => Some(format!("Bearer {token}")),
            _ => None,
        };
        Ok(Self { reference, scheme, credentials, authorization })
    }

    /// The manifest that the reference names.
    pub(super) async fn manifest(&mut self) -> Result<Bytes, OciError> {
        let path = format!("manifests/{}", self.reference.wanted());
        let response = self.get(&path, super::manifest::MANIFEST).await?;
        self.document(response).await
    }

    /// A blob of the repository, as it comes.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Response<Received>, OciError> {
        self.get(&format!("blobs/{digest}"), "*/*").await
    }

    /// The next piece of a response's body; `None` after the last one.
    pub(super) async fn piece(&self, body: &mut Received) -> Result<Option<Bytes>, OciError> {
        loop {
            let frame = timeout(PATIENCE, body.frame()).await.map_err(|_| self.unreachable("it went silent"))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(error)) => return Err(self.unreachable(format!("it broke off: {error}"))),
            }
        }
    }

    async fn document(&self, response: Response<Received>) -> Result<Bytes, OciError> {
        let mut body = response.into_body();
        let mut document = Vec::new();
        while let Some(piece) = self.piece(&mut body).await? {
            if document.len() + piece.len() > MAX_DOCUMENT {
                return Err(self.protocol(format!("what should be a document has more than {MAX_DOCUMENT} bytes")));
            }
            document.extend_from_slice(&piece);
        }
        Ok(document.into())
    }

    async fn get(&mut self, path: &str, accept: &str) -> Result<Response<Received>, OciError> {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        let uri: Uri = format!("{}://{registry}/v2/{repository}/{path}", self.scheme)
            .parse()
            .map_err(|error| self.protocol(format!("no URI: {error}")))?;
        let mut response = self.follow(&uri, accept).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
            let challenges: Vec<String> =
                challenges.filter_map(|challenge| challenge.to_str().ok()).map(str::to_owned).collect();
            self.authorization = Some(self.authorize(&challenges).await?);
            response = self.follow(&uri, accept).await?;
        }
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(OciError::NotFound { reference: self.reference.to_string() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.refused(format!("it says {}", response.status())))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(self.unreachable("it asks to come back later (429)")),
            status if status.is_server_error() => Err(self.unreachable(format!("it says {status}"))),
            status => Err(self.protocol(format!("it says {status}"))),
        }
    }

    /// Sends a request on as long as it is redirected. Nobody but the registry itself is shown the authorization.
    async fn follow(&self, uri: &Uri, accept: &str) -> Result<Response<Received>, OciError> {
        let (mut at, mut authorization) = (uri.clone(), self.authorization.as_deref());
        for _ in 0..=REDIRECTS {
            let response = self.send(&at, accept, authorization).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| resolve(&at, location));
            let next = next.ok_or_else(|| self.protocol("it redirects to nowhere"))?;
            if at.scheme() == Some(&Scheme::HTTPS) && next.scheme() != Some(&Scheme::HTTPS) {
                return Err(self.protocol("it redirects from https to http"));
            }
            if next.authority() != at.authority() {
                authorization = None;
            }
            at = next;
        }
        Err(self.protocol(format!("it redirects more than {REDIRECTS} times")))
    }

    /// What the registry wants to be shown, after it asked.
    async fn authorize(&self, challenges: &[String]) -> Result<String, OciError> {
        let find = |scheme: &str| {
            challenges.iter().find_map(|challenge| {
                let (word, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
                word.eq_ignore_ascii_case(scheme).then_some(rest)
            })
        };
        let basic = match &self.credentials {
            Some(Credentials::Basic(basic)) => Some(format!("Basic {basic}")),
            Some(Credentials::Bearer(_)) => return Err(self.refused("it does not take the token")),
            None => None,
        };
        if let Some(parameters) = find("Bearer") {
            return self.token(parameters, basic.as_deref()).await;
        }
        match (find("Basic"), basic) {
            (Some(_), Some(basic)) => Ok(basic),
            (Some(_), None) => Err(self.refused("it wants a name and a password")),
            (None, _) => Err(self.protocol("it wants an authorization of a kind that is not known here")),
        }
    }

    /// Fetches a token from where the registry says.
    async fn token(&self, parameters: &str, basic: Option<&str>) -> Result<String, OciError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }

        let realm = parameter(parameters, "realm").ok_or_else(|| self.protocol("it names no place for tokens"))?;
        let mut uri = realm;
        let scope = parameter(parameters, "scope");
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let service = parameter(parameters, "service");
        for (name, value) in [("service", service), ("scope", Some(scope))] {
            if let Some(value) = value {
                let separator = if uri.contains('?') { '&' } else { '?' };
                uri.push_str(&format!("{separator}{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)));
            }
        }
        let uri: Uri = uri.parse().map_err(|_| self.protocol("the place for its tokens is no URI"))?;
        if uri.scheme() != Some(&Scheme::HTTPS) && self.scheme == "https" {
            return Err(self.protocol("it sends for a token over plain http"));
        }
        let response = self.send(&uri, "application/json", basic).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                return Err(self.refused(format!("it gives no token ({})", response.status())));
            }
            status => return Err(self.unreachable(format!("it gives no token ({status})"))),
        }
        let answer: Option<Answer> = serde_json::from_slice(&self.document(response).await?).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| self.protocol("what should be a token is none"))
    }

    async fn send(&self, uri: &Uri, accept: &str, authorization: Option<&str>) -> Result<Response<Received>, OciError> {
        let host = uri.host().ok_or_else(|| self.protocol("it names no host"))?;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let connecting = async {
            let connection = TcpStream::connect((name, port)).await?;
            let secured: Box<dyn Connection> =
                if tls { net::secure(connection, name).await? } else { Box::new(connection) };
            std::io::Result::Ok(secured)
        };
        let connection = timeout(CONNECT, connecting).await.map_err(|_| self.unreachable("it does not answer"))?;
        let connection = connection.map_err(|error| self.unreachable(format!("{host}:{port}: {error}")))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path)
            .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
            .header(USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| self.protocol(error.to_string()))?;
        let answered = timeout(PATIENCE, net::exchange(connection, request)).await;
        let answered = answered.map_err(|_| self.unreachable("it does not answer"))?;
        answered.map_err(|error| self.unreachable(format!("it does not speak HTTP: {error}")))
    }

    fn unreachable(&self, problem: impl Into<String>) -> OciError {
        OciError::Unreachable { registry: self.reference.registry().to_string(), problem: problem.into() }
    }

    fn refused(&self, problem: impl Into<String>) -> OciError {
        OciError::Refused { registry: self.reference.registry().to_string(), problem: problem.into() }
    }

    fn protocol(&self, problem: impl Into<String>) -> OciError {
        OciError::Protocol { registry: self.reference.registry().to_string(), problem: problem.into() }
    }
}

/// Where a redirect leads to, seen from `from`.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        return format!("{}://{}{location}", from.scheme_str()?, from.authority()?).parse().ok();
    }
    location.parse().ok().filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")))
}

/// A parameter of a challenge: `realm="…",service="…"`.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart() {
        let challenge = r#"realm="https://auth.example.com/token?a=b", service=registry.example.com,scope="repository:a/b:pull,push""#;
        assert_eq!(parameter(challenge, "realm").unwrap(), "https://auth.example.com/token?a=b");
        assert_eq!(parameter(challenge, "Service").unwrap(), "registry.example.com");
        assert_eq!(parameter(challenge, "scope").unwrap(), "repository:a/b:pull,push");
        assert_eq!(parameter(challenge, "error"), None);
        assert_eq!(parameter("realm=\"open", "realm"), None);
    }

    /// A server that is told how to answer each head of a request, and keeps those heads.
    async fn server(
        answer: impl Fn(&str, &str) -> String + Send + 'static,
    ) -> (String, std::sync::Arc<parking_lot::Mutex<Vec<String>>>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let (kept, name) = (std::sync::Arc::clone(&heads), address.clone());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let count = connection.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..count]).to_lowercase();
                let _ = connection.write_all(answer(&head, &name).as_bytes()).await;
                kept.lock().push(head);
            }
        });
        (address, heads)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_token_is_fetched_and_shown_to_the_registry_alone() {
        let (elsewhere, asked_elsewhere) = server(|_, _| ok("blob")).await;
        let (address, _) = server(move |head, address| {
            if head.starts_with("get /token?") {
                let asked = head.contains("service=reg%2dservice&scope=repository%3aacme%2fsieve%3apull");
                return ok(if asked { r#"{"token":"t-1"}"# } else { r#"{"errors":[]}"# });
            }
            if !head.contains("authorization: bearer t-1") {
                return format!(
                    "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://{address}/token\",\
                     service=\"reg-service\",scope=\"repository:acme/sieve:pull\"\r\ncontent-length: 0\r\n\r\n"
                );
            }
            if head.contains("/blobs/") {
                return format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/b\r\ncontent-length: 0\r\n\r\n"
                );
            }
            ok("manifest")
        })
        .await;
        let reference: Reference = format!("{address}/acme/sieve:1").parse().unwrap();
        let mut registry = Registry { reference: &reference, scheme: "http", credentials: None, authorization: None };
        assert_eq!(registry.manifest().await.unwrap(), "manifest");
        let mut body = registry.blob("sha256:00").await.unwrap().into_body();
        assert_eq!(registry.piece(&mut body).await.unwrap().unwrap(), "blob");
        let heads = asked_elsewhere.lock();
        assert!(heads.len() == 1 && !heads[0].contains("authorization"), "{heads:?}");
    }

    #[tokio::test]
    async fn a_registry_that_is_none_is_told_from_one_that_is_away() {
        for (answer, says) in [
            (ok("<html>"), ""),
            ("SSH-2.0-x\r\n\r\n".to_owned(), "does not speak HTTP"),
            ("HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n".to_owned(), "does not answer as a registry"),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_owned(), "can not be reached"),
            ("HTTP/1.1 302 Found\r\nlocation: /v2/\r\ncontent-length: 0\r\n\r\n".to_owned(), "redirects more than"),
            ("HTTP/1.1 401 No\r\nwww-authenticate: Negotiate\r\ncontent-length: 0\r\n\r\n".to_owned(), "of a kind"),
        ] {
            let (address, _) = server(move |_, _| answer.clone()).await;
            let reference: Reference = format!("{address}/a").parse().unwrap();
            let mut registry =
                Registry { reference: &reference, scheme: "http", credentials: None, authorization: None };
            match registry.manifest().await {
                Ok(_) => assert_eq!(says, "", "it was taken for a manifest"),
                Err(error) => assert!(error.to_string().contains(says), "{error}"),
            }
        }
    }

    #[test]
    fn a_redirect_leads_to_a_place() {
        let from: Uri = "https://a.b:5000/v2/x".parse().unwrap();
        assert_eq!(resolve(&from, "/y?z").unwrap(), "https://a.b:5000/y?z");
        assert_eq!(resolve(&from, "http://c.d/e").unwrap(), "http://c.d/e");
        for location in ["y", "//c.d/e", "file:///etc/passwd", ""] {
            assert!(resolve(&from, location).is_none(), "{location}");
        }
    }
}
