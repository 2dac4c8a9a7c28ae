//! Accepting connections and, in the end, seeing them off.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::{Error, Result};

/// What a listener allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request, or be silent before its next one.
    pub header_timeout: Duration,
    /// How long requests in flight have to end when the host stops.
    pub grace: Duration,
}

/// 1024 connections, 30 seconds each for a head and to end.
impl Default for Limits {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self { connections: 1024, header_timeout: half_a_minute, grace: half_a_minute }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`, which stands under `setting` in the configuration.
    pub(super) async fn bind(address: &str, setting: &str) -> Result<Self> {
        let bind = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind.await.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => Error::unavailable(format!(
                "address in use: {address} ({setting}); stop the other program or choose another address"
            )),
            io::ErrorKind::PermissionDenied => Error::permission_denied(format!(
                "not allowed to listen on {address} ({setting}); choose a port from 1024 on"
            )),
            io::ErrorKind::AddrNotAvailable => Error::invalid_input(format!(
                "{address} ({setting}) is no address of this machine; 127.0.0.1 is, and 0.0.0.0 means all it has"
            )),
            _ => Error::invalid_input(format!("cannot listen on {address:?} ({setting}): {error}")),
        })
    }

    /// Where it listens, with the port that it got if port 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends, then takes no more connections, lets requests in flight end, and after
    /// `limits.grace` cuts off what has not.
    pub(super) async fn serve<S, B>(self, service: S, limits: Limits, shutdown: impl Future<Output = ()>)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let graceful = GracefulShutdown::new();
        let seats = Arc::new(Semaphore::new(limits.connections));
        let mut connections = JoinSet::new();
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_ended) = connections.join_next() => continue,
                accepted = accept(&self.socket, &seats) => accepted,
            };
            let Some((stream, seat)) = accepted else { continue };
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
            connections.spawn(async move {
                let _seat = seat;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        drop(self.socket);
        let open = connections.len();
        if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
            let grace = limits.grace.as_secs();
            tracing::warn!(address = %self.address, open, grace, "cut off requests that did not end in time");
        }
        connections.shutdown().await;
    }
}

async fn accept(
    socket: &TcpListener,
    seats: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let seat = Arc::clone(seats).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, _)) => {
            // Answers are written whole; waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, seat))
        }
        Err(error) => {
            // Out of file descriptors, most likely: connections that end give some back.
            tracing::warn!(%error, "could not accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
