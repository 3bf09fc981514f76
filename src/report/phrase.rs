//! What several formats say of a report in the same words: text without styles, every
//! hidden character of it written out, none of it longer than a few thousand bytes.

use super::{
    lineage::{self, Step},
    model::{Allowed, Completeness, Finding, Importance, Report, Verdict},
    text::{
        command, finding,
        page::{Ink, Piece},
        summary, words,
    },
};

/// How many sentences there are on what was not seen of a container.
pub(super) const SHORTCOMINGS: usize = 20;

pub(super) fn plain(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// What a finding is about, in a few words: `wget → 198.51.100.7`.
pub fn headline(found: &Finding) -> String {
    plain(&finding::title(found))
}

/// `ping → 10.0.0.53`
pub(super) fn allowed_headline(found: &Allowed) -> String {
    let Allowed { tool, addresses, addresses_omitted, shells, .. } = found;
    plain(&finding::headline(tool, addresses, *addresses_omitted, shells, Ink::Plain))
}

/// The command line as a shell would be given it, cut down where it is long.
pub(super) fn command(found: &Finding) -> String {
    let marks = finding::marks(&found.addresses, &found.shells, &found.exec);
    command::line(&finding::argv(&found.exec), &marks)
}

/// `8.8.8.8 stands as URL host: globally routable`, for a few of the addresses.
pub(super) fn places(found: &Finding) -> Vec<String> {
    const MOST: usize = 8;
    let mut places: Vec<String> = found
        .addresses
        .iter()
        .take(MOST)
        .map(|address| plain(&finding::place(address, Ink::Plain)))
        .collect();
    let beyond = found.addresses.len().saturating_sub(MOST) as u64;
    if let beyond @ 1.. = beyond.saturating_add(found.addresses_omitted) {
        places.push(format!("and {}", words::count(beyond, "more address", "more addresses")));
    }
    for shell in found.shells.iter().take(MOST) {
        let text = command::one_line([shell.text.as_bytes()], 120);
        places.push(format!("{text} stands as {}", words::name(&shell.role)));
    }
    places
}

/// Who started it: the entrypoint first, the exec itself last; of many the ends.
pub(super) fn lineage(found: &Finding) -> Vec<String> {
    const WIDTH: usize = 120;
    let step = |step| match step {
        Step::Unseen(text) => text.to_owned(),
        Step::LeftOut(count) => lineage::left_out(count),
        Step::Ancestor(ancestor) => lineage::executed(ancestor)
            .map_or_else(|text| text, |argv| command::one_line(argv, WIDTH)),
    };
    let mut lines: Vec<String> = lineage::steps(found).into_iter().map(step).collect();
    lines.push(command::one_line(finding::argv(&found.exec), WIDTH));
    lines
}

/// `1 critical, 2 medium`; what else a verdict says.
pub(super) fn summary(report: &Report) -> String {
    match report.verdict_of_facts() {
        Verdict::Clean => summary::NOTHING.to_owned(),
        Verdict::Incomplete => summary::NOT_EVERYTHING.to_owned(),
        Verdict::Findings => plain(&summary::counts_of(report)),
    }
}

/// What is missing, a sentence each, not too many and not too long.
pub(super) fn shortcomings(completeness: &Completeness) -> Vec<String> {
    let found = completeness.shortcomings();
    found.iter().take(SHORTCOMINGS).map(|line| words::sentence(line)).collect()
}

/// Who the container is: `web-build, 7f3a9c1e5b2d, from node:20, through podman`.
pub(super) fn container(report: &Report) -> String {
    summary::container(&report.container)
}

/// The word in capitals.
pub(super) fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Critical => "CRITICAL",
        Importance::Medium => "MEDIUM",
    }
}
