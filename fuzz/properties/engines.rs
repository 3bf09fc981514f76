//! What holds for the files that engines keep for themselves: podman's list of containers,
//! dockerd's notes of a container and an image, containers.conf.

use buildwarden::{
    host::hooks_dirs,
    oci::{Bundle, ContainerId, classic_step, stored},
};
use serde_json::json;
use std::fs;

pub(crate) fn check(data: &[u8]) {
    let directory = super::directory();
    let root = directory.path();
    let [containers, config, image, parent, conf] = super::parts(data);

    fs::write(root.join("containers.json"), containers).expect("a file in memory");
    let found = stored(&root.join("abc/userdata"));
    for text in [&found.name, &found.image].into_iter().flatten() {
        assert!(text.chars().count() <= 256, "{text}");
    }

    let own = root.join("containers/abc");
    let content = root.join("image/overlay2/imagedb/content/sha256");
    let metadata = root.join("image/overlay2/imagedb/metadata/sha256/11");
    for directory in [&own, &content, &metadata] {
        fs::create_dir_all(directory).expect("a directory in memory");
    }
    fs::write(own.join("config.v2.json"), config).expect("a file in memory");
    fs::write(content.join("11"), image).expect("a file in memory");
    fs::write(metadata.join("parent"), parent).expect("a file in memory");
    let mounted = json!({"destination": "/etc/hostname", "source": own.join("hostname")});
    let spec = json!({ "mounts": [mounted] });
    fs::write(root.join("config.json"), spec.to_string()).expect("a file in memory");
    let bundle = Bundle::read(root).expect("a bundle");
    let id = ContainerId::new("abc").expect("an id");
    if let Some(step) = classic_step(&id, &bundle) {
        assert_eq!(step.image, "sha256:11", "another image's file was read");
        if let Some(before) = step.before {
            assert!(ContainerId::new(before.container.as_str()).is_ok());
            assert_eq!(before.image.as_bytes(), parent);
        }
    }

    if let Ok(text) = str::from_utf8(conf) {
        let _ = hooks_dirs(text);
    }
}
