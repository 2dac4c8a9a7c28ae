use std::fmt;

/// A kind of thing that a provider plugin may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Stores that it may build on.
    Stores,
    /// Entries of its own that outlast it.
    State,
    /// Secrets that it may read.
    Secrets,
    /// Hosts that it may send HTTP requests to.
    Http,
    /// Folders of the host's file system.
    Files,
    /// The time of day, and clocks that go.
    Clocks,
    /// Random numbers.
    Random,
    /// Variables of its environment.
    Env,
}

impl Grant {
    /// Its key under `grants` in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stores => "stores",
            Self::State => "state",
            Self::Secrets => "secrets",
            Self::Http => "http",
            Self::Files => "files",
            Self::Clocks => "clocks",
            Self::Random => "random",
            Self::Env => "env",
        }
    }

    /// The YAML that grants it, in a plugin's entry.
    pub fn yaml(self) -> &'static str {
        match self {
            Self::Stores => "grants: { stores: { NAME: STORE } }",
            Self::State => "grants: { state: true }",
            Self::Secrets => "grants: { secrets: { NAME: { file: PATH } } }",
            Self::Http => "grants: { http: [HOST] }",
            Self::Files => "grants: { files: { /GUEST/PATH: { path: DIR } } }",
            Self::Clocks => "grants: { clocks: true }",
            Self::Random => "grants: { random: true }",
            Self::Env => "grants: { env: { NAME: VALUE } }",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
