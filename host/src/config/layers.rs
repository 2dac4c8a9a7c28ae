use std::fmt;
use std::path::Path;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Scalar, scalar_serde};
use super::secret::Secret;
use crate::provider::layers::{Encryption, EncryptionKey};

/// How a store's objects are compressed: `zstd`, or `zstd:LEVEL` with a level of 1 to 19. Without one it is 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    level: u8,
}

impl Compression {
    const DEFAULT_LEVEL: u8 = 3;

    /// The level of zstd.
    pub fn level(self) -> i32 {
        self.level.into()
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = match text.strip_prefix("zstd") {
            Some("") => Some(Self::DEFAULT_LEVEL),
            Some(level) => level.strip_prefix(':').and_then(|level| level.parse().ok()),
            None => None,
        };
        match level {
            Some(level @ 1..=19) => Ok(Self { level }),
            _ => {
                Err(format!("{text:?} is no compression; write zstd, or zstd: and a level of 1 to 19, such as zstd:9"))
            }
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zstd:{}", self.level)
    }
}

impl Scalar for Compression {
    const EXPECTED: &'static str = "a compression: zstd, or zstd: and a level of 1 to 19";
    const PATTERN: &'static str = r"^zstd(:([1-9]|1[0-9]))?$";
}

scalar_serde!(Compression);

/// What a store's objects are encrypted with. A key is 32 random bytes in base64 or hexadecimal digits, in a variable of
/// the host's environment or in a file that its user alone can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptionConfig {
    /// What new objects are encrypted with.
    pub key: Secret,
    /// What older ones may still be encrypted with: they are read, and `larder store rekey` moves them to `key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_keys: Vec<Secret>,
}

impl EncryptionConfig {
    /// The keys, read now from where they are.
    ///
    /// # Errors
    /// One line that says what is wrong with one of them, but nothing of it.
    pub fn keys(&self) -> Result<Encryption, String> {
        let old_keys = self.old_keys.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Encryption { key: read(&self.key)?, old_keys })
    }

    pub(super) fn rebase(&mut self, folder: &Path) {
        self.key.rebase(folder);
        self.old_keys.iter_mut().for_each(|key| key.rebase(folder));
    }
}

/// Reads a key from where it is.
pub(super) fn read(secret: &Secret) -> Result<EncryptionKey, String> {
    secret.check_private()?;
    EncryptionKey::parse(&secret.expose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_has_a_level() {
        let level = |text: &str| text.parse::<Compression>().map(Compression::level);
        assert_eq!([level("zstd"), level("zstd:1"), level("zstd:19")], [Ok(3), Ok(1), Ok(19)]);
        for wrong in ["zstd:0", "zstd:20", "zstd:", "zstd9", "gzip", ""] {
            assert!(level(wrong).unwrap_err().contains("zstd:9"), "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_lies_where_others_can_not_read_it() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, format!("{}\n", "07".repeat(32))).unwrap();
        let mut config: EncryptionConfig = serde_yaml::from_str("{ key: { file: key } }").unwrap();
        config.rebase(folder.path());
        for (mode, is_private) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(config.keys().is_ok(), is_private, "{mode:o}");
        }
        assert!(config.keys().unwrap_err().contains("chmod 600"));
        let open: EncryptionConfig = serde_yaml::from_str(&format!("{{ key: \"{}\" }}", "07".repeat(32))).unwrap();
        let error = open.keys().unwrap_err();
        assert!(error.contains("env") && !error.contains("0707"), "{error}");
    }
}
