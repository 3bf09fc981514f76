//! The one interpreter of grammars: arguments in, options, values and operands out.

use super::grammar::{Grammar, Long, Order, Rule, Takes};
use std::ops::Range;

/// A part of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Index into the exec's argv.
    pub(super) argument: usize,
    /// Where that argument begins in the flat argv.
    pub(super) origin: usize,
    /// Where in the argument it begins; none when it was decoded from it.
    pub(super) start: Option<usize>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// A part of this part. Out of range is the empty end.
    pub(super) fn part(self, range: Range<usize>) -> Piece<'a> {
        let end = range.end.min(self.bytes.len());
        let begin = range.start.min(end);
        Piece {
            start: self.start.map(|start| start + begin),
            bytes: &self.bytes[begin..end],
            ..self
        }
    }

    pub(super) fn from(self, start: usize) -> Piece<'a> {
        self.part(start..self.bytes.len())
    }

    pub(super) fn to(self, end: usize) -> Piece<'a> {
        self.part(0..end)
    }

    /// Text that was decoded from this part.
    pub(super) fn decoded(self, bytes: &[u8]) -> Piece<'_> {
        Piece { argument: self.argument, origin: self.origin, start: None, bytes }
    }

    /// What stands before and after the first `byte`.
    pub(super) fn split_once(self, byte: u8) -> Option<(Piece<'a>, Piece<'a>)> {
        let at = memchr::memchr(byte, self.bytes)?;
        Some((self.to(at), self.from(at + 1)))
    }

    /// What stands before and after the last `byte`.
    pub(super) fn rsplit_once(self, byte: u8) -> Option<(Piece<'a>, Piece<'a>)> {
        let at = memchr::memrchr(byte, self.bytes)?;
        Some((self.to(at), self.from(at + 1)))
    }

    /// What stands between the bytes that `separator` names.
    pub(super) fn split(
        self,
        separator: impl Fn(u8) -> bool + 'a,
    ) -> impl Iterator<Item = Piece<'a>> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let piece = rest?;
            match piece.bytes.iter().position(|byte| separator(*byte)) {
                Some(at) => {
                    rest = Some(piece.from(at + 1));
                    Some(piece.to(at))
                }
                None => rest.take(),
            }
        })
    }

    /// Without blanks at both ends.
    pub(super) fn trim(self) -> Piece<'a> {
        let head = self.bytes.len() - self.bytes.trim_ascii_start().len();
        let rest = self.from(head);
        rest.to(rest.bytes.trim_ascii_end().len())
    }
}

/// The arguments of an exec, each followed by NUL.
#[derive(Clone, Debug)]
pub(super) struct Flat<'a> {
    bytes: &'a [u8],
    origin: usize,
    next: usize,
}

/// Where the first NUL stands. Most arguments are shorter than what it takes to
/// start `memchr`: eight bytes are looked at as one number.
#[inline]
fn nul(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let Some(head) = bytes.first_chunk::<8>() else { return memchr::memchr(0, bytes) };
    let head = u64::from_le_bytes(*head);
    // The high bit of every zero byte. A borrow can mark a byte above a zero
    // wrongly, so only the lowest mark counts.
    let zeros = head.wrapping_sub(ONES) & !head & (ONES << 7);
    match zeros {
        0 => memchr::memchr(0, &bytes[8..]).map(|at| at + 8),
        zeros => Some(zeros.trailing_zeros() as usize / 8),
    }
}

impl<'a> Flat<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Flat<'a> {
        Flat { bytes, origin: 0, next: 0 }
    }
}

impl<'a> Iterator for Flat<'a> {
    type Item = Piece<'a>;

    #[inline]
    fn next(&mut self) -> Option<Piece<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        let end = nul(self.bytes).unwrap_or(self.bytes.len());
        let piece = Piece {
            argument: self.next,
            origin: self.origin,
            start: Some(0),
            bytes: &self.bytes[..end],
        };
        self.bytes = self.bytes.get(end + 1..).unwrap_or_default();
        self.origin += end + 1;
        self.next += 1;
        Some(piece)
    }
}

/// What an argument, or a part of it, is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'g, 'a> {
    /// An option without a value; unknown ones have no rule.
    Flag(Piece<'a>, Option<&'g Rule>),
    /// An option's value, and the option's name.
    Value(Piece<'a>, &'g Rule, Piece<'a>),
    /// An option to which all that follows belongs.
    Rest(Piece<'a>, &'g Rule),
    /// Not an option.
    Operand(Piece<'a>),
    /// `--`.
    End(Piece<'a>),
}

/// Reads arguments, `argv[0]` already taken, by a grammar.
#[derive(Clone, Debug)]
pub(super) struct Options<'g, 'a, A> {
    pub(super) args: A,
    grammar: &'g Grammar,
    /// What is left of a cluster of short options.
    cluster: Option<Piece<'a>>,
    operands: usize,
    only_operands: bool,
}

impl<'g, 'a, A: Iterator<Item = Piece<'a>>> Options<'g, 'a, A> {
    pub(super) fn new(grammar: &'g Grammar, args: A) -> Self {
        Options {
            args,
            grammar,
            cluster: None,
            operands: 0,
            only_operands: grammar.order == Order::Never,
        }
    }

    fn operand(&mut self, piece: Piece<'a>) -> Item<'g, 'a> {
        self.operands += 1;
        self.only_operands |= match self.grammar.order {
            Order::Permute => false,
            Order::Never => true,
            Order::FirstOperand => true,
            Order::SecondOperand => self.operands >= 2,
        };
        Item::Operand(piece)
    }

    /// An option with its rule and what is attached to it.
    #[inline(always)]
    fn option(
        &mut self,
        name: Piece<'a>,
        rule: Option<&'g Rule>,
        attached: Option<Piece<'a>>,
    ) -> Item<'g, 'a> {
        let Some(rule) = rule else { return Item::Flag(name, None) };
        match (rule.takes, attached) {
            (Takes::Nothing, _) | (Takes::Attached, None) => Item::Flag(name, Some(rule)),
            (Takes::Value | Takes::Attached, Some(value)) => Item::Value(value, rule, name),
            (Takes::Value, None) => match self.args.next() {
                Some(value) => Item::Value(value, rule, name),
                None => Item::Flag(name, Some(rule)),
            },
            (Takes::Rest, _) => {
                self.only_operands = true;
                Item::Rest(name, rule)
            }
        }
    }

    #[inline]
    fn letter(&mut self, cluster: Piece<'a>) -> Item<'g, 'a> {
        let name = cluster.to(1);
        let rule = cluster.bytes.first().and_then(|letter| self.grammar.short(*letter));
        let rest = cluster.from(1);
        let rest = (!rest.bytes.is_empty()).then_some(rest);
        match rule {
            Some(Rule { takes: Takes::Value | Takes::Attached, .. }) => {
                self.option(name, rule, rest)
            }
            _ => {
                self.cluster = rest;
                self.option(name, rule, None)
            }
        }
    }
}

impl<'g, 'a, A: Iterator<Item = Piece<'a>>> Iterator for Options<'g, 'a, A> {
    type Item = Item<'g, 'a>;

    // An item is large: inside the loop that asks for it, it need not be built to
    // be taken apart.
    #[inline(always)]
    fn next(&mut self) -> Option<Item<'g, 'a>> {
        if let Some(cluster) = self.cluster.take() {
            return Some(self.letter(cluster));
        }
        let piece = self.args.next()?;
        if self.only_operands {
            return Some(self.operand(piece));
        }
        match piece.bytes {
            [b'-', b'-'] => {
                self.only_operands = true;
                Some(Item::End(piece))
            }
            // By far the most options are one letter.
            [b'-', letter] => {
                let rule = self.grammar.short(*letter);
                Some(self.option(piece.from(1), rule, None))
            }
            [b'-', b'-', ..] if self.grammar.long != Long::None => {
                let whole = piece.from(2);
                let (name, value) = match whole.split_once(b'=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (whole, None),
                };
                let rule = self.grammar.word(name.bytes);
                Some(self.option(piece.to(2 + name.bytes.len()), rule, value))
            }
            [b'-', word @ ..] if !word.is_empty() => {
                if let Some((rule, rest)) = self.grammar.dashed(word) {
                    let name = piece.to(piece.bytes.len() - rest.len());
                    let rest = piece.from(piece.bytes.len() - rest.len());
                    return Some(self.option(
                        name,
                        Some(rule),
                        (!rest.bytes.is_empty()).then_some(rest),
                    ));
                }
                Some(self.letter(piece.from(1)))
            }
            _ => Some(self.operand(piece)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        // 1 and 128 are what borrows and high bits could mistake for a zero.
        for filler in [1, b'a', 0x80, 0xff] {
            for length in 0..40 {
                let mut bytes = vec![filler; length];
                assert_eq!(nul(&bytes), None, "{bytes:?}");
                for at in (0..length).rev() {
                    bytes[at] = 0;
                    assert_eq!(nul(&bytes), Some(at), "{bytes:?}");
                }
            }
        }
    }
}
