//! How long is tried before something counts as not sent.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long failing and waiting may take, until something is taken again.
const WHOLE: Duration = Duration::from_secs(60);
/// The first pause between two tries; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Why a try failed.
pub(super) struct Failure {
    pub(super) reason: String,
    /// Whether trying again can help.
    pub(super) again: bool,
}

/// What is left of it. When nothing is, there is one try each and no more.
pub(super) struct Patience {
    left: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { left: WHOLE }
    }
}

impl Patience {
    /// Tries until it succeeds, cannot succeed, or the patience is at its end.
    pub(super) fn attempt(
        &mut self,
        mut attempt: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), String> {
        let mut pause = FIRST;
        loop {
            let begun = Instant::now();
            let Failure { reason, again } = match attempt() {
                Ok(()) => {
                    self.left = WHOLE;
                    return Ok(());
                }
                Err(failure) => failure,
            };
            self.left = self.left.saturating_sub(begun.elapsed());
            if !again || self.left.is_zero() {
                return Err(reason);
            }
            let waits = pause.min(self.left);
            thread::sleep(waits);
            self.left -= waits;
            pause = (2 * pause).min(LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_and_comes_back_with_success() {
        let mut patience = Patience { left: Duration::from_millis(250) };
        let mut tries = 0;
        let mut failing = |again| {
            tries += 1;
            Err(Failure { reason: format!("try {tries}"), again })
        };
        // At 0 ms, 100 ms and, cut short, 250 ms.
        assert_eq!(patience.attempt(|| failing(true)), Err("try 3".to_owned()));
        assert_eq!(patience.attempt(|| failing(true)), Err("try 4".to_owned()));
        assert_eq!(patience.attempt(|| Ok(())), Ok(()));
        assert_eq!(patience.left, WHOLE);
        assert_eq!(patience.attempt(|| failing(false)), Err("try 5".to_owned()));
    }
}
