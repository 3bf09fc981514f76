//! What holds for every exec: random ones made of what matters to the grammars, and the
//! largest.

use crate::properties::exec::check_exec;
use buildwarden::detect::Detector;
use buildwarden::event::{Argv, Exec};
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use std::sync::LazyLock;
use std::time::Duration;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::builtin);

/// Pieces of which arguments are made.
const PIECES: [&str; 64] = [
    "8.8.8.8",
    "10.0.0.1",
    "0x7f.1",
    "134744072",
    "::1",
    "2001:db8::1",
    "[::1]",
    "[",
    "]",
    "{",
    "}",
    "{7,8}",
    "[7-8]",
    "-",
    "--",
    "=",
    ":",
    "::",
    "/",
    "//",
    "://",
    "@",
    "?",
    "#",
    "&",
    "%",
    "%38",
    "%25eth0",
    ",",
    ";",
    "|",
    "\"",
    "'",
    "`",
    "$(",
    ")",
    "\\",
    " ",
    "\n",
    "\t",
    "http",
    "http://",
    "ftp://",
    "ssh://",
    "rsync://",
    "magnet:?tr=",
    "-o",
    "-x",
    "-e",
    "-c",
    "HostName",
    "ProxyCommand=",
    "nc ",
    "ssh ",
    "sh -c ",
    "curl ",
    "EXEC:",
    "TCP:",
    "{\"ip\":\"",
    "example.com",
    "８",
    "。",
    "\u{202e}",
    "version=",
];

const TOOLS: [&str; 26] = [
    "curl",
    "wget",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "dig",
    "drill",
    "host",
    "nslookup",
    "whois",
    "nc",
    "nc.traditional",
    "ncat",
    "socat",
    "ping",
    "traceroute",
    "tracepath",
    "mtr",
    "telnet",
    "ftp",
    "tftp",
    "lftp",
    "aria2c",
    "busybox",
    "ld-linux-x86-64.so.2",
];

fn argument() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(1u8.., 0..4),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_judgement_holds_together(tool in prop::sample::select(&TOOLS[..]), arguments in prop::collection::vec(argument(), 0..8)) {
        let argv: Vec<u8> = [tool.as_bytes().to_vec()].into_iter().chain(arguments).flat_map(|mut argument| {
            argument.retain(|byte| *byte != 0);
            argument.push(0);
            argument
        }).collect();
        check_exec(&DETECTOR, &Exec { path: tool.as_bytes(), argv: Argv(&argv), ..Exec::default() });
    }

    #[test]
    fn an_address_stays_one_in_every_spelling(bits: u32) {
        let [a, b, c, d] = bits.to_be_bytes();
        let want = std::net::Ipv4Addr::from_bits(bits).to_string();
        let spellings = [
            format!("{a}.{b}.{c}.{d}"),
            format!("{bits}"),
            format!("0x{bits:x}"),
            format!("0{bits:o}"),
            format!("0x{a:x}.0{b:o}.{}", bits & 0xffff),
            format!("{a}.{}", bits & 0xff_ffff),
            format!("[::ffff:{a}.{b}.{c}.{d}]"),
            format!("[0:0:0:0:0:FFFF:{:X}:{:x}]", bits >> 16, bits & 0xffff),
        ];
        for spelling in spellings {
            let argv = format!("curl\0http://{spelling}/\0");
            let exec = Exec { path: b"curl", argv: Argv(argv.as_bytes()), ..Exec::default() };
            let context = buildwarden::detect::Context { now: jiff::Timestamp::UNIX_EPOCH, job: None };
            let judgement = DETECTOR.judge(&exec, &context);
            prop_assert_eq!(&judgement.findings[0].addresses[0].address, &want, "{}", spelling);
        }
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("this thread's clock").into()
}

#[test]
fn the_largest_arguments_take_bounded_time() {
    const SIZE: usize = 2 << 20;
    let one = |piece: &str| piece.repeat(SIZE / piece.len());
    let cases: Vec<(&str, &str, String)> = vec![
        ("curl", "globs", one("{a,b}")),
        ("curl", "open globs", one("{")),
        ("curl", "ranges", one("[1-9]")),
        ("curl", "long number", format!("http://{}8", one("0"))),
        ("curl", "at signs", one("@")),
        ("curl", "percent", format!("http://{}/", one("%38"))),
        ("curl", "urls in the path", format!("http://example.com/{}", one("http://8.8.8.8/"))),
        ("curl", "query", format!("http://example.com/?{}", one("a=8.8.8.8&"))),
        ("curl", "scheme separators", one("://")),
        ("curl", "json", format!("-d\0{}", one("{\"a\":[\"8.8.8.8\",\"\\n\"]},"))),
        ("curl", "deep json", format!("-d\0{}", one("[{\"a\":"))),
        ("curl", "xml", format!("-d\0{}", one("<a b=\"8.8.8.8\">8.8.8.8</a>"))),
        ("curl", "form", format!("-d\0{}", one("a=1,2,3&"))),
        ("curl", "header", format!("-H\0Host: {}", one("8.8.8.8,"))),
        ("curl", "resolve", format!("--resolve\0a:1:{}", one("8.8.8.8,"))),
        ("curl", "many addresses", one("8.8.8.8\0")),
        ("curl", "many options", one("-s\0")),
        ("curl", "one cluster", format!("-{}", one("s"))),
        ("curl", "long option names", one("--proxyproxyproxyproxy\0")),
        ("ssh", "remote command", format!("h\0{}", one("sh -c 'nc 8.8.8.8 1';"))),
        ("ssh", "nested quotes", format!("h\0{}", one("sh -c \"sh -c 'a' \\\"\" "))),
        ("ssh", "substitutions", format!("h\0{}", one("$("))),
        ("ssh", "backquotes", format!("h\0{}", one("`"))),
        ("ssh", "open and shut", format!("h\0{}", one("$(a $(b) "))),
        ("ssh", "forward", format!("-L\0{}", one(":"))),
        ("ssh", "jumps", format!("-J\0{}", one("a@8.8.8.8,"))),
        ("ssh", "settings", one("-oProxyCommand=nc 8.8.8.8 1\0")),
        ("ssh", "words", format!("h\0{}", one("sudo\0"))),
        ("scp", "colons", one(":a@[")),
        ("rsync", "brackets", one("[")),
        ("socat", "options", format!("TCP:a:1,{}", one("bind=8.8.8.8,"))),
        ("socat", "open brackets", one("TCP:[")),
        ("socat", "exec", format!("EXEC:{}", one("sh -c 'a':"))),
        ("socat", "joined", one("a!!")),
        ("lftp", "commands", format!("-c\0{}", one("open 8.8.8.8;"))),
        ("lftp", "quotes", format!("-c\0{}", one("a \""))),
        ("lftp", "sets", format!("-c\0{}", one("set a "))),
        ("lftp", "shell", format!("-c\0{}", one("!a\n"))),
        ("whois", "words", one("8.8.8.8 ")),
        ("nc", "hops", format!("-g\0{}", one("8.8.8.8,"))),
        ("aria2c", "trackers", format!("--bt-tracker=\0{}", one("udp://8.8.8.8,"))),
        ("busybox", "applets", one("busybox\0")),
        ("ld-linux-x86-64.so.2", "loaders", one("ld-linux-x86-64.so.2\0")),
    ];
    // Of CPU time, which a busy machine does not change much. What is linear takes under a second
    // in a debug build; what is quadratic would take hours.
    let limit = Duration::from_secs(10);
    let context = buildwarden::detect::Context { now: jiff::Timestamp::UNIX_EPOCH, job: None };
    let mut slow = Vec::new();
    for (tool, name, arguments) in cases {
        let argv = format!("{tool}\0{arguments}\0");
        let exec = Exec { path: tool.as_bytes(), argv: Argv(argv.as_bytes()), ..Exec::default() };
        let start = cpu_time();
        let judgement = DETECTOR.judge(&exec, &context);
        let took = cpu_time() - start;
        println!("{tool:8} {name:24} {took:?} {}", judgement.findings.len());
        if took > limit {
            slow.push(format!("{tool} {name}: {took:?}"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
