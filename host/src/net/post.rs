use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Connection, exchange, secure};

/// How long a server has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what a server says of a refusal is read.
const TOLD: usize = 200;

/// Where something is sent to, and what is shown there.
#[derive(Clone)]
pub(crate) struct Target {
    /// An http or https address.
    pub(crate) uri: Uri,
    /// The header `Authorization`; a secret.
    pub(crate) authorization: Option<HeaderValue>,
}

/// Why something did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostError {
    /// The server answered with this status, and said this.
    Refused(StatusCode, String),
    /// There was no answer.
    Unreachable(String),
}

impl std::fmt::Display for PostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status, told) if told.is_empty() => write!(f, "it answers {status}"),
            Self::Refused(status, told) => write!(f, "it answers {status}: {told}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// Sends a body. It has arrived if the answer is one of success.
///
/// # Errors
/// Why it did not, as far as is known: without an answer it may have arrived all the same.
pub(crate) async fn post(
    target: &Target,
    media_type: &'static str,
    headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<(), PostError> {
    match timeout(PATIENCE, send(target, media_type, headers, body)).await {
        Ok(sent) => sent,
        Err(_) => Err(PostError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn send(
    target: &Target,
    media_type: &'static str,
    headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<(), PostError> {
    let unreachable = |error: String| PostError::Unreachable(error);
    let uri = &target.uri;
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
        return Err(unreachable(format!("{uri} names no host")));
    };
    let encrypted = uri.scheme_str() == Some("https");
    let port = authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connection = TcpStream::connect((host, port)).await.map_err(|error| unreachable(error.to_string()))?;
    let connection: Box<dyn Connection> = if encrypted {
        secure(connection, host).await.map_err(|error| unreachable(error.to_string()))?
    } else {
        Box::new(connection)
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, media_type);
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|error| unreachable(error.to_string()))?;
    let response = exchange(connection, request).await.map_err(|error| unreachable(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let told = match response.into_body().frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    let told = String::from_utf8_lossy(&told[..told.len().min(TOLD)]).trim().replace(['\r', '\n'], " ");
    Err(PostError::Refused(status, told))
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("uri", &self.uri).finish_non_exhaustive()
    }
}
