use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::plugin::{Subject, json};
use crate::host::{Host, HostError};
use crate::lifecycle::{AgeingStore, LifecycleManager};
use crate::object::{StoreName, Timestamp, now};

/// Which policies are asked, and as of when.
#[derive(Debug, Args)]
pub(super) struct Policies {
    /// Ask this one alone: a rule or a plugin that the configuration names for the store, or a component that it does not,
    /// as a .wasm file or the folder of a crate; absent: all that it names
    #[arg(long, value_name = "NAME|FILE|DIR")]
    policy: Option<String>,
    /// The settings of a component that the configuration does not name, as JSON
    #[arg(long, value_name = "JSON", requires = "policy", default_value = "null", value_parser = json)]
    settings: Value,
    /// As of when, such as 2027-01-01 or 2027-01-01T12:00:00Z; absent: now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
}

impl Policies {
    pub(super) fn now(&self) -> Timestamp {
        self.at.unwrap_or_else(now)
    }

    /// The policies, ready to be asked about the objects of `store`.
    pub(super) async fn open(
        self,
        name: &StoreName,
        store: Arc<dyn AgeingStore>,
        context: &Context,
    ) -> Result<LifecycleManager, Failure> {
        let output = context.output();
        if let Some(policy) = &self.policy
            && (policy.ends_with(".wasm") || policy.contains('/'))
        {
            let opened = Subject::with_settings(PathBuf::from(policy), self.settings).open(output).await?;
            let asked = opened.plugin.lifecycle().map_err(|error| Failure::usage(error.to_string()))?;
            return Ok(LifecycleManager::new(name.clone(), store).with_policy(policy, asked));
        }
        let mut progress = |line: &str| output.remark(line);
        let policies = Host::policies_of(&context.config()?, name, store, self.policy.as_deref(), &mut progress).await;
        policies.map_err(failed)
    }
}

pub(super) fn failed(error: HostError) -> Failure {
    match error {
        HostError::Store { store, error } => Failure::from(error).about(&format!("the store {store}")),
        error => Failure::new(Exit::Failed, "plugin", error.to_string()),
    }
}

/// A moment as people write it.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    if let Some(midnight) = day {
        return Ok(midnight.and_utc());
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text);
    let moment = moment.map_err(|_| format!("{text:?} is no moment; write 2027-01-01 or 2027-01-01T12:00:00Z"))?;
    Ok(moment.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_or_have_a_time() {
        assert_eq!(moment("2027-01-01").unwrap(), moment("2027-01-01T00:00:00Z").unwrap());
        assert_eq!(moment("2027-01-01T01:00:00+01:00").unwrap(), moment("2027-01-01").unwrap());
        for wrong in ["tomorrow", "2027-02-30", "2027-01-01T12:00", ""] {
            assert!(moment(wrong).unwrap_err().contains("is no moment"), "{wrong}");
        }
    }
}
