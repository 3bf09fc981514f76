//! Who a container is: its engine, name, image and CI job.
//!
//! All of it is the engine's or the build's word, and none of it is ever a path.

use super::{Bundle, ContainerId, annotation, build::build_of};
use crate::report::model::Job;
use std::path::Path;

/// Longest name or job id that is kept, in characters.
pub(super) const MAX: usize = 256;

/// Who a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The engine that started it.
    pub engine: Option<String>,
    /// Its name, where the engine tells.
    pub name: Option<String>,
    /// Its image, where the engine tells.
    pub image: Option<String>,
    /// The CI job it belongs to.
    pub job: Option<Job>,
}

/// Annotations that name a container, by who writes them.
const NAMES: [&str; 3] =
    ["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
/// Annotations that name its image.
const IMAGES: [&str; 4] = [
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "io.podman.annotations.image",
    "org.opencontainers.image.ref.name",
];

/// CI systems by the variables that name one job: ids, never secrets.
const SYSTEMS: [(&str, &[&str]); 11] = [
    ("GitHub Actions", &["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"]),
    ("GitLab CI", &["CI_PROJECT_PATH", "CI_JOB_ID"]),
    ("Buildkite", &["BUILDKITE_PIPELINE_SLUG", "BUILDKITE_JOB_ID"]),
    ("CircleCI", &["CIRCLE_PROJECT_REPONAME", "CIRCLE_BUILD_NUM"]),
    ("Jenkins", &["JOB_NAME", "BUILD_NUMBER"]),
    ("Azure Pipelines", &["BUILD_BUILDID", "SYSTEM_JOBID"]),
    ("Woodpecker", &["CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NAME"]),
    ("Drone", &["DRONE_REPO", "DRONE_BUILD_NUMBER", "DRONE_STAGE_NAME"]),
    ("Bitbucket Pipelines", &["BITBUCKET_REPO_SLUG", "BITBUCKET_STEP_UUID"]),
    ("Travis CI", &["TRAVIS_REPO_SLUG", "TRAVIS_JOB_ID"]),
    ("TeamCity", &["TEAMCITY_BUILDCONF_NAME", "BUILD_NUMBER"]),
];

impl Identity {
    /// Reads what the engine tells. `honour_job` says whether the container's own
    /// annotation may name the job.
    pub fn of(id: &ContainerId, directory: &Path, bundle: &Bundle, honour_job: bool) -> Identity {
        let first = |keys: &[&str]| keys.iter().find_map(|key| bundle.annotation(key)).map(bounded);
        let annotated = bundle
            .annotation(annotation::JOB)
            .filter(|job| honour_job && !job.is_empty())
            .map(|job| Job { id: bounded(job), source: format!("annotation {}", annotation::JOB) });
        let environment = bundle.environment().iter().filter_map(|entry| entry.split_once('='));
        let engine = engine(id, directory, bundle);
        let build =
            || build_of(engine, bundle).map(|build| Job { id: build.id, source: build.source });
        Identity {
            engine: engine.map(str::to_owned),
            name: first(&NAMES),
            image: first(&IMAGES),
            job: annotated.or_else(|| job_from_environment(environment)).or_else(build),
        }
    }
}

/// The job that a CI system's variables name: the first system of which all
/// variables are there.
pub fn job_from_environment<'a>(
    environment: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Option<Job> {
    SYSTEMS.iter().find_map(|(system, names)| {
        let values: Option<Vec<&str>> = names
            .iter()
            .map(|name| {
                let mut found =
                    environment.clone().filter(|(key, value)| key == name && !value.is_empty());
                found.next().map(|(_, value)| value)
            })
            .collect();
        values.map(|values| Job {
            id: bounded(&values.join("/")),
            source: format!("{system} ({})", names.join(", ")),
        })
    })
}

/// The engine, as far as its traces in id, bundle and annotations tell.
fn engine(id: &ContainerId, directory: &Path, bundle: &Bundle) -> Option<&'static str> {
    let has = |key: &str| bundle.annotation(key).is_some();
    let below = |part: &str| directory.to_string_lossy().contains(part);
    if bundle.annotation("io.container.manager") == Some("libpod") {
        Some("podman")
    } else if id.as_str().starts_with("buildah-") {
        Some("buildah")
    } else if has("io.kubernetes.cri-o.ContainerType") {
        Some("cri-o")
    } else if below("/io.containerd.runtime.v2.task/moby/") {
        Some("docker")
    } else if bundle.hostname() == Some("buildkitsandbox") {
        // After Docker, where anybody can give a container this name.
        Some("buildkit")
    } else if has("io.kubernetes.cri.container-type") || below("/io.containerd.runtime.v2.task/") {
        Some("containerd")
    } else {
        None
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_all_of_a_systems_variables() {
        let job = |variables: &[(&str, &str)]| {
            job_from_environment(variables.iter().copied()).map(|job| job.id)
        };
        let github = [
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_JOB", "build"),
        ];
        assert_eq!(job(&github).as_deref(), Some("o/r/42/1/build"));
        assert_eq!(job(&github[..3]), None);
        assert_eq!(job(&[("CI_PROJECT_PATH", "g/p"), ("CI_JOB_ID", "")]), None);
        assert_eq!(
            job(&[("CI_PROJECT_PATH", "g/p"), ("CI_JOB_ID", "7")]).as_deref(),
            Some("g/p/7")
        );
        let long = "x".repeat(1000);
        assert_eq!(job(&[("JOB_NAME", &long), ("BUILD_NUMBER", "1")]).unwrap().len(), MAX);
    }
}
