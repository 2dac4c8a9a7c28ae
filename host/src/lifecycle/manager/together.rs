use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Decision, Planned, Verdict};
use crate::object::{StorageMetadata, Tags, Timestamp};
use crate::provider::layers::{Archived, Restored};

/// What policies say of one object, taken together.
#[derive(Clone, Default)]
pub(super) struct Together {
    archive: Option<Arc<str>>,
    delete: Option<Arc<str>>,
    retain: Option<(Duration, Arc<str>)>,
    tags: Option<(Tags, Arc<str>)>,
}

impl Together {
    pub(super) fn add(&mut self, name: &Arc<str>, decision: Decision) {
        let Decision { archive, delete, retain, tags } = decision;
        if archive {
            self.archive.get_or_insert_with(|| Arc::clone(name));
        }
        if delete {
            self.delete.get_or_insert_with(|| Arc::clone(name));
        }
        if retain > self.retain.as_ref().map_or(Duration::ZERO, |(longest, _)| *longest) {
            self.retain = Some((retain, Arc::clone(name)));
        }
        if !tags.is_empty() {
            let (all, _) = self.tags.get_or_insert_with(|| (Tags::new(), Arc::clone(name)));
            // Of two values of a name the first policy's holds.
            let mut both = tags;
            for (name, value) in all.iter() {
                let _ = both.set(name, value);
            }
            *all = both;
        }
    }

    pub(super) fn plan(self, metadata: StorageMetadata, now: Timestamp) -> Planned {
        let stays = || Archived::of(&metadata).is_some() || Restored::of(&metadata).is_some_and(|it| now < it.until);
        if let Some(by) = self.archive.filter(|_| !stays()) {
            return Planned { metadata, verdict: Verdict::Archive, by: Some(by) };
        }
        if let Some(by) = self.delete {
            if let Some((retain, by)) = self.retain {
                let until = metadata.after(retain);
                if now < until {
                    return Planned { metadata, verdict: Verdict::Retained { until }, by: Some(by) };
                }
            }
            return Planned { metadata, verdict: Verdict::Delete, by: Some(by) };
        }
        if let Some((wanted, by)) = self.tags.filter(|(wanted, _)| !metadata.attributes.tags.contains(wanted)) {
            let mut tags = metadata.attributes.tags.clone();
            let room = wanted.iter().try_for_each(|(name, value)| tags.set(name, value));
            let verdict = match room {
                Ok(()) => Verdict::Tag { tags },
                Err(error) => Verdict::Undecided { problem: format!("`{}` can not be tagged: {error}", metadata.key) },
            };
            return Planned { metadata, verdict, by: Some(by) };
        }
        Planned { metadata, verdict: Verdict::Keep, by: None }
    }
}
