//! The bundle's config.json.

use super::OciError;
use serde::Deserialize;
use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

/// What of a bundle's configuration matters here.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    annotations: BTreeMap<String, String>,
    environment: Vec<String>,
    arguments: Vec<String>,
    hostname: Option<String>,
    cgroups_path: Option<String>,
    root: Option<String>,
    mounts: Vec<Mount>,
}

/// The keys that matter. Not the specification's types: an engine that is newer than
/// those, with a seccomp action or a capability that they do not know, is to be traced
/// too.
#[derive(Deserialize)]
struct Written {
    process: Option<Process>,
    hostname: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux>,
    root: Option<Root>,
    mounts: Option<Vec<Mount>>,
}

#[derive(Default, Deserialize)]
struct Root {
    path: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Mount {
    destination: Option<String>,
    source: Option<String>,
}

#[derive(Default, Deserialize)]
struct Process {
    env: Option<Vec<String>>,
    args: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    cgroups_path: Option<String>,
}

impl Bundle {
    /// The longest config.json that is read. Engines write some ten KiB; with a long environment some more.
    pub const MAX: u64 = 64 << 20;
    /// Room for what engines write, so that it is read at once.
    const USUAL: usize = 16 << 10;

    /// Reads `config.json` in the bundle `directory`.
    ///
    /// # Errors
    /// When it is missing, unreadable, too long or not a configuration.
    pub fn read(directory: &Path) -> Result<Bundle, OciError> {
        let path = directory.join("config.json");
        let failed = |reason: String| OciError::Bundle { path: path.clone(), reason };
        let mut bytes = Vec::with_capacity(Self::USUAL);
        File::open(&path)
            .and_then(|file| file.take(Self::MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > Self::MAX {
            return Err(failed(format!("longer than {} bytes", Self::MAX)));
        }
        Bundle::parse(&bytes).map_err(|error| failed(format!("not an OCI configuration: {error}")))
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Bundle> {
        let Written { process, hostname, annotations, linux, root, mounts } =
            serde_json::from_slice(bytes)?;
        let process = process.unwrap_or_default();
        Ok(Bundle {
            annotations: annotations.unwrap_or_default(),
            environment: process.env.unwrap_or_default(),
            arguments: process.args.unwrap_or_default(),
            hostname,
            cgroups_path: linux.unwrap_or_default().cgroups_path,
            root: root.unwrap_or_default().path,
            mounts: mounts.unwrap_or_default(),
        })
    }

    /// The container's annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// The entrypoint's environment, `NAME=value` each.
    pub fn environment(&self) -> &[String] {
        &self.environment
    }

    /// The entrypoint's arguments.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The container's host name.
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    /// Where its cgroup is to be: a path, or systemd's `slice:prefix:name`.
    pub fn cgroups_path(&self) -> Option<&str> {
        self.cgroups_path.as_deref()
    }

    /// Its root file system: a path, from the bundle where it is not absolute.
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    /// What is mounted at `destination`.
    pub fn mounted_at(&self, destination: &str) -> Option<&str> {
        let mut mounts = self.mounts.iter().rev();
        let found = mounts.find(|mount| mount.destination.as_deref() == Some(destination))?;
        found.source.as_deref()
    }

    /// Whether the container only holds a pod's namespaces: it runs `pause` and
    /// nothing of the build.
    pub fn is_sandbox(&self) -> bool {
        ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]
            .iter()
            .any(|key| self.annotation(key) == Some("sandbox"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_read_and_the_rest_is_not_judged() {
        let text =
            br#"{"ociVersion":"9.0","process":{"args":["a","b"],"env":["A=b"],"capabilities":{
            "bounding":["CAP_OF_TOMORROW"]}},"hostname":"h","annotations":{"x":"y"},"linux":{
            "cgroupsPath":"/p/c","seccomp":{"defaultAction":"SCMP_ACT_OF_TOMORROW"}},"new":[],
            "root":{"path":"/r"},"mounts":[{"destination":"/h","source":"/s","type":"of tomorrow"}]}"#;
        let bundle = Bundle::parse(text).unwrap();
        assert_eq!(bundle.arguments(), ["a", "b"]);
        assert_eq!(bundle.environment(), ["A=b"]);
        assert_eq!(bundle.hostname(), Some("h"));
        assert_eq!(bundle.annotation("x"), Some("y"));
        assert_eq!(bundle.cgroups_path(), Some("/p/c"));
        assert_eq!(bundle.root(), Some("/r"));
        assert_eq!((bundle.mounted_at("/h"), bundle.mounted_at("/x")), (Some("/s"), None));
        for text in ["{}", r#"{"process":null,"linux":{"cgroupsPath":null},"annotations":null}"#] {
            let bundle = Bundle::parse(text.as_bytes()).unwrap();
            assert!(bundle.arguments().is_empty() && bundle.cgroups_path().is_none(), "{text}");
        }
        for text in ["", "{", "7", r#"{"process":{"args":[1]}}"#, r#"{"annotations":[]}"#] {
            assert!(Bundle::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
