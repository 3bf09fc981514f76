//! What Docker knows of a step of its classic builder.

use super::{Bundle, ContainerId};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs::File, io::Read as _, path::Path};

/// A container's or an image's configuration is some KiB.
const MAX: u64 = 16 << 20;

/// A container that the classic builder may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicStep {
    /// The image that it stands on, `sha256:…`.
    pub image: String,
    /// The step before it, as its image has it.
    pub before: Option<Before>,
}

/// What an image says it was made of.
///
/// The container stands in the image's configuration, which whoever made the image has
/// written: one that was pulled can name any. The image beneath is dockerd's own note. An
/// image that was pulled has none, so it is no step's. One that was loaded has the one that
/// its archive names, if that image, whole, is in the archive too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The container. It is no step before this one unless it stood on `image`.
    pub container: ContainerId,
    /// The image beneath, `sha256:…`.
    pub image: String,
}

/// `containers/<id>/config.v2.json`, which dockerd keeps of each container.
#[derive(Deserialize)]
struct Container {
    #[serde(rename = "Image")]
    image: String,
    #[serde(rename = "Driver")]
    driver: String,
    #[serde(rename = "Config")]
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "Image")]
    image: String,
}

/// What of an image's configuration only Docker's own images have.
#[derive(Deserialize)]
struct Image {
    #[serde(default)]
    container: String,
}

/// Looks up what dockerd keeps of a container; `None` when the classic builder did not
/// make it. That names images by their digest, as hardly anybody else does.
pub fn classic_step(id: &ContainerId, bundle: &Bundle) -> Option<ClassicStep> {
    // `<data root>/containers/<id>/hostname`
    let directory = Path::new(bundle.mounted_at("/etc/hostname")?).parent()?;
    if directory.file_name()? != id.as_str() {
        return None;
    }
    let container: Container = read(&directory.join("config.v2.json"))?;
    if container.config.image != container.image {
        return None;
    }
    let digest = container.image.strip_prefix("sha256:")?;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain(digest) || !plain(&container.driver) {
        return None;
    }
    let images = directory.parent()?.parent()?.join("image").join(&container.driver);
    let images = images.join("imagedb");
    let image: Image = read(&images.join("content/sha256").join(digest))?;
    let beneath = bytes(&images.join("metadata/sha256").join(digest).join("parent"));
    let before = || {
        Some(Before {
            container: ContainerId::new(&image.container).ok()?,
            image: String::from_utf8(beneath?).ok()?,
        })
    };
    Some(ClassicStep { before: before(), image: container.image })
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&bytes(path)?).ok()
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn the_step_before_is_the_container_that_the_image_was_made_of() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("containers/abc");
        let images = root.path().join("image/overlay2/imagedb");
        fs::create_dir_all(&directory).unwrap();
        for (digest, config, beneath) in [
            ("11", "{}", Some("sha256:00")),
            ("22", r#"{"container":"def"}"#, Some("sha256:11")),
            ("33", r#"{"container":"../def"}"#, Some("sha256:22")),
            // As it was pulled.
            ("44", r#"{"container":"def"}"#, None),
        ] {
            let metadata = images.join("metadata/sha256").join(digest);
            fs::create_dir_all(&metadata).unwrap();
            fs::create_dir_all(images.join("content/sha256")).unwrap();
            fs::write(images.join("content/sha256").join(digest), config).unwrap();
            if let Some(beneath) = beneath {
                fs::write(metadata.join("parent"), beneath).unwrap();
            }
        }
        let spec = json!({ "mounts": [
            { "destination": "/etc/hostname", "source": directory.join("hostname") },
        ] });
        let bundle = root.path().join("bundle");
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        let bundle = Bundle::read(&bundle).unwrap();
        let step = |id: &str, image: &str, named: &str, driver: &str| {
            let config = json!({ "Image": image, "Driver": driver, "Config": { "Image": named } });
            fs::write(directory.join("config.v2.json"), config.to_string()).unwrap();
            classic_step(&ContainerId::new(id).unwrap(), &bundle).map(|step| step.before)
        };
        let container = ContainerId::new("def").unwrap();
        let before = Some(Before { container, image: "sha256:11".to_owned() });
        assert_eq!(step("abc", "sha256:11", "sha256:11", "overlay2"), Some(None));
        assert_eq!(step("abc", "sha256:22", "sha256:22", "overlay2"), Some(before));
        assert_eq!(step("abc", "sha256:33", "sha256:33", "overlay2"), Some(None));
        assert_eq!(step("abc", "sha256:44", "sha256:44", "overlay2"), Some(None));
        // `docker run`, another's file, an image that is not there, and no names at all.
        assert_eq!(step("abc", "sha256:22", "img:1", "overlay2"), None);
        assert_eq!(step("other", "sha256:22", "sha256:22", "overlay2"), None);
        assert_eq!(step("abc", "sha256:55", "sha256:55", "overlay2"), None);
        assert_eq!(step("abc", "sha256:../x", "sha256:../x", "overlay2"), None);
        assert_eq!(step("abc", "sha256:22", "sha256:22", "../overlay2"), None);
        assert_eq!(classic_step(&ContainerId::new("abc").unwrap(), &Bundle::default()), None);
    }
}
