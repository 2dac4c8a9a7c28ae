//! The provider held against a map that does what it should.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Trial;
use super::sample::{self, key};
use super::trial::{Store, foreign_etag, read};
use crate::contract::Breach;
use crate::contract::shrinking::{Shrinking, Simplify};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, Key, StorageMetadata, Tags};
use crate::provider::{Condition, ListQuery, StoreOptions, Usage};
use crate::random::Random;

type Model = BTreeMap<Key, (StorageMetadata, Bytes)>;

/// How many sequences are tried, and how long each is.
const SEQUENCES: usize = 4;
const LENGTH: usize = 60;
/// How long a short sequence is searched for: a native part needs less, and a plugin that is slow to load would take all
/// of the time that the promise has.
const SEARCH: Duration = Duration::from_secs(8);

const KEYS: [&str; 8] = ["a", "a/b", "a//b", "..", "%2e", "b", "\u{e9}", "e\u{301}"];
const PREFIXES: [&str; 5] = ["", "a", "a/", "e", "z"];

#[derive(Clone, Debug)]
enum Operation {
    Store { key: &'static str, size: usize, fill: u8, form: Form, condition: Conditioned },
    Retrieve { key: &'static str, range: Option<(u64, u64)> },
    Delete { key: &'static str, condition: Conditioned },
    Update { key: &'static str, tag: u8, condition: Conditioned },
    List { prefix: &'static str, start_after: Option<&'static str>, limit: usize },
    Reopen,
}

/// How a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Pieces,
    /// In pieces, and fails at its end.
    CutOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conditioned {
    No,
    Absent,
    /// On the version that is there, if there is one.
    Current,
    /// On a version that is not there.
    Foreign,
}

impl Conditioned {
    fn on(self, current: Option<&StorageMetadata>) -> Condition {
        match self {
            Self::No => Condition::None,
            Self::Absent => Condition::IfAbsent,
            Self::Current => current.map_or(Condition::None, |current| Condition::IfMatch(current.etag.clone())),
            Self::Foreign => Condition::IfMatch(foreign_etag()),
        }
    }
}

impl Operation {
    fn random(random: &mut Random) -> Self {
        use Conditioned::{Absent, Current, Foreign, No};
        let key = random.pick(&KEYS);
        let condition = random.pick(&[No, No, No, Absent, Current, Foreign]);
        match random.below(20) {
            0..6 => {
                let sizes = [0..1, 1..300, 16_380..16_390, 65_530..65_545, 100_000..200_000];
                let size = random.pick(&sizes);
                let form = random.pick(&[Form::Whole, Form::Whole, Form::Pieces, Form::Pieces, Form::CutOff]);
                Self::Store { key, size: random.within(size), fill: random.next() as u8, form, condition }
            }
            6..12 => {
                let range = (random.below(70_000) as u64, random.within(1..100_000) as u64);
                Self::Retrieve { key, range: Some(range).filter(|_| random.once_in(2)) }
            }
            12..14 => Self::Delete { key, condition },
            14..16 => Self::Update { key, tag: random.next() as u8, condition },
            16..19 => {
                let start_after = Some(random.pick(&KEYS)).filter(|_| random.once_in(2));
                Self::List { prefix: random.pick(&PREFIXES), start_after, limit: random.within(1..5) }
            }
            _ => Self::Reopen,
        }
    }
}

impl Simplify for Operation {
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        match self.clone() {
            Self::Store { key, size, fill, form, condition } => {
                let with = |size, form, condition| Self::Store { key, size, fill, form, condition };
                if condition != Conditioned::No {
                    simpler.push(with(size, form, Conditioned::No));
                }
                if form != Form::Whole {
                    simpler.push(with(size, Form::Whole, condition));
                }
                if size > 0 {
                    simpler.extend([0, size / 2, size - 1].map(|size| with(size, form, condition)));
                }
            }
            Self::Retrieve { key, range: Some(_) } => simpler.push(Self::Retrieve { key, range: None }),
            Self::Delete { key, condition } if condition != Conditioned::No => {
                simpler.push(Self::Delete { key, condition: Conditioned::No });
            }
            Self::Update { key, tag, condition } if condition != Conditioned::No => {
                simpler.push(Self::Update { key, tag, condition: Conditioned::No });
            }
            Self::List { prefix, start_after: Some(_), limit } => {
                simpler.push(Self::List { prefix, start_after: None, limit });
            }
            _ => {}
        }
        simpler
    }
}

/// `store "a" (17 bytes in pieces, if absent)`
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = |condition: &Conditioned| match condition {
            Conditioned::No => "",
            Conditioned::Absent => ", if absent",
            Conditioned::Current => ", if it is the version that is there",
            Conditioned::Foreign => ", if it is a version that is not there",
        };
        match self {
            Self::Store { key, size, form, condition: on, .. } => {
                let form = match form {
                    Form::Whole => "",
                    Form::Pieces => " in pieces",
                    Form::CutOff => " and then a failure",
                };
                write!(f, "store {key:?} ({size} bytes{form}{})", condition(on))
            }
            Self::Retrieve { key, range: None } => write!(f, "retrieve {key:?}"),
            Self::Retrieve { key, range: Some((start, length)) } => {
                write!(f, "retrieve {key:?} ({length} bytes from {start} on)")
            }
            Self::Delete { key, condition: on } => write!(f, "delete {key:?}{}", condition(on)),
            Self::Update { key, condition: on, .. } => write!(f, "update {key:?}{}", condition(on)),
            Self::List { prefix, start_after: None, limit } => write!(f, "list {limit} of {prefix:?}"),
            Self::List { prefix, start_after: Some(after), limit } => {
                write!(f, "list {limit} of {prefix:?} behind {after:?}")
            }
            Self::Reopen => f.write_str("reopen"),
        }
    }
}

fn kind<T>(result: &Result<T>) -> &'static str {
    result.as_ref().map_or_else(Error::kind, |_| "success")
}

/// Carries out an operation on the store and on the model, and holds the answers against each other.
async fn carry_out(store: &Store, model: &mut Model, operation: &Operation) -> Result<(), Breach> {
    match *operation {
        Operation::Store { key: text, size, fill, form, condition } => {
            let (name, bytes) = (key(text)?, Bytes::from(vec![fill; size]));
            let body: Body = match form {
                Form::Whole => bytes.clone().into(),
                Form::Pieces => sample::in_pieces(&bytes, 50_000),
                Form::CutOff => sample::cut_off(&bytes, 50_000),
            };
            let previous = model.get(&name).map(|(metadata, _)| metadata);
            let condition = condition.on(previous);
            let met = condition.check(&name, previous.map(|previous| &previous.etag)).is_ok();
            let options = StoreOptions { condition, ..StoreOptions::default() };
            let wanted = options.clone().into_metadata(name.clone(), size as u64, Checksum::of(&bytes), previous);
            let result = store.store(&name, body, options).await;
            match (met, form) {
                (true, Form::CutOff) => ensure_fails!(result, "unavailable", "storing"),
                (true, _) => {
                    ensure_eq!(result?, wanted, "what storing answered with");
                    model.insert(name, (wanted, bytes));
                }
                (false, Form::CutOff) => ensure!(result.is_err(), "storing succeeded"),
                (false, _) => ensure_fails!(result, "precondition-failed", "storing"),
            }
        }
        Operation::Retrieve { key: text, range } => {
            let name = key(text)?;
            let range = range.map(|(start, length)| ByteRange::between(start, start + length)).transpose()?;
            let result = store.retrieve(&name, range).await;
            let Some((metadata, bytes)) = model.get(&name) else {
                ensure_fails!(result, "not-found", "retrieving what is not there");
                return Ok(());
            };
            let Ok(positions) = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size)) else {
                ensure_fails!(result, "range-not-satisfiable", "retrieving a range behind the end");
                return Ok(());
            };
            let (found, position, read) = read(result?).await?;
            ensure_eq!((&found, &position), (metadata, &positions), "what retrieving answered with");
            ensure!(read == bytes[positions.start as usize..positions.end as usize], "the bytes retrieved are others");
        }
        Operation::Delete { key: text, condition } => {
            let name = key(text)?;
            let current = model.get(&name).map(|(metadata, _)| metadata);
            let if_match = if_match(condition.on(current));
            let wanted = match (current, &if_match) {
                (None, _) => "not-found",
                (Some(current), Some(etag)) if current.etag != *etag => "precondition-failed",
                _ => "success",
            };
            ensure_eq!(kind(&store.delete(&name, if_match.as_ref()).await), wanted, "what deleting came to");
            if wanted == "success" {
                model.remove(&name);
            }
        }
        Operation::Update { key: text, tag, condition } => {
            let name = key(text)?;
            let current = model.get_mut(&name).map(|(metadata, _)| metadata);
            let if_match = if_match(condition.on(current.as_deref()));
            let tags = Tags::from_pairs([("tag".to_owned(), tag.to_string())])?;
            let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
            let result = store.update(&name, changes.clone(), if_match.as_ref()).await;
            match (current, if_match) {
                (None, _) => ensure_fails!(result, "not-found", "updating what is not there"),
                (Some(current), Some(etag)) if current.etag != etag => {
                    ensure_fails!(result, "precondition-failed", "updating another version");
                }
                (Some(current), _) => {
                    current.attributes.apply(changes);
                    ensure_eq!(result?, *current, "what updating answered with");
                }
            }
        }
        Operation::List { prefix, start_after, limit } => {
            let wanted: Vec<_> = model
                .values()
                .map(|(metadata, _)| metadata.clone())
                .filter(|metadata| metadata.key.as_str().starts_with(prefix))
                .filter(|metadata| start_after.is_none_or(|after| metadata.key.as_str() > after))
                .collect();
            let query = ListQuery { prefix: prefix.into(), start_after: start_after.map(str::to_owned), limit };
            let page = store.list(&query).await?;
            let count = page.objects.len();
            ensure!(count <= limit && (count > 0 || wanted.is_empty()), "a page of {limit} has {count} objects");
            ensure_eq!(page.objects, wanted[..count.min(wanted.len())], "the page");
            ensure_eq!(page.more, count < wanted.len(), "whether there is more");
        }
        Operation::Reopen => {}
    }
    let wanted = Usage { objects: model.len() as u64, bytes: model.values().map(|(metadata, _)| metadata.size).sum() };
    ensure_eq!(store.usage().await?, wanted, "the usage");
    Ok(())
}

fn if_match(condition: Condition) -> Option<crate::object::ETag> {
    match condition {
        Condition::IfMatch(etag) => Some(etag),
        _ => None,
    }
}

/// Carries out operations on an empty store and on the model beside it.
async fn follow(trial: &Trial<'_>, operations: &[Operation]) -> Result<(), Breach> {
    let (mut store, mut model) = (trial.store().await?, Model::new());
    for (number, operation) in operations.iter().enumerate() {
        if matches!(operation, Operation::Reopen) && trial.is_persistent() {
            store = trial.reopen(store).await?;
        }
        carry_out(&store, &mut model, operation).await.map_err(|breach| breach.at(number + 1))?;
    }
    for (metadata, bytes) in model.values() {
        store.ensure_is(metadata, bytes).await?;
    }
    Ok(())
}

promises! {
    /// After random operations, every answer and everything kept is what a map of keys to objects would have.
    async fn random_operations_do_what_a_map_does(trial) {
        let mut random = trial.random();
        for _ in 0..SEQUENCES {
            let operations: Vec<_> = (0..LENGTH).map(|_| Operation::random(&mut random)).collect();
            let Err(breach) = follow(trial, &operations).await else { continue };
            return Err(shrink(trial, operations, breach).await);
        }
        Ok(())
    }
}

/// The breach of the shortest sequence that is found to break the promise, with that sequence.
async fn shrink(trial: &Trial<'_>, operations: Vec<Operation>, mut breach: Breach) -> Breach {
    let (mut shrinking, begun) = (Shrinking::new(operations), Instant::now());
    while begun.elapsed() < SEARCH
        && let Some(candidate) = shrinking.candidate()
    {
        if let Err(another) = follow(trial, &candidate).await {
            breach = another;
            shrinking.failed();
        }
    }
    let shortest = shrinking.into_shortest();
    let steps: Vec<String> = shortest.iter().enumerate().map(|(n, step)| format!("\n  {}. {step}", n + 1)).collect();
    breach.after(&format!("with these operations, found with seed {}:{}", trial.seed(), steps.concat()))
}
