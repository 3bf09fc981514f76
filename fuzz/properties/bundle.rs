//! What holds for a config.json: the hook reads it, the shim rewrites it.

use buildwarden::oci::{
    Bundle, Configuration, ContainerId, Hooks, Identity, annotation, build_of, classic_step,
};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::BTreeMap, fs, path::Path};

const HOOKS: Hooks<'static> =
    Hooks { program: "/usr/bin/buildwarden", config: Some("/etc/b.toml") };

pub(crate) fn check(data: &[u8]) {
    let directory = super::directory();
    let read = |content: &[u8]| {
        fs::write(directory.path().join("config.json"), content).expect("a file in memory");
        Bundle::read(directory.path())
    };
    let bundle = read(data);
    if let Ok(bundle) = &bundle {
        check_identity(bundle);
    }
    let Ok(mut configuration) = Configuration::read(data) else { return };
    let asked = configuration.annotation(annotation::TRACE).map(str::to_owned);
    if let Ok(bundle) = &bundle {
        assert_eq!(asked.as_deref(), bundle.annotation(annotation::TRACE), "shim and hook differ");
    }
    let Ok(added) = configuration.add(&HOOKS) else { return };
    let rewritten = configuration.to_bytes();
    check_kept(data, &rewritten);
    if !added {
        return;
    }
    let mut again = Configuration::read(&rewritten).expect("what was written");
    assert_eq!(again.annotation(annotation::TRACE), asked.as_deref());
    assert!(!again.add(&HOOKS).expect("what was written"), "twice is not once");
    assert_eq!(again.to_bytes(), rewritten);
    if let Ok(bundle) = bundle {
        let after = read(&rewritten).expect("what was a bundle");
        assert_eq!(format!("{after:?}"), format!("{bundle:?}"), "the hook reads something else");
    }
}

type Raw = BTreeMap<String, Box<RawValue>>;

/// All that was there is there, in its order, written as it was; ours is last.
fn check_kept(before: &[u8], after: &[u8]) {
    let raw = |bytes: &[u8]| serde_json::from_slice::<Raw>(bytes).expect("an object");
    let (before_raw, after_raw) = (raw(before), raw(after));
    for (key, value) in before_raw.iter().filter(|(key, _)| *key != "hooks") {
        assert_eq!(after_raw[key].get(), value.get(), "{key}");
    }
    let stages = |raw: &Raw| -> Raw {
        let hooks = raw.get("hooks").map_or("null", |hooks| hooks.get());
        serde_json::from_str::<Option<Raw>>(hooks).expect("hooks").unwrap_or_default()
    };
    let now = stages(&after_raw);
    for (stage, value) in stages(&before_raw).iter().filter(|(_, value)| value.get() != "null") {
        let list = |raw: &RawValue| serde_json::from_str::<Vec<Box<RawValue>>>(raw.get());
        if now[stage].get() != value.get() {
            let (before, after) =
                (list(value).expect("a list"), list(&now[stage]).expect("a list"));
            assert!(before.iter().zip(&after).all(|(before, after)| before.get() == after.get()));
            assert_eq!(after.len(), before.len() + 1, "{stage}");
        }
    }
    // What no number of ours can hold, the runtime may read: then its keys are not known.
    let object = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).ok();
    let (Some(before), Some(after)) = (object(before), object(after)) else { return };
    let kept = after.keys().take(before.len());
    assert!(before.keys().eq(kept), "keys have moved");
}

/// Who it is, as far as it says so itself.
fn check_identity(bundle: &Bundle) {
    let id = ContainerId::new("c1").expect("an id");
    let below = ["/run/b", "/run/containerd/io.containerd.runtime.v2.task/moby/c1"];
    for directory in below.map(Path::new) {
        let identity = Identity::of(&id, directory, bundle, true);
        let job = identity.job.as_ref();
        let build = build_of(identity.engine.as_deref(), bundle).map(|build| build.id);
        let ids = [identity.name.as_ref(), identity.image.as_ref(), job.map(|job| &job.id)];
        for text in ids.into_iter().flatten().chain(&build) {
            assert!(text.chars().count() <= 256, "{text}");
        }
        if let Some(own) = bundle.annotation(annotation::JOB) {
            assert!(own.is_empty() || job.is_some_and(|job| job.source.starts_with("annotation")));
        }
        let locked = Identity::of(&id, directory, bundle, false).job;
        assert!(locked.is_none_or(|job| !job.source.starts_with("annotation")));
    }
    // A mount names a file of the host, which is not read unless it is of this container.
    if bundle.mounted_at("/etc/hostname").is_none() {
        assert_eq!(classic_step(&id, bundle), None);
    }
}
