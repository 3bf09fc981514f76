//! Reading a file of lines that may still grow.

use super::{Key, Line};
use crate::chain::Chain;
use std::{fs::File, io, os::unix::fs::FileExt};

/// The longest line that is read; the longest written holds an argv of 2 MiB, each
/// byte of it escaped, in a finding.
pub const LINE_MAX: usize = 64 << 20;

/// How much is read at a time.
const STEP: usize = 64 << 10;

/// The complete lines of a file from its beginning, as far as it has been written.
///
/// A last line without its end is kept back until the rest of it arrives.
#[derive(Debug)]
pub struct Tail {
    file: File,
    /// Where in the file the next read begins.
    offset: u64,
    /// What was read and not yet handed out begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// How much of it is known to hold no line end.
    searched: usize,
    /// Whether the rest of a line that is too long is being passed over.
    skipping: bool,
    too_long: u64,
}

impl Tail {
    /// The lines of `file`.
    pub fn new(file: File) -> Tail {
        Tail::resume(file, 0)
    }

    /// The lines of `file` from this byte on, which begins one: what [`Tail::position`]
    /// was when it was read last.
    pub fn resume(file: File, position: u64) -> Tail {
        Tail {
            file,
            offset: position,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            skipping: false,
            too_long: 0,
        }
    }

    /// The next complete line without its end, or none when there is none yet.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let line = self.start..self.searched + at;
                self.start = line.end + 1;
                self.searched = self.start;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(&self.buffer[line]));
            }
            self.searched = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Where the first line begins that was not handed out.
    pub fn position(&self) -> u64 {
        self.offset - (self.buffer.len() - self.start) as u64
    }

    /// Whether bytes of a line without its end have been read: what a crash leaves.
    pub fn is_torn(&self) -> bool {
        self.skipping || self.start < self.buffer.len()
    }

    /// How many lines were passed over because they are longer than [`LINE_MAX`].
    pub fn too_long(&self) -> u64 {
        self.too_long
    }

    /// Reads to the file's end: the chain of its whole lines.
    pub fn chain(&mut self) -> io::Result<Chain> {
        let mut chain = Chain::default();
        while let Some(line) = self.next_line()? {
            chain.line(line);
        }
        Ok(chain)
    }

    /// What has been read of a line without its end.
    pub fn torn(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads on; `false` at the file's end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.buffer.len() > LINE_MAX {
            self.too_long += u64::from(!self.skipping);
            self.skipping = true;
        }
        if self.skipping {
            self.buffer.clear();
            self.searched = 0;
        }
        let kept = self.buffer.len();
        self.buffer.resize(kept + STEP, 0);
        let read = self.file.read_at(&mut self.buffer[kept..], self.offset);
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        let read = read?;
        self.offset += read as u64;
        Ok(read > 0)
    }
}

/// The line that a log ends with, without its end; `None` where that is torn, or longer
/// than what is read at a time. Lines that end a log for good are short.
///
/// # Errors
/// When the file cannot be read.
pub fn last_line(log: &File) -> io::Result<Option<Vec<u8>>> {
    let length = log.metadata()?.len();
    let mut end = vec![0; usize::try_from(length.min(STEP as u64)).unwrap_or_default()];
    let begin = length - end.len() as u64;
    log.read_exact_at(&mut end, begin)?;
    if end.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(match memchr::memrchr(b'\n', &end) {
        Some(before) => Some(end.split_off(before + 1)),
        None => (begin == 0).then_some(end),
    })
}

/// Whether the last complete line of a log says that the container ended.
///
/// # Errors
/// When the file cannot be read.
pub fn is_finished(log: &File) -> io::Result<bool> {
    let last = last_line(log)?;
    Ok(last.is_some_and(|last| Line::parse(&last).is_ok_and(|line| line.key == Key::Finished)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(tail: &mut Tail) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(line) = tail.next_line().unwrap() {
            lines.push(line.to_vec());
        }
        lines
    }

    /// What is written piece by piece, the lines after each piece, and whether the end
    /// is torn.
    type Case<'a> = (&'a [&'a str], &'a [&'a [&'a str]], bool);

    #[test]
    fn lines_come_whole_however_they_are_written() {
        let long = "x".repeat(3 * STEP);
        let cases: [Case<'_>; 6] = [
            (&[""], &[&[]], false),
            (&["a\nb\n"], &[&["a", "b"]], false),
            (&["a\nto", "rn\n"], &[&["a"], &["torn"]], false),
            (&["a\n", "", "\n", "b"], &[&["a"], &[], &[""], &[]], true),
            (&[&long, "y\nz\n"], &[&[], &[&(long.clone() + "y"), "z"]], false),
            (&["\n\n"], &[&["", ""]], false),
        ];
        for (writes, want, torn) in cases {
            let mut file = tempfile::tempfile().unwrap();
            let mut tail = Tail::new(file.try_clone().unwrap());
            let mut position = 0;
            for (text, want) in writes.iter().zip(want) {
                file.write_all(text.as_bytes()).unwrap();
                let want: Vec<_> = want.iter().map(|line| line.as_bytes().to_vec()).collect();
                assert!(lines(&mut tail) == want, "{writes:?}");
                let mut resumed = Tail::resume(file.try_clone().unwrap(), position);
                assert!(lines(&mut resumed) == want, "{writes:?} from {position}");
                position = resumed.position();
                assert_eq!(tail.position(), position);
            }
            assert_eq!(tail.is_torn(), torn);
        }
    }

    #[test]
    fn the_last_line_is_read_from_the_end() {
        let long = "x".repeat(STEP - 1);
        for (text, want) in [
            ("".to_owned(), None),
            ("a".to_owned(), None),
            ("a\nb".to_owned(), None),
            ("a\n".to_owned(), Some("a")),
            ("a\nb\n".to_owned(), Some("b")),
            ("a\n\n".to_owned(), Some("")),
            (format!("{long}\n"), Some(&*long)),
            (format!("{long}\nb\n"), Some("b")),
            // Of one that does not fit its end is not taken for it.
            (format!("a\n{long}\n"), None),
            (format!("x{long}\n"), None),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let want = want.map(|line| line.as_bytes().to_vec());
            assert!(last_line(&file).unwrap() == want, "{} bytes", text.len());
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a\n").unwrap();
        // A hole in a file reads as NUL bytes.
        file.set_len(3 * LINE_MAX as u64).unwrap();
        let mut tail = Tail::new(file.try_clone().unwrap());
        assert_eq!(lines(&mut tail), [b"a"]);
        assert!(tail.is_torn() && tail.buffer.capacity() <= 3 * LINE_MAX);
        file.write_all_at(b"\nb\n", 3 * LINE_MAX as u64).unwrap();
        assert_eq!(lines(&mut tail), [b"b"]);
        assert_eq!(tail.too_long(), 1);
    }
}
