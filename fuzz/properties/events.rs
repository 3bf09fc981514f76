//! What holds for an event file.

use buildwarden::{
    chain::Chain,
    event::{Exec, Exit, Flags, Gap},
    execlog::{
        Batch, Beside, ExecLine, ExitLine, Line, Sequences, last_sequence, push_drained, push_exec,
        push_exit, push_gap,
    },
    report::Bytes,
};
use std::collections::BTreeSet;

pub(crate) fn check(data: &[u8]) {
    let mut seen = Sequences::default();
    let mut numbers = BTreeSet::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(line) = Line::parse(line) else { continue };
        if let Line::Exec(exec) = &line {
            assert_eq!(seen.contains(exec.exec), numbers.contains(&exec.exec));
            assert_eq!(seen.insert(exec.exec), numbers.insert(exec.exec));
        }
        check_line(line);
    }
    assert_eq!(seen.count(), numbers.len() as u64);
    assert_eq!(seen.last(), numbers.last().copied().unwrap_or(0));
    if let Some(number) = last_sequence(data) {
        // However it is spelled, it stands there.
        let digits = number.to_string();
        assert!(data.windows(digits.len()).any(|window| window == digits.as_bytes()));
    }
}

/// What was read is read again from what is written of it.
pub(crate) fn check_line(line: Line) {
    let mut out = Vec::new();
    let want = match line {
        Line::Exec(exec) => {
            let want = normal(*exec);
            out = written(&want);
            Line::Exec(want.into())
        }
        Line::Exit(exit) => {
            // An exec names the process better.
            let (pid, age) = if exit.exit.is_some() { (0, 0) } else { (exit.pid, exit.age) };
            let want = ExitLine { pid, age, ..exit };
            let (time, process) = (want.t.cast_unsigned(), want.process(0));
            push_exit(&mut out, &Exit { time, process, status: want.status }, want.exit, 0);
            Line::Exit(want)
        }
        Line::Gap(gap) => {
            push_gap(&mut out, &Gap { execs: gap.execs, exits: gap.exits });
            Line::Gap(gap)
        }
        Line::Drained(position) => {
            push_drained(&mut out, position, &mut Chain::default());
            Line::Drained(position)
        }
    };
    assert_eq!(Line::parse(&out).expect("a line of ours"), want, "{}", out.escape_ascii());
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
}

/// As it is written: what this version does not know is left out, and so is what says
/// nothing.
fn normal(mut exec: ExecLine) -> ExecLine {
    exec.flags = flags(&exec.flags).names().map(str::to_owned).collect();
    exec.name = exec.name.filter(|name| *name != exec.path);
    exec.cpid = exec.cpid.filter(|cpid| *cpid != exec.pid);
    let name = exec.name().clone();
    exec.argv = exec.argv.filter(|argv| *argv != [name]);
    exec.argv_len = 0;
    exec.status = exec.ran.map_or(0, |_| exec.status);
    exec
}

fn flags(names: &[String]) -> Flags {
    let known = Flags::NAMES.into_iter().filter(|(_, name)| names.iter().any(|has| has == name));
    known.fold(Flags::default(), |flags, (flag, _)| flags.with(flag))
}

/// The line, and its end, where it has one.
fn written(line: &ExecLine) -> Vec<u8> {
    let exec = Exec {
        sequence: line.exec,
        time: line.t.cast_unsigned(),
        process: line.process(0),
        container_pid: line.container_pid(),
        uid: line.uid,
        path: &line.path,
        name: line.name(),
        flags: flags(&line.flags),
        ..Exec::default()
    };
    let argv = line.argv().iter().map(Bytes::as_bytes);
    let beside = Beside { began: 0, by: line.by, finding: line.finding, argv_kept: usize::MAX };
    let mut batch = Batch::default();
    batch.exec(&exec, argv, beside);
    if let Some(end) = line.end() {
        let (time, process) = (end.t.cast_unsigned(), exec.process);
        batch.exit(&Exit { time, process, status: end.status }, None, 0);
    }
    let lines = batch.seal(0, &mut Chain::default());
    let end = lines.iter().position(|byte| *byte == b'\n').expect("a line");
    lines[..=end].to_vec()
}

/// An exec and what its line says of it.
pub(crate) fn check_exec(exec: &Exec<'_>) {
    for began in [0, exec.time, u64::MAX] {
        let mut out = Vec::new();
        let by = Some(exec.sequence);
        let beside = Beside { began, by, finding: None, argv_kept: usize::MAX };
        push_exec(&mut out, exec, exec.argv.iter(), beside);
        let Ok(Line::Exec(line)) = Line::parse(&out) else {
            panic!("no exec: {}", out.escape_ascii());
        };
        assert_eq!(line.process(began), exec.process);
        assert_eq!(began.wrapping_add_signed(line.t), exec.time);
        assert_eq!((line.exec, line.by), (exec.sequence, by));
        assert_eq!(line.container_pid(), exec.container_pid);
        assert_eq!(line.path.as_bytes(), exec.path);
        assert_eq!(line.name().as_bytes(), exec.name);
        assert!(line.argv().iter().map(Bytes::as_bytes).eq(exec.argv.iter()));
        assert!(line.flags.iter().map(String::as_str).eq(exec.flags.names()));
        check_line(Line::Exec(line));
    }
}

/// An exit and what its line says of it.
pub(crate) fn check_exit(exit: &Exit) {
    for (began, last) in [(0, None), (exit.time, Some(0)), (u64::MAX, Some(u64::MAX))] {
        let mut out = Vec::new();
        push_exit(&mut out, exit, last, began);
        let Ok(Line::Exit(line)) = Line::parse(&out) else {
            panic!("no exit: {}", out.escape_ascii());
        };
        assert_eq!(began.wrapping_add_signed(line.t), exit.time);
        assert_eq!((line.exit, line.status), (last, exit.status));
        assert!(last.is_some() || line.process(began) == exit.process);
    }
}
