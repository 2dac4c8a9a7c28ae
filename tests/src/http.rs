//! Requests without a client library: for what no client would send, and where no client need be installed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take: more than any limit under test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status, such as 404.
    pub status: u16,
    /// The lines of the head, without the first.
    pub head: String,
    /// All that came behind the head.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, with whatever is no UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Gets `path`.
///
/// # Errors
/// Those of the connection, and one that ends in the middle of the answer.
pub fn get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    send(server, "GET", path, &[], b"")
}

/// Sends one request over a connection of its own. `path` is sent as it is.
///
/// # Errors
/// As [`get`].
pub fn send(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let mut connection = TcpStream::connect_timeout(&server, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer is neither chunked nor followed by another.
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {server}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    connection.write_all(&request)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    parse(answer, method != "HEAD")
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off"))
}

/// Takes an answer apart, whose head says how long a body is that comes only if it `has_body`.
fn parse(mut answer: Vec<u8>, has_body: bool) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let body = answer.split_off(end + 4);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (first, head) = text.split_once("\r\n")?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let whole = length.filter(|_| has_body).is_none_or(|length| length == body.len());
    whole.then(|| Answer { status, head: head.to_owned(), body })
}
