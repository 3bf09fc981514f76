use super::*;
use crate::chain::Chain;
use crate::event::{Argv, Exec, Exit, Gap};

#[test]
fn the_last_exec_is_found_from_the_end() {
    let cases: [(&str, Option<u64>); 6] = [
        ("", None),
        ("{\"buildwarden\":\"execs\"}\n", None),
        ("{}\n{\"exec\":1,\"t\":5}\n{\"exec\":2,\"t\":6}\n{\"exit\":3}\n", Some(2)),
        ("torn\",\"argv\":[]}\n{\"exec\":17,", Some(17)),
        // An argument that imitates a line.
        ("\n{\"exec\":7,\"argv\":[\"\\n{\\\"exec\\\":99\"]}\n", Some(7)),
        ("\n{\"exec\":", None),
    ];
    for (text, want) in cases {
        assert_eq!(last_sequence(text.as_bytes()), want, "{text}");
    }
}

const BESIDE: Beside = Beside { began: 8, by: None, finding: None, argv_kept: ARGV_LEAST };

#[track_caller]
fn exec_line(exec: &Exec<'_>, beside: Beside) -> (String, ExecLine) {
    let mut out = Vec::new();
    push_exec(&mut out, exec, exec.argv.iter(), beside);
    let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
    (String::from_utf8(out).unwrap(), *line)
}

#[test]
fn lines_are_read_as_they_were_written() {
    let exec = Exec {
        sequence: 3,
        time: 9,
        process: ProcessId { pid: 7, start: 5 },
        path: b"/bin/sh",
        name: b"./\xff",
        argv: Argv(b"sh\0\0\"\n\0"),
        flags: Flags::SCRIPT.with(Flags::MEMFD),
        ..Exec::default()
    };
    let finding = Some(Importance::Medium);
    let (_, line) = exec_line(&exec, Beside { by: Some(2), finding, ..BESIDE });
    let want = ExecLine {
        exec: 3,
        t: 1,
        pid: 7,
        age: 4,
        cpid: Some(0),
        by: Some(2),
        path: "/bin/sh".into(),
        name: Some(b"./\xff"[..].into()),
        argv: Some(vec!["sh".into(), "".into(), "\"\n".into()]),
        flags: flag_names(exec.flags),
        finding,
        ..ExecLine::default()
    };
    assert_eq!(line, want);
    assert_eq!(line.process(8), exec.process);

    let mut out = Vec::new();
    let exit = Exit { time: 11, process: exec.process, status: 256 };
    push_exit(&mut out, &exit, Some(3), 8);
    push_exit(&mut out, &exit, None, 8);
    push_gap(&mut out, &Gap { execs: 1, exits: 2 });
    push_drained(&mut out, 4096, &mut Chain::default());
    let lines: Vec<Line> =
        out.split_inclusive(|byte| *byte == b'\n').map(|line| Line::parse(line).unwrap()).collect();
    let named = ExitLine { exit: Some(3), t: 3, pid: 0, age: 0, status: 256 };
    let unknown = ExitLine { exit: None, pid: 7, age: 6, ..named };
    assert_eq!(lines[0], Line::Exit(named));
    assert_eq!(lines[1], Line::Exit(unknown));
    assert_eq!(unknown.process(8), exit.process);
    assert_eq!(lines[2], Line::Gap(GapLine { execs: 1, exits: 2 }));
    assert_eq!(lines[3], Line::Drained(4096));
}

#[test]
fn an_end_in_the_same_batch_is_in_the_line_of_the_last_exec() {
    let mut batch = Batch::default();
    let mut chain = Chain::default();
    let id = |pid| ProcessId { pid, start: 1 };
    let exec = |batch: &mut Batch, sequence, pid| {
        let (process, time) = (id(pid), 10 * sequence);
        let exec = Exec { sequence, time, process, path: b"/x", ..Exec::default() };
        batch.exec(&exec, [].into_iter(), BESIDE);
    };
    let exit = |pid, status| Exit { time: 100, process: id(pid), status };
    exec(&mut batch, 1, 7);
    exec(&mut batch, 2, 8);
    exec(&mut batch, 3, 7);
    batch.exit(&exit(7, 0), Some(3), 8);
    batch.exit(&exit(8, 9), Some(2), 8);
    exec(&mut batch, 4, 9);
    let first = batch.seal(64, &mut chain).to_vec();
    batch.exit(&exit(9, 256), Some(4), 8);
    batch.gap(&Gap { execs: 1, exits: 0 });
    let file = [&first[..], batch.seal(96, &mut chain)].concat();

    let mut read = Chain::default();
    let mut ends = Vec::new();
    for line in file.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n') {
        assert_ne!(read.line(line), crate::chain::Link::Broken);
        match Line::parse(line).unwrap() {
            Line::Exec(line) => ends.extend(line.end()),
            Line::Exit(line) => ends.push(line),
            Line::Gap(_) | Line::Drained(_) => {}
        }
    }
    let ends: Vec<_> = ends.iter().map(|end| (end.exit, end.t, end.status)).collect();
    assert_eq!(ends, [(Some(2), 92, 9), (Some(3), 92, 0), (Some(4), 92, 256)]);
    assert_eq!(read.last(), chain.last());
}

#[test]
fn what_says_nothing_is_left_out() {
    let exec = Exec {
        sequence: 1,
        time: 9,
        process: ProcessId { pid: 7, start: 5 },
        container_pid: 7,
        path: b"/bin/true",
        name: b"/bin/true",
        ..Exec::default()
    };
    // The name, argv; what is written of them.
    let cases: [(&[u8], &[u8], &str); 5] = [
        (b"/bin/true", b"/bin/true\0", ""),
        (b"true", b"true\0", r#","name":"true""#),
        (b"/bin/true", b"true\0", r#","argv":["true"]"#),
        (b"/bin/true", b"/bin/true\0\0", r#","argv":["/bin/true",""]"#),
        (b"/bin/true", b"", r#","argv":[]"#),
    ];
    for (name, argv, want) in cases {
        let exec = Exec { name, argv: Argv(argv), ..exec };
        let (text, line) = exec_line(&exec, BESIDE);
        let start = r#"{"exec":1,"t":1,"pid":7,"age":4,"path":"/bin/true""#;
        assert_eq!(text, format!("{start}{want}}}\n"));
        assert_eq!((&**line.name(), line.container_pid()), (name, 7));
        let read: Vec<&[u8]> = line.argv().iter().map(Bytes::as_bytes).collect();
        assert_eq!(read, exec.argv.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_header_of_another_version_is_named() {
    let header = Header::new("c", 2, 1_700_000_000_000_000_000, 1_500_000_000);
    let mut out = Vec::new();
    push_header(&mut out, &header);
    assert_eq!(Header::parse(&out), Ok(header.clone()));
    assert_eq!(header.began.to_string(), "2023-11-14T22:13:21.500000000Z");
    assert_eq!(header.began_since_boot(), 1_500_000_000);
    let first =
        r#"{"buildwarden":"execs","version":1,"container":"c","run":1,"boot_to_unix_ns":5}"#;
    let error = Header::parse(first.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is an event file of version 1, and expected is version 2: read it with the program \
         that wrote it"
    );
    for line in ["", "{}", "{\"buildwarden\":\"execs\",\"version\":2}", "{\"exec\":1}"] {
        assert_eq!(Header::parse(line.as_bytes()), Err(HeaderError::Missing), "{line}");
    }
}

#[test]
fn a_long_argv_is_cut_and_says_so() {
    let argument = vec![b'a'; ARGV_LEAST];
    let exec = Exec { argv_len: 12345, ..Exec::default() };
    let mut out = Vec::new();
    push_exec(&mut out, &exec, [b"x".as_slice(), &argument, b"y"].into_iter(), BESIDE);
    let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
    let argv = line.argv();
    assert_eq!(argv.len(), 2);
    assert_eq!((argv[1].len(), line.argv_len), (ARGV_LEAST - 2, 12345));
    // One that is all of argv, too.
    let exec = Exec { name: &argument, ..exec };
    out.clear();
    push_exec(&mut out, &exec, [argument.as_slice()].into_iter(), BESIDE);
    let Ok(Line::Exec(line)) = Line::parse(&out) else { panic!("no exec") };
    assert_eq!((line.argv()[0].len(), line.argv_len), (ARGV_LEAST, 12345));
}
