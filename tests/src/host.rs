//! A larder of its own for a test: a folder, a configuration, and the program that runs on it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use larder::config::Config;
use serde_json::Value;
use tempfile::TempDir;

/// How long a host may take to be ready. The first one may have plugins to build.
const START: Duration = Duration::from_secs(300);
/// How long a host may take to end, or to find that it can not start.
const END: Duration = Duration::from_secs(60);

/// The program, built from the sources of `larder`'s own. Cargo builds the binaries of no other package for a test, so
/// this one is named by the manifest of the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in a folder of the profile's");
    let program = profile.join(format!("larder-under-test{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not there: run the tests with cargo", program.display());
    program
}

/// A folder with a configuration, and whatever hosts and commands make of it.
#[derive(Debug)]
pub struct Home(TempDir);

impl Home {
    /// A home with this configuration, in the file `larder.yaml`. Its `data_dir` should be relative.
    pub fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().expect("there is a folder for temporary files"));
        home.configure(config);
        home
    }

    /// A home with a copy of the embedded configuration, on free ports.
    pub fn embedded() -> Self {
        let plugins = crate::project().join("plugins");
        let config = Config::EMBEDDED
            .replace("127.0.0.1:9000", "127.0.0.1:0")
            .replace("127.0.0.1:9001", "127.0.0.1:0")
            .replace("source: plugins/", &format!("source: {}/", plugins.display()));
        Self::new(&config)
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.path("larder.yaml"), config).expect("the test's own folder can be written");
    }

    /// A path below the home.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    /// The program with these arguments and this home's configuration, to be run in the home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("LARDER_CONFIG", self.path("larder.yaml")).env_remove("LARDER_LOG");
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program can be run")
    }

    /// Runs a command that succeeds, and returns what it says.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "larder {arguments:?} ended with {}: {errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command that fails, and returns its exit code and all that it says.
    pub fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!output.status.success(), "larder {arguments:?} succeeded: {said}");
        (output.status.code().expect("nobody killed it"), said)
    }

    /// Starts a host, and waits until it is ready.
    pub fn serve(&self) -> Host {
        self.serve_with(&[])
    }

    /// As [`serve`](Self::serve), with more arguments.
    pub fn serve_with(&self, arguments: &[&str]) -> Host {
        let mut command = self.command(&["serve", "--json"]);
        command.args(arguments);
        Host::start(command).unwrap_or_else(|said| panic!("the host does not start: {said}"))
    }

    /// As [`serve`](Self::serve), with these variables in its environment.
    ///
    /// # Errors
    /// What it said, if it ended before it was ready.
    pub fn try_serve(&self, variables: &[(&str, &OsStr)]) -> Result<Host, String> {
        let mut command = self.command(&["serve", "--json"]);
        command.envs(variables.iter().copied());
        Host::start(command)
    }

    /// Starts a host that can not be: its exit code, and all that it says.
    pub fn serve_in_vain(&self) -> (i32, String) {
        let mut command = self.command(&["serve"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be run");
        let (errors, words) = (gather(child.stderr.take()), gather(child.stdout.take()));
        let status = wait(&mut child, END);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let said = errors.join().unwrap_or_default() + &words.join().unwrap_or_default();
        let status = status.unwrap_or_else(|| panic!("the host runs, and should not: {said}"));
        assert!(!status.success(), "{said}");
        (status.code().expect("nobody killed it"), said)
    }
}

/// A host that is ready. Killed when dropped.
#[derive(Debug)]
pub struct Host {
    child: Child,
    log: Option<JoinHandle<String>>,
    /// What it said of itself when it was ready.
    pub ready: Value,
    /// Where S3 is served.
    pub s3: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
}

impl Host {
    fn start(mut command: Command) -> Result<Self, String> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let log = gather(child.stderr.take());
        let (tell, told) = mpsc::channel();
        if let Some(words) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(words).read_line(&mut line);
                let _ = tell.send(line);
            });
        }
        let line = told.recv_timeout(START).unwrap_or_default();
        let ready: Option<Value> = serde_json::from_str(&line).ok();
        let address = |door: &str| ready.as_ref()?.get(door)?.as_str()?.parse().ok();
        match (address("s3"), address("admin"), ready.clone()) {
            (Some(s3), Some(admin), Some(ready)) => Ok(Self { child, log: Some(log), ready, s3, admin }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{line}{}", log.join().unwrap_or_default()))
            }
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the host to stop, as an init system would; returns how it ended, and its log.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "kill(1) is there and reaches a child");
        let status = wait(&mut self.child, END).expect("a host that is asked to stop does");
        (status, self.take_log())
    }

    /// Kills the host without a word, and returns its log.
    pub fn kill(mut self) -> String {
        self.end();
        self.take_log()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn take_log(&mut self) -> String {
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
        // A test that fails shows what the host had to say.
        if std::thread::panicking() {
            eprintln!("the host's log:\n{}", self.take_log());
        }
    }
}

/// Reads a pipe to its end, beside what else happens.
fn gather(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}
