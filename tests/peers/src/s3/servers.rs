use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Arguments, plain};

pub(super) const BUCKET: &str = "bench";
pub(super) const REGION: &str = "us-east-1";
/// In the form that garage wants.
pub(super) const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
pub(super) const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Side {
    /// A program that copies between a socket and a file, synced and renamed; it knows nothing of S3.
    Plain,
    /// A store of type `file` with no cache.
    Larder,
    /// The same with a cache of 64 MiB in front.
    Cached,
    /// s3s-fs, which syncs nothing.
    S3sFs,
    /// garage on LMDB, told to sync its metadata and its data where writes are measured.
    Garage,
}

impl Side {
    pub(super) const ALL: [Self; 5] = [Self::Plain, Self::Larder, Self::Cached, Self::S3sFs, Self::Garage];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain copy",
            Self::Larder => "larder",
            Self::Cached => "larder, cached",
            Self::S3sFs => "s3s-fs",
            Self::Garage => "garage",
        }
    }
}

/// A server that runs, in a folder of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) side: Side,
    pub(super) url: String,
    process: Option<Child>,
}

impl Server {
    /// Starts the server of a side, and waits until it answers.
    pub(super) fn start(side: Side, arguments: &Arguments, folder: &Path) -> Result<Self> {
        let home = folder.join(format!("{side:?}"));
        fs::create_dir(&home)?;
        let address = free_address()?;
        let process = match side {
            Side::Plain => {
                fs::create_dir(home.join(BUCKET))?;
                plain::serve(address, home)?;
                None
            }
            Side::Larder | Side::Cached => Some(larder(side, &arguments.larder, address, &home)?),
            Side::S3sFs => {
                fs::create_dir(home.join(BUCKET))?;
                let mut command = Command::new(&arguments.s3s_fs);
                command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
                command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(&home);
                Some(spawn(command, &arguments.s3s_fs)?)
            }
            Side::Garage => Some(garage(arguments, address, &home)?),
        };
        let server = Self { side, url: format!("http://{address}"), process };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("{} does not listen on {address}", side.name());
            }
            thread::sleep(Duration::from_millis(50));
        }
        // Whoever listens may still be making the bucket.
        thread::sleep(Duration::from_secs(2));
        Ok(server)
    }

    /// The id of its process, if it is one of its own.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn spawn(mut command: Command, program: &Path) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("{} can not be started", program.display()))
}

fn larder(side: Side, program: &Path, address: SocketAddr, home: &Path) -> Result<Child> {
    let cache = if side == Side::Cached { ", cache: { size_limit: 64MiB }" } else { "" };
    let config = home.join("larder.yaml");
    fs::write(
        &config,
        format!(
            "data_dir: data\n\
             server:\n  \
               s3: {{ listen: \"{address}\", region: {REGION}, credentials: [{{ access_key: {ACCESS_KEY}, secret_key: \
             \"{SECRET_KEY}\" }}] }}\n  \
               admin: {{ listen: \"127.0.0.1:0\" }}\n\
             stores:\n  {BUCKET}: {{ provider_type: file{cache} }}\n"
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config);
    spawn(command, program)
}

fn garage(arguments: &Arguments, address: SocketAddr, home: &Path) -> Result<Child> {
    let config = home.join("garage.toml");
    let (rpc, home) = (free_address()?, home.display());
    let sync = arguments.keys.is_none();
    fs::write(
        &config,
        format!(
            "metadata_dir = \"{home}/meta\"\ndata_dir = \"{home}/data\"\ndb_engine = \"lmdb\"\n\
             metadata_fsync = {sync}\ndata_fsync = {sync}\nreplication_factor = 1\n\
             rpc_bind_addr = \"{rpc}\"\nrpc_public_addr = \"{rpc}\"\nrpc_secret = \"{SECRET_KEY}\"\n\
             [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"{address}\"\nroot_domain = \".s3.localhost\"\n"
        ),
    )?;
    let mut command = Command::new(&arguments.garage);
    command.arg("-c").arg(config).args(["server", "--single-node", "--default-bucket"]);
    command.env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY).env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY);
    command.env("GARAGE_DEFAULT_BUCKET", BUCKET);
    spawn(command, &arguments.garage)
}
