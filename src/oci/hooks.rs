//! Our hooks in a bundle's configuration.
//!
//! Works on plain JSON and not on the specification's types: what those do not know
//! would be lost, and the configuration is the engine's, not ours.

use super::OciError;
use indexmap::IndexMap;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

/// The search path that a hook gets: a runtime may give it none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Seconds after which a runtime gives a hook up; as in `hooks/`.
const TIMEOUT: u32 = 30;

/// Where the container begins for us, and where it ends.
const STAGES: [&str; 2] = ["createRuntime", "poststop"];

/// What our hooks execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks<'a> {
    /// This program, by an absolute path.
    pub program: &'a str,
    /// The configuration file, where it is not the usual one; an absolute path.
    pub config: Option<&'a str>,
}

/// A config.json, with everything in it that we know nothing about, as it is written: what
/// is a number to a runtime need not be the same one to us.
#[derive(Clone, Debug)]
pub struct Configuration {
    keys: IndexMap<String, Box<RawValue>>,
    annotations: Value,
}

impl Configuration {
    /// Reads the content of a config.json.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn read(bytes: &[u8]) -> Result<Configuration, OciError> {
        let malformed = |error: serde_json::Error| OciError::Configuration(error.to_string());
        let keys: IndexMap<String, Box<RawValue>> =
            serde_json::from_slice(bytes).map_err(malformed)?;
        let annotations = keys.get("annotations").map_or("null", |raw| raw.get());
        Ok(Configuration {
            annotations: serde_json::from_str(annotations).map_err(malformed)?,
            keys,
        })
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key)?.as_str()
    }

    /// Adds our hooks after those that are there: what others do to the container, such
    /// as its network, is done when ours run. `false` when they were all there.
    ///
    /// # Errors
    /// When `hooks` is not what the specification says.
    pub fn add(&mut self, hooks: &Hooks<'_>) -> Result<bool, OciError> {
        let mut stages: IndexMap<String, Box<RawValue>> =
            read_or_empty(self.keys.get("hooks").map(Box::as_ref), || {
                "`hooks` is not an object".to_owned()
            })?;
        let mut added = false;
        for stage in STAGES {
            let mut list: Vec<Box<RawValue>> =
                read_or_empty(stages.get(stage).map(Box::as_ref), || {
                    format!("`hooks.{stage}` is not a list")
                })?;
            let ours = entry(hooks, stage);
            let same = |hook: &RawValue| {
                serde_json::from_str::<Value>(hook.get())
                    .is_ok_and(|hook| ["path", "args"].iter().all(|key| hook[key] == ours[key]))
            };
            if !list.iter().any(|hook| same(hook)) {
                list.push(raw(&ours)?);
                stages.insert(stage.to_owned(), raw(&list)?);
                added = true;
            }
        }
        if added {
            self.keys.insert("hooks".to_owned(), raw(&stages)?);
        }
        Ok(added)
    }

    /// The configuration as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Keys are strings, so nothing here can fail.
        serde_json::to_vec(&self.keys).unwrap_or_default()
    }
}

/// A value as it is written; empty where it is absent or null, which mean the same.
fn read_or_empty<T: DeserializeOwned + Default>(
    value: Option<&RawValue>,
    otherwise: impl FnOnce() -> String,
) -> Result<T, OciError> {
    let Some(value) = value else { return Ok(T::default()) };
    let read: serde_json::Result<Option<T>> = serde_json::from_str(value.get());
    read.map(Option::unwrap_or_default).map_err(|_| OciError::Configuration(otherwise()))
}

fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, OciError> {
    to_raw_value(value).map_err(|error| OciError::Configuration(error.to_string()))
}

fn entry(hooks: &Hooks<'_>, stage: &str) -> Value {
    let config = hooks.config.map(|config| format!("BUILDWARDEN_CONFIG={config}"));
    let env: Vec<String> = [PATH.to_owned()].into_iter().chain(config).collect();
    json!({
        "path": hooks.program,
        "args": ["buildwarden", "hook", stage],
        "env": env,
        "timeout": TIMEOUT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOKS: Hooks<'_> = Hooks { program: "/b/buildwarden", config: None };

    const CREATE: &str = r#"{"path":"/b/buildwarden","args":["buildwarden","hook","createRuntime"],"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"timeout":30}"#;
    const STOP: &str = r#"{"path":"/b/buildwarden","args":["buildwarden","hook","poststop"],"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"timeout":30}"#;

    #[test]
    fn our_hooks_come_last_and_the_rest_stays() {
        let check = |before: &str, after: &str| {
            let after = after.replace("CREATE", CREATE).replace("STOP", STOP);
            let mut configuration = Configuration::read(before.as_bytes()).unwrap();
            assert!(configuration.add(&HOOKS).unwrap(), "{before}");
            assert_eq!(String::from_utf8(configuration.to_bytes()).unwrap(), after, "{before}");
            // Twice is once.
            let mut again = Configuration::read(after.as_bytes()).unwrap();
            assert!(!again.add(&HOOKS).unwrap(), "{before}");
            assert_eq!(again.to_bytes(), configuration.to_bytes(), "{before}");
        };
        check("{}", r#"{"hooks":{"createRuntime":[CREATE],"poststop":[STOP]}}"#);
        check(r#"{"hooks":null}"#, r#"{"hooks":{"createRuntime":[CREATE],"poststop":[STOP]}}"#);
        check(
            r#"{"z":1,"hooks":{"poststop":null},"a":[{"y":18446744073709551615,"x":-1,"é\u0000":null}]}"#,
            r#"{"z":1,"hooks":{"poststop":[STOP],"createRuntime":[CREATE]},"a":[{"y":18446744073709551615,"x":-1,"é\u0000":null}]}"#,
        );
        // Numbers and texts that would be others if they were read and written.
        check(
            r#"{"n":[-0,1E2,0.10,123456789012345678901,{"x" : "\/\ud800"}],"hooks":{"x":[-0]}}"#,
            r#"{"n":[-0,1E2,0.10,123456789012345678901,{"x" : "\/\ud800"}],"hooks":{"x":[-0],"createRuntime":[CREATE],"poststop":[STOP]}}"#,
        );
        check(
            r#"{"hooks":{"prestart":[{"path":"/proc/7/exe","args":["libnetwork-setkey"]}],"createRuntime":[{"path":"/n","args":["nvidia"]}],"later":[]}}"#,
            r#"{"hooks":{"prestart":[{"path":"/proc/7/exe","args":["libnetwork-setkey"]}],"createRuntime":[{"path":"/n","args":["nvidia"]},CREATE],"later":[],"poststop":[STOP]}}"#,
        );
        // Only one of the two is there, and another program's of the same name.
        check(
            r#"{"hooks":{"createRuntime":[CREATE],"poststop":[{"path":"/x","args":["buildwarden","hook","poststop"]}]}}"#
                .replace("CREATE", CREATE)
                .as_str(),
            r#"{"hooks":{"createRuntime":[CREATE],"poststop":[{"path":"/x","args":["buildwarden","hook","poststop"]},STOP]}}"#,
        );
    }

    #[test]
    fn the_configuration_is_passed_on() {
        let mut configuration = Configuration::read(b"{}").unwrap();
        configuration.add(&Hooks { config: Some("/etc/b.toml"), ..HOOKS }).unwrap();
        let written: Value = serde_json::from_slice(&configuration.to_bytes()).unwrap();
        let hook = &written["hooks"]["poststop"][0];
        assert_eq!(hook["env"], json!([PATH, "BUILDWARDEN_CONFIG=/etc/b.toml"]));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let nested = "[".repeat(100_000);
        for text in ["", "[]", "null", "{", "{\"hooks\":", "\u{0}", &nested] {
            let error = Configuration::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("not an OCI configuration: "), "{error}");
        }
        for text in [
            r#"{"hooks":[]}"#,
            r#"{"hooks":"x"}"#,
            r#"{"hooks":{"createRuntime":{}}}"#,
            r#"{"hooks":{"poststop":7}}"#,
        ] {
            assert!(Configuration::read(text.as_bytes()).unwrap().add(&HOOKS).is_err(), "{text}");
        }
    }

    #[test]
    fn annotations_are_read() {
        let annotation = |text: &str| {
            let configuration = Configuration::read(text.as_bytes()).unwrap();
            configuration.annotation("a").map(str::to_owned)
        };
        assert_eq!(annotation(r#"{"annotations":{"a":"b"}}"#).as_deref(), Some("b"));
        for text in ["{}", r#"{"annotations":null}"#, r#"{"annotations":{"a":1}}"#] {
            assert_eq!(annotation(text), None, "{text}");
        }
    }
}
