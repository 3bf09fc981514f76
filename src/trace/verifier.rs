//! What the kernel's verifier took to accept each program.

use serde::{Deserialize, Serialize};

/// The kernel gives up beyond this many: `BPF_COMPLEXITY_LIMIT_INSNS` (Linux 5.2).
pub const INSTRUCTIONS_MAX: u32 = 1_000_000;

/// `BPF_LOG_STATS` (Linux 5.2): the summary without the log of each instruction.
pub(super) const LOG_STATISTICS: u32 = 4;

/// What one program took: of instructions, those on all paths that were followed; of
/// states, those that were kept to recognise a path that leads nowhere new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The program's function.
    pub program: String,
    /// Instructions verified.
    pub instructions: u32,
    /// States kept in all.
    pub total_states: u32,
    /// States kept at one time.
    pub peak_states: u32,
}

/// Reads what libbpf says of a program that was loaded with [`LOG_STATISTICS`]: its name
/// and the verifier's log. `None` for everything else that it says.
pub(super) fn read(message: &str) -> Option<Verified> {
    let (head, log) = message.split_once("-- BEGIN PROG LOAD LOG --")?;
    let (_, program) = head.split_once("prog '")?;
    let (program, _) = program.split_once('\'')?;
    let summary = log.lines().find(|line| line.starts_with("processed "))?;
    let mut words = summary.split_whitespace();
    let mut after = |word: &str| words.find(|at| *at == word).and(words.next())?.parse().ok();
    // In this order on every release; what stands between them has changed.
    let instructions = after("processed")?;
    let total_states = after("total_states")?;
    let peak_states = after("peak_states")?;
    Some(Verified { program: program.to_owned(), instructions, total_states, peak_states })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier's log, and the instructions, total and peak states in it.
    #[track_caller]
    fn check(log: &str, expected: Option<(u32, u32, u32)>) {
        let message = format!(
            "libbpf: prog 'on_exec': -- BEGIN PROG LOAD LOG --\n{log}\n-- END PROG LOAD LOG --\n"
        );
        let expected = expected.map(|(instructions, total_states, peak_states)| Verified {
            program: "on_exec".to_owned(),
            instructions,
            total_states,
            peak_states,
        });
        assert_eq!(read(&message), expected, "{log}");
    }

    #[test]
    fn the_summary_is_found_in_the_log() {
        let summary = "processed 8372 insns (limit 1000000) max_states_per_insn 4 total_states 390 \
            peak_states 210";
        check(
            &format!("verification time 9713 usec\nstack depth 64+32\n{summary} mark_read 57"),
            Some((8372, 390, 210)),
        );
        check(summary, Some((8372, 390, 210)));
        check("verification time 9713 usec", None);
        check("processed many insns", None);
        check("processed 1 insns (limit 1000000)", None);
        assert_eq!(
            read("libbpf: sec 'tp_btf/sched_process_exec': found 3 CO-RE relocations"),
            None
        );
    }
}
