//! Secrets in command lines: found after judging, and replaced by a salted short
//! hash, so that equal secrets can still be recognised as equal.
//!
//! Pure, and linear in the size of argv. It knows what every build tool spells
//! alike (passwords in URLs, headers, assignments, tokens with a known prefix) and
//! the options of some tools. What it cannot know is a secret that looks like any
//! other word.

mod options;
mod random;
mod spelling;
mod token;
mod words;

use options::Options;
use sha2::{Digest, Sha256};
use std::{fmt::Write, ops::Range};

/// Replaces secrets.
#[derive(Clone)]
pub struct Redactor {
    salt: Vec<u8>,
}

/// Part of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index in argv.
    pub argument: usize,
    /// The bytes.
    pub range: Range<usize>,
}

/// A command line with its secrets replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The arguments.
    pub argv: Vec<Vec<u8>>,
    /// Where what had to be kept stands now, in the order it was given.
    pub kept: Vec<Place>,
}

impl Redactor {
    /// A redactor whose hashes are salted with `salt`; whoever knows the salt can
    /// test guesses against a hash.
    pub fn new(salt: &[u8]) -> Redactor {
        Redactor { salt: salt.to_vec() }
    }

    /// The command line with its secrets replaced; none when there is none in it.
    ///
    /// `tool` is the file executed. The places in `keep`, the addresses of a finding,
    /// stay as they are even inside of a secret.
    pub fn argv<'a, I>(&self, tool: &[u8], argv: I, keep: &[Place]) -> Option<Redacted>
    where
        I: IntoIterator<Item = &'a [u8]> + Clone,
    {
        let mut secrets = find(tool, argv.clone());
        if secrets.is_empty() {
            return None;
        }
        secrets.sort_by_key(|secret| (secret.argument, secret.range.start));
        let mut order: Vec<usize> = (0..keep.len()).collect();
        order.sort_by_key(|&i| (keep[i].argument, keep[i].range.start));

        let mut redacted = Redacted { argv: Vec::new(), kept: keep.to_vec() };
        let (mut secrets, mut order) = (secrets.as_slice(), order.as_slice());
        for (argument, bytes) in argv.into_iter().enumerate() {
            let here = take(&mut secrets, |secret| secret.argument == argument);
            let kept = take(&mut order, |&i| keep[i].argument == argument);
            let hidden = subtract(
                here.iter().map(|secret| secret.range.clone()),
                kept.iter().map(|&i| keep[i].range.clone()),
            );
            let (rewritten, edits) = self.rewrite(bytes, &hidden);
            for &i in kept {
                redacted.kept[i].range = moved(&edits, keep[i].range.clone());
            }
            redacted.argv.push(rewritten);
        }
        Some(redacted)
    }

    /// The argument with each of the ranges replaced, and where each replaced one
    /// ended and its replacement ends.
    fn rewrite(&self, bytes: &[u8], hidden: &[Range<usize>]) -> (Vec<u8>, Vec<(usize, usize)>) {
        let mut to = Vec::with_capacity(bytes.len());
        let mut edits = Vec::with_capacity(hidden.len());
        let mut at = 0;
        for range in hidden {
            to.extend_from_slice(&bytes[at..range.start]);
            to.extend_from_slice(self.replacement(&bytes[range.clone()]).as_bytes());
            at = range.end;
            edits.push((at, to.len()));
        }
        to.extend_from_slice(&bytes[at..]);
        (to, edits)
    }

    /// What stands instead of a secret.
    fn replacement(&self, secret: &[u8]) -> String {
        let hash = Sha256::new().chain_update(&self.salt).chain_update(secret).finalize();
        let mut text = String::from("[redacted:");
        for byte in &hash[..4] {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push(']');
        text
    }
}

/// The first items of a slice, for which `belongs` holds; the slice begins after them then.
fn take<'a, T>(slice: &mut &'a [T], belongs: impl Fn(&T) -> bool) -> &'a [T] {
    let (first, rest) = slice.split_at(slice.iter().take_while(|item| belongs(item)).count());
    *slice = rest;
    first
}

/// The secrets without what is kept: in order, without overlaps. Both come in the
/// order of their starts.
fn subtract(
    secrets: impl Iterator<Item = Range<usize>>,
    kept: impl Iterator<Item = Range<usize>>,
) -> Vec<Range<usize>> {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut kept = kept.filter(|range| !range.is_empty()).peekable();
    let mut done = 0;
    for secret in secrets {
        let mut start = secret.start.max(done);
        while start < secret.end {
            // A place that ends before here cannot matter to a later secret either.
            while kept.next_if(|range| range.end <= start).is_some() {}
            let end = match kept.peek() {
                Some(range) if range.start <= start => {
                    start = range.end;
                    continue;
                }
                Some(range) => range.start.min(secret.end),
                None => secret.end,
            };
            hidden.push(start..end);
            start = end;
        }
        done = done.max(start);
    }
    hidden
}

/// Where a range that no edit touches stands after the edits before it.
fn moved(edits: &[(usize, usize)], range: Range<usize>) -> Range<usize> {
    let before = edits.partition_point(|(old_end, _)| *old_end <= range.start);
    let start = match before.checked_sub(1).and_then(|last| edits.get(last)) {
        Some((old_end, new_end)) => new_end + (range.start - old_end),
        None => range.start,
    };
    start..start + range.len()
}

/// Where the secrets are, in no order; they may overlap.
fn find<'a>(tool: &[u8], argv: impl IntoIterator<Item = &'a [u8]>) -> Vec<Place> {
    let mut found = Vec::new();
    let mut options = Options::of(tool);
    for (argument, bytes) in argv.into_iter().enumerate() {
        let mut hide = |range: Range<usize>| {
            if !range.is_empty() {
                found.push(Place { argument, range });
            }
        };
        options.read(bytes, argument, &mut hide);
        spelling::read(bytes, &mut hide);
        token::read(bytes, &mut hide);
        if words::has_several(bytes) {
            // A command line in an argument: `sh -c '…'`.
            let mut options = Options::of(b"");
            for (index, word) in words::of(bytes).enumerate() {
                let start = word.start;
                options.read(&bytes[word], index, &mut |range| {
                    hide(start + range.start..start + range.end);
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
