//! Front doors over HTTP: S3, and the admin listener beside it.

mod admin;
mod ageing;
mod alerts;
mod caches;
mod check;
mod console;
mod events;
mod hosted;
mod inventory;
mod listener;
mod objects;
mod plugins;
pub mod s3;
mod snapshots;
mod stores;
mod tasks;
#[cfg(test)]
mod tests;
mod token;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;

pub use admin::AdminOptions;
pub use inventory::Inventory;
pub use listener::Limits;
pub use plugins::Plugins;
pub use stores::Stores;
pub use token::draw_secret;

use self::listener::Listener;
use self::s3::{S3Door, S3Options};
use crate::error::{Error, Result};

/// Where the front doors are, and what they allow.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where S3 is served: `server.s3.listen`. Port 0 takes a free one.
    pub s3_listen: String,
    /// How S3 is served.
    pub s3: S3Options,
    /// Where the admin listener is: `server.admin.listen`. Port 0 takes a free one.
    pub admin_listen: String,
    /// What both allow their clients.
    pub limits: Limits,
}

/// Both listeners, bound but not yet served.
#[derive(Debug)]
pub struct Server {
    s3: Listener,
    admin: Listener,
    options: ServerOptions,
}

impl Server {
    /// Binds both listeners. Connections wait until [`Server::run`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an address is none, or S3 would be open to other machines without credentials;
    /// [`Error::Unavailable`] if an address is in use.
    pub async fn bind(options: ServerOptions) -> Result<Self> {
        let s3 = Listener::bind(&options.s3_listen, "server.s3.listen").await?;
        if options.s3.credentials.is_empty() && !s3.address().ip().is_loopback() {
            return Err(Error::invalid_input(format!(
                "{} (server.s3.listen) can be reached from other machines, and without server.s3.credentials by anybody: \
                 add a key pair there, or listen on 127.0.0.1",
                options.s3_listen
            )));
        }
        let admin = Listener::bind(&options.admin_listen, "server.admin.listen").await?;
        Ok(Self { s3, admin, options })
    }

    /// Where S3 is served.
    pub fn s3_address(&self) -> SocketAddr {
        self.s3.address()
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Serves until `shutdown` ends and the requests in flight have ended too, for which [`Limits::grace`] gives them
    /// time. `stores` are those of S3, `admin.stores` those of the object API.
    ///
    /// # Errors
    /// Those of [`S3Door::new`]; [`Error::InvalidInput`] if a server ran with these tasks before.
    pub async fn run(
        self,
        stores: Arc<dyn Stores>,
        admin: AdminOptions,
        shutdown: impl Future<Output = ()>,
    ) -> Result<()> {
        let Self { s3, admin: admin_listener, options } = self;
        let door = S3Door::new(stores, options.s3)?;
        admin.tasks.schedule_task(door.sweep())?;
        let stopping = CancellationToken::new();
        let serving = async {
            tokio::join!(
                s3.serve(door.clone(), options.limits, stopping.cancelled()),
                admin_listener.serve(
                    TowerToHyperService::new(admin::routes(admin, stopping.clone())),
                    options.limits,
                    stopping.cancelled()
                ),
            )
        };
        let stop = async {
            shutdown.await;
            stopping.cancel();
            // The listeners decide when it is over.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = serving => {}
            () = stop => {}
        }
        Ok(())
    }
}
