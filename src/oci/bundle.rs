//! The bundle's config.json.

use super::OciError;
use oci_spec::runtime::Spec;
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read as _,
    path::Path,
};

/// What of a bundle's configuration matters here.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    annotations: BTreeMap<String, String>,
    environment: Vec<String>,
    arguments: Vec<String>,
    hostname: Option<String>,
    cgroups_path: Option<String>,
}

impl Bundle {
    /// The longest config.json that is read. Engines write some ten KiB; with a long environment some more.
    pub const MAX: u64 = 64 << 20;

    /// Reads `config.json` in the bundle `directory`.
    ///
    /// # Errors
    /// When it is missing, unreadable, too long or not a configuration.
    pub fn read(directory: &Path) -> Result<Bundle, OciError> {
        let path = directory.join("config.json");
        let failed = |reason: String| OciError::Bundle { path: path.clone(), reason };
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(Self::MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > Self::MAX {
            return Err(failed(format!("longer than {} bytes", Self::MAX)));
        }
        let spec: Spec = serde_json::from_slice(&bytes)
            .map_err(|error| failed(format!("not an OCI configuration: {error}")))?;
        Ok(Bundle::from_spec(&spec))
    }

    fn from_spec(spec: &Spec) -> Bundle {
        let sorted = |map: &HashMap<String, String>| map.clone().into_iter().collect();
        let process = spec.process().as_ref();
        Bundle {
            annotations: spec.annotations().as_ref().map(sorted).unwrap_or_default(),
            environment: process.and_then(|p| p.env().clone()).unwrap_or_default(),
            arguments: process.and_then(|p| p.args().clone()).unwrap_or_default(),
            hostname: spec.hostname().clone(),
            cgroups_path: spec
                .linux()
                .as_ref()
                .and_then(|linux| linux.cgroups_path().as_ref()?.to_str().map(str::to_owned)),
        }
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

    /// Whether the container only holds a pod's namespaces: it runs `pause` and
    /// nothing of the build.
    pub fn is_sandbox(&self) -> bool {
        ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]
            .iter()
            .any(|key| self.annotation(key) == Some("sandbox"))
    }
}
