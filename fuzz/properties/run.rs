//! What holds for the verification of a run: its report, event file, log and envelope, as
//! they may have been left by anybody.

use buildwarden::verify::{Files, verify};
use std::{fs::File, io::Write as _};

/// Problems that are named; the rest is counted.
const MOST: usize = 100;

pub(crate) fn check(data: &[u8]) {
    let [report, events, log, signed] = super::parts(data);
    let there = |part: &[u8]| (!part.is_empty()).then(|| part.to_vec());
    let files = || Files {
        report: there(report),
        events: there(events).map(|content| file(&content)),
        log: there(log).map(|content| file(&content)),
        signed: there(signed),
    };
    let found = verify(&files(), None, None).expect("files that can be read");
    assert_eq!(found.verified, found.problems.is_empty());
    assert!(found.problems.len() <= MOST && found.notes.len() <= MOST);
    for problem in &found.problems {
        super::check_shown(problem.file, &problem.problem);
        assert!(problem.first_line <= problem.line);
    }
    for note in &found.notes {
        super::check_shown("a note", note);
    }
    assert_eq!(verify(&files(), None, None).expect("files that can be read"), found);
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content).expect("a file that takes it");
    file
}
