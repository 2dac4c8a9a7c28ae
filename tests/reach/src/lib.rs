//! A provider that uses, well or badly, everything that it may be granted.
//!
//! It keeps no objects. To retrieve a key is to run the command that the key is, and the object is what that came to. A
//! command is words with a space between them; [`run`] lists them.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use larder_sdk::http::Request;
use larder_sdk::state::{self, Expected};
use larder_sdk::{
    AttributeChanges, Attributes, Body, ByteRange, Checksum, ETag, Error, ErrorKind, ListQuery, Metadata, Object, Page,
    Result, StorageProvider, StoreOptions, Timestamp, Upload, log, secrets,
};

/// The provider.
#[derive(Debug)]
pub struct Reach;

impl StorageProvider for Reach {
    type Config = ();

    async fn open(_config: ()) -> Result<Self> {
        Ok(Self)
    }

    async fn store(&self, _key: &str, _upload: Upload, _options: StoreOptions) -> Result<Metadata> {
        Err(Error::unsupported("it keeps nothing"))
    }

    async fn retrieve(&self, key: &str, _range: Option<ByteRange>) -> Result<Object> {
        let bytes = run(key).await?;
        let moment = Timestamp::from_millis(0);
        let metadata = Metadata {
            key: key.to_owned(),
            size: bytes.len() as u64,
            created_at: moment,
            updated_at: moment,
            checksum: Checksum::of(&bytes),
            etag: ETag::new("answer"),
            attributes: Attributes::default(),
        };
        Ok(Object { metadata, body: Body::from(bytes) })
    }

    async fn delete(&self, _key: &str, _if_match: Option<&ETag>) -> Result<()> {
        Err(Error::unsupported("it keeps nothing"))
    }

    async fn list(&self, _query: &ListQuery) -> Result<Page> {
        Ok(Page { objects: Vec::new(), more: false })
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        Err(Error::not_found(key))
    }

    async fn update(&self, _key: &str, _changes: AttributeChanges, _if_match: Option<&ETag>) -> Result<Metadata> {
        Err(Error::unsupported("it keeps nothing"))
    }
}

async fn run(command: &str) -> Result<Vec<u8>> {
    let words: Vec<&str> = command.split(' ').collect();
    let text = match words[..] {
        ["put", key, value] => {
            state::put(key, value, Expected::Anything).await?;
            "stored".to_owned()
        }
        ["put-new", key, value] => {
            state::put(key, value, Expected::Absent).await?;
            "stored".to_owned()
        }
        ["get", key] => match state::get(key).await? {
            Some(entry) => return Ok(entry.value),
            None => "absent".to_owned(),
        },
        ["delete", key] => {
            state::delete(key, None).await?;
            "deleted".to_owned()
        }
        ["list", prefix, limit] => {
            let page = state::list_keys(prefix, None, number(limit)? as u32).await?;
            format!("{} more: {}", page.keys.join(" "), page.more)
        }
        ["count", key, times] => count(key, number(times)?).await?,
        ["fill", size] => fill(number(size)?).await?,
        ["put-size", key_size, size] => {
            state::put(&"k".repeat(number(key_size)?), vec![0; number(size)?], Expected::Anything).await?;
            "stored".to_owned()
        }
        ["pending", calls, size] => pending(number(calls)?, number(size)?).await,
        ["list-for-ever"] => loop {
            state::list_keys("", None, 1000).await?;
        },
        ["secret", name] => secrets::get(name).await?,
        ["betray", name] => {
            let secret = secrets::get(name).await?;
            log::warn!("the secret is {secret}");
            return Err(Error::internal(format!("the secret is {secret}")).with_code(secret));
        }
        ["read-secrets", name, times] => {
            let mut read = 0;
            for _ in 0..number(times)? {
                match secrets::get(name).await {
                    Ok(_) => read += 1,
                    Err(error) => return Ok(format!("{read} then {:?}", error.kind).into_bytes()),
                }
            }
            format!("{read}")
        }
        ["fetch", url] => {
            let response = Request::get(url).header("x-from", "reach").send().await?;
            let (status, place) = (response.status(), response.header("location").unwrap_or("-").to_owned());
            format!("{status} {place} {}", String::from_utf8_lossy(&response.collect(1 << 20).await?))
        }
        ["upload", url, size] => {
            let size = number(size)?;
            let pieces = (0..size.div_ceil(1000)).map(move |at| Ok(vec![b'x'; 1000.min(size - at * 1000)]));
            let response = Request::put(url).body(Body::pieces(pieces)).send().await?;
            format!("{} {}", response.status(), String::from_utf8_lossy(&response.collect(1 << 20).await?))
        }
        ["break-upload", url] => {
            let body = Body::pieces([Ok(vec![b'x'; 1000]), Err(Error::timeout("the sender went away"))]);
            let response = Request::put(url).body(body).send().await?;
            format!("{}", response.status())
        }
        #[cfg(target_os = "wasi")]
        ["fetch-0.2", authority, path] => wasi_http::fetch(authority, path),
        ["read", path] => std::fs::read_to_string(path)?,
        ["write", path, text] => {
            std::fs::write(path, text)?;
            "written".to_owned()
        }
        ["time"] => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            format!("{}", now.as_millis())
        }
        ["random"] => {
            use std::hash::{BuildHasher, RandomState};
            format!("{}", RandomState::new().hash_one(7))
        }
        ["env", name] => std::env::var(name).unwrap_or_else(|_| "absent".to_owned()),
        ["print", text] => {
            println!("{text}");
            "printed".to_owned()
        }
        _ => return Err(Error::invalid_input(format!("{command:?} is no command"))),
    };
    Ok(text.into_bytes())
}

/// Requests by `wasi:http@0.2`, blocking as such guests are.
#[cfg(target_os = "wasi")]
mod wasi_http {
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

    pub(super) fn fetch(authority: &str, path: &str) -> String {
        let request = OutgoingRequest::new(Fields::new());
        let named = request.set_scheme(Some(&Scheme::Http)).is_ok()
            && request.set_authority(Some(authority)).is_ok()
            && request.set_path_with_query(Some(path)).is_ok();
        if !named {
            return "no such request".to_owned();
        }
        let answer = match handle(request, None) {
            Ok(answer) => answer,
            Err(error) => return format!("{error:?}"),
        };
        let response = loop {
            match answer.get() {
                Some(Ok(Ok(response))) => break response,
                Some(other) => return format!("{other:?}"),
                None => answer.subscribe().block(),
            }
        };
        let (Ok(body), status) = (response.consume(), response.status()) else { return "no body".to_owned() };
        let Ok(stream) = body.stream() else { return "no stream".to_owned() };
        let mut bytes = Vec::new();
        while let Ok(piece) = stream.blocking_read(4096) {
            bytes.extend(piece);
        }
        format!("{status} {}", String::from_utf8_lossy(&bytes))
    }
}

fn number(word: &str) -> Result<usize> {
    Ok(word.parse()?)
}

/// Counts one up so many times, against whoever else does.
async fn count(key: &str, times: usize) -> Result<String> {
    for _ in 0..times {
        loop {
            let (next, expected) = match state::get(key).await? {
                Some(entry) => (number(&String::from_utf8(entry.value)?)? + 1, Expected::Version(entry.version)),
                None => (1, Expected::Absent),
            };
            match state::put(key, next.to_string(), expected).await {
                Ok(_) => break,
                Err(error) if error.is(ErrorKind::PreconditionFailed) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(format!("counted {times}"))
}

/// Stores values of so many bytes until there is no room.
async fn fill(size: usize) -> Result<String> {
    for number in 0.. {
        if let Err(error) = state::put(&format!("fill/{number}"), vec![0; size], Expected::Anything).await {
            return Ok(format!("{number} then {:?}", error.kind));
        }
    }
    unreachable!("it returns from within the loop")
}

/// Begins so many writes at once, and tells how many the host refused.
async fn pending(calls: usize, size: usize) -> String {
    type Call = Pin<Box<dyn Future<Output = Result<()>>>>;
    let mut calls: Vec<Option<Call>> = (0..calls)
        .map(|number| {
            let call: Call = Box::pin(async move {
                state::put(&format!("pending/{number}"), vec![0; size], Expected::Anything).await.map(drop)
            });
            Some(call)
        })
        .collect();
    let (mut done, mut exhausted, mut failed) = (0, 0, 0);
    std::future::poll_fn(|context| {
        for call in &mut calls {
            if let Some(running) = call
                && let Poll::Ready(result) = running.as_mut().poll(context)
            {
                *call = None;
                match result {
                    Ok(()) => done += 1,
                    Err(error) if error.is(ErrorKind::Exhausted) => exhausted += 1,
                    Err(_) => failed += 1,
                }
            }
        }
        if calls.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    format!("{done} done, {exhausted} exhausted, {failed} failed")
}

larder_sdk::export!(provider: Reach);
