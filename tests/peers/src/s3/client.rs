use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::servers::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Server, Side};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Get,
    Head,
    /// A page of 1,000 keys behind the one that is given.
    List,
}

impl Operation {
    pub(super) const OF_OBJECTS: [Self; 3] = [Self::Put, Self::Get, Self::Head];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Put => Method::PUT,
            Self::Get | Self::List => Method::GET,
            Self::Head => Method::HEAD,
        }
    }
}

/// How long a signature holds: longer than any measurement.
const SIGNED_FOR: Duration = Duration::from_secs(24 * 3600);
/// How many objects are stored at a time before a measurement.
const FILLING: usize = 64;

/// The same client for all: requests are signed before the time is taken, and connections are kept.
#[derive(Clone)]
pub(super) struct Client {
    side: Side,
    bucket: Bucket,
    credentials: Credentials,
    http: Http<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(super) fn new(server: &Server) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            side: server.side,
            bucket: Bucket::new(server.url.parse()?, UrlStyle::Path, BUCKET, REGION)?,
            credentials: Credentials::new(ACCESS_KEY, SECRET_KEY),
            http: Http::builder(TokioExecutor::new()).build(connector),
        })
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn sign(&self, operation: Operation, key: &str) -> Result<Uri> {
        let credentials = Some(&self.credentials);
        let url = match operation {
            Operation::Put => self.bucket.put_object(credentials, key).sign(SIGNED_FOR),
            Operation::Get => self.bucket.get_object(credentials, key).sign(SIGNED_FOR),
            Operation::Head => self.bucket.head_object(credentials, key).sign(SIGNED_FOR),
            Operation::List => {
                let mut list = self.bucket.list_objects_v2(credentials);
                list.with_start_after(key);
                list.with_max_keys(1000);
                list.sign(SIGNED_FOR)
            }
        };
        Ok(url.as_str().parse()?)
    }

    /// Does it once, and returns how many bytes were answered.
    async fn ask(&self, operation: Operation, uri: &Uri, bytes: &Bytes) -> Result<u64> {
        let body = if operation == Operation::Put { bytes.clone() } else { Bytes::new() };
        let request = Request::builder().method(operation.method()).uri(uri.clone()).body(Full::new(body))?;
        let response = self.http.request(request).await?;
        let status = response.status();
        let length = response.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let mut answered = 0;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            answered += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        ensure!(status.is_success(), "{}: {uri} is answered with {status}", self.side.name());
        Ok(if operation == Operation::Head { length.unwrap_or(0) } else { answered })
    }

    /// Stores what is going to be read.
    pub(super) async fn fill(&self, keys: &[String], bytes: &Bytes) -> Result<()> {
        let work = keys.iter().map(|key| async move {
            let uri = self.sign(Operation::Put, key)?;
            self.ask(Operation::Put, &uri, bytes).await.with_context(|| format!("storing {key}"))
        });
        stream::iter(work).buffer_unordered(FILLING).try_for_each(async |_| Ok(())).await
    }

    /// How often a second clients did it together, each on keys of its own.
    pub(super) async fn measure(
        &self,
        operation: Operation,
        clients: Vec<Vec<String>>,
        bytes: &Bytes,
        time: Duration,
    ) -> Result<f64> {
        let mut signed = Vec::new();
        for keys in &clients {
            signed.push(keys.iter().map(|key| self.sign(operation, key)).collect::<Result<Vec<_>>>()?);
        }
        let done = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let clients: Vec<_> = signed
            .into_iter()
            .map(|uris| {
                let (client, bytes, done) = (self.clone(), bytes.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    for uri in uris.iter().cycle() {
                        if started.elapsed() > time {
                            break;
                        }
                        let answered = client.ask(operation, uri, &bytes).await?;
                        let wanted = bytes.len() as u64;
                        ensure!(
                            matches!(operation, Operation::Put | Operation::List) || answered == wanted,
                            "{} answers {answered} bytes of {wanted}",
                            client.side.name()
                        );
                        done.fetch_add(1, Relaxed);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await??;
        }
        Ok(done.load(Relaxed) as f64 / started.elapsed().as_secs_f64())
    }
}
