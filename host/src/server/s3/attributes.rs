//! What an S3 client says about an object beside its bytes, and how it gets it back.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use super::errors;
use crate::object::{Attributes, Tags, UserMetadata};

// Amazon S3 keeps these standard headers beside the user metadata. Here they are user metadata under names of their own,
// so that every provider keeps them.
const CACHE_CONTROL: &str = "http.cache-control";
const CONTENT_DISPOSITION: &str = "http.content-disposition";
const CONTENT_ENCODING: &str = "http.content-encoding";
const CONTENT_LANGUAGE: &str = "http.content-language";
const EXPIRES: &str = "http.expires";

/// The headers that an object came with and is returned with.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl Headers {
    /// The attributes to store, with tags as in the header `x-amz-tagging`.
    pub(super) fn into_attributes(self, tagging: Option<&str>) -> S3Result<Attributes> {
        let mut pairs: Vec<_> = self.metadata.unwrap_or_default().into_iter().collect();
        let standard = [
            (CACHE_CONTROL, self.cache_control),
            (CONTENT_DISPOSITION, self.content_disposition),
            (CONTENT_ENCODING, self.content_encoding.as_deref().and_then(lasting_encoding)),
            (CONTENT_LANGUAGE, self.content_language),
            (EXPIRES, self.expires.as_ref().and_then(http_date)),
        ];
        for (name, value) in standard {
            if let Some(value) = value {
                pairs.push((name.to_owned(), value));
            }
        }
        let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > UserMetadata::MAX_SIZE {
            let max = UserMetadata::MAX_SIZE;
            return Err(s3_error!(MetadataTooLarge, "user metadata has at most {max} bytes, and this has {size}"));
        }
        Ok(Attributes {
            content_type: self.content_type,
            user_metadata: UserMetadata::from_pairs(pairs).map_err(errors::s3_error)?,
            tags: parse_tagging(tagging.unwrap_or(""))?,
        })
    }

    /// The headers to return for attributes.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let standard = |name| attributes.user_metadata.get(name).map(str::to_owned);
        let own = [CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, EXPIRES];
        let metadata: HashMap<_, _> = attributes
            .user_metadata
            .iter()
            .filter(|(name, _)| !own.contains(name) && !name.starts_with(UserMetadata::PREFIX_OF_HOST))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            // What S3 says of an object whose writer said nothing.
            content_type: Some(attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())),
            cache_control: standard(CACHE_CONTROL),
            content_disposition: standard(CONTENT_DISPOSITION),
            content_encoding: standard(CONTENT_ENCODING),
            content_language: standard(CONTENT_LANGUAGE),
            expires: standard(EXPIRES).and_then(|date| Timestamp::parse(TimestampFormat::HttpDate, &date).ok()),
            metadata: (!metadata.is_empty()).then_some(metadata),
        }
    }
}

// `aws-chunked` is how the request was sent, not what the object is.
fn lasting_encoding(encoding: &str) -> Option<String> {
    let lasting: Vec<_> = encoding.split(',').map(str::trim).filter(|part| *part != "aws-chunked").collect();
    let lasting = lasting.join(", ");
    (!lasting.is_empty()).then_some(lasting)
}

fn http_date(moment: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    moment.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Tags as in the header `x-amz-tagging`: `name=value&name=value`, encoded as in a URL's query.
pub(super) fn parse_tagging(text: &str) -> S3Result<Tags> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
        decoded.map_err(|_| s3_error!(InvalidTag, "x-amz-tagging is not UTF-8 once decoded"))
    };
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Tags::from_pairs(pairs).map_err(|error| s3_error!(InvalidTag, "{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_headers_come_back_as_such_and_not_as_user_metadata() {
        let given = Headers {
            content_type: Some("text/plain".into()),
            cache_control: Some("no-cache".into()),
            content_encoding: Some("gzip, aws-chunked".into()),
            expires: Some(Timestamp::parse(TimestampFormat::HttpDate, "Wed, 21 Oct 2015 07:28:00 GMT").unwrap()),
            metadata: Some(HashMap::from([("owner".into(), "Zoë".into())])),
            ..Headers::default()
        };
        let back = Headers::of(&given.into_attributes(None).unwrap());
        assert_eq!(back.content_type.as_deref(), Some("text/plain"));
        assert_eq!(back.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(back.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(back.expires.as_ref().and_then(http_date).as_deref(), Some("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(back.metadata, Some(HashMap::from([("owner".into(), "Zoë".into())])));
    }

    #[test]
    fn tags_are_decoded_as_in_a_query() {
        let tags = parse_tagging("project=a%26b+c&empty=&alone").unwrap();
        assert_eq!(tags.to_string(), "alone=, empty=, project=a&b c");
        assert!(parse_tagging("a=1&a=2").is_err());
        assert!(parse_tagging("a=%ff").is_err());
        assert!(parse_tagging("").unwrap().is_empty());
    }

    #[test]
    fn too_much_metadata_is_called_so() {
        let metadata = Some(HashMap::from([("big".to_owned(), "x".repeat(UserMetadata::MAX_SIZE))]));
        let error = Headers { metadata, ..Headers::default() }.into_attributes(None).unwrap_err();
        assert_eq!(error.code().as_str(), "MetadataTooLarge");
    }
}
