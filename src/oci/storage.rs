//! What containers/storage, the library under podman, knows of a container.

use serde::Deserialize;
use std::{fs::File, io::Read as _, path::Path};

/// A file of thousands of containers is some MiB.
const MAX: u64 = 16 << 20;

/// A container's name and image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: Option<String>,
    /// The name of its image.
    pub image: Option<String>,
}

#[derive(Deserialize)]
struct Container {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    metadata: String,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, rename = "image-name")]
    image_name: Option<String>,
}

/// Looks a container up in `containers.json` beside its directory, which is the
/// grandparent of a podman bundle. Nothing where there is none: a name is a comfort.
pub fn stored(bundle: &Path) -> Stored {
    look_up(bundle).unwrap_or_default()
}

fn look_up(bundle: &Path) -> Option<Stored> {
    let container = bundle.parent()?;
    let id = container.file_name()?.to_str()?;
    let mut bytes = Vec::new();
    let file = File::open(container.parent()?.join("containers.json")).ok()?;
    file.take(MAX).read_to_end(&mut bytes).ok()?;
    let all: Vec<Container> = serde_json::from_slice(&bytes).ok()?;
    let found = all.into_iter().find(|container| container.id == id)?;
    let metadata: Metadata = serde_json::from_str(&found.metadata).unwrap_or_default();
    let bounded = |text: String| text.chars().take(super::identity::MAX).collect::<String>();
    Some(Stored {
        name: found.names.into_iter().next().map(bounded),
        image: metadata.image_name.filter(|name| !name.is_empty()).map(bounded),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_by_its_bundle() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("abc/userdata");
        assert_eq!(stored(&bundle), Stored::default());
        let text = r#"[{"id":"x"},{"id":"abc","names":["builder"],
            "metadata":"{\"image-name\":\"localhost/img:1\"}"}]"#;
        std::fs::write(directory.path().join("containers.json"), text).unwrap();
        let (name, image) = (Some("builder".to_owned()), Some("localhost/img:1".to_owned()));
        assert_eq!(stored(&bundle), Stored { name, image });
        assert_eq!(stored(&directory.path().join("other/userdata")), Stored::default());
        assert_eq!(stored(Path::new("/")), Stored::default());
    }
}
