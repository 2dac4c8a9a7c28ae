//! The console in a real browser: clicks, keys, colors, and what the browser has to say against it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use larder_tests::browser::{Browser, ELSEWHERE, keys};
use larder_tests::host::{Home, Host};
use larder_tests::{built_component, http, project};
use serde_json::Value;

const DOORS: &str = "\
data_dir: data
server:
  s3: { listen: 127.0.0.1:0 }
  admin: { listen: 127.0.0.1:0 }
";

const STORES: &str = "\
stores:
  documents:
    provider_type: file
    cache: { size_limit: 16MiB }
    scrub: 0 4 * * SUN
    lifecycle:
      every: 1h
      rules:
        - { name: drafts, prefix: drafts/, delete_after: 1ms }
        - { name: held, prefix: drafts/held, retain: 365d }
  scratch: { provider_type: memory }
";

/// A host with something in its stores, and a browser.
struct Stage {
    home: Home,
    host: Host,
    browser: Browser,
}

impl Stage {
    /// Sets it up, or says that there is no browser.
    fn set() -> Option<Self> {
        Self::set_with(STORES)
    }

    fn set_with(stores: &str) -> Option<Self> {
        let browser = Browser::start()?;
        let home = Home::new(&format!("{DOORS}{stores}"));
        let host = home.serve();
        for key in ["report.pdf", "drafts/a", "drafts/b", "drafts/held"] {
            let answer = http::send(host.s3, "PUT", &format!("/documents/{key}"), &[], b"some bytes").unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        browser.resize(1280, 900);
        Some(Self { home, host, browser })
    }

    /// As `set`, with the console open.
    fn open() -> Option<Self> {
        let stage = Self::set()?;
        stage.log_in();
        Some(stage)
    }

    fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.host.admin)
    }

    fn log_in(&self) {
        self.browser.open(self.home.succeed(&["console"]).trim());
        self.browser.until_says("header", "up since");
    }

    fn token(&self) -> String {
        let published: Value = serde_json::from_slice(&fs::read(self.home.path("data/host.json")).unwrap()).unwrap();
        published["token"].as_str().unwrap().to_owned()
    }

    /// Breaks the test if the browser had anything to say.
    fn is_clean(&self) {
        assert_eq!(self.browser.complaints(), [] as [String; 0]);
    }
}

/// A part of a page whose id has colons in it.
fn id(id: &str) -> String {
    format!("[id=\"{id}\"]")
}

#[test]
fn a_link_logs_in_once_and_a_button_logs_out() {
    let Some(stage) = Stage::set() else { return };
    let browser = &stage.browser;
    let link = stage.home.succeed(&["console"]).trim().to_owned();
    browser.open(&link);
    assert_eq!(browser.url(), stage.address("/console"), "the code is not in the address any more");
    browser.until_says("header", "up since");
    for store in ["documents", "scratch"] {
        browser.until_says(&id(&format!("store-{store}")), store);
    }
    stage.is_clean();

    browser.click("form[action='/console/logout'] button");
    browser.until_says("h1", "Log in");
    browser.open(&stage.address("/console"));
    browser.until_says("h1", "Log in");
    browser.open(&link);
    browser.until_says("[role=alert]", "used already");
    assert!(!stage.host.kill().contains(&*link), "a code is in the log");
}

#[test]
fn the_token_logs_in_and_a_wrong_one_does_not() {
    let Some(stage) = Stage::set() else { return };
    let (browser, token) = (&stage.browser, stage.token());
    browser.open(&stage.address("/console/login"));
    browser.type_into("#token", "wrong");
    browser.click("form button");
    browser.until_says("[role=alert]", "not the token of this run");
    browser.type_into("#token", &token);
    browser.click("form button");
    browser.until_says("header", "up since");
    assert_eq!(browser.url(), stage.address("/console"));
    let page = browser.evaluate("return document.documentElement.outerHTML + document.cookie");
    assert!(!page.as_str().unwrap().contains(&token), "the token is in the page");
    assert!(!stage.host.kill().contains(&token), "the token is in the log");
}

#[test]
fn the_command_opens_a_browser() {
    let home = Home::new(&format!("{DOORS}{STORES}"));
    let (code, said) = home.fail(&["console"]);
    assert!(code == 5 && said.contains("no host runs"), "{said}");
    let host = home.serve();
    fs::create_dir(home.path("bin")).unwrap();
    let opener = home.path("bin/xdg-open");
    fs::write(&opener, format!("#!/bin/sh\nprintf %s \"$1\" > {}\n", home.path("opened").display())).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
    let output = home.command(&["console", "--open", "--json"]).env("PATH", path).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let url = told["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{}/console/login?code=", host.admin)), "{told}");
    if cfg!(target_os = "linux") {
        let begun = Instant::now();
        while fs::read_to_string(home.path("opened")).unwrap_or_default() != url {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was opened");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_task_is_run_and_paused_by_clicks() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    let (row, run, hold) = (id("task-scrub:documents"), id("run-scrub:documents"), id("hold-scrub:documents"));
    assert!(browser.text(&row).contains("none yet"), "{}", browser.text(&row));
    // Whoever reloads forgets this.
    browser.evaluate("window.stayed = true");
    browser.click(&run);
    browser.until_says("#notice", "scrub:documents succeeded in");
    browser.until_says(&row, "succeeded");

    browser.click(&hold);
    browser.until_says("#notice", "scrub:documents is paused");
    browser.until_says(&row, "paused");
    assert_eq!(browser.text(&hold), "Resume");
    browser.click(&hold);
    browser.until_says("#notice", "scrub:documents goes on");
    browser.until(&row, || !browser.text(&row).contains("paused"));
    assert_eq!(browser.evaluate("return window.stayed"), true, "the page was loaded again");

    browser.click(&format!("{row} a"));
    browser.until_says("h1", "scrub:documents");
    let runs = || browser.evaluate("return document.querySelectorAll('#history tbody tr').length");
    assert_eq!(runs(), 1);
    browser.click(&run);
    browser.until("a second run in the history", || runs() == 2);
    stage.is_clean();
}

#[test]
fn a_page_keeps_itself_up_to_date_and_can_be_told_not_to() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    browser.evaluate("document.getElementById('plan-store').focus()");
    stage.home.succeed(&["task", "pause", "scrub:documents"]);
    browser.until_says(&id("task-scrub:documents"), "paused");
    assert_eq!(browser.evaluate("return document.activeElement.id"), "plan-store");

    browser.click("#live");
    browser.until_says("#live", "Resume updates");
    stage.home.succeed(&["task", "resume", "scrub:documents"]);
    std::thread::sleep(Duration::from_secs(7));
    assert!(browser.text(&id("task-scrub:documents")).contains("paused"));
    browser.click("#live");
    browser.until("the task to go on", || !browser.text(&id("task-scrub:documents")).contains("paused"));
    stage.is_clean();

    drop(stage.host);
    browser.until_says("#lost", "the host does not answer");
}

#[test]
fn a_plan_shows_what_is_due() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    browser.click("#plan button");
    browser.until_says("h1", "What would happen in documents");
    let page = browser.page();
    for words in ["delete", "drafts/a", "drafts/b", "drafts/held", "it would go, and is retained until", "held"] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(!page.contains("report.pdf"), "what is kept is not shown: {page}");
    browser.click("main p a");
    browser.until_says("header", "up since");
    assert_eq!(http::get(stage.host.s3, "/documents/drafts/a").unwrap().status, 200, "nothing was changed");
    stage.is_clean();
}

#[test]
fn a_plugin_in_quarantine_is_an_alert_and_is_started_again_by_a_click() {
    let zoo = built_component("zoo");
    let stores = format!(
        "health: {{ every: 1s }}\n\
         alerts: {{ rules: [{{ name: broken, level: critical, health: 'plugin:*', for: 1s }}] }}\n\
         plugins:\n  zoo: {{ path: {}, restart: {{ quarantine_after: 1 }} }}\n{STORES}  cage: {{ provider_type: zoo }}\n",
        zoo.display()
    );
    let Some(stage) = Stage::set_with(&stores) else { return };
    let browser = &stage.browser;
    let _ = http::get(stage.host.s3, "/cage/trap/a");
    stage.log_in();
    let row = id("plugin-zoo-cage");
    browser.until_says(&row, "quarantined");
    browser.until_says(&row, "the plugin zoo failed");
    browser.until_says("header", "failed");
    browser.until_says("#health", "plugin:zoo for cage");
    browser.until_says("#alerts", "critical, firing");
    browser.until_says("header", "1 firing");
    browser.click(&id("reset-zoo-cage"));
    browser.until_says("#notice", "The plugin zoo may start again");
    browser.until_says(&row, "running");
    browser.until("the host to be well again", || !browser.text("header").contains("failed"));
    stage.is_clean();
}

#[test]
fn keys_are_enough() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    let focus = || browser.evaluate("return document.activeElement.id || document.activeElement.className");
    browser.press(keys::TAB);
    assert_eq!(focus(), "skip", "the first thing is the way past the head of the page");
    let shown = browser.evaluate("return document.activeElement.getBoundingClientRect().top >= 0");
    assert_eq!(shown, true, "and it can be seen");
    browser.press(keys::ENTER);
    let mut seen = Vec::new();
    while focus() != "run-scrub:documents" {
        browser.press(keys::TAB);
        let outline = browser.evaluate("return getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "{} shows no focus", focus());
        seen.push(focus());
        assert!(seen.len() < 60, "the button is not reached: {seen:?}");
    }
    assert!(!seen.contains(&Value::from("brand")), "the head of the page was skipped: {seen:?}");
    browser.press(keys::ENTER);
    browser.until_says("#notice", "scrub:documents succeeded");
    assert_eq!(focus(), "run-scrub:documents", "the button keeps the focus");
    browser.press(keys::TAB);
    browser.press(keys::ENTER);
    browser.until_says("#notice", "scrub:documents is paused");
    assert_eq!(focus(), "hold-scrub:documents");
    stage.is_clean();
}

/// The words of a page whose color is too close to what is behind them: less than 4.5 to 1, which is what WCAG 2.2 asks for
/// at level AA (1.4.3), by its formula.
const FAINT: &str = r#"
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const brush = canvas.getContext("2d", { willReadFrequently: true });
    const channels = (color) => {
        brush.clearRect(0, 0, 1, 1);
        brush.fillStyle = color;
        brush.fillRect(0, 0, 1, 1);
        return [...brush.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (color) => {
        const [r, g, b] = channels(color).map((channel) => {
            const share = channel / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (channels(color)[3] === 255) return color;
        }
        return "white";
    };
    const faint = [];
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data.trim());
        if (element.namespaceURI !== "http://www.w3.org/1999/xhtml" || !text.join("")) continue;
        const [lighter, darker] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
        const contrast = (lighter + 0.05) / (darker + 0.05);
        if (contrast < 4.5) faint.push(`${text.join(" ")}: ${contrast.toFixed(2)}`);
    }
    return faint;
"#;

#[test]
fn it_can_be_read_in_light_and_dark_and_on_a_phone() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    let mut pages = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for path in ["/console", "/console/tasks/scrub:documents", "/console/plan?store=documents"] {
            browser.open(&stage.address(path));
            browser.until_says("h1", "");
            assert_eq!(browser.evaluate(FAINT), Value::Array(Vec::new()), "{path} in {scheme}");
        }
        pages.push(browser.evaluate("return getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(pages[0], pages[1]);

    browser.resize(400, 800);
    for path in ["/console", "/console/tasks/scrub:documents", "/console/plan?store=documents"] {
        browser.open(&stage.address(path));
        let width = browser.evaluate("return document.documentElement.scrollWidth");
        assert!(width.as_u64().is_some_and(|width| width <= 400), "{path} is {width} wide");
    }
    stage.is_clean();
}

#[test]
fn everything_works_without_scripts() {
    let Some(stage) = Stage::set() else { return };
    let browser = &stage.browser;
    browser.without_scripts();
    browser.open(&stage.address("/console/login"));
    browser.type_into("#token", &stage.token());
    browser.click("form button");
    browser.until_says("header", "up since");
    assert!(!browser.text("header").contains("Pause updates"), "what needs the script is not shown");
    browser.click(&id("run-scrub:documents"));
    browser.until_says("#notice", "scrub:documents succeeded");
    assert_eq!(browser.url(), stage.address("/console#tasks"));
    browser.click(&id("hold-scrub:documents"));
    browser.until_says(&id("task-scrub:documents"), "paused");
    browser.click(&format!("{} a", id("task-scrub:documents")));
    browser.until_says("h1", "scrub:documents");
    browser.open(&stage.address("/console"));
    browser.click("#plan button");
    browser.until_says("h1", "What would happen in documents");
    browser.click("form[action='/console/logout'] button");
    browser.until_says("h1", "Log in");
}

/// A browser sends no `Sec-Fetch-Site` there, and `Origin` has to do.
#[test]
fn buttons_work_over_plain_http_from_another_machine() {
    let Some(stage) = Stage::set() else { return };
    let browser = &stage.browser;
    browser.open(&format!("http://{ELSEWHERE}:{}/console/login", stage.host.admin.port()));
    assert_eq!(browser.evaluate("return isSecureContext"), false);
    browser.type_into("#token", &stage.token());
    browser.click("form button");
    browser.until_says("header", "up since");
    browser.click(&id("run-scrub:documents"));
    browser.until_says("#notice", "scrub:documents succeeded");
    browser.click("form[action='/console/logout'] button");
    browser.until_says("h1", "Log in");
}

#[test]
fn a_page_whose_session_is_over_asks_to_log_in() {
    let Some(Stage { home, host, browser }) = Stage::open() else { return };
    let admin = host.admin;
    home.configure(
        &format!("{DOORS}{STORES}")
            .replace("admin: { listen: 127.0.0.1:0 }", &format!("admin: {{ listen: '{admin}' }}")),
    );
    host.stop();
    browser.until_says("#lost", "the host does not answer");
    let _host = home.serve();
    browser.until_says("h1", "Log in");
}

#[test]
fn the_policy_rules_out_what_a_page_does_not_need() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.inline = true' }));
         document.body.setAttribute('style', 'color: red');
         document.body.setAttribute('onclick', 'window.clicked = true');
         document.body.click();",
    );
    assert_eq!(browser.evaluate("return [window.inline, window.clicked]"), serde_json::json!([null, null]));
    assert_ne!(browser.evaluate("return getComputedStyle(document.body).color"), "rgb(255, 0, 0)");
    let sent = browser.evaluate("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')");
    assert_eq!(sent, "refused");
    let complaints = browser.complaints().join("\n");
    for rule in ["script-src", "style-src", "connect-src"] {
        assert!(complaints.contains(rule), "{rule} is not in {complaints}");
    }
}

/// Draws the pictures in `host/docs/console.md` anew, if `LARDER_UPDATE_PICTURES` is set: of the embedded configuration,
/// after a few minutes of work as fast as they can be done.
#[test]
fn the_pictures_in_the_documentation_show_the_console() {
    let folder = project().join("host/docs/images");
    if std::env::var_os("LARDER_UPDATE_PICTURES").is_none() {
        for scheme in ["light", "dark"] {
            let size = fs::metadata(folder.join(format!("console-{scheme}.png"))).unwrap().len();
            assert!(size < 150_000, "the picture in {scheme} has {size} bytes");
        }
        return;
    }
    let Some(browser) = Browser::start() else { return };
    built_component("memory");
    let home = Home::embedded();
    let host = home.serve();
    for round in 0..12 {
        for object in 0..=round {
            fs::write(home.path("file"), vec![b'x'; 20_000 + 7_000 * round]).unwrap();
            home.succeed(&["put", &format!("documents/tmp/{round}/{object}"), "file", "--quiet"]);
        }
        // What was read before is read again, more of it each time, and what was just cleared from the cache is not in it.
        home.succeed(&["cache", "clear", &format!("documents/tmp/{round}/")]);
        for object in 0..=round {
            home.succeed(&["get", &format!("documents/tmp/{}/0", round - object / 2), "-"]);
        }
        for task in ["usage:documents", "samples"] {
            home.succeed(&["task", "run", task]);
        }
    }
    home.succeed(&["task", "run", "scrub:documents"]);
    home.succeed(&["task", "run", "lifecycle:documents"]);
    home.succeed(&["task", "pause", "usage:notebook-history"]);
    browser.resize(1140, 860);
    browser.open(home.succeed(&["console"]).trim());
    fs::create_dir_all(&folder).unwrap();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.open(&format!("http://{}/console", host.admin));
        browser.until_says("header", "up since");
        fs::write(folder.join(format!("console-{scheme}.png")), browser.screenshot()).unwrap();
    }
}
