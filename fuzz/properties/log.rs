//! What holds for an annotation log.

use buildwarden::{
    annotation::{Entry, Key, Line, Tail, is_finished},
    chain::Chain,
    report::{
        Bytes, json,
        text::{self, Layout},
    },
};
use std::{fs::File, io::Write as _};

const LAYOUT: Layout = Layout { width: 80, colour: false };

pub(crate) fn check(data: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(data).expect("a file that takes it");
    let mut tail = Tail::new(file.try_clone().expect("a descriptor"));
    let mut chain = Chain::default();
    let (mut whole, mut last) = (Vec::new(), None);
    while let Some(line) = tail.next_line().expect("a file that can be read") {
        chain.line(line);
        whole.extend(line);
        whole.push(b'\n');
        last = Some(line.to_vec());
        if let Ok(line) = Line::parse(line) {
            check_line(&line);
        }
    }
    assert_eq!(tail.position(), whole.len() as u64);
    assert!(data.starts_with(&whole) && data[whole.len()..] == *tail.torn());
    assert_eq!(tail.is_torn(), whole.len() < data.len());
    let own = Tail::new(reopened(&file)).chain().expect("a file that can be read");
    assert_eq!(own.last(), chain.last());
    // Of a log that was torn, nothing is the end.
    let ends =
        last.and_then(|last| Line::parse(&last).ok()).is_some_and(|l| l.key == Key::Finished);
    assert_eq!(is_finished(&file).expect("a file that can be read"), ends && !tail.is_torn());
}

fn reopened(file: &File) -> File {
    file.try_clone().expect("a descriptor")
}

fn check_line(line: &Line) {
    let written = json::line(line).expect("a line that can be written");
    super::check_shown("a line", &written);
    let again = Line::parse(written.as_bytes()).expect("a line of ours");
    assert_eq!(
        (&again.time, &again.container, &again.key),
        (&line.time, &line.container, &line.key)
    );
    assert_eq!(again.value, line.value);
    assert_eq!(Key::from(line.key.to_string().as_str()), line.key);
    let Ok(entry) = line.entry() else { return };
    let shown = match &entry {
        Entry::Attached(attached) => {
            text::live_start(line.time, &attached.container, attached.job.as_ref(), LAYOUT)
        }
        Entry::Job(named) => text::live_job(1.5, &named.job, named.taken, LAYOUT),
        Entry::Finding(finding) => {
            let argv: &[Bytes] = &finding.exec.argv;
            text::live_finding(1.5, finding, LAYOUT)
                + &text::live_exec(1.5, finding.exec.pid, argv, LAYOUT)
        }
        Entry::Allowed(allowed) => text::live_allowed(1.5, allowed, LAYOUT),
        Entry::Gap(gap) => text::live_gap(1.5, gap.execs, gap.exits, LAYOUT),
        Entry::Finished(finished) => {
            text::live_end(1.5, finished.verdict, &finished.reasons, LAYOUT)
        }
        Entry::Other => String::new(),
    };
    super::check_shown("watch", &shown);
}
