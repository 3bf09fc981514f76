use super::*;
use crate::btf_layout::check;

#[test]
fn layout_is_that_of_record_h() {
    check("bw_process", process::SIZE, &[("start", process::START), ("pid", process::PID)]);
    check(
        "bw_exec",
        exec::SIZE,
        &[
            ("type", 0),
            ("size", 4),
            ("number", exec::NUMBER),
            ("time", exec::TIME),
            ("process", exec::PROCESS),
            ("inode", exec::INODE),
            ("argv_total", exec::ARGV_TOTAL),
            ("argv_len", exec::ARGV_LEN),
            ("container_pid", exec::CONTAINER_PID),
            ("uid", exec::UID),
            ("gid", exec::GID),
            ("loginuid", exec::LOGINUID),
            ("flags", exec::FLAGS),
            ("device", exec::DEVICE),
            ("path_len", exec::PATH_LEN),
            ("name_len", exec::NAME_LEN),
            ("parents", exec::PARENTS),
            ("spill", exec::SPILL),
            ("cpu", exec::CPU),
        ],
    );
    check(
        "bw_exit",
        exit::SIZE,
        &[
            ("type", 0),
            ("size", 4),
            ("time", exit::TIME),
            ("process", exit::PROCESS),
            ("status", exit::STATUS),
        ],
    );
    check(
        "bw_environment",
        environment::SIZE,
        &[
            ("type", 0),
            ("size", 4),
            ("process", environment::PROCESS),
            ("total", environment::TOTAL),
        ],
    );
}

/// The bytes of an environment's record.
fn environment_record(variables: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; environment::SIZE];
    bytes[..4].copy_from_slice(&ENVIRONMENT.to_ne_bytes());
    bytes[environment::PROCESS + process::PID] = 4;
    bytes[environment::TOTAL] = 8;
    bytes.extend(variables);
    let size = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&size.to_ne_bytes());
    bytes
}

#[test]
fn an_environment_is_read_as_far_as_it_came() {
    let check = |bytes: &[u8], want: &[(&str, &str)], cut| {
        let bytes = environment_record(bytes);
        let Ok(Event::Environment(read)) = decode(&bytes, None) else { panic!("none") };
        assert_eq!(read.process, ProcessId { pid: 4, start: 0 });
        assert_eq!(read.variables().collect::<Vec<_>>(), want);
        assert_eq!(read.is_cut(), cut);
    };
    check(b"A=b\0C==\0", &[("A", "b"), ("C", "=")], false);
    check(b"A=\0\0B\0", &[("A", "")], true);
    // What was cut could end in the middle of an id.
    check(b"A=b\0CI=", &[("A", "b")], true);
    check(b"\xff=b\0C=\xff\0", &[], false);
    check(b"", &[], true);
    assert_eq!(spill(&environment_record(b"A=b\0")), None);
    assert_eq!(number(&environment_record(b"A=b\0")), None);
}

/// The bytes of an exec record: one parent, path, name, argv.
fn record(path: &[u8], name: &[u8], argv: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; exec::SIZE];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    put(0, &EXEC.to_ne_bytes());
    put(exec::NUMBER, &7_u64.to_ne_bytes());
    put(exec::ARGV_LEN, &(argv.len() as u32).to_ne_bytes());
    put(exec::PATH_LEN, &(path.len() as u16).to_ne_bytes());
    put(exec::NAME_LEN, &(name.len() as u16).to_ne_bytes());
    put(exec::PARENTS, &[1]);
    put(exec::SPILL, &[NO_SPILL; 3]);
    bytes.extend(42_u64.to_ne_bytes());
    bytes.extend(4_u32.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([path, name, argv].concat());
    let size = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&size.to_ne_bytes());
    bytes
}

#[test]
fn an_exec_is_read_whole() {
    let bytes = record(b"/bin/sh", b"./x", b"sh\0-c\0");
    let Ok(Event::Exec(exec)) = decode(&bytes, None) else { panic!("no exec") };
    assert_eq!(number(&bytes), Some(Number { cpu: 0, number: 7 }));
    assert_eq!((exec.sequence, exec.path, exec.name), (0, &b"/bin/sh"[..], &b"./x"[..]));
    assert_eq!(exec.argv.iter().collect::<Vec<_>>(), [&b"sh"[..], b"-c"]);
    assert_eq!(exec.parents.as_slice(), [ProcessId { pid: 4, start: 42 }]);
}

#[test]
fn no_prefix_and_no_length_makes_it_panic() {
    let bytes = environment_record(b"");
    for len in 0..bytes.len() {
        let mut cut = bytes[..len].to_vec();
        assert!(decode(&cut, None).is_err(), "{len} bytes");
        if let Some(size) = cut.get_mut(4..8) {
            size.copy_from_slice(&(len as u32).to_ne_bytes());
            assert!(decode(&cut, None).is_err(), "{len} bytes that say so");
        }
    }
    let bytes = record(b"/bin/sh", b"./x", b"sh\0-c\0");
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len], None).is_err(), "{len} bytes");
        let mut cut = bytes[..len].to_vec();
        if let Some(size) = cut.get_mut(4..8) {
            size.copy_from_slice(&(len as u32).to_ne_bytes());
            assert!(decode(&cut, None).is_err(), "{len} bytes that say so");
        }
    }
    for offset in 0..bytes.len() {
        for value in [0, 1, 127, 255] {
            let mut changed = bytes.clone();
            changed[offset] = value;
            let _ = decode(&changed, None);
            let _ = spill(&changed);
        }
    }
}
