use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::object::{ETag, Key, StoreName, Timestamp, now};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// An object was stored, in place of another one or not.
    ObjectCreated,
    /// The attributes of an object changed.
    ObjectUpdated,
    /// An object was deleted.
    ObjectDeleted,
    /// An object went to the archive.
    ObjectArchived,
    /// An object came back from the archive.
    ObjectRestored,
    /// An object went to the trash.
    ObjectTrashed,
    /// An object was taken out of the trash.
    ObjectTakenOut,
    /// An object in the trash went for good.
    ObjectPurged,
    /// A lifecycle policy decided something, and it was done.
    PolicyDecided,
    /// An alert began.
    AlertFiring,
    /// An alert ended.
    AlertResolved,
    /// The subscriber did not keep up, and events before this one are gone.
    EventsLost,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ObjectCreated,
        Self::ObjectUpdated,
        Self::ObjectDeleted,
        Self::ObjectArchived,
        Self::ObjectRestored,
        Self::ObjectTrashed,
        Self::ObjectTakenOut,
        Self::ObjectPurged,
        Self::PolicyDecided,
        Self::AlertFiring,
        Self::AlertResolved,
        Self::EventsLost,
    ];

    /// Its name, such as `object.created`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ObjectCreated => "object.created",
            Self::ObjectUpdated => "object.updated",
            Self::ObjectDeleted => "object.deleted",
            Self::ObjectArchived => "object.archived",
            Self::ObjectRestored => "object.restored",
            Self::ObjectTrashed => "object.trashed",
            Self::ObjectTakenOut => "object.taken-out",
            Self::ObjectPurged => "object.purged",
            Self::PolicyDecided => "policy.decided",
            Self::AlertFiring => "alert.firing",
            Self::AlertResolved => "alert.resolved",
            Self::EventsLost => "events.lost",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no type of event"))
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What kind of thing.
    pub kind: EventType,
    /// In which store, if in one.
    pub store: Option<StoreName>,
    /// What it happened to: the key of an object, or the name of an alert.
    pub subject: Option<String>,
    /// What else is known of it.
    pub data: Value,
}

/// What is told of an object that was stored, or that changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObjectEvent {
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl Event {
    /// Something that happened to an object.
    pub fn of_object(kind: EventType, store: &StoreName, key: &Key, about: &ObjectEvent) -> Self {
        let data = serde_json::to_value(about).unwrap_or_default();
        Self { kind, store: Some(store.clone()), subject: Some(key.to_string()), data }
    }

    /// So many events are gone.
    pub fn lost(count: u64) -> Self {
        Self { kind: EventType::EventsLost, store: None, subject: None, data: json!({ "count": count }) }
    }
}

/// An event as it was told, serialized as JSON after CloudEvents 1.0
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The run of the host that it happened in.
    pub run: Arc<str>,
    /// Which of the run's events it is, from 1 on. What a subscriber is told rises, and by one as long as it is told all.
    pub sequence: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Published {
    /// Tells that so many events of a run are gone, at this place among those that are there.
    pub fn lost(run: &str, sequence: u64, count: u64) -> Self {
        Self { run: format!("{run}-lost").into(), sequence, time: now(), event: Event::lost(count) }
    }
}

impl Serialize for Published {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { run, sequence, time, event } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &format!("{run}-{sequence}"))?;
        map.serialize_entry(
            "source",
            &event.store.as_ref().map_or("/".to_owned(), |store| format!("/stores/{store}")),
        )?;
        map.serialize_entry("type", event.kind.as_str())?;
        if let Some(subject) = &event.subject {
            map.serialize_entry("subject", subject)?;
        }
        map.serialize_entry("time", time)?;
        // Of the extension "sequence": a text that orders as the events do.
        map.serialize_entry("sequence", &format!("{sequence:020}"))?;
        map.serialize_entry("datacontenttype", "application/json")?;
        map.serialize_entry("data", &event.data)?;
        map.end()
    }
}
