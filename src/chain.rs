//! The chain of a file of lines: values in it by which a line that was changed, removed,
//! added or moved shows.
//!
//! A line with a value ends in `,"chain":"<64 hexadecimal digits>"}`. The value is the
//! SHA-256 of the value before it, as it stands there (of nothing for the first), and of all
//! bytes behind that one's `"}` up to the `,"chain":`. So a value speaks for each line
//! since the one before: who writes many at once pays for one. It is no secret: who can
//! write the file can make a chain anew, but not one that ends in the old value.

use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of a value.
pub const DIGITS: usize = 64;
const BEFORE: &[u8] = b",\"chain\":\"";
const AFTER: &[u8] = b"\"}";

/// How far a file's chain is known.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The value that stands in the file last, or nothing.
    last: String,
    /// That value, and what follows its line.
    hash: Sha256,
}

/// What a line is to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It has no value: a later one speaks for it.
    Open,
    /// It has a value, and that is the one which it must have.
    Whole,
    /// It has a value that something else than the lines before it leads to.
    Broken,
}

impl Chain {
    /// Adds bytes that were written, without a value among them.
    pub fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Ends `lines` with a value: its last line is an object without its closing brace.
    /// They are what is written next, all of it.
    pub fn seal(&mut self, lines: &mut Vec<u8>) {
        self.add(lines);
        let value = hex(&self.hash.finalize_reset());
        lines.extend(BEFORE);
        lines.extend(value.as_bytes());
        lines.extend(AFTER);
        lines.push(b'\n');
        self.begin(value);
        self.add(b"\n");
    }

    /// Follows a file: its next line, without its end.
    pub fn line(&mut self, line: &[u8]) -> Link {
        let link = self.torn_line(line);
        self.add(b"\n");
        link
    }

    /// Follows a file: what it ends in without a line end, when one is written next.
    pub fn torn_line(&mut self, line: &[u8]) -> Link {
        let Some((before, written)) = split(line) else {
            self.add(line);
            return Link::Open;
        };
        self.add(before);
        let value = hex(&self.hash.finalize_reset());
        // On from what stands there: so each place that was changed is found by itself.
        self.begin(written.to_owned());
        if value == written { Link::Whole } else { Link::Broken }
    }

    fn begin(&mut self, value: String) {
        self.hash.update(value.as_bytes());
        self.last = value;
    }

    /// The value that stands in the file last; none while there is none.
    pub fn last(&self) -> Option<&str> {
        (!self.last.is_empty()).then_some(&self.last)
    }
}

/// What a line's value is about of the line, and the value. Within a string of JSON, as
/// a build may have it, the quotes would be escaped.
fn split(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(AFTER)?;
    let (rest, value) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let before = rest.strip_suffix(BEFORE)?;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let value = std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_digit))?;
    Some((before, value))
}

/// Bytes in lower case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of bytes, in lower case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two batches and a line behind them.
    fn written() -> Vec<u8> {
        let mut chain = Chain::default();
        let mut file = Vec::new();
        for batch in
            ["{\"a\":1}\n{\"b\":2}\n{\"d\":1", "{\"c\":\"\\\",\\\"chain\\\":\\\"\"}\n{\"d\":2"]
        {
            let mut lines = batch.as_bytes().to_vec();
            chain.seal(&mut lines);
            file.extend(lines);
        }
        file.extend(b"{\"e\":3}\n");
        file
    }

    fn links(file: &[u8]) -> Vec<Link> {
        let mut chain = Chain::default();
        let lines = file.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
        lines.map(|line| chain.line(line)).collect()
    }

    #[test]
    fn what_was_written_is_whole() {
        use Link::{Open, Whole};
        assert_eq!(links(&written()), [Open, Open, Whole, Open, Whole, Open]);
    }

    #[test]
    fn the_value_is_what_the_documents_say() {
        let file = String::from_utf8(written()).unwrap();
        let values: Vec<&str> =
            file.split(",\"chain\":\"").skip(1).map(|rest| &rest[..DIGITS]).collect();
        let first = sha256(b"{\"a\":1}\n{\"b\":2}\n{\"d\":1");
        let second = format!("{first}\n{{\"c\":\"\\\",\\\"chain\\\":\\\"\"}}\n{{\"d\":2");
        assert_eq!(values, [first.clone(), sha256(second.as_bytes())]);
    }

    #[test]
    fn who_goes_on_continues_the_chain() {
        let file = written();
        let mut chain = Chain::default();
        for line in file.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n') {
            chain.line(line);
        }
        let mut more = b"{\"d\":3".to_vec();
        chain.seal(&mut more);
        assert_eq!(links(&[file, more].concat()).last(), Some(&Link::Whole));
    }

    /// Each byte of each line, but line ends and those behind the last value.
    #[test]
    fn no_byte_can_be_changed() {
        let file = written();
        let covered = file.len() - "{\"e\":3}\n".len();
        for at in (0..covered).filter(|at| file[*at] != b'\n') {
            let mut changed = file.clone();
            changed[at] ^= 1;
            if changed[at] == b'\n' {
                continue;
            }
            let links = links(&changed);
            // A value that is none any more leaves the next to be wrong, or none.
            let whole = links.iter().filter(|link| **link == Link::Whole).count();
            assert!(whole < 2, "byte {at}: {links:?}");
        }
    }
}
