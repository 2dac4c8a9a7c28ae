use futures::TryStreamExt;
use hyper::Response;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::pieces;
use crate::error::{Error, Result};
use crate::object::ByteStream;

/// An answer of lines, each of which is JSON. Empty ones only show that the host is there.
pub(super) struct Lines {
    answer: ByteStream,
    unread: Vec<u8>,
}

impl Lines {
    pub(super) fn of(response: Response<Incoming>) -> Self {
        Self { answer: pieces(response.into_body()), unread: Vec::new() }
    }

    /// Waits for the next line; `None` if there are no more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the host does not answer any more, [`Error::Internal`] if a line is not what it should be.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if line.len() > 1 {
                    let line = serde_json::from_slice(&line);
                    return line.map_err(|error| {
                        Error::internal(format!("the host's answer is not what it should be: {error}"))
                    });
                }
            }
            match self.answer.try_next().await? {
                Some(piece) => self.unread.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}
