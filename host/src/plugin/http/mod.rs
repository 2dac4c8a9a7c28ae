//! Outgoing HTTP requests of plugins: whom they may reach, and how they get there.

mod address;
mod allowed_host;
mod client;

pub use allowed_host::AllowedHost;
pub(super) use client::HttpClient;
