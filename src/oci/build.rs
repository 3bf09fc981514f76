//! Which build a step belongs to.

use super::Bundle;
use crate::report::model::Build;

/// What names a build by the parent of its steps' cgroups.
pub(super) const CGROUP_PARENT: &str = "cgroup parent";

/// Where engines put containers of which nobody said where to put them.
const USUAL: [&str; 8] = [
    "docker",
    "buildkit",
    "buildah",
    "libpod_parent",
    "system.slice",
    "machine.slice",
    "user.slice",
    "kubepods",
];

/// The build that the configuration of a container of `engine` tells.
///
/// BuildKit and the classic builder put nothing about the build into it. What is left is
/// the cgroup parent: who gave one (`docker build --cgroup-parent`) has said what belongs
/// together.
pub fn build_of(engine: Option<&str>, bundle: &Bundle) -> Option<Build> {
    let builds = ["buildkit", "docker", "buildah", "podman"];
    let engine = engine.filter(|engine| builds.contains(engine))?;
    let id = cgroup_parent(engine, bundle.cgroups_path()?)?;
    let id = id.chars().take(super::identity::MAX).collect();
    Some(Build { id, source: CGROUP_PARENT.to_owned() })
}

/// The parent that was asked for: what a container's cgroup path has above the parts
/// that the engine adds.
fn cgroup_parent<'a>(engine: &str, path: &'a str) -> Option<&'a str> {
    // systemd's form is `slice:prefix:name`.
    let parent = match path.split(':').collect::<Vec<_>>()[..] {
        [slice, _, _] => slice,
        _ => path.rsplit_once('/')?.0,
    };
    let parent = parent.trim_matches('/');
    // BuildKit inside of Docker: `<parent>/docker/buildkit/<id>` or `<parent>/buildkit/<id>`.
    let engines: &[&str] = if engine == "buildkit" { &["buildkit", "docker"] } else { &[] };
    let parent = engines.iter().fold(parent, |parent, name| {
        let above = parent.strip_suffix(name);
        above
            .filter(|above| above.is_empty() || above.ends_with('/'))
            .unwrap_or(parent)
            .trim_end_matches('/')
    });
    (!parent.is_empty() && !USUAL.contains(&parent)).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_parent_that_was_given_is_one() {
        for (engine, path, want) in [
            ("buildkit", "/docker/buildkit/abc", None),
            ("buildkit", "/buildkit/abc", None),
            ("buildkit", "/ci-42/docker/buildkit/abc", Some("ci-42")),
            ("buildkit", "/ci/42/buildkit/abc", Some("ci/42")),
            ("buildkit", "/ci-42/abc", Some("ci-42")),
            ("buildkit", "/mydocker/buildkit/abc", Some("mydocker")),
            ("buildkit", "system.slice:docker:abc", None),
            ("buildkit", "ci-42.slice:docker:abc", Some("ci-42.slice")),
            ("docker", "/docker/abc", None),
            ("docker", "/ci-42/abc", Some("ci-42")),
            ("docker", "ci-42.slice:docker:abc", Some("ci-42.slice")),
            ("docker", "/ci/buildkit/abc", Some("ci/buildkit")),
            ("podman", "/libpod_parent/libpod-abc", None),
            ("podman", "machine.slice:libpod:abc", None),
            ("buildah", "/buildah-buildah1", None),
            ("docker", "abc", None),
            ("docker", "", None),
            ("docker", "///", None),
        ] {
            assert_eq!(cgroup_parent(engine, path), want, "{engine} {path}");
        }
    }
}
