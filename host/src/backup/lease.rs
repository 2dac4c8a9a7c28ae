use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use ulid::Ulid;

use crate::error::{Error, Result};
use crate::object::{Body, Key, StorageMetadata, now};
use crate::provider::{Condition, ListQuery, StorageProvider, StoreOptions};

pub(super) const LEASES: &str = "larder-backups/leases/";

/// How long a lease holds that is not renewed: so long does one hinder whose owner has crashed.
const LASTS: Duration = Duration::from_secs(10 * 60);
const RENEWED_EVERY: Duration = Duration::from_secs(2 * 60);
/// How long whoever adds waits for whoever removes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What somebody does with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Adds a backup. Any number may do so at a time.
    Add,
    /// Removes backups, while nobody else adds or removes any: what one adds may be what the other takes for unused.
    Remove,
}

impl Use {
    fn prefix(self) -> String {
        format!("{LEASES}{}/", if self == Self::Add { "add" } else { "remove" })
    }
}

/// Says in a repository what is done with it, so that others who see it wait: by an object that is written anew every few
/// minutes. [`Lease::release`] ends it; dropped, it ends soon, or expires.
#[derive(Debug)]
pub(super) struct Lease {
    store: Arc<dyn StorageProvider>,
    key: Key,
    renewal: AbortHandle,
    released: bool,
}

impl Lease {
    /// Takes a lease. Who adds waits a while for others; who removes does not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while others do what must not be done at the same time; those of the store.
    pub(super) async fn take(store: &Arc<dyn StorageProvider>, wanted: Use) -> Result<Self> {
        let begun = Instant::now();
        loop {
            // Each writes first and looks then: of two that begin at once, one sees the other, or both do.
            let key = Key::new(format!("{}{}", wanted.prefix(), Ulid::generate()))?;
            let mine = write(&**store, &key, Condition::IfAbsent).await?;
            let other = look(&**store, wanted, &mine).await;
            if let Ok(None) = other {
                return Ok(Self::held(Arc::clone(store), mine));
            }
            end(&**store, &key).await;
            if let Some(other) = other?
                && (wanted == Use::Remove || begun.elapsed() > PATIENCE)
            {
                let doing = if other == Use::Add { "one is being made" } else { "some are being removed" };
                return Err(Error::unavailable(format!(
                    "the backups are in use: {doing}, or that was cut off less than ten minutes ago"
                )));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn held(store: Arc<dyn StorageProvider>, mine: StorageMetadata) -> Self {
        let key = mine.key.clone();
        let renewal = tokio::spawn(renew(Arc::clone(&store), mine)).abort_handle();
        Self { store, key, renewal, released: false }
    }

    /// Looks whether it still holds: before what others must not have come in between with.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it does not, since it was not renewed for too long; those of the store.
    pub(super) async fn check(&self) -> Result<()> {
        match self.store.metadata(&self.key).await {
            Ok(mine) if holds(&mine) => Ok(()),
            Ok(_) | Err(Error::NotFound { .. }) => {
                Err(Error::unavailable("the place of the backups was out of reach for too long: begin anew"))
            }
            Err(error) => Err(error),
        }
    }

    /// Lets others in.
    pub(super) async fn release(mut self) {
        self.renewal.abort();
        end(&*self.store, &self.key).await;
        self.released = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        if let (false, Ok(runtime)) = (self.released, Handle::try_current()) {
            let (store, key) = (Arc::clone(&self.store), self.key.clone());
            runtime.spawn(async move { end(&*store, &key).await });
        }
    }
}

async fn end(store: &dyn StorageProvider, key: &Key) {
    if let Err(error) = store.delete(key, None).await {
        tracing::debug!("a lease on backups stays until it expires: {error}");
    }
}

async fn write(store: &dyn StorageProvider, key: &Key, condition: Condition) -> Result<StorageMetadata> {
    let options = StoreOptions { condition, ..StoreOptions::default() };
    store.store(key, Body::from(""), options).await
}

/// Keeps a lease, until somebody has taken it away.
async fn renew(store: Arc<dyn StorageProvider>, StorageMetadata { key, mut etag, .. }: StorageMetadata) {
    loop {
        sleep(RENEWED_EVERY).await;
        match write(&*store, &key, Condition::IfMatch(etag.clone())).await {
            Ok(mine) => etag = mine.etag,
            Err(Error::PreconditionFailed { .. } | Error::NotFound { .. }) => return,
            // It holds for a while without that.
            Err(_) => {}
        }
    }
}

fn holds(lease: &StorageMetadata) -> bool {
    now().signed_duration_since(lease.updated_at).to_std().unwrap_or_default() <= LASTS
}

/// What others do that must not be done beside what is wanted. Of those, leases that do not hold are taken away, so that their
/// owners, if they are there after all, come to know.
async fn look(store: &dyn StorageProvider, wanted: Use, mine: &StorageMetadata) -> Result<Option<Use>> {
    let others = [Use::Remove, Use::Add].into_iter().filter(|other| wanted == Use::Remove || *other == Use::Remove);
    for other in others {
        let leases = store.list(&ListQuery::with_prefix(other.prefix())).await?.objects;
        for lease in leases.into_iter().filter(|lease| lease.key != mine.key) {
            if holds(&lease) {
                return Ok(Some(other));
            }
            match store.delete(&lease.key, Some(&lease.etag)).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(Error::PreconditionFailed { .. }) => return Ok(Some(other)),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}
