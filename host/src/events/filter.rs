use super::{Event, EventType};
use crate::object::StoreName;

/// Which events somebody wants to be told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those of these types; empty for all.
    pub types: Vec<EventType>,
    /// Those of these stores, and those of none; empty for all.
    pub stores: Vec<StoreName>,
}

impl EventFilter {
    /// Whether an event is among them. That others were lost always is.
    pub fn wants(&self, event: &Event) -> bool {
        let of_type = self.types.is_empty() || event.kind == EventType::EventsLost || self.types.contains(&event.kind);
        let of_store = |store| self.stores.is_empty() || self.stores.contains(store);
        of_type && event.store.as_ref().is_none_or(of_store)
    }

    /// The types that a pattern names: one of them, or all that begin as it does, such as `alert.*` and `*`.
    ///
    /// # Errors
    /// That there is none, with those that there are.
    pub fn types_of(pattern: &str) -> Result<Vec<EventType>, String> {
        let matches = |kind: &EventType| match pattern.strip_suffix('*') {
            Some(start) => kind.as_str().starts_with(start),
            None => kind.as_str() == pattern,
        };
        let types: Vec<_> = EventType::ALL.into_iter().filter(matches).collect();
        if types.is_empty() {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            return Err(format!("{pattern:?} is no type of event, nor the start of one with a *; there are {known}"));
        }
        Ok(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_types() {
        assert_eq!(EventFilter::types_of("alert.*").unwrap(), [EventType::AlertFiring, EventType::AlertResolved]);
        assert_eq!(EventFilter::types_of("object.deleted").unwrap(), [EventType::ObjectDeleted]);
        assert_eq!(EventFilter::types_of("*").unwrap().len(), EventType::ALL.len());
        assert!(EventFilter::types_of("object").unwrap_err().contains("object.created"));
    }

    #[test]
    fn a_filter_lets_through_what_is_asked_for() {
        let store = |name: &str| StoreName::new(name).unwrap();
        let event = |kind, of: Option<&str>| Event { kind, store: of.map(store), ..Event::lost(0) };
        let filter = EventFilter { types: vec![EventType::ObjectDeleted], stores: vec![store("first")] };
        assert!(filter.wants(&event(EventType::ObjectDeleted, Some("first"))));
        assert!(!filter.wants(&event(EventType::ObjectDeleted, Some("other"))));
        assert!(!filter.wants(&event(EventType::ObjectCreated, Some("first"))));
        assert!(filter.wants(&Event::lost(3)), "nothing is lost silently");
        assert!(EventFilter::default().wants(&event(EventType::ObjectCreated, Some("other"))));
    }
}
