//! What proves that somebody may use the admin listener.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A secret that nobody guesses: 256 bits of the system's randomness, as hexadecimal digits.
///
/// # Errors
/// [`Error::Internal`] if the system gives no randomness.
pub fn draw_secret() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(format!("the system gives no randomness: {error}")))?;
    Ok(hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
}

/// The digest of a secret. Digests are compared and looked up, so that the time it takes says nothing about how much of
/// a secret was right.
pub(super) fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// The token of the run, as something to hold others against.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8; 32]>);

impl Token {
    pub(super) fn new(token: &str) -> Self {
        Self(Arc::new(digest(token.as_bytes())))
    }

    /// Whether this is the token.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        digest(text) == *self.0
    }

    /// Whether a request bears it: `Authorization: Bearer …`.
    pub(super) fn is_borne(&self, headers: &HeaderMap) -> bool {
        let borne = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        borne.is_some_and(|token| self.is(token))
    }
}
