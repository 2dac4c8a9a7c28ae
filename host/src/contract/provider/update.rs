use super::sample::{self, KIB, key};
use super::trial::foreign_etag;
use crate::object::{AttributeChanges, Attributes, Tags, UserMetadata};

fn tags(value: &str) -> crate::error::Result<Tags> {
    Tags::from_pairs([("stage".to_owned(), value.to_owned())])
}

promises! {
    /// A change of one attribute changes that one and leaves the others.
    async fn an_update_changes_what_it_names(trial) {
        let store = trial.store().await?;
        let mut wanted = store.put_with(&key("k")?, "x", sample::attributes("old")?).await?;
        let none = AttributeChanges::default;
        let user_metadata = UserMetadata::from_pairs([("by".to_owned(), "update".to_owned())])?;
        for changes in [
            AttributeChanges { content_type: Some("image/png".into()), ..none() },
            AttributeChanges { user_metadata: Some(user_metadata), ..none() },
            AttributeChanges { tags: Some(tags("done")?), ..none() },
        ] {
            wanted.attributes.apply(changes.clone());
            ensure_eq!(store.update(&key("k")?, changes, None).await?, wanted, "what it answered with");
            store.ensure_is(&wanted, b"x").await?;
        }
        Ok(())
    }

    /// All attributes change in one step.
    async fn an_update_changes_all_at_once(trial) {
        let store = trial.store().await?;
        let mut wanted = store.put_with(&key("k")?, "x", sample::attributes("old")?).await?;
        let Attributes { content_type, user_metadata, tags } = sample::attributes("new")?;
        let changes = AttributeChanges { content_type, user_metadata: Some(user_metadata), tags: Some(tags) };
        wanted.attributes = sample::attributes("new")?;
        ensure_eq!(store.update(&key("k")?, changes, None).await?, wanted, "what it answered with");
        store.ensure_is(&wanted, b"x").await
    }

    /// Attributes leave bytes, times and etag as they are, whether the bytes are few or many.
    async fn an_update_leaves_bytes_times_and_etag(trial) {
        let store = trial.store().await?;
        for size in [0, 10, 100 * KIB, 1_500 * KIB] {
            let bytes = sample::bytes(size, 1);
            let mut wanted = store.put(&key("k")?, bytes.clone()).await?;
            let changes = AttributeChanges { tags: Some(tags("seen")?), ..AttributeChanges::default() };
            wanted.attributes.tags = tags("seen")?;
            ensure_eq!(store.update(&key("k")?, changes, None).await?, wanted, "what it answered with");
            store.ensure_is(&wanted, &bytes).await?;
        }
        Ok(())
    }

    /// A change of nothing changes nothing.
    async fn an_empty_update_changes_nothing(trial) {
        let store = trial.store().await?;
        let stored = store.put_with(&key("k")?, "x", sample::attributes("old")?).await?;
        let updated = store.update(&key("k")?, AttributeChanges::default(), None).await?;
        ensure_eq!(updated, stored, "what it answered with");
        store.ensure_is(&stored, b"x").await
    }

    /// Tags and user metadata are replaced as a whole; an empty set removes them.
    async fn an_update_can_remove_tags(trial) {
        let store = trial.store().await?;
        let mut wanted = store.put_with(&key("k")?, "x", sample::attributes("old")?).await?;
        let changes = AttributeChanges {
            tags: Some(Tags::new()),
            user_metadata: Some(UserMetadata::new()),
            content_type: None,
        };
        wanted.attributes.apply(changes.clone());
        ensure_eq!(store.update(&key("k")?, changes, None).await?, wanted, "what it answered with");
        ensure!(wanted.attributes.tags.is_empty() && wanted.attributes.content_type.is_some(), "tags are left");
        store.ensure_is(&wanted, b"x").await
    }

    /// An update of one version changes that one, and none other.
    async fn an_update_heeds_its_condition(trial) {
        let store = trial.store().await?;
        let old = store.put(&key("k")?, "old").await?;
        let mut new = store.put(&key("k")?, "new").await?;
        let changes = AttributeChanges { tags: Some(tags("done")?), ..AttributeChanges::default() };
        for etag in [old.etag, foreign_etag()] {
            let result = store.update(&key("k")?, changes.clone(), Some(&etag)).await;
            ensure_fails!(result, "precondition-failed", "updating a version that is not there");
            store.ensure_is(&new, b"new").await?;
        }
        store.update(&key("k")?, changes, Some(&new.etag)).await?;
        new.attributes.tags = tags("done")?;
        store.ensure_is(&new, b"new").await
    }

    /// Updating what is not there says so, and makes nothing.
    async fn updating_what_is_not_there_is_not_found(trial) {
        let store = trial.store().await?;
        for if_match in [None, Some(foreign_etag())] {
            let changes = AttributeChanges { tags: Some(tags("x")?), ..AttributeChanges::default() };
            let result = store.update(&key("never")?, changes, if_match.as_ref()).await;
            ensure_fails!(result, "not-found", "updating what is not there");
            store.ensure_absent(&key("never")?).await?;
        }
        Ok(())
    }

    /// An update lasts until the next write, which replaces the attributes.
    async fn an_overwrite_replaces_updated_attributes(trial) {
        let store = trial.store().await?;
        store.put(&key("k")?, "x").await?;
        let changes = AttributeChanges { tags: Some(tags("x")?), ..AttributeChanges::default() };
        store.update(&key("k")?, changes, None).await?;
        let stored = store.put(&key("k")?, "y").await?;
        ensure_eq!(stored.attributes, Attributes::default(), "what it answered with");
        store.ensure_is(&stored, b"y").await
    }

    /// An update that races an overwrite changes the old version or the new one, and never mixes them.
    async fn an_update_racing_an_overwrite_is_of_one_version(trial) {
        let store = trial.store().await?;
        for round in 0..12 {
            let name = key(&format!("k{round}"))?;
            let old = store.put_with(&name, sample::bytes(20_000, round), sample::attributes("old")?).await?;
            let writer = {
                let (store, name) = (store.clone(), name.clone());
                tokio::spawn(async move { store.put(&name, sample::bytes(30_000, round)).await })
            };
            let changes = AttributeChanges { tags: Some(tags("raced")?), ..AttributeChanges::default() };
            let updated = store.update(&name, changes, None).await?;
            let mut new = writer.await.map_err(|panic| crate::error::Error::internal(panic.to_string()))??;
            let base = if updated.etag == old.etag { &old } else { &new };
            let kept = (&updated.etag, updated.size, updated.checksum, updated.attributes.content_type.as_deref());
            let wanted = (&base.etag, base.size, base.checksum, base.attributes.content_type.as_deref());
            ensure_eq!(kept, wanted, "what the update left as it was");
            if updated.etag == new.etag {
                new.attributes.tags = tags("raced")?;
            }
            store.ensure_is(&new, &sample::bytes(30_000, round)).await?;
        }
        Ok(())
    }

    /// Of racing updates each is carried out whole, and the last one stays.
    async fn racing_updates_are_each_carried_out_whole(trial) {
        let store = trial.store().await?;
        let stored = store.put(&key("k")?, "x").await?;
        let racers = (0..8).map(|racer| {
            let store = store.clone();
            tokio::spawn(async move {
                let Attributes { content_type, user_metadata, tags } = sample::attributes(&format!("m{racer}"))?;
                let changes = AttributeChanges { content_type, user_metadata: Some(user_metadata), tags: Some(tags) };
                store.update(&key("k")?, changes, None).await
            })
        });
        let mut answers = Vec::new();
        for result in futures::future::join_all(racers).await {
            answers.push(result.map_err(|panic| crate::error::Error::internal(panic.to_string()))??);
        }
        let last = store.metadata(&key("k")?).await?;
        ensure!(answers.contains(&last), "what is there is of no update: {last:?}");
        ensure_eq!((last.etag.clone(), last.checksum), (stored.etag, stored.checksum), "etag and checksum");
        store.ensure_is(&last, b"x").await
    }
}
