//! How a tool reads its arguments, as tables that [`super::options`] interprets. Those of
//! `config/grammars/*.toml` are compiled with the program and so part of it: all its
//! processes share them.

use super::address::Accepts;
use super::finding::Signal;
use super::terms::keyword_form;
pub(super) use super::terms::{Kind, Long, Order, Standing};

/// What stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) role: &'static str,
    /// The command that stands here talks to the connection: a shell here serves the other side.
    pub(super) joined: bool,
}

impl Place {
    /// A place without a role.
    pub(super) const fn simple(kind: Kind) -> Place {
        Place { kind, role: "", joined: false }
    }
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// Attached, or the next argument.
    Value,
    /// Only attached.
    Attached,
    /// Everything that follows.
    Rest,
}

/// One option.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) place: Place,
    pub(super) takes: Takes,
    /// The states that it sets, a bit each.
    pub(super) sets: u32,
}

/// What the operands are, in one form of the command.
#[derive(Debug)]
pub(super) struct Operands {
    pub(super) when: u32,
    pub(super) count: Option<usize>,
    /// In order; the last also stands for all that follow.
    pub(super) places: &'static [Place],
}

/// What has a name, sorted by it: indices.
pub(super) type Names = &'static [(&'static str, u16)];

/// What settings and addresses of a tool are, by their keyword.
#[derive(Debug)]
pub(super) struct Keywords {
    /// Into `places`.
    pub(super) names: Names,
    pub(super) places: &'static [&'static [Place]],
}

impl Keywords {
    pub(super) const NONE: Keywords = Keywords { names: &[], places: &[] };
}

/// A grammar.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) standing: Standing,
    /// Only for carriers: what to say of the program they run.
    pub(super) carries: Option<Signal>,
    pub(super) order: Order,
    pub(super) long: Long,
    pub(super) accepts: Accepts,
    pub(super) rules: &'static [Rule],
    /// Index into `rules` plus one, by letter.
    pub(super) short: [u16; 128],
    /// Names with one dash and more than one letter, longest first.
    pub(super) dashed: Names,
    /// Names with two dashes.
    pub(super) words: Names,
    pub(super) operands: &'static [Operands],
    pub(super) keywords: &'static Keywords,
    /// By their bit.
    pub(super) states: &'static [&'static str],
}

/// The grammar of a tool of which nothing is known: any argument can be a host, a
/// URL or a value with one.
pub(super) static ANY_ARGUMENT: Grammar = Grammar {
    standing: Standing::Tool,
    carries: None,
    order: Order::Never,
    long: Long::None,
    accepts: Accepts::STRICT,
    rules: &[],
    short: [0; 128],
    dashed: &[],
    words: &[],
    operands: &[Operands {
        when: 0,
        count: None,
        places: &[Place { kind: Kind::Anything, role: "argument", joined: false }],
    }],
    keywords: &Keywords::NONE,
    states: &[],
};

impl Grammar {
    /// The bit of a state; 0 when no option sets it.
    pub(super) fn state(&self, name: &str) -> u32 {
        self.states.iter().position(|state| *state == name).map_or(0, |at| 1 << at)
    }

    fn rule(&self, index: u16) -> Option<&Rule> {
        self.rules.get(usize::from(index))
    }

    pub(super) fn short(&self, letter: u8) -> Option<&Rule> {
        self.rule(self.short.get(usize::from(letter))?.checked_sub(1)?)
    }

    /// The option with one dash and a longer name that `text` (without the dash) begins with, and what follows it.
    pub(super) fn dashed<'a>(&self, text: &'a [u8]) -> Option<(&Rule, &'a [u8])> {
        self.dashed.iter().find_map(|(name, rule)| {
            let rest = text.strip_prefix(name.as_bytes())?;
            let rule = self.rule(*rule)?;
            (rest.is_empty() || rule.takes != Takes::Nothing).then_some((rule, rest))
        })
    }

    /// The option with two dashes of this name (without them), or that it abbreviates.
    pub(super) fn word(&self, name: &[u8]) -> Option<&Rule> {
        // The longest name any tool has is far below; a longer text is none.
        let mut buffer = [0; 64];
        let name = match self.long {
            Long::AnyCase => {
                let lower = buffer.get_mut(..name.len())?;
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                lower
            }
            _ => name,
        };
        // curl's `--expand-url` is `--url` with variables in its value.
        let name = match (self.long, name.strip_prefix(b"expand-")) {
            (Long::AnyCase, Some(expanded)) => expanded,
            _ => name,
        };
        let start = self.words.partition_point(|(word, _)| word.as_bytes() < name);
        let candidates = &self.words[start..];
        let (word, first) = candidates.first()?;
        if word.as_bytes() == name {
            return self.rule(*first);
        }
        let begins = |word: &str| word.as_bytes().starts_with(name);
        let whole_only = matches!(self.long, Long::Exact | Long::None) || name.is_empty();
        if whole_only || !begins(word) {
            return None;
        }
        // getopt_long accepts an ambiguous beginning when all candidates are one option.
        let same =
            candidates.iter().take_while(|(word, _)| begins(word)).all(|(_, index)| index == first);
        same.then(|| self.rule(*first))?
    }

    pub(super) fn keyword(&self, name: &[u8]) -> Option<&'static [Place]> {
        let Keywords { names, places } = self.keywords;
        let at = names.binary_search_by(|(known, _)| known.bytes().cmp(keyword_form(name))).ok()?;
        places.get(usize::from(names[at].1)).copied()
    }

    /// Whether the operands can only be told apart once all arguments were seen.
    pub(super) fn looks_ahead(&self) -> bool {
        self.operands.iter().any(|form| form.when != 0 || form.count.is_some())
            || !self.states.is_empty()
    }

    /// What the operands are, given the states that options set and their number.
    pub(super) fn operands(&self, states: u32, count: usize) -> &'static [Place] {
        self.operands
            .iter()
            .find(|form| {
                (form.when == 0 || form.when & states != 0)
                    && form.count.is_none_or(|want| want == count)
            })
            .map_or(&[], |form| form.places)
    }
}
