use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Runs a future to its end.
///
/// # Panics
/// If it waits for something that never comes: nothing but the twins' stores, which always go on, is there to wait for.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    run_for(1_000_000, future).expect("the future waits for something that never comes")
}

/// Runs a future for at most so many steps and then drops it, as a crash would: every operation of an inner store takes
/// one step before it does anything. `None` if it had not ended.
pub fn run_for<T>(steps: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..=steps).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    })
}

/// Runs futures side by side, one step of one at a time, in an order that the seed decides, and returns their results in
/// their own order. Over some hundreds of seeds, few interleavings of a handful of operations stay untried.
///
/// # Panics
/// As [`run`].
pub fn run_interleaved<T>(seed: u64, futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut waiting: Vec<_> = futures.into_iter().enumerate().collect();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000_000 {
        // xorshift64 (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let Some(choice) = (random >> 32).checked_rem(waiting.len() as u64) else { break };
        let (index, future) = &mut waiting[choice as usize];
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            results[*index] = Some(result);
            drop(waiting.swap_remove(choice as usize));
        }
    }
    results.into_iter().map(|result| result.expect("a future waits for something that never comes")).collect()
}

/// Lets others go first, once.
pub(super) async fn step() {
    let mut stepped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn seeds_reach_different_orders() {
        let orders: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| {
                let order = RefCell::new(String::new());
                let writer = |letter: char| {
                    let order = &order;
                    let future: Pin<Box<dyn Future<Output = char>>> = Box::pin(async move {
                        for _ in 0..2 {
                            step().await;
                            order.borrow_mut().push(letter);
                        }
                        letter
                    });
                    future
                };
                assert_eq!(run_interleaved(seed, vec![writer('a'), writer('b')]), ['a', 'b']);
                order.into_inner()
            })
            .collect();
        assert_eq!(orders.len(), 6, "{orders:?}");
    }

    #[test]
    fn a_future_that_ran_out_of_steps_is_dropped() {
        let done = RefCell::new(0);
        let work = async || {
            for _ in 0..3 {
                step().await;
                *done.borrow_mut() += 1;
            }
        };
        assert_eq!(run_for(2, work()), None);
        assert_eq!(*done.borrow(), 2);
        assert_eq!(run_for(3, work()), Some(()));
    }
}
