//! containers.conf(5), as far as it says which hooks run.

use serde::Deserialize;
use std::path::PathBuf;

/// The files that podman and buildah read, the later outweighing the earlier; beside
/// each, a directory `containers.conf.d`.
pub const CONTAINERS_CONF: [&str; 2] =
    ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    engine: Engine,
}

#[derive(Default, Deserialize)]
struct Engine {
    hooks_dir: Option<Vec<toml::Value>>,
}

/// The hooks directories that a file names; `None` when it leaves them as they are.
pub fn hooks_dirs(text: &str) -> Result<Option<Vec<PathBuf>>, toml::de::Error> {
    let written: Written = toml::from_str(text)?;
    Ok(written.engine.hooks_dir.map(|values| {
        // Besides paths there may be a table, `{append = true}`.
        values.iter().filter_map(|value| value.as_str()).map(PathBuf::from).collect()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_directories_are_read() {
        for (text, want) in [
            ("", None),
            ("[engine]\nruntime = \"crun\"\n", None),
            ("[engine]\nhooks_dir = [\"/a\", \"/b\"]\n", Some(vec!["/a", "/b"])),
            ("[engine]\nhooks_dir = [\"/a\", {append = true}]\n", Some(vec!["/a"])),
        ] {
            let want = want.map(|dirs| dirs.into_iter().map(PathBuf::from).collect());
            assert_eq!(hooks_dirs(text).unwrap(), want, "{text}");
        }
        assert!(hooks_dirs("[engine\n").is_err());
    }
}
