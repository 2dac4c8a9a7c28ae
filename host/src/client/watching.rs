use std::fmt::Write as _;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::lines::Lines;
use super::{RemoteHost, read_json};
use crate::alerts::Alert;
use crate::error::Result;
use crate::monitor::HealthReport;
use crate::object::StoreName;

impl RemoteHost {
    /// The alerts: those that fire first, and of those the worst.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        read_json(self.ask(Method::GET, "/alerts").await?).await
    }

    /// How each of its parts is.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn health(&self) -> Result<HealthReport> {
        read_json(self.ask(Method::GET, "/health").await?).await
    }

    /// What happens in it from now on: events of these types, or that begin so if a type ends with `*`, and of these
    /// stores; all if none are given.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::InvalidInput`](crate::error::Error::InvalidInput) if there is no such type.
    pub async fn events(&self, types: &[String], stores: &[StoreName]) -> Result<RemoteEvents> {
        let mut query = String::new();
        let types = types.iter().map(|kind| ("type", kind.as_str()));
        for (name, value) in types.chain(stores.iter().map(|store| ("store", store.as_str()))) {
            let separator = if query.is_empty() { '?' } else { '&' };
            // Writing to a string does not fail.
            let _ = write!(query, "{separator}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        let response = self.ask(Method::GET, &format!("/events{query}")).await?;
        Ok(RemoteEvents { lines: Lines::of(response) })
    }
}

/// Events of a running host as they come.
pub struct RemoteEvents {
    lines: Lines,
}

impl RemoteEvents {
    /// Waits for the next event, as CloudEvents write it in JSON; `None` when the host has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable) if the host does not answer any more.
    pub async fn next(&mut self) -> Result<Option<serde_json::Value>> {
        self.lines.next().await
    }
}

impl std::fmt::Debug for RemoteEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteEvents").finish_non_exhaustive()
    }
}
