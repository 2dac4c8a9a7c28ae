//! What is refused before it reaches the protocol.

use std::collections::HashMap;
use std::fmt;

use async_trait::async_trait;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use percent_encoding::percent_decode_str;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Result, s3_error};

use super::{Credential, errors};
use crate::object::Key;

/// Knows the secret of each access key.
pub(super) struct Keys(HashMap<String, SecretKey>);

impl Keys {
    pub(super) fn new(credentials: &[Credential]) -> Self {
        let secret = |credential: &Credential| SecretKey::from(credential.secret_key.as_str());
        Self(credentials.iter().map(|credential| (credential.access_key.clone(), secret(credential))).collect())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.get(access_key).cloned().ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "no credential in server.s3.credentials has the access key {access_key:?}")
        })
    }
}

/// Refuses what must not reach the protocol's own code, and what would be ignored there although the client relies on
/// it.
///
/// A signature of version 2 is refused wherever it can stand (header, query, form): it is weak, and s3s compares it in
/// variable time.
pub(super) fn admit<B>(request: &Request<B>) -> Result<(), S3Error> {
    refuse_old_signatures(request)?;
    refuse_forms(request)?;
    refuse_long_keys(request)?;
    refuse_versions(request)?;
    refuse_unkept_headers(request)
}

fn query_pairs<B>(request: &Request<B>) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    request.uri().query().unwrap_or("").split('&').map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

fn refuse_old_signatures<B>(request: &Request<B>) -> Result<(), S3Error> {
    let in_header = request
        .headers()
        .get_all(AUTHORIZATION)
        .iter()
        .any(|value| value.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"AWS ")));
    let in_query = query_pairs(request).any(|(name, _)| name == "Signature" || name == "AWSAccessKeyId");
    if in_header || in_query {
        return Err(s3_error!(
            AccessDenied,
            "signature version 2 is not accepted: sign with AWS4-HMAC-SHA256 (signature version 4)"
        ));
    }
    Ok(())
}

fn refuse_forms<B>(request: &Request<B>) -> Result<(), S3Error> {
    let form = |value: &[u8]| value.get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/form-data"));
    let has_form = request.headers().get_all(CONTENT_TYPE).iter().any(|value| form(value.as_bytes().trim_ascii()));
    if request.method() == Method::POST && has_form {
        return Err(s3_error!(NotImplemented, "uploads by HTML form are not offered: use PUT, or a presigned PUT URL"));
    }
    Ok(())
}

// s3s refuses them too, but says neither how long a key is nor how long it may be.
fn refuse_long_keys<B>(request: &Request<B>) -> Result<(), S3Error> {
    let key = request.uri().path().splitn(3, '/').nth(2).unwrap_or("");
    match percent_decode_str(key).count() {
        0..=Key::MAX_LEN => Ok(()),
        len => Err(errors::key_too_long(len)),
    }
}

fn refuse_versions<B>(request: &Request<B>) -> Result<(), S3Error> {
    match query_pairs(request).find(|(name, _)| name == "versionId") {
        Some((_, version)) if !version.is_empty() && version != "null" => {
            Err(s3_error!(NoSuchVersion, "stores keep one version of an object, whose id is \"null\", not {version:?}"))
        }
        _ => Ok(()),
    }
}

fn refuse_unkept_headers<B>(request: &Request<B>) -> Result<(), S3Error> {
    const UNKEPT: [&str; 6] = [
        "x-amz-server-side-encryption",
        "x-amz-grant-",
        "x-amz-object-lock-",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-website-redirect-location",
        "x-amz-write-offset-bytes",
    ];
    for (name, value) in request.headers() {
        let (name, value) = (name.as_str(), value.as_bytes());
        match name {
            "x-amz-acl" if !matches!(value, b"private" | b"bucket-owner-full-control") => {
                return Err(s3_error!(NotImplemented, "there are no access control lists: leave x-amz-acl out"));
            }
            "x-amz-storage-class" if value != b"STANDARD" => {
                return Err(s3_error!(InvalidStorageClass, "the only storage class is STANDARD"));
            }
            "x-amz-bucket-object-lock-enabled" if value.eq_ignore_ascii_case(b"false") => {}
            _ if UNKEPT.iter().any(|unkept| name.starts_with(unkept)) => {
                return Err(s3_error!(NotImplemented, "what {name} asks for is not offered: leave it out"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, header: (&str, &str)) -> Request<()> {
        Request::builder().method(Method::POST).uri(uri).header(header.0, header.1).body(()).unwrap()
    }

    fn refused(uri: &str, header: (&str, &str)) -> String {
        admit(&request(uri, header)).unwrap_err().code().as_str().to_owned()
    }

    #[test]
    fn signature_version_2_is_refused_wherever_it_stands() {
        let plain = ("accept", "*/*");
        assert_eq!(refused("/b/k", ("authorization", "AWS key:c2ln")), "AccessDenied");
        assert_eq!(refused("/b/k?AWSAccessKeyId=key&Expires=9&Signature=c2ln", plain), "AccessDenied");
        assert_eq!(refused("/b/k?%53ignature=c2ln", plain), "AccessDenied");
        assert_eq!(refused("/b", ("content-type", "Multipart/Form-Data; boundary=x")), "NotImplemented");
    }

    #[test]
    fn signature_version_4_is_let_through() {
        let header =
            "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
        assert!(admit(&request("/b/k", ("authorization", header))).is_ok());
        assert!(admit(&request("/b/k?X-Amz-Signature=00&versionId=null", ("accept", "*/*"))).is_ok());
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        assert_eq!(refused("/b/k", ("x-amz-server-side-encryption", "AES256")), "NotImplemented");
        assert_eq!(refused("/b/k", ("x-amz-acl", "public-read")), "NotImplemented");
        assert_eq!(refused("/b/k", ("x-amz-storage-class", "GLACIER")), "InvalidStorageClass");
        assert_eq!(refused("/b/k?versionId=abc", ("accept", "*/*")), "NoSuchVersion");
        assert!(admit(&request("/b/k", ("x-amz-acl", "private"))).is_ok());
    }

    #[test]
    fn a_key_is_measured_decoded() {
        assert!(admit(&request(&format!("/b/{}", "%C3%A9".repeat(512)), ("accept", "*/*"))).is_ok());
        let error = admit(&request(&format!("/b/{}a", "%C3%A9".repeat(512)), ("accept", "*/*"))).unwrap_err();
        assert_eq!(error.code().as_str(), "KeyTooLongError");
        assert!(error.message().is_some_and(|message| message.contains("1024") && message.contains("1025")));
    }
}
