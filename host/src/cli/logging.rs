use std::io;

use tracing_subscriber::EnvFilter;

use super::output::Audience;

const VARIABLE: &str = "LARDER_LOG";

/// How much is logged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) quiet: bool,
    pub(super) verbose: u8,
    /// A host tells more of itself than a command that ends at once.
    pub(super) serves: bool,
}

impl Detail {
    /// The crate s3s takes every missing object for an error, and tells whole requests, signatures included.
    fn filter(self) -> &'static str {
        match (self.quiet, u32::from(self.verbose) + u32::from(self.serves)) {
            (true, _) => "error,s3s=off",
            (_, 0) => "warn,s3s=off",
            (_, 1) => "warn,s3s=off,larder=info",
            (_, 2) => "info,s3s=off,larder=debug",
            _ => "debug,s3s=off,larder=trace",
        }
    }
}

/// Logs to standard error from here on. The variable `LARDER_LOG` says in tracing's words what to log, such as
/// `larder::cache=trace`.
pub(super) fn init(detail: Detail, audience: Audience, color: bool) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(detail.filter()));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(color);
    // A program that embeds this one may log in its own way already.
    let _ = match audience {
        Audience::People => log.with_target(false).try_init(),
        Audience::Programs => log.json().flatten_event(true).try_init(),
    };
}
