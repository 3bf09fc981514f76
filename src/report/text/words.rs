//! Numbers and times as people read them.

use crate::{escape, report::Time};

/// `1,204`
pub(in crate::report) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 exec`, `1,204 execs`
pub(in crate::report) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// `0.8 ms`, `41.3 s`, `2 min 5 s`, `3 h 7 min`
pub(in crate::report) fn duration(ms: f64) -> String {
    let seconds = ms / 1000.0;
    // The cast saturates, and makes 0 of what is no number.
    let whole = seconds as u64;
    match seconds {
        s if s >= 3600.0 => format!("{} h {} min", number(whole / 3600), whole % 3600 / 60),
        s if s >= 60.0 => format!("{} min {} s", whole / 60, whole % 60),
        s if s >= 1.0 => format!("{s:.1} s"),
        _ if ms >= 10.0 => format!("{ms:.0} ms"),
        _ => format!("{ms:.1} ms"),
    }
}

/// From one moment to a later one.
pub fn between(earlier: Time, later: Time) -> String {
    duration(later.ns_since(earlier) as f64 / 1e6)
}

/// `2026-11-23 11:31:07 UTC`
pub fn moment(time: Time) -> String {
    time.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-23 11:31`, in UTC
pub fn minute(time: Time) -> String {
    time.0.strftime("%Y-%m-%d %H:%M").to_string()
}

/// `256 KiB`, `1 MiB`
pub(in crate::report) fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 20 && b.is_multiple_of(1 << 20) => format!("{} MiB", number(b >> 20)),
        b if b >= 1 << 10 && b.is_multiple_of(1 << 10) => format!("{} KiB", number(b >> 10)),
        b => count(b, "byte", "bytes"),
    }
}

/// A name that a build or an engine gave, written out and not too long.
pub(in crate::report) fn name(text: &str) -> String {
    const LONGEST: usize = 200;
    clip(&escape::visible(clip(text, LONGEST).as_bytes()), 2 * LONGEST)
}

/// A sentence of ours, which may quote a build; not too long either.
pub(in crate::report) fn sentence(text: &str) -> String {
    const LONGEST: usize = 1000;
    escape::prose(&clip(text, LONGEST)).into_owned()
}

/// The beginning of a text that is longer than `most` bytes, with how much is left out.
pub(in crate::report) fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…[{}]…", &text[..end], count((text.len() - end) as u64, "byte", "bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_them() {
        for (n, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(number(n), want);
        }
        let durations = [
            (0.84, "0.8 ms"),
            (12.4, "12 ms"),
            (41_300.0, "41.3 s"),
            (125_000.0, "2 min 5 s"),
            (11_220_000.0, "3 h 7 min"),
            (f64::NAN, "NaN ms"),
            (-1.0, "-1.0 ms"),
        ];
        for (ms, want) in durations {
            assert_eq!(duration(ms), want);
        }
        for (bytes, want) in [(1, "1 byte"), (262144, "256 KiB"), (1 << 20, "1 MiB")] {
            assert_eq!(size(bytes), want);
        }
    }
}
