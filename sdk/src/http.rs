//! Requests to the hosts that the operator granted: `grants: { http: [api.example.com] }`.
//!
//! Redirects are not followed: a response is what the server said. Natively, in tests, requests are answered by the
//! function given to [`testing::grant_http`](crate::testing::grant_http).
//!
//! ```
//! use larder_sdk::http::{Request, Response};
//! use larder_sdk::{Result, testing};
//!
//! async fn temperature() -> Result<String> {
//!     let response = Request::get("https://api.example.com/now").header("accept", "text/plain").send().await?;
//!     Ok(String::from_utf8(response.collect(1024).await?)?)
//! }
//!
//! testing::grant_http(|request| {
//!     assert_eq!(request.url(), "https://api.example.com/now");
//!     Ok(Response::new(200).with_body("21 °C"))
//! });
//! assert_eq!(testing::run(temperature()).unwrap(), "21 °C");
//! ```

use crate::abi;
use crate::body::Body;
use crate::error::{Error, Result};

/// A request to be sent.
#[derive(Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Option<Body>,
}

impl Request {
    /// A request with this method, such as `PROPFIND`, to a URL that begins with `http://` or `https://`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: None }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A HEAD request.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// A PUT request.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A DELETE request.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// The same with one more header. The host sets `host`, and what belongs to a connection.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a body. Bytes in one piece go with a `content-length`; a stream goes in chunks, unless a header
    /// says how long it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        let body = body.into();
        if let Body::Bytes(bytes) = &body
            && !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            self.headers.push(("content-length".to_owned(), bytes.len().to_string().into_bytes()));
        }
        self.body = Some(body);
        self
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers, in the order in which they were added.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The body, for the answer of a test.
    pub fn into_body(self) -> Option<Body> {
        self.body
    }

    /// Sends it, and returns the response when its head is there. A status such as 404 is no error.
    ///
    /// # Errors
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the host of the URL is not granted,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the request makes no sense,
    /// [`Timeout`](crate::ErrorKind::Timeout) and [`Unavailable`](crate::ErrorKind::Unavailable) if the server does not
    /// answer, [`TooLarge`](crate::ErrorKind::TooLarge) for a response with too large a head.
    pub async fn send(self) -> Result<Response> {
        abi::http::send(self).await
    }

    /// The parts of the URL: whether it is `https`, the authority, and path with query.
    pub(crate) fn url_parts(&self) -> Result<(bool, &str, &str)> {
        let refuse = || Error::invalid_input(format!("{:?} is no URL: it begins with http:// or https://", self.url));
        let (scheme, rest) = self.url.split_once("://").ok_or_else(refuse)?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(refuse()),
        };
        // A fragment is the reader's, and not sent.
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        match rest.split_at(end) {
            ("", _) => Err(refuse()),
            (authority, "") => Ok((secure, authority, "/")),
            parts => Ok((secure, parts.0, parts.1)),
        }
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Response {
    /// A response without headers and body, for tests.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(Vec::new()) }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The status, such as 404.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name that is text, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        found.find_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The headers.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The body, which may be handed on as it is.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// All of the body.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if it has more than `limit` bytes; what it was cut off by.
    pub async fn collect(self, limit: usize) -> Result<Vec<u8>> {
        self.body.collect(limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::testing;

    #[test]
    fn a_url_is_taken_apart() {
        let parts =
            |url: &str| Request::get(url).url_parts().map(|(secure, host, path)| format!("{secure} {host} {path}"));
        assert_eq!(parts("https://a.b").unwrap(), "true a.b /");
        assert_eq!(parts("http://a.b:81/c?d#e").unwrap(), "false a.b:81 /c?d");
        assert_eq!(parts("http://[::1]?d").unwrap(), "false [::1] ?d");
        for url in ["", "a.b", "ftp://a.b", "http:///c", "http://"] {
            assert!(parts(url).unwrap_err().is(ErrorKind::InvalidInput), "{url}");
        }
    }

    #[test]
    fn a_request_is_answered_by_what_the_test_granted() {
        let refused = testing::run(Request::get("http://a.b/").send()).unwrap_err();
        assert!(refused.is(ErrorKind::PermissionDenied), "{refused}");
        testing::grant_http(|request| {
            assert_eq!((request.method(), request.headers().len()), ("PUT", 2));
            match request.into_body() {
                Some(Body::Bytes(bytes)) => Ok(Response::new(201).with_header("ETag", "x").with_body(bytes)),
                _ => Err(Error::invalid_input("it came without bytes")),
            }
        });
        testing::run(async {
            let response = Request::put("http://a.b/").header("x", "y").body("bytes").send().await.unwrap();
            assert_eq!((response.status(), response.is_success(), response.header("etag")), (201, true, Some("x")));
            assert_eq!(response.collect(5).await.unwrap(), b"bytes");
            let response = Request::put("http://a.b/").header("x", "y").body("bytes").send().await.unwrap();
            assert!(response.collect(4).await.unwrap_err().is(ErrorKind::TooLarge));
        });
    }
}
