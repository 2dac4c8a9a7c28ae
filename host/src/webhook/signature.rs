use std::fmt;

use base64_simd::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac;

use crate::error::{Error, Result};

/// What requests are signed with, after Standard Webhooks
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): HMAC-SHA256 of the id, the
/// timestamp and the body, joined by dots.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// What a secret begins with that is written in Base64.
const ENCODED: &str = "whsec_";

impl SigningKey {
    /// The key of a secret: its bytes, or, behind `whsec_`, what its Base64 stands for.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if what is behind `whsec_` is no Base64; the secret is not in the error.
    pub fn new(secret: &str) -> Result<Self> {
        let bytes = match secret.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD
                .decode_to_vec(encoded)
                .map_err(|_| Error::invalid_input(format!("what is behind {ENCODED} in the secret is no Base64")))?,
            None => secret.as_bytes().to_vec(),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of a request.
    pub(super) fn sign(&self, id: &[u8], timestamp: i64, body: &[u8]) -> HeaderValue {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id, b".", timestamp.to_string().as_bytes(), b".", body] {
            context.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode_to_string(context.sign()));
        HeaderValue::try_from(signature).expect("Base64 can stand in a header")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against Python's `hmac` and `base64`.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign(b"msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(SigningKey::new("plain secret").unwrap().sign(b"a", 1, b"b").len(), signature.len());
        assert!(SigningKey::new("whsec_%").is_err());
        assert_eq!(format!("{key:?}"), "SigningKey");
    }
}
