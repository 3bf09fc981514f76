//! What judging one exec costs. Medians; the ratio is to `memchr` over the same bytes.

use buildwarden::detect::{Context, Detector};
use buildwarden::event::{Argv, Exec};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What the medians must stay below.
struct Limit(Option<Duration>);

fn main() {
    // `cargo test --benches` only asks whether it starts.
    let quick = std::env::args().any(|argument| argument == "--test");
    let detector = Detector::builtin();
    let padded = |head: &str, piece: &str, tail: &str| {
        format!("{head}{}{tail}", piece.repeat((2 << 20) / piece.len()))
    };
    let none = Limit(None);
    let nanos = |nanos| Limit(Some(Duration::from_nanos(nanos)));
    let large = || Limit(Some(Duration::from_millis(10)));
    let cases: Vec<(&str, &str, String, Limit)> = vec![
        ("not a tool: cc", "/usr/bin/cc", "cc\0-O2\0-c\0a.c\0-o\0a.o\0".into(), nanos(150)),
        ("not a tool: sh -c", "/usr/bin/dash", "sh\0-c\0make all\0".into(), nanos(150)),
        ("not a tool: like one (curl-config)", "/usr/bin/curl-config", "curl-config\0--version\0".into(), nanos(150)),
        ("not a tool: busybox ls", "/bin/busybox", "ls\0-l\0".into(), nanos(150)),
        ("not a tool: 2 MiB of arguments", "/usr/bin/cc", padded("cc\0", "-I/usr/include/x\0", ""), nanos(150)),
        ("curl, 10 arguments, no address", "/usr/bin/curl", "curl\0-sSfL\0--retry\x005\0-H\0Accept: a/b\0-o\0/tmp/x\0--proto\0=https\0https://example.com/a/b?c=d\0".into(), Limit(Some(Duration::from_micros(3)))),
        ("ssh, 10 arguments, no address", "/usr/bin/ssh", "ssh\0-o\0BatchMode=yes\0-o\0ConnectTimeout=5\0-i\0/k\0-p\x0022\0deploy@example.com\0true\0".into(), Limit(Some(Duration::from_micros(3)))),
        ("curl, 10 arguments, one address", "/usr/bin/curl", "curl\0-sSfL\0--retry\x005\0-H\0Accept: a/b\0-o\0/tmp/x\0--proto\0=https\0https://8.8.8.8/a/b?c=d\0".into(), none),
        ("curl, 2 MiB: options", "/usr/bin/curl", padded("curl\0", "-s\0", "http://8.8.8.8/\0"), large()),
        ("curl, 2 MiB: URLs", "/usr/bin/curl", padded("curl\0", "https://example.com/a/b/c?d=e\0", "http://8.8.8.8/\0"), large()),
        ("curl, 2 MiB: one JSON", "/usr/bin/curl", padded("curl\0-d\0{\"a\":[", "\"pkg@1.2.3.4\",", "\"http://8.8.8.8/\"]}\0"), large()),
        ("curl, 2 MiB: one path", "/usr/bin/curl", padded("curl\0https://example.com/", "a1b2c3d4/", "\0http://8.8.8.8/\0"), large()),
        ("wget, 2 MiB: header", "/usr/bin/wget", padded("wget\0--header=X-A: ", "a b c ", "\0http://8.8.8.8/\0"), large()),
        ("ssh, 2 MiB: remote command", "/usr/bin/ssh", padded("ssh\0h\0", "echo a b; ", "nc 8.8.8.8 1\0"), large()),
        ("nc, 2 MiB: options", "/usr/bin/nc.openbsd", padded("nc\0", "-v\0", "8.8.8.8\x001\0"), large()),
        ("dig, 2 MiB: query options", "/usr/bin/dig", padded("dig\0", "+norec\0", "@8.8.8.8\0"), large()),
        ("rsync, 2 MiB: excludes", "/usr/bin/rsync", padded("rsync\0", "--exclude=lib-1.2.3.4/\0", "8.8.8.8:a\0b\0"), large()),
    ];
    println!("{:38} {:>12} {:>12} {:>8}  limit", "", "median", "memchr", "ratio");
    let mut over = false;
    for (name, path, argv, Limit(limit)) in &cases {
        let exec = Exec {
            path: path.as_bytes(),
            name: path.as_bytes(),
            argv: Argv(argv.as_bytes()),
            ..Exec::default()
        };
        let context = Context { now: jiff::Timestamp::UNIX_EPOCH, job: None };
        let judged = median(quick, || drop(black_box(detector.judge(black_box(&exec), &context))));
        // A byte that stands nowhere: the whole of argv is looked at.
        let searched = median(quick, || {
            black_box(memchr::memchr(7, black_box(argv.as_bytes())));
        });
        let verdict = match limit {
            Some(limit) if judged > *limit => {
                over = true;
                format!("{limit:?} EXCEEDED")
            }
            Some(limit) => format!("{limit:?}"),
            None => String::new(),
        };
        println!(
            "{name:38} {judged:>12.1?} {searched:>12.1?} {:>8.1}  {verdict}",
            judged.as_secs_f64() / searched.as_secs_f64().max(1e-9)
        );
    }
    let loading = median(quick, || drop(black_box(Detector::builtin())));
    println!("{:38} {loading:>12.1?}", "loading recipes and grammars");
    if over && !quick {
        std::process::exit(1);
    }
}

/// The median time of one call: samples of many calls each, for at most about a second.
fn median(quick: bool, mut call: impl FnMut()) -> Duration {
    let once = Instant::now();
    call();
    let once = once.elapsed();
    if quick {
        return once;
    }
    let calls =
        (Duration::from_micros(200).as_nanos() / once.as_nanos().max(1)).clamp(1, 5_000) as u32;
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < 1000
        && (start.elapsed() < Duration::from_millis(300) || samples.len() < 11)
    {
        let sample = Instant::now();
        for _ in 0..calls {
            call();
        }
        samples.push(sample.elapsed() / calls);
    }
    samples.sort();
    samples[samples.len() / 2]
}
