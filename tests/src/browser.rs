//! A real browser, for the pages that a host serves: Chromium without a window, driven by WebDriver.
//!
//! The protocol is JSON over HTTP (w3.org/TR/webdriver2); what is used of it is little enough to speak it here.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::skipped;

/// How long something on a page may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the browser may take to answer.
const ANSWER: Duration = Duration::from_secs(120);
/// The name of the member that refers to an element, as the standard has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A name for this machine that the browser takes for another one: what comes from there over plain HTTP is not to be trusted.
pub const ELSEWHERE: &str = "elsewhere.test";

/// Keys that have no character.
pub mod keys {
    /// To the next thing that can have the focus.
    pub const TAB: &str = "\u{e004}";
    /// Presses a button.
    pub const ENTER: &str = "\u{e007}";
}

/// A browser with a profile of its own. Ends when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, or says that there is none to start.
    pub fn start() -> Option<Self> {
        let missing = "the console in a browser: there is no chromium with chromedriver (Debian: apt-get install chromium \
                       chromium-driver)";
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut driver) = command.spawn() else {
            skipped(missing);
            return None;
        };
        let said = driver.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("a driver that starts says where it listens")));
        // It must not come to stand still because nobody reads.
        std::thread::spawn(move || lines.for_each(drop));

        let profile = tempfile::tempdir().expect("there is a folder for temporary files");
        let asked = exchange(address, "POST", "/session", &capabilities(profile.path())).expect("the driver answers");
        let Some(session) = asked["sessionId"].as_str().map(str::to_owned) else {
            let _ = driver.kill();
            let _ = driver.wait();
            let reason = asked["message"].as_str().unwrap_or_default();
            assert!(reason.contains("binary"), "the browser does not start: {reason}");
            skipped(missing);
            return None;
        };
        Some(Self { driver, address, session, _profile: profile })
    }

    /// Does what a path below the session is for.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask_of_element(method, path, body).expect("what it is about is there")
    }

    /// Does what a path below the session is for, unless the page has lost the element that it is about meanwhile.
    fn ask_of_element(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let path = format!("/session/{}{path}", self.session);
        let answer = exchange(self.address, method, &path, body).expect("the driver answers");
        if answer["error"] == "stale element reference" {
            return None;
        }
        assert!(answer["error"].is_null(), "{method} {path} {body}: {answer}");
        Some(answer)
    }

    /// Opens a page, and waits until it is there.
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// The first element that a CSS selector finds, if there is one.
    fn look(&self, selector: &str) -> Option<String> {
        let found = self.ask("POST", "/elements", &json!({ "using": "css selector", "value": selector }));
        Some(found.get(0)?[ELEMENT].as_str()?.to_owned())
    }

    /// Waits for it.
    fn find(&self, selector: &str) -> String {
        let mut found = None;
        self.until(selector, || {
            found = self.look(selector);
            found.is_some()
        });
        found.expect("it has come")
    }

    /// Whether a CSS selector finds something now.
    pub fn has(&self, selector: &str) -> bool {
        self.look(selector).is_some()
    }

    /// Waits for something to be so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} does not come; the page at {} is:\n{}",
                self.url(),
                self.page()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an element has these words.
    pub fn until_says(&self, selector: &str, words: &str) {
        let says = || {
            let text = self.ask_of_element("GET", &format!("/element/{}/text", self.look(selector)?), &Value::Null)?;
            Some(text.as_str().unwrap_or_default().contains(words))
        };
        self.until(&format!("{words:?} in {selector}"), || says() == Some(true));
    }

    /// Clicks on an element, where a mouse would.
    pub fn click(&self, selector: &str) {
        self.ask("POST", &format!("/element/{}/click", self.find(selector)), &json!({}));
    }

    /// Types into an element.
    pub fn type_into(&self, selector: &str, text: &str) {
        self.ask("POST", &format!("/element/{}/value", self.find(selector)), &json!({ "text": text }));
    }

    /// Presses and releases a key, whatever has the focus.
    pub fn press(&self, key: &str) {
        let actions = [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.ask("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// The text of an element, as it is shown.
    pub fn text(&self, selector: &str) -> String {
        let text = self.ask("GET", &format!("/element/{}/text", self.find(selector)), &Value::Null);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// What the page says, as it is shown.
    pub fn page(&self) -> String {
        self.text("body")
    }

    /// What a function body in JavaScript returns.
    pub fn evaluate(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Has the inner window so large, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Has the user prefer dark colors, or light ones.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tell("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Has pages run no scripts from now on.
    pub fn without_scripts(&self) {
        self.tell("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    fn tell(&self, command: &str, parameters: &Value) {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// What is in the window, as a PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        let text = picture.as_str().expect("a picture comes as text");
        base64_simd::STANDARD.decode_to_vec(text).expect("it is encoded as the standard says")
    }

    /// What the browser had to say since it was last asked: errors of scripts, and what the pages' policy ruled out.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array().into_iter().flatten().map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, and would not with the driver.
        let _ = exchange(self.address, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn capabilities(profile: &Path) -> Value {
    let quiet = ["gpu", "quic", "background-networking", "component-update", "sync", "dev-shm-usage"];
    let mut arguments: Vec<String> = quiet.iter().map(|what| format!("--disable-{what}")).collect();
    arguments.extend(["--headless", "--no-sandbox", "--no-first-run"].map(str::to_owned));
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"));
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "args": arguments },
    } } })
}

/// One request to the driver, which speaks HTTP/1.1 alone, and says how long its answers are.
fn exchange(driver: SocketAddr, method: &str, path: &str, body: &Value) -> io::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut connection = TcpStream::connect(driver)?;
    connection.set_read_timeout(Some(ANSWER))?;
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nHost: {driver}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["value"].clone())
}
