use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tracing::info;

use crate::error::{Error, Result};

/// How many reads of secrets a plugin may make in a [`WINDOW`]. Each is in the log, so they may not come without end.
const READS: u32 = 600;
const WINDOW: Duration = Duration::from_secs(60);

/// Reads a secret from where it is kept; the error is one line for people, without the secret.
pub type SecretSource = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The secrets granted to a plugin, under the names that it uses. They are read anew each time, so that one that was
/// changed is seen, and never show themselves. Clones share what is counted.
#[derive(Clone, Default)]
pub struct GrantedSecrets(Arc<Vault>);

#[derive(Default)]
struct Vault {
    sources: BTreeMap<String, SecretSource>,
    /// When the window began, and the reads in it; locked to count.
    reads: Mutex<Option<(Instant, u32)>>,
    /// What was handed out; locked to add to it and to look for it in what the plugin writes.
    handed_out: RwLock<Vec<String>>,
}

impl GrantedSecrets {
    /// These secrets.
    pub fn new(sources: BTreeMap<String, SecretSource>) -> Self {
        Self(Arc::new(Vault { sources, ..Vault::default() }))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.sources.is_empty()
    }

    /// Reads a secret for a plugin, and says so in the log.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if it is not granted, [`Error::Unavailable`] if it can not be read now or is read too
    /// often.
    pub(super) fn read(&self, plugin: &str, name: &str) -> Result<String> {
        let Vault { sources, reads, handed_out } = &*self.0;
        let source = sources.get(name).ok_or_else(|| {
            Error::permission_denied(format!(
                "no secret is granted as {name:?}; to grant one, add under grants: `secrets: {{ {name}: {{ file: PATH }} }}`"
            ))
        })?;
        count(&mut reads.lock(), Instant::now())?;
        let secret = source().map_err(|error| Error::unavailable(format!("the secret {name:?}: {error}")))?;
        info!(plugin, secret = name, "a plugin read a secret");
        if !handed_out.read().contains(&secret) {
            handed_out.write().push(secret.clone());
        }
        Ok(secret)
    }

    /// What a plugin wrote, without the secrets that it was handed.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &*self.0.handed_out.read() {
            if text.contains(secret) {
                text = Cow::Owned(text.replace(secret, "(secret)"));
            }
        }
        text
    }
}

/// The names alone.
impl fmt::Debug for GrantedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.sources.keys()).finish()
    }
}

fn count(reads: &mut Option<(Instant, u32)>, now: Instant) -> Result<()> {
    let (begun, so_far) = match *reads {
        Some((begun, so_far)) if now.duration_since(begun) < WINDOW => (begun, so_far),
        _ => (now, 0),
    };
    if so_far == READS {
        return Err(Error::Unavailable {
            message: format!("a plugin may read secrets {READS} times a minute; it must keep what it read"),
            retry_after: Some(WINDOW.saturating_sub(now.duration_since(begun))),
        });
    }
    *reads = Some((begun, so_far + 1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> GrantedSecrets {
        let source: SecretSource = Box::new(|| Ok("hunter2-hunter2".to_owned()));
        let broken: SecretSource = Box::new(|| Err("the file /etc/key can not be read".to_owned()));
        GrantedSecrets::new([("token".to_owned(), source), ("broken".to_owned(), broken)].into())
    }

    #[test]
    fn a_secret_is_handed_out_by_its_name_alone() {
        let secrets = granted();
        assert_eq!(secrets.read("plug", "token").unwrap(), "hunter2-hunter2");
        let refused = secrets.read("plug", "other").unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }));
        assert!(refused.to_string().contains("secrets: { other: { file: PATH } }"), "{refused}");
        assert!(matches!(secrets.read("plug", "broken"), Err(Error::Unavailable { .. })));
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn what_was_handed_out_is_taken_from_what_the_plugin_writes() {
        let secrets = granted();
        assert_eq!(secrets.redact("with hunter2-hunter2"), "with hunter2-hunter2", "nobody has it yet");
        secrets.read("plug", "token").unwrap();
        assert_eq!(secrets.redact("with hunter2-hunter2!"), "with (secret)!");
        assert!(matches!(secrets.redact("without"), Cow::Borrowed("without")));
    }

    #[test]
    fn reads_do_not_come_without_end() {
        let (mut reads, start) = (None, Instant::now());
        for _ in 0..READS {
            count(&mut reads, start).unwrap();
        }
        let refused = count(&mut reads, start + Duration::from_secs(20)).unwrap_err();
        assert!(
            matches!(refused, Error::Unavailable { retry_after: Some(wait), .. } if wait == Duration::from_secs(40)),
            "{refused}"
        );
        count(&mut reads, start + WINDOW).unwrap();
    }
}
