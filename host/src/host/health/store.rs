use std::time::Duration;

use tokio::time::timeout;

use super::Finding;
use crate::error::Error;
use crate::manager::{Probe, StorageManager};
use crate::monitor::{Health, HealthState};

/// How long a provider has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Probes a store, and tells its metrics whether it answered. One that has no more room still serves what it has.
pub(super) async fn ask(store: &StorageManager, probe: Probe) -> Finding {
    let finding = Finding::new("store", store.name(), "datastore");
    // It goes on to its end if it takes too long: a probe that is cut off could stay behind.
    let probed = store.clone();
    let probing = tokio::spawn(async move { probed.probe(probe).await });
    let answer = match timeout(PATIENCE, probing).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(Error::internal(panic.to_string())),
        Err(_) => Err(Error::timeout(format!("its provider did not answer within {} s", PATIENCE.as_secs()))),
    };
    let answers = matches!(&answer, Ok(_) | Err(Error::Exhausted { .. }));
    store.monitor().record_health(if answers { Health::Up } else { Health::Down });
    match answer {
        Ok(took) => finding.measured(took.as_secs_f64() * 1000.0, "ms"),
        Err(error @ Error::Exhausted { .. }) => finding.in_trouble(HealthState::Degraded, error.to_string()),
        Err(error) => finding.in_trouble(HealthState::Failed, error.to_string()),
    }
}
