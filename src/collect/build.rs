//! Which build a step belongs to, where nobody has said so.
//!
//! A build by buildah is one process, from which its hooks descend. Builders that are
//! daemons leave only what a step stands on: the layer that the step before it has
//! written. A step so takes over the build of the one before it, unless another step was
//! first: then that one's build goes on there, and here another begins. So the steps of
//! a build are always in the image that its last one made, and builds side by side never
//! share an id, whatever their first steps share.

use super::{collector::path_of, containers_directory, directory::Directory, file};
use crate::{
    config::Settings,
    host::{self, Ancestor, Overlay},
    oci::{self, Bundle, ContainerId},
    report::model::{self, Container},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What names a build by the process that runs it.
const PROCESS: &str = "builder process";
/// What names a build by the first of its steps.
const UPON: &str = "built upon";

/// How old the step before may be: what is older is a cache's or a base image's.
const RECENT: Duration = Duration::from_secs(60 * 60);

/// What a step leaves for those after it.
#[derive(Debug, Serialize, Deserialize)]
struct Link {
    /// The build's id.
    build: String,
    /// The directory that the step writes to.
    layer: Option<Layer>,
    /// The image that a step of the classic builder stands on.
    #[serde(default)]
    image: Option<String>,
}

/// A directory, by what no other ever has: a path can come back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Layer {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970.
    created: u64,
}

impl Layer {
    /// `None` where the file system does not say when it was made, and where an engine
    /// has named many layers from its own directory, to keep the list short enough for
    /// mount(2).
    fn of(directory: &Path) -> Option<Layer> {
        directory.is_absolute().then_some(())?;
        let metadata = fs::metadata(directory).ok()?;
        let created = metadata.created().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let created = u64::try_from(created.as_nanos()).ok()?;
        Some(Layer { device: metadata.dev(), inode: metadata.ino(), created })
    }
}

/// The process that runs the build which this hook belongs to, when the engine is one
/// that has a process for each.
pub(super) fn process_of(engine: Option<&str>) -> Option<String> {
    let ancestors = if engine? == "buildah" { host::ancestors() } else { return None };
    let builder = builder(ancestors)?;
    let boot = host::boot_id()?;
    let boot = boot.split('-').next()?;
    Some(format!("{boot}-{}-{}", builder.pid, builder.start))
}

/// The build that a process runs.
pub(super) fn of_process(id: &str) -> model::Build {
    model::Build { id: id.to_owned(), source: PROCESS.to_owned() }
}

/// buildah, or podman, as the parent of what it has between itself and the runtime.
fn builder(ancestors: impl Iterator<Item = Ancestor>) -> Option<Ancestor> {
    let mut ancestors = ancestors.skip_while(|process| {
        process.arguments.first().is_none_or(|name| name != b"buildah-oci-runtime")
    });
    let builder = ancestors.nth(1)?;
    let has = |word: &[u8]| builder.arguments.iter().any(|argument| argument == word);
    // podman's daemon does many builds.
    let daemon = has(b"system") && has(b"service");
    (!daemon && (has(b"build") || has(b"bud"))).then_some(builder)
}

/// The build that a step belongs to by what it stands on. `directory` is its run's.
pub(super) fn upon(
    settings: &Settings,
    directory: &Directory,
    container: &Container,
    bundle: &Bundle,
) -> Option<model::Build> {
    let of = |build| Some(model::Build { id: build, source: UPON.to_owned() });
    if let Some(link) = read(directory) {
        // An earlier collector of this run has found it out.
        return of(link.build);
    }
    let runs = containers_directory(settings);
    let own = directory.path().file_name()?.to_str()?;
    let (build, layer, image) = match container.engine.as_deref()? {
        "buildkit" => {
            let overlay = overlay(&path_of(container.bundle.as_ref()?), bundle)?;
            let before = last_below(&runs, &overlay.lower);
            let build = before.and_then(|run| go_on(&runs.join(run), own, None));
            (build, Some(Layer::of(&overlay.upper)?), None)
        }
        "docker" => {
            let step = oci::classic_step(&ContainerId::new(&container.id).ok()?, bundle)?;
            let build = step.before.and_then(|before| {
                go_on(&runs.join(before.container.as_str()), own, Some(&before.image))
            });
            (build, None, Some(step.image))
        }
        _ => return None,
    };
    let link = Link { build: build.unwrap_or_else(|| own.to_owned()), layer, image };
    directory.put_new(file::BUILD, &serde_json::to_vec(&link).ok()?).ok()?;
    of(link.build)
}

/// The layers of a container's root file system.
fn overlay(directory: &Path, bundle: &Bundle) -> Option<Overlay> {
    let root = fs::canonicalize(directory.join(bundle.root()?)).ok()?;
    let mounts = host::mounts().ok()?;
    mounts.into_iter().rev().find(|mount| mount.point == root)?.overlay
}

/// The run, among the recent ones, that has written the topmost of these layers.
fn last_below(runs: &Path, lower: &[PathBuf]) -> Option<String> {
    let lower: Vec<Option<Layer>> = lower.iter().map(|layer| Layer::of(layer)).collect();
    let below = fs::read_dir(runs).ok()?.flatten().filter_map(|entry| {
        // Before anything is read: there may be thousands.
        is_recent(entry.metadata().ok()?).then_some(())?;
        let layer = read(&Directory::open(&entry.path()).ok()??)?.layer;
        let depth = lower.iter().position(|lower| lower.is_some() && *lower == layer)?;
        Some((depth, entry.file_name().into_string().ok()?))
    });
    below.min().map(|(_, run)| run)
}

/// Whether a run has ended or begun lately, by its directory.
fn is_recent(directory: fs::Metadata) -> bool {
    directory.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age < RECENT))
}

/// Goes on with the build of an earlier step; `None` when another step does, it is long ago,
/// or it did not stand on `image`, without which any image could claim to be of its build.
fn go_on(before: &Path, own: &str, image: Option<&str>) -> Option<String> {
    is_recent(fs::metadata(before).ok()?).then_some(())?;
    let directory = Directory::open(before).ok()??;
    let link = read(&directory).filter(|link| link.image.as_deref() == image)?;
    let first = directory.put_new(file::BUILD_NEXT, own.as_bytes()).ok()?;
    let ours = || {
        directory
            .content(file::BUILD_NEXT)
            .is_ok_and(|next| next.as_deref() == Some(own.as_bytes()))
    };
    (first || ours()).then_some(link.build)
}

fn read(directory: &Directory) -> Option<Link> {
    serde_json::from_slice(&directory.content(file::BUILD).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_build_is_the_process_that_runs_only_it() {
        let between = "buildah-oci-runtime";
        for (tree, want) in [
            (&["runc create", between, "podman --root /r build --tag t .", "sh"][..], Some(3)),
            (&["crun create", between, "buildah bud .", "sh"], Some(3)),
            (&[between, "buildah build"], Some(2)),
            (&["runc create", between, "podman system service --time 0"], None),
            (&["runc create", between, "podman system service build"], None),
            (&["runc create", between, "buildah run c make"], None),
            (&["runc create", "conmon", "podman build"], None),
            (&["runc create", between], None),
            (&[], None),
        ] {
            let ancestors = tree.iter().zip(1..).map(|(line, pid)| Ancestor {
                pid,
                start: 0,
                arguments: line.split(' ').map(|word| word.as_bytes().to_vec()).collect(),
            });
            assert_eq!(builder(ancestors).map(|process| process.pid), want, "{tree:?}");
        }
    }

    #[test]
    fn one_step_goes_on_with_a_build_and_others_begin_their_own() {
        let runs = tempfile::tempdir().unwrap();
        let run = |name: &str, before: Option<&str>| {
            let directory = Directory::create(runs.path(), name, None).unwrap().unwrap();
            let upper = runs.path().join(format!("{name}.layer"));
            fs::create_dir(&upper).unwrap();
            let below = before.map(|before| runs.path().join(format!("{before}.layer")));
            let base = runs.path().join("base.layer");
            let lower: Vec<_> = below.into_iter().chain([base]).collect();
            let build = last_below(runs.path(), &lower)
                .and_then(|before| go_on(&runs.path().join(before), name, None))
                .unwrap_or_else(|| name.to_owned());
            let link = Link { build, layer: Layer::of(&upper), image: None };
            directory.put_new(file::BUILD, &serde_json::to_vec(&link).unwrap()).unwrap();
            link.build
        };
        assert_eq!(run("a1", None), "a1");
        assert_eq!(run("b1", None), "b1");
        assert_eq!(run("b2", Some("b1")), "b1");
        assert_eq!(run("a2", Some("a1")), "a1");
        assert_eq!(run("a3", Some("a2")), "a1");
        // From the cache of `a`, beside what `a` went on with.
        assert_eq!(run("c2", Some("a1")), "c2");
        assert_eq!(run("c3", Some("c2")), "c2");
        // Once more by another collector of the same run.
        assert_eq!(go_on(&runs.path().join("a2"), "a3", None).as_deref(), Some("a1"));
        assert_eq!(go_on(&runs.path().join("a2"), "x", None), None);
        // Long ago.
        let long_ago = SystemTime::now() - 2 * RECENT;
        File::open(runs.path().join("a3")).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(last_below(runs.path(), &[runs.path().join("a3.layer")]), None);
        assert_eq!(go_on(&runs.path().join("a3"), "a4", None), None);
        // A directory that is another one by now.
        fs::rename(runs.path().join("b2.layer"), runs.path().join("old")).unwrap();
        fs::create_dir(runs.path().join("b2.layer")).unwrap();
        assert_eq!(last_below(runs.path(), &[runs.path().join("b2.layer")]), None);
    }

    #[test]
    fn an_image_that_names_a_step_and_does_not_stand_on_it_takes_nothing_over() {
        let runs = tempfile::tempdir().unwrap();
        let step = |name: &str, image: Option<&str>| {
            let directory = Directory::create(runs.path(), name, None).unwrap().unwrap();
            let image = image.map(str::to_owned);
            let link = Link { build: name.to_owned(), layer: None, image };
            directory.put_new(file::BUILD, &serde_json::to_vec(&link).unwrap()).unwrap();
        };
        step("classic", Some("sha256:11"));
        step("buildkit", None);
        let go_on = |before: &str, own, image| go_on(&runs.path().join(before), own, image);
        assert_eq!(go_on("classic", "x", Some("sha256:22")), None);
        assert_eq!(go_on("classic", "x", None), None);
        assert_eq!(go_on("buildkit", "x", Some("sha256:11")), None);
        // Nor has it kept the one that does from going on.
        assert_eq!(go_on("classic", "next", Some("sha256:11")).as_deref(), Some("classic"));
        assert_eq!(go_on("buildkit", "next", None).as_deref(), Some("buildkit"));
    }
}
