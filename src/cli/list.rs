//! `buildwarden list`: the containers on record.

use super::{Exit, terminal, which_job::WhichJob};
use crate::{
    config::Settings,
    escape,
    oci::Jobs,
    report::{Time, json, model::Verdict, text},
    store::{State, Store, Summary},
};
use anyhow::Context;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use std::path::Path;
use unicode_width::UnicodeWidthStr;

/// List the containers that are or were watched
///
/// The newest come first; times are UTC. What a container is called, its image and its job are as it says itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden list
  buildwarden list --job acme/web/4711/82
  buildwarden list --job 'acme/web/4711/*'
  buildwarden list --json | jq -r '.[] | select(.verdict == \"findings\") | .directory'")]
pub(super) struct Args {
    #[command(flatten)]
    which: WhichJob,
    /// Write an array in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let store = Store::of(&Settings::load(config)?);
    let jobs = args.which.read()?;
    let mut summaries = Vec::new();
    let mut exit = Exit::Success;
    for run in store.runs()? {
        match store.summary(&run) {
            Ok(summary) if jobs.as_ref().is_none_or(|jobs| is_of(&summary, jobs)) => {
                summaries.push(summary);
            }
            Ok(_) => {}
            // One that cannot be read, or was removed meanwhile, must not hide the others.
            Err(error) => {
                terminal::say(&error.to_string());
                exit = Exit::Failure;
            }
        }
    }
    summaries.sort_by_key(|summary| std::cmp::Reverse(summary.started));
    let text = if args.json {
        json::pretty(&summaries).context("list as JSON")?
    } else if let (Some(jobs), []) = (&jobs, &summaries[..]) {
        let shown = escape::visible(jobs.as_str().as_bytes());
        format!("no container of job {shown} is on record here\n")
    } else if summaries.is_empty() {
        "no container is on record here\n".to_owned()
    } else {
        table(&summaries, terminal::width_if_terminal(), now())
    };
    terminal::print(&text)?;
    Ok(exit)
}

/// Whether a run counts under a job, or has run execs of it.
fn is_of(summary: &Summary, jobs: &Jobs) -> bool {
    summary.job.iter().chain(&summary.other_jobs).any(|own| jobs.has(&own.id))
}

fn now() -> Time {
    Time(jiff::Timestamp::now())
}

/// The least width at which every column has room.
const WIDE: usize = 100;

/// The table: broken into lines and with fewer columns where it is narrow, a line each
/// where there is no width to keep to.
fn table(summaries: &[Summary], width: Option<usize>, now: Time) -> String {
    const HEADER: [&str; 7] = ["ID", "VERDICT", "STARTED", "FOR", "NAME", "JOB", "ENGINE"];
    /// Columns to the left that are not broken up to this width.
    const WHOLE: [usize; 4] = [16, 12, 16, 10];
    let narrow = width.is_some_and(|width| width < WIDE);
    let columns = if narrow { HEADER.len() - 1 } else { HEADER.len() };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    let rows = summaries.iter().map(|summary| row(summary, now, narrow));
    let rows: Vec<Vec<String>> = rows.map(|row| row.into_iter().take(columns).collect()).collect();
    table.set_header(&HEADER[..columns]);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if let Some(whole) = WHOLE.get(i) {
            let content = rows.iter().map(|row| row[i].width()).chain([HEADER[i].width()]).max();
            let wants = content.unwrap_or(0).min(*whole) + 2;
            let wants = Width::Fixed(u16::try_from(wants).unwrap_or(u16::MAX));
            column.set_constraint(ColumnConstraint::LowerBoundary(wants));
        }
    }
    table.add_rows(rows);
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn row(summary: &Summary, now: Time, narrow: bool) -> [String; 7] {
    let shown = |text: &str| escape::visible(text.as_bytes()).into_owned();
    let container = &summary.container;
    let name = [&container.name, &container.image].into_iter().flatten();
    let started = summary.started;
    let until = match summary.state {
        State::Running => Some(now),
        _ => summary.finished,
    };
    // 2026-11-23 11:31, in UTC; the year is what a narrow table can do without.
    let minute =
        |time: Time| text::minute(time).get(if narrow { 5.. } else { 0.. }).map(str::to_owned);
    [
        short(&summary.directory),
        verdict(summary),
        started.and_then(minute).unwrap_or_else(|| "?".to_owned()),
        started.zip(until).map_or_else(|| "?".to_owned(), |(from, to)| text::between(from, to)),
        name.map(|text| shown(text)).collect::<Vec<_>>().join(" · "),
        summary.job.as_ref().map_or_else(String::new, |job| shown(&job.id)),
        container.engine.as_deref().map_or_else(String::new, shown),
    ]
}

/// `2 critical, 1 medium` where there are findings, else the verdict or the state.
fn verdict(summary: &Summary) -> String {
    let counts = [(summary.findings.critical, "critical"), (summary.findings.medium, "medium")];
    let found: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, importance)| format!("{count} {importance}"))
        .collect();
    let word = match (summary.verdict, summary.state) {
        (Some(Verdict::Clean), _) => "clean",
        (Some(Verdict::Incomplete), _) => "INCOMPLETE",
        (Some(Verdict::Findings), _) => return found.join(", "),
        (None, State::Unfinished) => "unfinished",
        (None, _) => "running",
    };
    match found.as_slice() {
        [] => word.to_owned(),
        found => format!("{word}: {}", found.join(", ")),
    }
}

/// A long hexadecimal id by its beginning, which is enough for the other verbs; the
/// number of a run stays.
pub(super) fn short(directory: &str) -> String {
    let (id, run) = directory.split_once('.').unwrap_or((directory, ""));
    let long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (id.get(..12).filter(|_| long), run) {
        (Some(short), "") => short.to_owned(),
        (Some(short), run) => format!("{short}.{run}"),
        (None, _) => escape::visible(directory.as_bytes()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        annotation::FindingCounts,
        report::model::{Container, Job},
    };

    #[test]
    fn a_narrow_table_breaks_what_can_be_broken() {
        let summary = |directory: &str, state, verdict, critical| Summary {
            directory: directory.to_owned(),
            state,
            verdict,
            findings: FindingCounts { critical, medium: 0 },
            started: Some(Time::from_unix_ns(0)),
            finished: Some(Time::from_unix_ns(90_000_000_000)),
            container: Container {
                name: Some("web-build\u{202e}".to_owned()),
                image: Some("docker.io/library/node:20-bookworm".to_owned()),
                engine: Some("podman".to_owned()),
                ..Container::default()
            },
            job: Some(Job { id: "4711".to_owned(), source: "annotation".to_owned() }),
            other_jobs: Vec::new(),
        };
        let long = "7f3a".repeat(16);
        let summaries = [
            summary(&long, State::Finished, Some(Verdict::Findings), 2),
            summary(&format!("{long}.3"), State::Running, None, 1),
            summary(&"x".repeat(60), State::Unfinished, None, 0),
        ];
        let now = Time::from_unix_ns(5_000_000_000);
        let narrow = table(&summaries, Some(80), now);
        assert!(narrow.lines().all(|line| line.width() <= 80), "{narrow}");
        let rows = table(&summaries, None, now);
        let want = "\
            ID VERDICT STARTED FOR NAME JOB ENGINE \
            7f3a7f3a7f3a 2 critical 1970-01-01 00:00 1 min 30 s \
            web-build\\u{202e} · docker.io/library/node:20-bookworm 4711 podman";
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let got: Vec<_> = rows.lines().take(2).collect();
        assert_eq!(squeeze(&got.join("\n")), want);
        assert_eq!(rows.lines().count(), 4);
    }
}
