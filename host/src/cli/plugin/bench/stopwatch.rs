use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::Result;

/// How many rounds a measurement has; its result is that of the middle one, so that a disturbance does not count.
const ROUNDS: u32 = 5;
/// The least calls that warm up whatever is called.
const WARM_UP: u64 = 3;

/// How long one call takes, in nanoseconds. `call` is given the number of the call; all calls together take about
/// `budget`, or as long as a few of them do.
///
/// # Errors
/// The first of `call`'s.
pub(super) async fn time<F: Future<Output = Result<()>>>(
    budget: Duration,
    mut call: impl FnMut(u64) -> F,
) -> Result<f64> {
    let mut number = 0;
    for _ in 0..WARM_UP {
        call(number).await?;
        number += 1;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (begun, first) = (Instant::now(), number);
        // Looking at the clock is not to count: it happens twice as rarely each time.
        let mut calls = 1;
        while begun.elapsed() < budget / ROUNDS {
            for _ in 0..calls {
                call(number).await?;
                number += 1;
            }
            let took = begun.elapsed() / u32::try_from(number - first).unwrap_or(u32::MAX);
            let fit = budget.as_nanos() / u128::from(ROUNDS) / took.as_nanos().max(1) / 8;
            calls = (2 * calls).min(u64::try_from(fit).unwrap_or(u64::MAX)).max(1);
        }
        rounds.push(begun.elapsed().as_nanos() as f64 / (number - first) as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_call_is_about_right_and_the_budget_is_kept() {
        let begun = Instant::now();
        let pause = Duration::from_millis(2);
        let sleep = |_| async move {
            std::thread::sleep(pause);
            Ok(())
        };
        let took = time(Duration::from_millis(100), sleep).await.unwrap();
        assert!(took >= pause.as_nanos() as f64, "{took}");
        assert!(begun.elapsed() >= Duration::from_millis(100));
    }
}
