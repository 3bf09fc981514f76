//! `buildwarden list`: the containers on record.

use super::{Exit, terminal};
use crate::{
    config::Settings,
    escape,
    report::{Time, json, model::Verdict, text},
    store::{State, Store, Summary},
};
use anyhow::Context;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::path::Path;

/// List the containers that are or were watched
///
/// The newest come first. What a container is called, its image and its job are as it says itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  buildwarden list
  buildwarden list --json | jq -r '.[] | select(.verdict == \"findings\") | .directory'")]
pub(super) struct Args {
    /// Write an array in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<Exit> {
    let store = Store::of(&Settings::load(config)?);
    let mut summaries = Vec::new();
    let mut exit = Exit::Success;
    for run in store.runs()? {
        match store.summary(&run) {
            Ok(summary) => summaries.push(summary),
            // One that cannot be read, or was removed meanwhile, must not hide the others.
            Err(error) => {
                anstream::eprintln!("buildwarden: {error}");
                exit = Exit::Failure;
            }
        }
    }
    summaries.sort_by(|a, b| b.started.cmp(&a.started));
    let text = if args.json {
        json::pretty(&summaries).context("list as JSON")?
    } else if summaries.is_empty() {
        "no container is on record here\n".to_owned()
    } else {
        table(&summaries, terminal::width(), now())
    };
    terminal::print(&text)?;
    Ok(exit)
}

fn now() -> Time {
    Time(jiff::Timestamp::now())
}

fn table(summaries: &[Summary], width: usize, now: Time) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(["ID", "NAME", "JOB", "ENGINE", "STARTED", "FOR", "VERDICT", "FINDINGS"]);
    for summary in summaries {
        table.add_row(row(summary, now));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_cell_alignment(CellAlignment::Left);
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    text.shrink_to_fit();
    text
}

fn row(summary: &Summary, now: Time) -> [String; 8] {
    let shown = |text: &str| escape::visible(text.as_bytes()).into_owned();
    let container = &summary.container;
    let until = summary.finished.unwrap_or(now);
    let verdict = match (summary.verdict, summary.state) {
        (Some(Verdict::Findings), _) => "FINDINGS",
        (Some(Verdict::Incomplete), _) => "INCOMPLETE",
        (Some(Verdict::Clean), _) => "clean",
        (None, State::Unfinished) => "unfinished",
        (None, _) => "running",
    };
    let name = [&container.name, &container.image].into_iter().flatten();
    let mut findings = Vec::new();
    for (count, importance) in
        [(summary.findings.critical, "critical"), (summary.findings.medium, "medium")]
    {
        if count > 0 {
            findings.push(format!("{count} {importance}"));
        }
    }
    let started = summary.started;
    [
        short(&summary.directory),
        name.map(|text| shown(text)).collect::<Vec<_>>().join("\n"),
        summary.job.as_ref().map_or_else(String::new, |job| shown(&job.id)),
        container.engine.as_deref().map_or_else(String::new, shown),
        started.map_or_else(|| "?".to_owned(), |time| text::moment(time).replace(" UTC", "")),
        match summary.state {
            State::Unfinished => "?".to_owned(),
            _ => started.map_or_else(String::new, |time| text::between(time, until)),
        },
        verdict.to_owned(),
        if findings.is_empty() { "-".to_owned() } else { findings.join(", ") },
    ]
}

/// A long hexadecimal id by its beginning, which is enough for the other verbs; the
/// number of a run stays.
fn short(directory: &str) -> String {
    let (id, run) = directory.split_once('.').unwrap_or((directory, ""));
    let long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (id.get(..12).filter(|_| long), run) {
        (Some(short), "") => short.to_owned(),
        (Some(short), run) => format!("{short}.{run}"),
        (None, _) => escape::visible(directory.as_bytes()).into_owned(),
    }
}
