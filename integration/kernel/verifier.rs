//! What accepting the programs takes the verifier of each kernel, against what it took when
//! `verifier.csv` was written. A change that makes it follow many more paths is seen there
//! long before a kernel refuses the programs.

use super::file;
use buildwarden::trace::{INSTRUCTIONS_MAX, Verified};
use std::{collections::BTreeMap, fmt::Write as _, fs, sync::Mutex};

/// How much more or less it may be, in percent. Another compiler, and another build of a kernel,
/// make some of it; less is told too, for the file is to say what is.
const TOLERANCE: u64 = 25;
/// The part of what the kernel allows that no program may go beyond, in percent: what
/// remains is for kernels and compilers that nobody has tried.
const LIMIT: u64 = 50;
const HEADER: &str = "kernel,program,instructions,total_states,peak_states\n";

/// By kernel and program.
type Kept = BTreeMap<(String, String), [u32; 3]>;

fn read() -> Kept {
    let text = fs::read_to_string(file("kernel/verifier.csv")).unwrap();
    let lines = text.strip_prefix(HEADER).expect("its header").lines();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [kernel, program, figures @ ..] = &fields[..] else { panic!("{line}") };
            let figures: Vec<u32> = figures.iter().map(|field| field.parse().unwrap()).collect();
            ((kernel.to_string(), program.to_string()), figures.try_into().unwrap())
        })
        .collect()
}

fn figures(verified: &Verified) -> [u32; 3] {
    [verified.instructions, verified.total_states, verified.peak_states]
}

/// The row of a program in a table, and what to put there.
pub(super) fn row(program: &str) -> String {
    format!("verifier: instructions of `{program}`")
}

pub(super) fn cell(verified: &[Verified], program: &str) -> String {
    let verified = verified.iter().find(|verified| verified.program == program);
    verified.map_or_else(|| "?".to_owned(), |verified| verified.instructions.to_string())
}

/// Must be within the tolerance of what is kept, or becomes it with `BUILDWARDEN_UPDATE=1`.
/// Returns the rows of what is kept for docs/kernels.md.
#[track_caller]
pub(super) fn check(release: &str, verified: &[Verified]) -> Vec<(String, String)> {
    static FILE: Mutex<()> = Mutex::new(());
    verified.iter().for_each(check_limit);
    let _lock = FILE.lock();
    let mut kept = read();
    if std::env::var_os("BUILDWARDEN_UPDATE").is_some() {
        kept.retain(|(kernel, _), _| kernel != release);
        kept.extend(
            verified.iter().map(|verified| {
                ((release.to_owned(), verified.program.clone()), figures(verified))
            }),
        );
        write(&kept);
    }
    let of_release = kept.iter().filter(|((kernel, _), _)| kernel == release);
    assert_eq!(of_release.count(), verified.len(), "programs on {release} in verifier.csv");
    verified
        .iter()
        .map(|verified| {
            let kept = kept[&(release.to_owned(), verified.program.clone())];
            assert!(
                kept.into_iter().zip(figures(verified)).all(|(kept, now)| is_near(kept, now)),
                "{release}: {verified:?}, and verifier.csv says {kept:?}: more than {TOLERANCE} % \
                 away. If that is meant, set BUILDWARDEN_UPDATE=1"
            );
            (row(&verified.program), kept[0].to_string())
        })
        .collect()
}

fn is_near(kept: u32, now: u32) -> bool {
    u64::from(kept.abs_diff(now)) * 100 <= u64::from(kept) * TOLERANCE
}

#[track_caller]
pub(super) fn check_limit(verified: &Verified) {
    let most = u64::from(INSTRUCTIONS_MAX) * LIMIT / 100;
    assert!(u64::from(verified.instructions) <= most, "{verified:?}: more than {most}");
}

fn write(kept: &Kept) {
    let mut text = HEADER.to_owned();
    for ((kernel, program), [instructions, total, peak]) in kept {
        writeln!(text, "{kernel},{program},{instructions},{total},{peak}").unwrap();
    }
    fs::write(file("kernel/verifier.csv"), text).unwrap();
}
