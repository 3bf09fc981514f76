//! Who a container is: its engine, name, image and CI job.
//!
//! All of it is the engine's or the build's word, and none of it is ever a path.

use super::{
    Bundle, ContainerId, annotation,
    build::{CGROUP_PARENT, build_of},
};
use crate::{pattern, report::model::Job};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, path::Path};

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
///
/// Jobs that run side by side must not share an id, so where a matrix runs the same job
/// several times at once, what tells its instances apart is among them: GitHub's runner
/// has one job at a time, Woodpecker numbers workflows, the others number jobs. Gitea and
/// Forgejo have nothing of the kind. They go from the general to the particular, so that
/// a pattern can ask for all jobs of one pipeline.
const SYSTEMS: [(&str, &[&str]); 14] = [
    (
        "GitHub Actions",
        &["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME"],
    ),
    // Gitea's and Forgejo's runners, and builds that are not told the runner's name.
    ("Actions", &["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"]),
    ("Actions", &["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_JOB"]),
    ("GitLab CI", &["CI_PROJECT_PATH", "CI_PIPELINE_ID", "CI_JOB_ID"]),
    ("Buildkite", &["BUILDKITE_PIPELINE_SLUG", "BUILDKITE_JOB_ID"]),
    ("CircleCI", &["CIRCLE_JOB", "CIRCLE_WORKFLOW_JOB_ID"]),
    ("Jenkins", &["JOB_NAME", "BUILD_NUMBER"]),
    ("Azure Pipelines", &["SYSTEM_TEAMPROJECT", "BUILD_BUILDID", "SYSTEM_JOBID"]),
    ("Woodpecker", &["CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NAME", "CI_WORKFLOW_NUMBER"]),
    ("Drone", &["DRONE_REPO", "DRONE_BUILD_NUMBER", "DRONE_STAGE_NAME", "DRONE_STAGE_NUMBER"]),
    ("Bitbucket Pipelines", &["BITBUCKET_REPO_FULL_NAME", "BITBUCKET_STEP_UUID"]),
    ("Travis CI", &["TRAVIS_REPO_SLUG", "TRAVIS_JOB_ID"]),
    ("TeamCity", &["TEAMCITY_PROJECT_NAME", "TEAMCITY_BUILDCONF_NAME", "BUILD_NUMBER"]),
    ("Semaphore", &["SEMAPHORE_PROJECT_NAME", "SEMAPHORE_JOB_ID"]),
];

impl Identity {
    /// Reads what the engine tells. `honour_job` says whether the container's own
    /// annotation may name the job.
    pub fn of(id: &ContainerId, directory: &Path, bundle: &Bundle, honour_job: bool) -> Identity {
        let first = |keys: &[&str]| keys.iter().find_map(|key| bundle.annotation(key)).map(bounded);
        let annotated = bundle
            .annotation(annotation::JOB)
            .filter(|job| honour_job && !job.is_empty())
            .map(|job| Job { id: job_id(job), source: format!("annotation {}", annotation::JOB) });
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
            id: job_id(&values.join("/")),
            source: format!("{system} ({})", names.join(", ")),
        })
    })
}

/// The CI systems, and the variables that name a job of each.
pub fn job_variables() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    SYSTEMS.into_iter()
}

/// The jobs that somebody asks for: one by its id, or all whose ids fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    id: String,
    pattern: Option<String>,
}

impl Jobs {
    /// The job with exactly this id.
    pub fn only(id: String) -> Jobs {
        Jobs { id, pattern: None }
    }

    /// The job with this id, as it is kept or whole; with `*` in it, which stands for any
    /// text, all whose ids are like it.
    pub fn like(text: &str) -> Jobs {
        Jobs { id: job_id(text), pattern: text.contains('*').then(|| text.to_owned()) }
    }

    /// Whether a job is one of them.
    pub fn has(&self, id: &str) -> bool {
        id == self.id || self.pattern.as_ref().is_some_and(|like| pattern::fits(like, id))
    }

    /// Whether they may be several.
    pub fn are_many(&self) -> bool {
        self.pattern.is_some()
    }

    /// The id or the pattern, as reports have it.
    pub fn as_str(&self) -> &str {
        self.pattern.as_ref().unwrap_or(&self.id)
    }
}

/// A job's id as it is kept. A long one keeps its beginning, and a digest of the whole
/// keeps it apart from others that begin so.
fn job_id(text: &str) -> String {
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    let digest = Sha256::digest(text);
    let mut id: String = text.chars().take(MAX - 17).collect();
    id.push('~');
    for byte in &digest[..8] {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// Whether a better source may replace this job: only what its cgroup is called tells it.
pub fn is_last_resort(job: &Job) -> bool {
    job.source == CGROUP_PARENT
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
        let check = |variables: &str, want: Option<&str>| {
            let variables = variables.split(' ').filter_map(|entry| entry.split_once('='));
            let job = job_from_environment(variables.clone());
            assert_eq!(job.as_ref().map(|job| job.id.as_str()), want, "{job:?}");
        };
        let github = "GITHUB_REPOSITORY=o/r GITHUB_RUN_ID=42 GITHUB_JOB=build";
        check(github, Some("o/r/42/build"));
        let attempt = format!("RUNNER_OS=Linux {github} GITHUB_RUN_ATTEMPT=1");
        check(&attempt, Some("o/r/42/1/build"));
        check(&format!("{attempt} RUNNER_NAME=r1"), Some("o/r/42/1/build/r1"));
        check("GITHUB_REPOSITORY=o/r GITHUB_RUN_ID=42", None);
        check("CI_PROJECT_PATH=g/p CI_PIPELINE_ID=3 CI_JOB_ID=", None);
        let gitlab = "CI_PROJECT_PATH=g/p CI_PIPELINE_ID=3 CI_JOB_ID=7";
        check(&format!("{gitlab} JOB_NAME=x BUILD_NUMBER=1"), Some("g/p/3/7"));
        check("JOB_NAME=a/b BUILD_NUMBER=8", Some("a/b/8"));
        let woodpecker = "CI_REPO=o/r CI_PIPELINE_NUMBER=3 CI_WORKFLOW_NAME=test";
        check(&format!("{woodpecker} CI_WORKFLOW_NUMBER=2"), Some("o/r/3/test/2"));
    }

    #[test]
    fn the_docs_name_every_variable() {
        let docs = include_str!("../../docs/jobs.md");
        for (system, names) in SYSTEMS {
            let row = docs.lines().find(|line| {
                line.starts_with("| ")
                    && names.iter().all(|name| line.contains(&format!("`{name}`")))
            });
            assert!(row.is_some_and(|row| row.contains(system)), "{system}: {names:?}");
        }
    }

    #[test]
    fn long_ids_stay_apart() {
        let long = "ü".repeat(1000);
        let [one, two] = ["1", "2"].map(|number| {
            let variables = [("JOB_NAME", long.as_str()), ("BUILD_NUMBER", number)];
            job_from_environment(variables.into_iter()).unwrap().id
        });
        assert_eq!(one.chars().count(), MAX);
        assert_ne!(one, two);
        // Who asks for it may write it whole or as it is shown.
        for text in [&format!("{long}/1"), &one] {
            assert!(Jobs::like(text).has(&one) && !Jobs::like(text).has(&two), "{text}");
        }
    }

    #[test]
    fn a_star_asks_for_several_jobs() {
        let check = |asked: &str, want: &[&str]| {
            let all = ["g/p/3/7", "g/p/3/8", "g/p/31/9", "g/p/*/7"];
            let jobs = Jobs::like(asked);
            let found: Vec<_> = all.into_iter().filter(|id| jobs.has(id)).collect();
            assert_eq!(found, want, "{asked}");
        };
        check("g/p/3/7", &["g/p/3/7"]);
        check("g/p/3/*", &["g/p/3/7", "g/p/3/8"]);
        check("g/p/3", &[]);
        check("g/p/*/7", &["g/p/3/7", "g/p/*/7"]);
        assert!(!Jobs::only("g/p/*/7".to_owned()).has("g/p/3/7"));
        // One that is too long to be kept whole is found as it was written.
        let long = format!("*{}", "x".repeat(1000));
        assert!(Jobs::like(&long).has(&job_id(&long)));
    }
}
