use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use super::bindings::http::wasi::http::client;
use super::bindings::http::wasi::http::types::{self as host, ErrorCode, Fields};
use super::bindings::http::{wit_future, wit_stream};
use super::stream::with;
use crate::body::{Body, ByteSource, CHUNK_SIZE};
use crate::error::{Error, Result};
use crate::http::{Request, Response};

type Trailers = std::result::Result<Option<Fields>, ErrorCode>;

pub(crate) async fn send(mut request: Request) -> Result<Response> {
    let body = request.body.take();
    let (secure, authority, path) = request.url_parts()?;
    let malformed = |what: &str| Error::invalid_input(format!("the request's {what} is not one that can be sent"));
    let headers = Fields::from_list(&request.headers).map_err(|_| malformed("headers"))?;
    let (trailers_to, trailers) = wit_future::new::<Trailers>(gave_up);
    let (body, contents) = match body {
        None => (None, None),
        Some(body) => {
            let (to, contents) = wit_stream::new::<u8>();
            (Some((body, to)), Some(contents))
        }
    };
    let (outgoing, _sent) = host::Request::new(headers, contents, trailers, None);
    outgoing.set_method(&method(&request.method)).map_err(|()| malformed("method"))?;
    let scheme = if secure { host::Scheme::Https } else { host::Scheme::Http };
    outgoing.set_scheme(Some(&scheme)).map_err(|()| malformed("scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| malformed("host"))?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| malformed("path"))?;

    // The server may answer before it has the whole body, and then wants no more of it.
    let pump = async {
        let mut outcome = Ok(None);
        if let Some((mut body, mut to)) = body {
            loop {
                match body.next().await {
                    Ok(Some(piece)) => {
                        if !to.write_all(piece).await.is_empty() {
                            break;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        outcome = Err(ErrorCode::InternalError(Some(error.message)));
                        break;
                    }
                }
            }
        }
        let _ = trailers_to.write(outcome).await;
    };
    let response = with(client::send(outgoing), pump).await.map_err(|code| error(&code, authority))?;
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (_done, done) = wit_future::new::<std::result::Result<(), ErrorCode>>(|| Ok(()));
    let (data, end) = host::Response::consume_body(response, done);
    let authority = authority.to_owned();
    let body = Body::stream(Incoming { data, end: Some(end), authority });
    let response = Response::new(status).with_body(body);
    Ok(headers.into_iter().fold(response, |response, (name, value)| response.with_header(name, value)))
}

/// What the host hears of a request that was dropped before its end.
fn gave_up() -> Trailers {
    Err(ErrorCode::InternalError(Some("the plugin stopped in the middle of a request".to_owned())))
}

/// The body of a response.
struct Incoming {
    data: StreamReader<u8>,
    end: Option<FutureReader<Trailers>>,
    authority: String,
}

impl ByteSource for Incoming {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let (result, piece) = self.data.read(Vec::with_capacity(CHUNK_SIZE)).await;
        if let StreamResult::Complete(_) = result {
            return Ok(Some(piece));
        }
        if let Some(end) = self.end.take() {
            end.await.map_err(|code| error(&code, &self.authority))?;
        }
        Ok(None)
    }
}

fn method(method: &str) -> host::Method {
    match method {
        "GET" => host::Method::Get,
        "HEAD" => host::Method::Head,
        "POST" => host::Method::Post,
        "PUT" => host::Method::Put,
        "DELETE" => host::Method::Delete,
        "OPTIONS" => host::Method::Options,
        "PATCH" => host::Method::Patch,
        other => host::Method::Other(other.to_owned()),
    }
}

/// What a failure means to the plugin and to its callers.
fn error(code: &ErrorCode, authority: &str) -> Error {
    let about = |what: &str| format!("{authority} {what}");
    match code {
        ErrorCode::HttpRequestDenied => Error::permission_denied(about(&format!(
            "may not be called; to grant it, add under grants: `http: [\"{authority}\"]`"
        ))),
        ErrorCode::DestinationIpProhibited => Error::permission_denied(about(
            "is at an address that its grant does not reach; if that is meant, name the address under grants.http",
        )),
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout => Error::timeout(about("can not be reached in time")),
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            Error::timeout(about("does not answer in time"))
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => Error::unavailable(about("is not known to the DNS")),
        ErrorCode::ConnectionRefused | ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            Error::unavailable(about("can not be reached"))
        }
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            Error::unavailable(about("broke off in the middle"))
        }
        ErrorCode::ConnectionLimitReached => Error::exhausted(about("has to wait: too many requests are under way")),
        ErrorCode::TlsCertificateError | ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            Error::unavailable(about("is not to be trusted, or does not speak TLS"))
        }
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseBodySize(_) => Error::too_large(about("answers with more than is taken")),
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => {
            Error::invalid_input(about("can not be called so: the URL or the method is none"))
        }
        other => Error::internal(about(&format!("could not be called: {other:?}"))),
    }
}
