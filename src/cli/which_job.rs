//! `--job` and `--this-job`: the jobs that a verb is about.

use crate::oci::{self, Jobs};
use anyhow::anyhow;

#[derive(Debug, clap::Args)]
#[group(id = "jobs", multiple = false)]
pub(super) struct WhichJob {
    /// The containers and build steps of the job with exactly this id, as `buildwarden list` shows
    /// it; `*` stands for any text, as in 'acme/web/4711/*' for all jobs of a pipeline
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// The same of the job that the CI system's variables name in this command's own environment
    #[arg(long)]
    this_job: bool,
}

impl WhichJob {
    /// The jobs that are asked for, if any are.
    pub(super) fn read(&self) -> anyhow::Result<Option<Jobs>> {
        match &self.job {
            Some(job) => Ok(Some(Jobs::like(job))),
            None if self.this_job => this_job().map(Some),
            None => Ok(None),
        }
    }
}

fn this_job() -> anyhow::Result<Jobs> {
    // What is no text is no id.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables: Vec<(String, String)> = variables.collect();
    let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    oci::job_from_environment(pairs).map(|job| Jobs::only(job.id)).ok_or_else(|| {
        let systems =
            oci::job_variables().map(|(system, names)| format!("{} ({system})", names.join(", ")));
        anyhow!(
            "--this-job: the environment names no job: say it with --job, or set all variables of \
             one of these systems: {}",
            systems.collect::<Vec<_>>().join("; ")
        )
    })
}
