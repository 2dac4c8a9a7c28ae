use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use bytesize::ByteSize;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;

use super::client::{Client, Operation};
use super::servers::Server;

const PIECE: usize = 256 << 10;

/// Sends one large object in and out again, and tells what memory the server had at most.
pub(super) fn measure(runtime: &Runtime, server: &Server, size: ByteSize) -> Result<()> {
    let client = Client::new(server)?;
    let id = server.id().context("it is a process of its own")?;
    let http: Http<_, UnsyncBoxBody<Bytes, std::convert::Infallible>> =
        Http::builder(TokioExecutor::new()).build_http();
    let tell = |what: &str, started: Instant| -> Result<()> {
        let seconds = started.elapsed().as_secs_f64();
        let (now, most) = (memory(id, "VmRSS")?, memory(id, "VmHWM")?);
        let rate = ByteSize::b((size.0 as f64 / seconds) as u64);
        println!("{what}: {seconds:.1} s, {rate}/s; resident: {now}, at most {most}");
        Ok(())
    };
    println!("idle: resident {}", memory(id, "VmRSS")?);
    runtime.block_on(async {
        let piece = Bytes::from((0..PIECE).map(|position| (position * 31 % 251) as u8).collect::<Vec<_>>());
        let pieces = size.0.div_ceil(PIECE as u64);
        let size_sent = pieces * PIECE as u64;
        let sent = stream::iter(0..pieces).map(move |_| Ok(Frame::data(piece.clone())));
        let put = Request::builder()
            .method(Method::PUT)
            .uri(client.sign(Operation::Put, "large")?)
            .header("content-length", size_sent)
            .body(StreamBody::new(sent).boxed_unsync())?;
        let started = Instant::now();
        let response = http.request(put).await?;
        ensure!(response.status().is_success(), "put: {}", response.status());
        tell(&format!("put of {size}"), started)?;

        let get = Request::builder().uri(client.sign(Operation::Get, "large")?).body(Empty::new().boxed_unsync())?;
        let started = Instant::now();
        let mut body = http.request(get).await?.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        ensure!(received == size_sent, "{received} bytes came back");
        tell(&format!("get of {size}"), started)
    })
}

/// A line of what the kernel says of a process's memory.
fn memory(process: u32, line: &str) -> Result<ByteSize> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes: u64 = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).context("a number")?;
    Ok(ByteSize::kib(kibibytes))
}
