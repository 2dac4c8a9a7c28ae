use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures::FutureExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::failure::{Exit, Failure};
use super::interrupted;
use super::output::{self, Output};
use super::reload::Reloader;
use crate::config::Config;
use crate::error::Error;
use crate::host::{DataDir, Host, HostError, RunFile};
use crate::object::now;
use crate::server::s3::{Credential, S3Options};
use crate::server::{AdminOptions, Limits, Server, ServerOptions, draw_secret};

/// How long a host waits for a command that works on its data folder, which is soon done.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
/// The folder of unfinished multipart uploads, in the data folder.
const MULTIPART: &str = "multipart";

const EXAMPLES: &str = "\
Examples:
  larder serve                              # with the embedded configuration
  larder serve --config larder.yaml
  larder serve --watch                      # and reload plugins whenever they change
  larder serve -v --json                    # log more, as JSON
";

/// Serve the stores until Ctrl-C (this is what larder does without a command)
///
/// Listens for S3 and for operators where the configuration says, and keeps its data in the folder `data_dir`. One host
/// runs on a data folder at a time. On SIGHUP it reloads its plugins, as `larder plugin reload` does. On Ctrl-C or
/// SIGTERM it lets the calls in flight end and stops.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// Put changed plugins to work as soon as they are saved: components, sources and the configuration
    #[arg(long)]
    watch: bool,
}

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let begun = Instant::now();
        let config = context.config()?;
        let output = context.output();
        let data_dir = lock(&config.data_dir).await?;
        let server = bind(&config).await?;
        // New with each run.
        let token = draw_secret()?;
        let mut progress = |line: &str| output.remark(line);
        // One from the first to the last: a signal that comes while nobody waits for it is lost.
        let mut interrupted = Box::pin(interrupted());
        let host = tokio::select! {
            biased;
            exit = &mut interrupted => return Err(Failure::silent(exit)),
            host = Host::start(config.clone(), data_dir, &mut progress) => Arc::new(host.map_err(not_started)?),
        };
        let run = RunFile { pid: std::process::id(), admin: server.admin_address(), token: token.clone() };
        host.data_dir().publish(&run).map_err(not_started)?;
        announce(output, &config, &host, &server, begun.elapsed())?;

        let stop = CancellationToken::new();
        let stopping = async {
            interrupted.await;
            output.remark("stopping: calls in flight may end");
            stop.cancel();
        };
        let (asked, told) = (Arc::clone(&host), Arc::clone(&host));
        let reloader = Arc::new(Reloader::new(Arc::clone(&host), context.config_file(), &config));
        let admin = AdminOptions {
            stores: Arc::clone(&host) as _,
            plugins: Arc::clone(&reloader) as _,
            inventory: Arc::clone(&host) as _,
            started_at: now(),
            tasks: Arc::clone(host.tasks()),
            metrics: Arc::new(move || told.monitor().render().unwrap_or_else(|error| format!("# {error}\n"))),
            health: Arc::new(move || {
                let host = Arc::clone(&asked);
                async move { host.health().await }.boxed()
            }),
            alerts: Arc::clone(host.alerts()),
            events: host.events().clone(),
            token,
        };
        let (served, (), ()) = tokio::join!(
            server.run(Arc::clone(&host) as _, admin, stopping),
            host.run_tasks(stop.clone()),
            reloader.run(self.watch, stop.clone()),
        );
        host.data_dir().unpublish();
        Ok(served?)
    }
}

async fn lock(path: &Path) -> Result<DataDir, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = DataDir::lock(path).map_err(not_started)? {
            return Ok(lock);
        }
        if begun.elapsed() > PATIENCE {
            return Err(not_started(HostError::Locked { path: path.to_owned() }));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn bind(config: &Config) -> Result<Server, Failure> {
    let s3 = &config.server.s3;
    let credential = |credential: &crate::config::Credential| {
        let access_key = credential.access_key.as_str().to_owned();
        Ok(Credential { access_key, secret_key: credential.secret_key.expose().map_err(Error::invalid_input)? })
    };
    let credentials = s3.credentials.iter().map(credential).collect::<Result<_, Error>>()?;
    let multipart_dir = config.data_dir.join(MULTIPART);
    let options = ServerOptions {
        s3_listen: s3.listen.to_string(),
        s3: S3Options { region: s3.region.as_str().to_owned(), credentials, multipart_dir },
        admin_listen: config.server.admin.listen.to_string(),
        limits: Limits::default(),
    };
    Ok(Server::bind(options).await?)
}

fn not_started(error: HostError) -> Failure {
    Failure::new(Exit::Unavailable, "unavailable", error.to_string())
}

/// What is said when the host is ready.
#[derive(Serialize)]
struct Ready<'a> {
    s3: SocketAddr,
    admin: SocketAddr,
    data_dir: &'a Path,
    stores: Vec<String>,
    plugins: Vec<PluginLine>,
    /// From start to ready, in milliseconds.
    startup_ms: u128,
}

#[derive(Serialize)]
struct PluginLine {
    plugin: String,
    kind: &'static str,
    store: String,
    digest: String,
}

fn announce(output: &Output, config: &Config, host: &Host, server: &Server, took: Duration) -> Result<(), Failure> {
    let plugins = host.plugins().iter().map(|plugin| PluginLine {
        plugin: plugin.name.to_string(),
        kind: plugin.plugin.interface().kind.as_str(),
        store: plugin.store.to_string(),
        digest: plugin.plugin.digest().to_string(),
    });
    let ready = Ready {
        s3: server.s3_address(),
        admin: server.admin_address(),
        data_dir: &config.data_dir,
        stores: host.stores().iter().map(|(store, _)| store.name().to_string()).collect(),
        plugins: plugins.collect(),
        startup_ms: took.as_millis(),
    };
    if output.for_programs() {
        output.json_line(&ready)?;
        return output.flush();
    }
    let version = env!("CARGO_PKG_VERSION");
    output.line(format_args!("larder {version} is ready after {:.2} s", took.as_secs_f64()))?;
    output.line(format_args!("  s3     http://{}", ready.s3))?;
    output.line(format_args!("  admin  http://{}  (/console, /metrics, /healthz, /readyz)", ready.admin))?;
    output.line(format_args!("  data   {}\n", ready.data_dir.display()))?;
    let rows = host.stores().into_iter().map(|(store, _)| {
        let name = store.name();
        let described = config.stores.get(name).cloned().or(config.new_buckets.as_ref().map(|made| made.to_storage()));
        let described = described.as_ref();
        let cache = described.and_then(|store| store.cache.as_ref());
        let cache = cache.map(|cache| format!("{} by {}", cache.size_limit, cache.eviction_policy));
        let lifecycle = described.and_then(|store| store.lifecycle.as_ref());
        let policies = lifecycle.map(|lifecycle| {
            let names: Vec<&str> = lifecycle.names().collect();
            names.join(", ")
        });
        [
            name.to_string(),
            described.map(|store| store.provider_type.to_string()).unwrap_or_default(),
            cache.unwrap_or_default(),
            policies.unwrap_or_default(),
        ]
    });
    output.line(output::table(&["STORE", "PROVIDER", "CACHE", "LIFECYCLE"], rows))?;
    let rows = ready.plugins.iter().map(|line| {
        let digest = line.digest.chars().take("sha256:".len() + 12).collect::<String>();
        [line.plugin.clone(), line.kind.to_owned(), line.store.clone(), digest]
    });
    output.line(format_args!("\n{}", output::table(&["PLUGIN", "KIND", "WORKS FOR", "DIGEST"], rows)))?;
    output.flush()
}
