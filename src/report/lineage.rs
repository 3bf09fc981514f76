//! Who started what a finding is about, as far as it is shown.

use super::{
    model::{Ancestor, Finding},
    text::words,
};
use crate::event::base_name;

/// How many ancestors are shown.
const MOST: usize = 12;

/// What stands above the exec itself, and under one another.
#[derive(Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// What it begins with where it does not go back to the entrypoint.
    Unseen(&'static str),
    Ancestor(&'a Ancestor),
    /// How many stand there and are not shown.
    LeftOut(u64),
}

/// From the entrypoint down, without the exec itself. Of many, the entrypoint and the
/// nearest are shown.
pub(super) fn steps(finding: &Finding) -> Vec<Step<'_>> {
    let ancestry = &finding.ancestry;
    let mut steps: Vec<Step<'_>> = unseen(finding).map(Step::Unseen).into_iter().collect();
    let nearest = match ancestry.len() {
        0..=MOST => ancestry.len(),
        _ => MOST - 1,
    };
    let (nearest, above) = ancestry.split_at(nearest);
    if let [left_out @ .., oldest] = above {
        steps.extend([Step::Ancestor(oldest), Step::LeftOut(left_out.len() as u64)]);
    }
    steps.extend(nearest.iter().rev().map(Step::Ancestor));
    steps
}

fn unseen(finding: &Finding) -> Option<&'static str> {
    match finding.ancestry.last() {
        Some(oldest) if oldest.sequence == Some(1) => None,
        None if finding.exec.sequence == 1 => None,
        _ => Some("(not seen: something from outside of the container, such as `podman exec`)"),
    }
}

/// `(3 processes not shown)`
pub(super) fn left_out(count: u64) -> String {
    format!("({} not shown)", words::count(count, "process", "processes"))
}

/// What an ancestor executed: its arguments, or its file when it had none; a sentence
/// where neither was seen.
pub(super) fn executed(ancestor: &Ancestor) -> Result<Vec<&[u8]>, String> {
    match ancestor.argv.as_slice() {
        [] if ancestor.path.is_empty() => {
            Err(format!("process {} (what it executed was not seen)", ancestor.pid))
        }
        [] => Ok(vec![ancestor.path.as_bytes()]),
        argv => Ok(argv.iter().map(|argument| argument.as_bytes()).collect()),
    }
}

/// Whether `argv[0]` is not the name of the file. Shells and applets are called by
/// many names on every system; to say so each time would help nobody.
pub(super) fn is_renamed(ancestor: &Ancestor) -> bool {
    const OF_MANY_NAMES: [&[u8]; 7] =
        [b"dash", b"bash", b"ash", b"busybox", b"toybox", b"coreutils", b"env"];
    let Some(called) = ancestor.argv.first().map(|name| base_name(name)) else { return false };
    let file = base_name(&ancestor.path);
    let called = called.strip_prefix(b"-").unwrap_or(called);
    !file.is_empty() && called != file && !OF_MANY_NAMES.contains(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    #[test]
    fn of_many_the_ends_are_shown() {
        let text = include_bytes!("../../tests/fixtures/one-finding.json");
        let found = json::parse(text).unwrap().findings.remove(0);
        // Ancestors by their sequence numbers, the nearest first.
        let check = |ancestors: &[u64], exec, want: &str| {
            let of = |sequence: &u64| Ancestor {
                sequence: Some(*sequence),
                ..found.ancestry[0].clone()
            };
            let ancestry = ancestors.iter().map(of).collect();
            let mut finding = Finding { ancestry, ..found.clone() };
            finding.exec.sequence = exec;
            let steps = steps(&finding).into_iter().map(|step| match step {
                Step::Unseen(_) => "unseen".to_owned(),
                Step::Ancestor(ancestor) => ancestor.sequence.unwrap().to_string(),
                Step::LeftOut(count) => left_out(count),
            });
            assert_eq!(steps.collect::<Vec<_>>().join(" "), want, "{ancestors:?}");
        };
        let down_to_1 = |from: u64| (1..=from).rev().collect::<Vec<_>>();
        check(&[], 1, "");
        check(&[], 9, "unseen");
        check(&[8, 7], 9, "unseen 7 8");
        check(&down_to_1(2), 3, "1 2");
        check(&down_to_1(12), 13, "1 2 3 4 5 6 7 8 9 10 11 12");
        check(&down_to_1(13), 14, "1 (1 process not shown) 3 4 5 6 7 8 9 10 11 12 13");
        check(&down_to_1(20), 21, "1 (8 processes not shown) 10 11 12 13 14 15 16 17 18 19 20");
    }
}
