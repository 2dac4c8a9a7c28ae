//! The host interface `state`: a plugin's own entries.

use wasmtime::component::{Accessor, HasSelf};

use super::super::StateStore;
use super::super::bindings::provider::larder::plugin::state::{Entry, Expectation, Host, HostWithStore, KeyPage};
use super::super::bindings::provider::larder::plugin::types as wit;
use super::super::convert::error_to_plugin;
use super::super::state::State;
use super::Permit;
use crate::error::{Error, Result};
use crate::object::{ETag, Key};
use crate::provider::{Condition, ListQuery};

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl Host for State {}

/// The state granted to the instance's plugin, and a place for a call that brought so many bytes.
fn begin(accessor: &Accessor<State, HasSelf<State>>, bytes: usize) -> Result<(StateStore, Permit)> {
    accessor.with(|mut access| {
        let State { grants, in_flight, .. } = access.get();
        let state = grants.state.clone().ok_or_else(|| {
            Error::permission_denied("no state is granted; to grant it, add under grants: `state: true`")
        })?;
        Ok((state, in_flight.begin(bytes)?))
    })
}

fn answer<T>(result: Result<T>) -> Answer<T> {
    Ok(result.map_err(|error| error_to_plugin(&error)))
}

async fn get(accessor: &Accessor<State, HasSelf<State>>, key: String) -> Result<Option<Entry>> {
    let (state, _permit) = begin(accessor, key.len())?;
    let found = state.get(Key::new(key)?).await?;
    Ok(found.map(|(value, version)| Entry { value: value.into(), version: version.as_str().to_owned() }))
}

async fn put(
    accessor: &Accessor<State, HasSelf<State>>,
    key: String,
    value: Vec<u8>,
    expected: Option<Expectation>,
) -> Result<String> {
    let (state, _permit) = begin(accessor, key.len().saturating_add(value.len()))?;
    let expected = match expected {
        None => Condition::None,
        Some(Expectation::Absent) => Condition::IfAbsent,
        Some(Expectation::Version(version)) => Condition::IfMatch(ETag::new(version)?),
    };
    let version = state.put(Key::new(key)?, value.into(), expected).await?;
    Ok(version.as_str().to_owned())
}

async fn delete(accessor: &Accessor<State, HasSelf<State>>, key: String, expected: Option<String>) -> Result<()> {
    let (state, _permit) = begin(accessor, key.len())?;
    state.delete(Key::new(key)?, expected.map(ETag::new).transpose()?).await
}

async fn list_keys(
    accessor: &Accessor<State, HasSelf<State>>,
    prefix: String,
    start_after: Option<String>,
    limit: u32,
) -> Result<KeyPage> {
    let (state, _permit) = begin(accessor, prefix.len().saturating_add(start_after.as_ref().map_or(0, String::len)))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if !(1..=ListQuery::MAX_LIMIT).contains(&limit) {
        let max = ListQuery::MAX_LIMIT;
        return Err(Error::invalid_input(format!("a page has 1 to {max} keys, and {limit} are asked for")));
    }
    let page = state.list(ListQuery { prefix, start_after, limit }).await?;
    let keys = page.objects.into_iter().map(|entry| entry.key.as_str().to_owned()).collect();
    Ok(KeyPage { keys, more: page.more })
}

impl HostWithStore<State> for HasSelf<State> {
    async fn get(accessor: &Accessor<State, Self>, key: String) -> Answer<Option<Entry>> {
        answer(get(accessor, key).await)
    }

    async fn put(
        accessor: &Accessor<State, Self>,
        key: String,
        value: Vec<u8>,
        expected: Option<Expectation>,
    ) -> Answer<String> {
        answer(put(accessor, key, value, expected).await)
    }

    async fn delete(accessor: &Accessor<State, Self>, key: String, expected: Option<String>) -> Answer<()> {
        answer(delete(accessor, key, expected).await)
    }

    async fn list_keys(
        accessor: &Accessor<State, Self>,
        prefix: String,
        start_after: Option<String>,
        limit: u32,
    ) -> Answer<KeyPage> {
        answer(list_keys(accessor, prefix, start_after, limit).await)
    }
}
