//! What libbpf says on the way: kept for the error that follows, instead of being
//! written to a hook's standard error, where a verifier's log is of no use to anybody.

use super::verifier::{self, Verified};
use libbpf_rs::{PrintLevel, set_print};
use std::sync::{Mutex, PoisonError};

/// Bytes that are kept: the last ones say what went wrong.
const KEPT: usize = 4096;

static MESSAGES: Mutex<String> = Mutex::new(String::new());
static VERIFIED: Mutex<Vec<Verified>> = Mutex::new(Vec::new());

/// Begins to keep what libbpf says.
pub(super) fn keep() {
    set_print(Some((PrintLevel::Warn, hear)));
}

/// The same, and what the verifier says of programs that it accepts: libbpf passes that
/// on with a thousand other things, which is nothing for a hook.
pub(super) fn keep_statistics() {
    set_print(Some((PrintLevel::Debug, hear)));
}

fn hear(level: PrintLevel, message: String) {
    if !matches!(level, PrintLevel::Warn) {
        let mut verified = VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
        verified.extend(verifier::read(&message));
        return;
    }
    let mut kept = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push_str(&message);
    let excess = kept.len().saturating_sub(KEPT);
    let cut = (excess..=kept.len()).find(|at| kept.is_char_boundary(*at)).unwrap_or(0);
    kept.drain(..cut);
}

/// What the verifier said of programs that it accepted; emptied.
pub(super) fn verified() -> Vec<Verified> {
    std::mem::take(&mut *VERIFIED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The last thing that the verifier said, else the last that libbpf said; emptied.
pub(super) fn last() -> Option<String> {
    let kept = std::mem::take(&mut *MESSAGES.lock().unwrap_or_else(PoisonError::into_inner));
    let lines = || kept.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let verifier = lines().skip_while(|line| !line.starts_with("processed ")).nth(1);
    verifier.or_else(|| lines().next()).map(|line| line.chars().take(200).collect())
}
