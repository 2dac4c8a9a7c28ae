use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::WebhookName;
use super::secret::Secret;
use super::url::Url;
use crate::events::EventFilter;
use crate::object::StoreName;

/// Somebody who is told of events over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its name, by which it is counted.
    pub name: WebhookName,
    /// Where events are sent to.
    pub url: Url,
    /// What they are signed with; absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// What it wants to see in the header `Authorization`, such as `Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// Only events of these types; `alert.*` stands for all that begin so. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Only events of these stores, and those of none. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreName>,
}

impl WebhookConfig {
    /// Which events it wants.
    ///
    /// # Errors
    /// Which of `types` is none, by its place, and why.
    pub fn filter(&self) -> Result<EventFilter, (usize, String)> {
        let mut types = Vec::new();
        for (place, pattern) in self.types.iter().enumerate() {
            types.extend(EventFilter::types_of(pattern).map_err(|message| (place, message))?);
        }
        Ok(EventFilter { types, stores: self.stores.clone() })
    }
}
