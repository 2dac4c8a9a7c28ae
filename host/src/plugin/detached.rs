//! A call that goes on when its caller goes away.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that, when it is dropped before it is done, is carried on in the background.
///
/// Dropping the future of a running call leaves the instance unusable. So a call is driven by its caller for as long as
/// the caller is there, which saves a hop between tasks, and by a task of its own from then on.
pub(super) struct Detached<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Detached<T> {
    pub(super) fn new(future: Pin<Box<dyn Future<Output = T> + Send>>) -> Self {
        Self(Some(future))
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let poll = future.as_mut().poll(cx);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        // Without a runtime the process is on its way out, and the instance goes with it.
        if let Some(future) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(future));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn a_dropped_call_goes_on() {
        let (done, is_done) = oneshot::channel();
        let call = Detached::new(Box::pin(async {
            sleep(Duration::from_millis(5)).await;
            done.send(()).unwrap();
        }));
        assert!(timeout(Duration::from_millis(1), call).await.is_err());
        is_done.await.unwrap();
    }
}
