//! What holds for every exec, whatever stands in its argv.

use buildwarden::detect::{Context, Detector, Finding, Reading};
use buildwarden::event::{Argv, Exec, Flags};
use std::sync::LazyLock;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::builtin);

/// With the recipes that the program has.
pub(crate) fn detector() -> &'static Detector {
    &DETECTOR
}

/// Reads `data` as flags, path, and argv, and checks that the judgement holds
/// together.
pub(crate) fn check(data: &[u8]) {
    let (flags, data) = match data.split_first() {
        Some((first, data)) => (Flags(u32::from(first & 0x80)), data),
        None => return,
    };
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let path = &data[..end];
    let argv = data.get(end + 1..).unwrap_or_default();
    let exec = Exec { path, name: path, argv: Argv(argv), flags, ..Exec::default() };
    check_exec(detector(), &exec);
}

/// Checks that the judgement of an exec holds together.
pub(crate) fn check_exec(detector: &Detector, exec: &Exec<'_>) {
    let context = Context { now: jiff::Timestamp::UNIX_EPOCH, job: None };
    let judgement = detector.judge(exec, &context);
    assert_eq!(judgement, detector.judge(exec, &context), "judged twice, two answers");
    let argv: Vec<&[u8]> = exec.argv.iter().collect();
    for finding in &judgement.findings {
        assert!(
            !finding.addresses.is_empty() || !finding.shells.is_empty(),
            "a finding about nothing"
        );
        assert!(finding.addresses.len() <= Finding::MOST && finding.shells.len() <= Finding::MOST);
        for address in &finding.addresses {
            assert!(
                address.address.parse::<std::net::IpAddr>().is_ok(),
                "{:?} is not canonical",
                address.address
            );
            let argument = argv.get(address.argument).expect("an argument of the command");
            if let Some(span) = &address.span {
                let stood = argument.get(span.clone()).expect("a span of the argument");
                assert!(stood.starts_with(&address.text), "the span holds another text");
            }
        }
        let highest = finding.addresses.iter().map(|address| address.importance).max();
        assert!(
            highest <= Some(finding.importance)
                || finding.importance > highest.expect("an address")
        );
        let advice = detector.advice(finding, &buildwarden::detect::Evidence::default());
        assert!(
            advice.iter().all(|text| !text.chars().any(char::is_control)),
            "advice commands the terminal"
        );
    }
    let reading = detector.explain(exec);
    assert!(reading.arguments.len() <= Reading::MOST);
    assert!(
        reading.lines().iter().all(|line| !line.chars().any(char::is_control)),
        "a reading commands the terminal"
    );
}
