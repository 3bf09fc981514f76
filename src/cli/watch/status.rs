//! The line at the bottom of a terminal that says how it goes.

use super::super::terminal;
use crate::report::text::{self, Layout, LiveStatus};
use std::time::{Duration, Instant};

/// How often it is drawn anew when nothing else happens.
const INTERVAL: Duration = Duration::from_secs(1);

/// To the first column, and away with what stands there.
const ERASE: &str = "\r\x1b[K";

/// The line. Without a terminal there is none, and nobody wakes for it.
pub(super) struct Status {
    colour: bool,
    on: bool,
    drawn: bool,
    due: Instant,
    /// Execs a second, and from when and what it was counted.
    rate: f64,
    counted: Option<(Instant, u64)>,
}

impl Status {
    /// The line, where it is wanted and standard output is a terminal.
    pub(super) fn new(wanted: bool, colour: bool) -> Status {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let on = wanted && !dumb && terminal::width_if_terminal().is_some();
        Status { colour, on, drawn: false, due: Instant::now(), rate: 0.0, counted: None }
    }

    /// Writes lines above it.
    pub(super) fn print(&mut self, text: &str) -> anyhow::Result<bool> {
        if text.is_empty() {
            return Ok(true);
        }
        if !std::mem::take(&mut self.drawn) {
            return terminal::print(text);
        }
        terminal::print(&format!("{ERASE}{text}"))
    }

    /// When it wants to be drawn again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.on.then_some(self.due)
    }

    /// Whether it is to be drawn: when it is time to, or lines were written over it. Then,
    /// whether execs are to be counted for it.
    pub(super) fn wants(&self) -> Option<bool> {
        let due = Instant::now() >= self.due;
        (self.on && (due || !self.drawn)).then_some(due)
    }

    /// Draws it. `execs` is how many there were since the watching began, where they were
    /// counted.
    pub(super) fn draw(&mut self, status: LiveStatus, execs: Option<u64>) -> anyhow::Result<bool> {
        if let Some(execs) = execs {
            let at = Instant::now();
            self.due = at + INTERVAL;
            if let Some((since, before)) = self.counted.replace((at, execs)) {
                let seconds = at.duration_since(since).as_secs_f64().max(0.001);
                self.rate = execs.saturating_sub(before) as f64 / seconds;
            }
        }
        let layout = Layout { width: terminal::width(), colour: self.colour };
        let line = text::live_status(LiveStatus { execs_per_second: self.rate, ..status }, layout);
        self.drawn = true;
        terminal::print(&format!("{ERASE}{line}"))
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if self.drawn {
            let _ = terminal::print(ERASE);
        }
    }
}
