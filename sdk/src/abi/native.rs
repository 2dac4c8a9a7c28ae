use std::rc::Rc;

use crate::body::{Body, Upload};
use crate::error::Result;
use crate::log::Level;
use crate::object::{AttributeChanges, ETag, Metadata, Object};
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions};
use crate::range::ByteRange;
use crate::testing;

pub(crate) fn log(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

pub(crate) async fn secret(name: &str) -> Result<String> {
    testing::granted_secret(name)
}

pub(crate) mod http {
    use crate::error::Result;
    use crate::http::{Request, Response};
    use crate::testing;

    pub(crate) async fn send(request: Request) -> Result<Response> {
        request.url_parts()?;
        testing::answer(request)
    }
}

pub(crate) mod state {
    use crate::error::Result;
    use crate::state::{Entry, Expected, KeyPage, Version};
    use crate::testing::granted_state;

    pub(crate) async fn get(key: &str) -> Result<Option<Entry>> {
        granted_state()?.get(key).await
    }

    pub(crate) async fn put(key: &str, value: Vec<u8>, expected: Expected) -> Result<Version> {
        granted_state()?.put(key, value, expected).await
    }

    pub(crate) async fn delete(key: &str, expected: Option<&Version>) -> Result<()> {
        granted_state()?.delete(key, expected).await
    }

    pub(crate) async fn list_keys(prefix: &str, start_after: Option<&str>, limit: u32) -> Result<KeyPage> {
        granted_state()?.list_keys(prefix, start_after, limit).await
    }
}

/// A store that a test granted.
#[derive(Debug)]
pub(crate) struct InnerStore(Rc<testing::MemoryStore>);

impl InnerStore {
    pub(crate) fn open(name: &str) -> Result<Self> {
        testing::granted(name).map(Self)
    }

    pub(crate) async fn store(&self, key: &str, body: Body, options: StoreOptions) -> Result<Metadata> {
        self.0.store(key, Upload::new(body), options).await
    }

    pub(crate) async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        self.0.retrieve(key, range).await
    }

    pub(crate) async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete(key, if_match).await
    }

    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.list(query).await
    }

    pub(crate) async fn metadata(&self, key: &str) -> Result<Metadata> {
        self.0.metadata(key).await
    }

    pub(crate) async fn update(
        &self,
        key: &str,
        changes: AttributeChanges,
        if_match: Option<&ETag>,
    ) -> Result<Metadata> {
        self.0.update(key, changes, if_match).await
    }
}
