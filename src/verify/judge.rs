//! Judging again, as far as the event file allows: what was redacted or cut was judged
//! whole at the time, and cannot be now.

use super::{Judged, Verification, events::Known, log::Recorded};
use crate::{
    collect::{Rules, file::EXECS},
    detect,
    event::{Argv, Exec, Flags},
    execlog::ExecLine,
    report::{
        Time,
        model::{Importance, Report},
    },
};
use std::collections::BTreeMap;

/// What stands where a secret was.
const REDACTED: &[u8] = b"[redacted:";

pub(super) struct Judge<'a> {
    rules: Option<&'a Rules>,
    recorded: &'a Recorded,
    counts: Judged,
    argv: Vec<u8>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        report: Option<&Report>,
        recorded: &'a Recorded,
        rules: Option<&'a Rules>,
    ) -> Judge<'a> {
        let judged = report.and_then(|report| report.rules.as_ref());
        let same_rules = rules.is_some_and(|rules| judged == Some(&rules.digest));
        let counts = Judged { same_rules, ..Judged::default() };
        Judge { rules, recorded, counts, argv: Vec::new() }
    }

    /// Judges the exec of a line, if it can be. `omitted`: findings may be on no record
    /// because there were too many.
    pub(super) fn again(
        &mut self,
        line: u64,
        exec: &ExecLine,
        time: Time,
        known: Option<&Known<'_>>,
        omitted: bool,
        found: &mut Verification,
    ) {
        let Some(rules) = self.rules else { return };
        let secret = |argument: &[u8]| memchr::memmem::find(argument, REDACTED).is_some();
        if exec.argv_len != 0
            || ["truncated", "unreadable", "path_truncated"].iter().any(|flag| exec.has_flag(flag))
        {
            self.counts.cut += 1;
            return;
        }
        let argv = exec.argv();
        if argv.iter().any(|argument| secret(argument)) {
            self.counts.redacted += 1;
            return;
        }
        self.counts.again += 1;
        self.argv.clear();
        for argument in argv {
            self.argv.extend_from_slice(argument);
            self.argv.push(0);
        }
        let flags = Flags::NAMES.into_iter().filter(|(_, name)| exec.has_flag(name));
        let event = Exec {
            sequence: exec.exec,
            container_pid: exec.container_pid(),
            uid: exec.uid,
            path: &exec.path,
            name: exec.name(),
            argv: Argv(&self.argv),
            argv_len: self.argv.len() as u64,
            flags: flags.fold(Flags::default(), |all, (flag, _)| all.with(flag)),
            ..Exec::default()
        };
        let context = detect::Context { now: time.0, job: self.recorded.job_at(exec.exec) };
        let judgement = rules.detector.judge(&event, &context);
        let mut now: BTreeMap<&str, Option<Importance>> = BTreeMap::new();
        for finding in &judgement.findings {
            now.insert(&finding.recipe, Some(finding.importance.into()));
        }
        for allowed in &judgement.allowed {
            now.entry(&allowed.recipe).or_default();
        }
        let mut then: BTreeMap<&str, Option<Importance>> = BTreeMap::new();
        for (recipe, importance) in known.iter().flat_map(|known| &known.recipes) {
            let entry = then.entry(recipe).or_default();
            *entry = (*entry).max(*importance);
        }
        if now == then || (omitted && then.is_empty()) {
            return;
        }
        let problem = format!(
            "judged again, exec {} is {}; recorded is {}",
            exec.exec,
            in_words(&now),
            in_words(&then)
        );
        if self.counts.same_rules {
            found.problem(EXECS, Some(line), problem);
        } else {
            let why = "the recipes or the policy at hand may not be those that judged then";
            found.note(format!("{EXECS} line {line}: {problem}: {why}"));
        }
    }

    pub(super) fn end(&self, found: &mut Verification) {
        found.judged = self.counts;
        if self.rules.is_some() && !self.counts.same_rules {
            found.note(
                "the report does not say that it was judged by the recipes and the policy at \
                 hand: judged again differently is noted, not counted as a problem",
            );
        }
    }
}

/// Recipes that matched.
fn in_words(recipes: &BTreeMap<&str, Option<Importance>>) -> String {
    if recipes.is_empty() {
        return "no finding".to_owned();
    }
    let words: Vec<String> = recipes
        .iter()
        .map(|(recipe, importance)| {
            let what = importance.map_or("allowed", Importance::as_str);
            format!("{what} by {}", super::shown(recipe))
        })
        .collect();
    words.join(", ")
}
