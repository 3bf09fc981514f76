//! Headless Chromium, driven through chromedriver by the WebDriver protocol.

use crate::wait::until;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Besides these it is as Debian ships it; as root it needs `--no-sandbox`.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];

/// A browser with one window, which goes with its test.
pub(crate) struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    home: TempDir,
}

impl Browser {
    pub(crate) fn new() -> Browser {
        let home = TempDir::with_prefix("bw-browser-").unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            // Whatever it keeps, it keeps there.
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: integration/setup installs it");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver says its port");
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .http_status_as_error(false)
            .build();
        let base = format!("http://127.0.0.1:{port}/session");
        let mut browser = Browser { driver, agent: config.into(), session: base.clone(), home };
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", browser.home.path().join("profile").display()));
        let answer = browser.post(
            "",
            &json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } }),
        );
        browser.session = format!("{base}/{}", answer["sessionId"].as_str().unwrap());
        browser
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let mut response =
            self.agent.post(format!("{}{path}", self.session)).send_json(body).unwrap();
        let answer: Value = response.body_mut().with_config().limit(64 << 20).read_json().unwrap();
        assert_eq!(response.status(), 200, "{path}: {answer}");
        answer["value"].clone()
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Opens a file in a window of this size and theme.
    pub(crate) fn open(&self, page: &Path, look: Look) {
        self.look(look);
        self.post("/url", &json!({ "url": format!("file://{}", page.display()) }));
    }

    pub(crate) fn look(&self, Look { width, height, dark }: Look) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// What a script returns.
    #[track_caller]
    pub(crate) fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script gives to its last argument, a function.
    #[track_caller]
    pub(crate) fn script_later(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Presses a key, as WebDriver numbers it, and releases it.
    pub(crate) fn press(&self, key: char) {
        let action = |what: &str| json!({ "type": what, "value": key });
        self.post(
            "/actions",
            &json!({ "actions": [{
            "type": "key",
            "id": "keyboard",
            "actions": [action("keyDown"), action("keyUp")],
        }] }),
        );
    }

    /// What was logged since this was asked last.
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().unwrap().clone()
    }

    /// Every URL that was asked for since this was asked last, but for what the page's
    /// policy refused before it could leave.
    pub(crate) fn requests(&self) -> Vec<String> {
        let messages: Vec<Value> = self
            .log("performance")
            .iter()
            .map(|entry| serde_json::from_str(entry["message"].as_str().unwrap()).unwrap())
            .collect();
        let told = |method: &'static str| {
            messages
                .iter()
                .map(|entry| &entry["message"])
                .filter(move |message| message["method"] == method)
        };
        let refused: Vec<&Value> = told("Network.loadingFailed")
            .filter(|message| message["params"]["blockedReason"] == "csp")
            .map(|message| &message["params"]["requestId"])
            .collect();
        told("Network.requestWillBeSent")
            .filter(|message| !refused.contains(&&message["params"]["requestId"]))
            // The browser's own pages, such as the one of a new tab.
            .filter(|message| {
                !message["params"]["documentURL"].as_str().unwrap().starts_with("chrome")
            })
            .map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A picture of the window, or of the whole page, as PNG.
    pub(crate) fn picture(&self, whole: bool) -> Vec<u8> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let shot = self.devtools(
            "Page.captureScreenshot",
            json!({ "format": "png", "captureBeyondViewport": whole }),
        );
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}

/// A window's size and theme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Drop for Browser {
    /// Ends the browser, then its driver, and sees that nothing of them is left.
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let profile = self.home.path().display().to_string();
        if !std::thread::panicking() {
            until("the browser has ended", || running_with(&profile).is_empty().then_some(()));
        }
        for pid in running_with(&profile) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The processes that have this text in their arguments.
fn running_with(text: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| memchr::memmem::find(&line, text.as_bytes()).is_some())
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(has)
        .collect()
}
