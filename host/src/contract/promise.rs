use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::{Breach, Options, Outcome, Part, Verdict, eviction, lifecycle, provider};
use crate::plugin::Kind;

/// One promise of a contract.
pub struct Promise {
    /// What is promised, as a name: `a_failed_overwrite_leaves_the_old_object`.
    pub name: &'static str,
    /// What is promised, as a sentence.
    pub says: &'static str,
    pub(super) run: Run,
}

/// How a promise is tried. Those of the synchronous kinds may keep a thread busy.
pub(super) enum Run {
    Provider(for<'a> fn(&'a provider::Trial<'a>) -> BoxFuture<'a, Result<(), Breach>>),
    Eviction(fn(&eviction::Trial) -> Result<(), Breach>),
    Lifecycle(fn(&lifecycle::Trial) -> Result<(), Breach>),
}

/// How long a part has for one promise. The slowest takes a native part a fraction of a second; one that takes a minute
/// hangs.
const PATIENCE: Duration = Duration::from_secs(60);

impl Promise {
    /// Whose promise it is.
    pub fn kind(&self) -> Kind {
        match self.run {
            Run::Provider(_) => Kind::Provider,
            Run::Eviction(_) => Kind::Eviction,
            Run::Lifecycle(_) => Kind::Lifecycle,
        }
    }

    /// Holds a part to this promise. To a part of another kind it does not apply.
    pub async fn check(&'static self, part: &Part, options: &Options) -> Outcome {
        let started = Instant::now();
        let kept = match (&self.run, part) {
            (Run::Provider(run), Part::Provider(subject)) => {
                let trial = provider::Trial::new(&**subject, self.name, options);
                in_time(run(&trial)).await
            }
            (&Run::Eviction(run), Part::Eviction(subject)) => {
                let trial = eviction::Trial::new(Arc::clone(subject), self.name, options);
                in_time(on_a_thread(trial, run)).await
            }
            (&Run::Lifecycle(run), Part::Lifecycle(subject)) => {
                let trial = lifecycle::Trial::new(Arc::clone(subject), self.name, options);
                in_time(on_a_thread(trial, run)).await
            }
            _ => Err(Breach::NotApplicable),
        };
        let verdict = kept.map_or_else(Breach::into_verdict, |()| Verdict::Kept);
        Outcome { promise: self, verdict, took: started.elapsed() }
    }
}

async fn in_time(trial: impl Future<Output = Result<(), Breach>>) -> Result<(), Breach> {
    let late = |_| Breach::Broken(format!("there was no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, trial).await.map_err(late)?
}

async fn on_a_thread<T: Send + 'static>(trial: T, run: fn(&T) -> Result<(), Breach>) -> Result<(), Breach> {
    let tried = tokio::task::spawn_blocking(move || run(&trial)).await;
    tried.unwrap_or_else(|panic| Err(Breach::Broken(format!("it panicked: {panic}"))))
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
