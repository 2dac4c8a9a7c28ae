use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::history::{self, Call};
use super::register::{Answer, On, Request, Version};
use super::sample::{self, key};
use super::trial::{Store, read};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Checksum, ETag, StorageMetadata, Tags};
use crate::provider::{Condition, Stamp, StoreOptions};
use crate::random::Random;

const ROUNDS: usize = 6;
const CLIENTS: usize = 5;
const CALLS: usize = 12;
/// How many times the clients gather within a round, so that they do not drift apart.
const GATHERINGS: usize = 4;

/// What the clients of a round share.
struct Round {
    store: Store,
    clock: AtomicU64,
    writes: AtomicU32,
    gathering: tokio::sync::Barrier,
}

/// A client's view: what it asks next depends on the version that it saw last.
struct Client {
    number: usize,
    round: Arc<Round>,
    random: Random,
    seen: Option<u32>,
    calls: Vec<Call>,
}

impl Client {
    fn next_request(&mut self) -> Request {
        let seen = self.seen.filter(|_| !self.random.once_in(3));
        match self.random.below(12) {
            0..4 => Request::Read,
            4..9 => {
                let condition = match (self.random.below(3), seen) {
                    (0, _) => On::Anything,
                    (1, None) => On::Absent,
                    (_, Some(seen)) => On::Match(seen),
                    (_, None) => On::Anything,
                };
                Request::Write { write: self.round.writes.fetch_add(1, Ordering::Relaxed) + 1, condition }
            }
            9 => Request::Delete { if_match: seen },
            _ => {
                let tag = self.round.writes.fetch_add(1, Ordering::Relaxed) + 1;
                Request::Update { tag, if_match: seen }
            }
        }
    }

    /// Makes its calls. One that fails is the last, but the others are not left waiting.
    async fn run(mut self) -> Result<Vec<Call>> {
        let mut failure = None;
        for number in 0..CALLS {
            if number % (CALLS / GATHERINGS) == 0 {
                self.round.gathering.wait().await;
            }
            if failure.is_some() {
                continue;
            }
            let request = self.next_request();
            let asked = self.round.clock.fetch_add(1, Ordering::SeqCst);
            let answer = self.ask(request).await;
            let answered = self.round.clock.fetch_add(1, Ordering::SeqCst);
            match answer {
                Ok(answer) => self.note(Call { client: self.number, asked, answered, request, answer }),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(self.calls), Err)
    }

    fn note(&mut self, call: Call) {
        match (call.request, call.answer) {
            (_, Answer::Found(version)) => self.seen = Some(version.write),
            (Request::Write { write, .. }, Answer::Done) => self.seen = Some(write),
            (Request::Read | Request::Delete { .. }, _) => self.seen = None,
            _ => {}
        }
        self.calls.push(call);
    }

    async fn ask(&mut self, request: Request) -> Result<Answer> {
        let (store, name) = (&self.round.store, key("k")?);
        let answer = match request {
            Request::Read if self.random.once_in(3) => store.metadata(&name).await.and_then(|found| version(&found)),
            Request::Read => match store.retrieve(&name, None).await {
                Ok(object) => {
                    let (metadata, _, bytes) = read(object).await?;
                    if Checksum::of(&bytes) != metadata.checksum {
                        return Err(Error::internal("bytes came with the metadata of another write"));
                    }
                    version(&metadata)
                }
                Err(error) => Err(error),
            },
            Request::Write { write, condition } => {
                let condition = match condition {
                    On::Anything => Condition::None,
                    On::Absent => Condition::IfAbsent,
                    On::Match(on) => Condition::IfMatch(etag(on)?),
                };
                let bytes = sample::bytes(self.random.pick(&[10, 3_000, 40_000]), u64::from(write));
                let body = match self.random.below(2) {
                    0 => bytes.into(),
                    _ => sample::in_hesitant_pieces(&bytes, bytes.len().div_ceil(3)),
                };
                let stamp = Stamp { etag: etag(write)?, ..StoreOptions::default().stamp };
                let options = StoreOptions { stamp, condition, ..StoreOptions::default() };
                store.store(&name, body, options).await.map(|_| Answer::Done)
            }
            Request::Delete { if_match } => {
                let if_match = if_match.map(etag).transpose()?;
                store.delete(&name, if_match.as_ref()).await.map(|()| Answer::Done)
            }
            Request::Update { tag, if_match } => {
                let if_match = if_match.map(etag).transpose()?;
                let tags = Tags::from_pairs([(TAG.to_owned(), tag.to_string())])?;
                let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
                store.update(&name, changes, if_match.as_ref()).await.and_then(|found| version(&found))
            }
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(Error::NotFound { .. }) => Ok(Answer::NotFound),
            Err(Error::PreconditionFailed { .. }) => Ok(Answer::Refused),
            Err(Error::Unavailable { .. }) => Ok(Answer::NotNow),
            Err(error) => Err(error),
        }
    }
}

const TAG: &str = "by";

/// The etag of a write of this number.
fn etag(write: u32) -> Result<ETag> {
    ETag::new(format!("w{write}"))
}

/// Which write and which update metadata are of.
fn version(metadata: &StorageMetadata) -> Result<Answer> {
    let foreign = || Error::internal(format!("there is an object that nobody wrote: {metadata:?}"));
    let write = metadata.etag.as_str().strip_prefix('w').and_then(|number| number.parse().ok()).ok_or_else(foreign)?;
    let tag = metadata.attributes.tags.get(TAG).map_or(Ok(0), |tag| tag.parse().map_err(|_| foreign()))?;
    Ok(Answer::Found(Version { write, tag }))
}

promises! {
    /// Concurrent calls on one key answer as if each took effect at one moment between its beginning and its end. A few
    /// may be told to try again, and then have no effect.
    async fn calls_on_one_key_take_effect_one_after_the_other(trial) {
        let mut random = trial.random();
        for _ in 0..ROUNDS {
            let round = Arc::new(Round {
                store: trial.store().await?,
                clock: AtomicU64::new(0),
                writes: AtomicU32::new(0),
                gathering: tokio::sync::Barrier::new(CLIENTS),
            });
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (round, random) = (Arc::clone(&round), Random::new(random.next()));
                    tokio::spawn(Client { number, round, random, seen: None, calls: Vec::new() }.run())
                })
                .collect();
            let mut calls = Vec::new();
            for client in clients {
                calls.extend(client.await.map_err(|panic| Error::internal(panic.to_string()))??);
            }
            let (not_now, all) = (calls.iter().filter(|call| call.answer == Answer::NotNow).count(), calls.len());
            ensure!(not_now <= all / 3, "{not_now} of {all} calls were told to try again");
            ensure!(
                history::is_linearizable(&calls),
                "no order of these calls explains their answers (calls with the moments of their beginning and end):{}",
                history::explain(&calls)
            );
        }
        Ok(())
    }
}
