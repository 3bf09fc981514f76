//! From what a person types to one run.

use super::{Run, Store, StoreError};
use crate::oci::{could_be_a_run, split_run};
use std::collections::BTreeMap;

/// How many ids an error names.
const NAMED: usize = 8;

impl Store {
    /// The run that `wanted` means: an id, the beginning of one container's id, or
    /// either with `.<n>` for that run of it. Without a number, the last run.
    ///
    /// # Errors
    /// When it means none or several; the error names whom it may mean.
    pub fn find(&self, wanted: &str) -> Result<Run, StoreError> {
        if !could_be_a_run(wanted) {
            return Err(StoreError::NotAnId(wanted.to_owned()));
        }
        let numbered = split_run(wanted);
        let prefix = numbered.map_or(wanted, |(id, _)| id);
        let mut containers: BTreeMap<String, BTreeMap<u32, Run>> = BTreeMap::new();
        for run in self.runs()?.into_iter().filter(|run| run.name().starts_with(prefix)) {
            let (id, number) = run.identity();
            containers.entry(id).or_default().insert(number, run);
        }
        // An id may itself end in a number: what is typed whole goes before a run.
        let (runs, number) = match (one(&containers, wanted), numbered) {
            (Ok((_, runs)), _) => (runs, None),
            (Err(error @ StoreError::Unknown { .. }), None) => return Err(self.unknown(error)),
            (Err(error), None) => return Err(error),
            (Err(error), Some((id, number))) => match one(&containers, id) {
                Ok((_, runs)) => (runs, Some(number)),
                Err(StoreError::Unknown { .. }) => return Err(self.unknown(error)),
                Err(error) => return Err(error),
            },
        };
        let last = runs.last_key_value().map_or(0, |(last, _)| *last);
        let number = number.unwrap_or(last);
        runs.get(&number).cloned().ok_or_else(|| StoreError::NoSuchRun {
            id: prefix.to_owned(),
            number,
            last,
        })
    }

    /// The error with some ids that there are.
    fn unknown(&self, error: StoreError) -> StoreError {
        match (error, self.runs()) {
            (StoreError::Unknown { wanted, .. }, Ok(runs)) => {
                let known = runs.iter().take(NAMED).map(|run| run.name().to_owned()).collect();
                StoreError::Unknown { wanted, known }
            }
            (error, _) => error,
        }
    }
}

type Runs = BTreeMap<u32, Run>;

/// The one container that has this id, or whose id begins so.
fn one<'a>(
    containers: &'a BTreeMap<String, Runs>,
    wanted: &str,
) -> Result<(&'a String, &'a Runs), StoreError> {
    if let Some(exactly) = containers.get_key_value(wanted) {
        return Ok(exactly);
    }
    let wanted = wanted.to_owned();
    let mut beginning = containers.iter().filter(|(id, _)| id.starts_with(&wanted));
    match (beginning.next(), beginning.next()) {
        (None, _) => Err(StoreError::Unknown { wanted, known: Vec::new() }),
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let mut ids = containers.keys().filter(|id| id.starts_with(&wanted));
            let mut candidates: Vec<String> = ids.by_ref().take(NAMED).cloned().collect();
            if let more @ 1.. = ids.count() {
                candidates.push(format!("and {more} more"));
            }
            Err(StoreError::Ambiguous { wanted, candidates })
        }
    }
}
