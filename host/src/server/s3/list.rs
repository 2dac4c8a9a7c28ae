//! Listing the objects of a bucket.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object as S3Object, ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::errors::s3_error;
use super::objects::{etag, length, storage_class, timestamp};
use super::{Bucket, Door, owner};
use crate::object::StorageMetadata;
use crate::provider::ListQuery;
use crate::provider::grouped::{GroupedPage, list_grouped};

// What XML 1.0 cannot hold and what a query would take apart is encoded; slashes stay, as with S3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How keys are written in the answer.
#[derive(Clone, Copy)]
struct Encoder {
    url: bool,
}

impl Encoder {
    fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(other) => Err(s3_error!(InvalidArgument, "the only encoding-type is url, not {other:?}")),
        }
    }

    fn text(self, text: &str) -> String {
        if self.url { utf8_percent_encode(text, ENCODED).to_string() } else { text.to_owned() }
    }

    fn option(self, text: Option<String>) -> Option<String> {
        text.map(|text| self.text(&text))
    }

    fn objects(self, objects: Vec<StorageMetadata>, with_owner: bool) -> Option<Vec<S3Object>> {
        let object = |metadata: StorageMetadata| S3Object {
            key: Some(self.text(metadata.key.as_str())),
            e_tag: Some(etag(&metadata.etag)),
            last_modified: Some(timestamp(metadata.updated_at)),
            size: Some(length(metadata.size)),
            storage_class: Some(ObjectStorageClass::from_static(
                storage_class(&metadata).unwrap_or(ObjectStorageClass::STANDARD),
            )),
            owner: with_owner.then(owner),
            ..S3Object::default()
        };
        (!objects.is_empty()).then(|| objects.into_iter().map(object).collect())
    }

    fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        let common = |prefix: String| CommonPrefix { prefix: Some(self.text(&prefix)) };
        (!prefixes.is_empty()).then(|| prefixes.into_iter().map(common).collect())
    }
}

struct Question {
    prefix: Option<String>,
    delimiter: Option<String>,
    start_after: Option<String>,
    max_keys: Option<i32>,
}

impl Question {
    async fn ask(self, bucket: &Bucket) -> S3Result<(GroupedPage, i32)> {
        let wanted = self.max_keys.unwrap_or(1000);
        let limit = usize::try_from(wanted)
            .map_err(|_| s3_error!(InvalidArgument, "max-keys is 0 or more, not {wanted}"))?
            .min(ListQuery::MAX_LIMIT);
        if limit == 0 {
            return Ok((GroupedPage::default(), 0));
        }
        let query = ListQuery {
            prefix: self.prefix.unwrap_or_default(),
            start_after: self.start_after.filter(|after| !after.is_empty()),
            limit,
        };
        let page = list_grouped(&*bucket.store, &query, self.delimiter.as_deref().unwrap_or("")).await;
        Ok((page.map_err(s3_error)?, wanted.min(1000)))
    }
}

pub(super) async fn v2(
    door: &Door,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let continued = input.continuation_token.as_deref().map(parse_token).transpose()?;
    let question = Question {
        prefix: input.prefix.clone(),
        delimiter: input.delimiter.clone(),
        start_after: continued.or_else(|| input.start_after.clone()),
        max_keys: input.max_keys,
    };
    let (page, max_keys) = question.ask(&bucket).await?;
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token),
        continuation_token: input.continuation_token,
        contents: encoder.objects(page.objects, input.fetch_owner.unwrap_or(false)),
        common_prefixes: encoder.prefixes(page.prefixes),
        prefix: Some(encoder.text(input.prefix.as_deref().unwrap_or(""))),
        delimiter: encoder.option(input.delimiter),
        start_after: encoder.option(input.start_after),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

pub(super) async fn v1(door: &Door, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let question = Question {
        prefix: input.prefix.clone(),
        delimiter: input.delimiter.clone(),
        start_after: input.marker.clone(),
        max_keys: input.max_keys,
    };
    let (page, max_keys) = question.ask(&bucket).await?;
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        marker: Some(encoder.text(input.marker.as_deref().unwrap_or(""))),
        // Without a delimiter S3 leaves it out, and clients continue after the last key.
        next_marker: encoder.option(page.next.filter(|_| input.delimiter.is_some())),
        contents: encoder.objects(page.objects, true),
        common_prefixes: encoder.prefixes(page.prefixes),
        prefix: Some(encoder.text(input.prefix.as_deref().unwrap_or(""))),
        delimiter: encoder.option(input.delimiter),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

// Opaque to clients: where to go on, in base64 so that any key passes through any client.
fn token(next: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(next)
}

fn parse_token(token: &str) -> S3Result<String> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is none that a listing here returned"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_no_other_text_is_one() {
        for next in ["a", "photos/", "\u{1}\n&=+ é"] {
            assert_eq!(parse_token(&token(next)).unwrap(), next);
        }
        assert!(parse_token("not a token!").is_err());
    }

    #[test]
    fn encoded_keys_hold_nothing_that_xml_cannot() {
        let encoder = Encoder { url: true };
        assert_eq!(encoder.text("a/b c+d\u{1}é~"), "a/b%20c%2Bd%01%C3%A9~");
    }
}
