use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Result;
use crate::server::token::{digest, draw_secret};

/// Secrets that were handed out, each good for a while and standing for a `T`.
///
/// They are in memory alone, and only as digests.
pub(super) struct Passes<T> {
    lasts: Duration,
    most: usize,
    /// By the digest of the secret.
    issued: Mutex<HashMap<[u8; 32], Pass<T>>>,
}

struct Pass<T> {
    until: Instant,
    what: T,
}

impl<T> Passes<T> {
    /// Passes that are good for so long, and so many at a time.
    pub(super) fn new(lasts: Duration, most: usize) -> Self {
        Self { lasts, most, issued: Mutex::default() }
    }

    /// Makes a new one. If there are too many, the oldest is good no more.
    ///
    /// # Errors
    /// Those of [`draw_secret`].
    pub(super) fn issue(&self, what: T) -> Result<String> {
        let secret = draw_secret()?;
        let now = Instant::now();
        let mut issued = self.issued.lock();
        issued.retain(|_, pass| pass.until > now);
        if issued.len() >= self.most
            && let Some(oldest) = issued.iter().min_by_key(|(_, pass)| pass.until).map(|(digest, _)| *digest)
        {
            issued.remove(&oldest);
        }
        issued.insert(digest(secret.as_bytes()), Pass { until: now + self.lasts, what });
        Ok(secret)
    }

    /// Does something with what a secret stands for; `None` if it is no pass, or none any more.
    pub(super) fn with<R>(&self, secret: &str, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut issued = self.issued.lock();
        let pass = issued.get_mut(&digest(secret.as_bytes())).filter(|pass| pass.until > Instant::now())?;
        Some(work(&mut pass.what))
    }

    /// Takes a pass back; what it stood for, if it was still good.
    pub(super) fn redeem(&self, secret: &str) -> Option<T> {
        let pass = self.issued.lock().remove(&digest(secret.as_bytes()))?;
        (pass.until > Instant::now()).then_some(pass.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_good_for_its_time_and_stands_for_what_it_was_issued_for() {
        let passes = Passes::new(MINUTE, 4);
        let secret = passes.issue(7).unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(passes.with(&secret, |what| std::mem::replace(what, 8)), Some(7));
        assert_eq!(passes.with("another", |what| *what), None);
        tokio::time::advance(MINUTE - Duration::from_secs(1)).await;
        assert_eq!(passes.with(&secret, |what| *what), Some(8));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(passes.with(&secret, |what| *what), None);
        assert_eq!(passes.redeem(&secret), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_redeemed_is_good_no_more() {
        let passes = Passes::new(MINUTE, 4);
        let secret = passes.issue(7).unwrap();
        assert_eq!([passes.redeem(&secret), passes.redeem(&secret)], [Some(7), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_the_oldest_goes() {
        let passes = Passes::new(MINUTE, 2);
        let mut secrets = Vec::new();
        for what in 0..3 {
            secrets.push(passes.issue(what).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let good: Vec<_> = secrets.iter().map(|secret| passes.with(secret, |what| *what)).collect();
        assert_eq!(good, [None, Some(1), Some(2)]);
    }
}
