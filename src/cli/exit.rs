//! The exit codes, in one place; `docs/exit-codes.md` says the same.

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The verb did what it was asked.
    Success,
    /// It could not; standard error says why.
    Failure,
    /// The command line could not be understood.
    Usage,
    /// `--fail-on` struck: a finding of that importance or above.
    Findings,
    /// `--fail-on` was asked and the report cannot prove that it saw everything.
    Incomplete,
    /// Some lines of the input were malformed; the others were answered.
    BadInput,
    /// `verify`: a report, or what lies beside it, is not as it was written.
    DoesNotHold,
    /// `run`: Buildwarden itself failed before the command started.
    RunFailed,
    /// `run`: the command was found and could not be executed.
    NotExecutable,
    /// `run`: the command was not found.
    NotFound,
    /// Nobody reads standard output any more, as after `| head`.
    Unread,
    /// `run`: the command's own exit code, or 128 plus its signal.
    Command(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Findings => 10,
            Exit::Incomplete => 11,
            Exit::BadInput => 12,
            Exit::DoesNotHold => 13,
            Exit::RunFailed => 125,
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
            // As a shell counts a program that SIGPIPE (13) has ended.
            Exit::Unread => 141,
            Exit::Command(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_name_every_code() {
        let docs = include_str!("../../docs/exit-codes.md");
        let codes = [
            Exit::Success,
            Exit::Failure,
            Exit::Usage,
            Exit::Findings,
            Exit::Incomplete,
            Exit::BadInput,
            Exit::DoesNotHold,
            Exit::RunFailed,
            Exit::NotExecutable,
            Exit::NotFound,
            Exit::Unread,
        ];
        for exit in codes {
            assert!(docs.contains(&format!("\n| {} |", exit.code())), "{exit:?}");
        }
        let rows = docs.lines().filter(|line| line.starts_with("| ")).count();
        // The head, its rule, and the command's own code.
        assert_eq!(rows, codes.len() + 3);
    }
}
