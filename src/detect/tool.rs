//! Who is the tool: from the names of an exec to a grammar.

use super::builtin::{APPLETS, NAMES, PREFIXES};
use super::finding::Signal;
use super::grammar::Grammar;
use super::terms::{BUCKETS, bucket};
use crate::event::base_name;
use std::borrow::Cow;

/// Programs that contain others and choose by name.
const MULTI_CALL: [&str; 2] = ["busybox", "toybox"];

/// Packages of alternatives, before the name of the tool: `inetutils-telnet`, `netkit-ftp`.
const PACKAGES: [&str; 2] = ["inetutils-", "netkit-"];

static BY_NAME: Table = Table::of(&NAMES);
static BY_APPLET: Table = Table::of(&APPLETS);

/// Whether anything that is known by its beginning begins with a byte.
static STEMS: FirstBytes =
    FirstBytes([false; 256]).mark(&MULTI_CALL).mark(&PACKAGES).mark_all(&PREFIXES);

/// Whether any name begins with a byte, or what stands around names does: most execs are
/// decided here.
static FIRST: FirstBytes = FirstBytes(STEMS.0).mark(&["-", ".", "m"]).mark_all(&NAMES);

/// Every program that has a grammar, by name: those that ship, and what a policy adds.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// Sorted by name. They come before those that ship.
    added: Vec<Program>,
    first: FirstBytes,
}

#[derive(Clone, Debug)]
struct FirstBytes([bool; 256]);

impl FirstBytes {
    const fn mark(mut self, mut names: &[&str]) -> FirstBytes {
        while let [name, rest @ ..] = names {
            if let [first, ..] = name.as_bytes() {
                self.0[*first as usize] = true;
            }
            names = rest;
        }
        self
    }

    const fn mark_all(mut self, mut programs: &[Program]) -> FirstBytes {
        while let [program, rest @ ..] = programs {
            self = self.mark(&[program.name()]);
            programs = rest;
        }
        self
    }

    /// Whether a name may be one of those marked.
    fn may_hold(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|first| self.0[usize::from(*first)])
    }
}

/// A program: its listed name and its grammar.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The name by which recipes list it.
    pub(super) name: Cow<'static, str>,
    pub(super) grammar: &'static Grammar,
    /// Only for carriers: what to say of the program they run.
    pub(super) carries: Option<Signal>,
    /// A name made known by its prefix or as an applet may be no tool of a recipe.
    pub(super) applet: bool,
}

impl Program {
    /// One that ships.
    pub(super) const fn builtin(name: &'static str, grammar: &'static Grammar) -> Program {
        Program { name: Cow::Borrowed(name), grammar, carries: grammar.carries, applet: false }
    }

    /// One that ships, in a multi-call program.
    pub(super) const fn applet(name: &'static str, grammar: &'static Grammar) -> Program {
        Program { name: Cow::Borrowed(name), grammar, carries: grammar.carries, applet: true }
    }

    const fn name(&self) -> &str {
        match &self.name {
            Cow::Borrowed(name) => name,
            Cow::Owned(name) => name.as_str(),
        }
    }
}

/// Programs that ship, by name: a hash table that is made when the program is compiled.
struct Table {
    /// By their buckets.
    programs: &'static [Program],
    /// Where each bucket begins, and the next.
    begins: [u8; BUCKETS + 1],
}

impl Table {
    const fn of(programs: &'static [Program]) -> Table {
        assert!(programs.len() <= u8::MAX as usize, "more programs than `begins` can count");
        let mut begins = [0; BUCKETS + 1];
        let (mut at, mut number) = (0, 0);
        while number < BUCKETS {
            while at < programs.len() && bucket(programs[at].name().as_bytes()) == number {
                at += 1;
            }
            number += 1;
            begins[number] = at as u8;
        }
        assert!(at == programs.len(), "programs are sorted by their buckets");
        Table { programs, begins }
    }

    fn find(&self, name: &[u8]) -> Option<&'static Program> {
        let number = bucket(name);
        let [begin, end] = [self.begins[number], self.begins[number + 1]].map(usize::from);
        self.programs.get(begin..end)?.iter().find(|known| known.name().as_bytes() == name)
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'p> {
    Program(&'p Program),
    /// busybox, toybox.
    MultiCall,
}

impl Programs {
    /// Those that ship.
    pub(super) fn builtin() -> Programs {
        Programs { added: Vec::new(), first: FIRST.clone() }
    }

    /// Makes a program known, in place of one of that name.
    pub(super) fn add(&mut self, name: &str, grammar: &'static Grammar) {
        self.first = FirstBytes(self.first.0).mark(&[name]);
        let program =
            Program { name: Cow::Owned(name.to_owned()), grammar, carries: None, applet: false };
        match self.added(name.as_bytes()) {
            Ok(at) => self.added[at] = program,
            Err(at) => self.added.insert(at, program),
        }
    }

    fn added(&self, name: &[u8]) -> Result<usize, usize> {
        self.added.binary_search_by(|added| added.name().as_bytes().cmp(name))
    }

    /// The program of exactly this name.
    pub(super) fn named(&self, name: &[u8]) -> Option<&Program> {
        match self.added(name) {
            Ok(at) => self.added.get(at),
            Err(_) => BY_NAME.find(name),
        }
    }

    /// What a path or a name stands for.
    pub(super) fn find(&self, path: &[u8]) -> Option<Found<'_>> {
        let name = base_name(path);
        if !self.first.may_hold(name) {
            return None;
        }
        let name = plain(name);
        let stem = STEMS.may_hold(name);
        if stem && MULTI_CALL.iter().any(|multi| is_multi_call(name, multi.as_bytes())) {
            return Some(Found::MultiCall);
        }
        if let Some(program) = self.named(name) {
            return Some(Found::Program(program));
        }
        if !stem {
            return None;
        }
        for package in PACKAGES {
            if let Some(program) =
                name.strip_prefix(package.as_bytes()).and_then(|tool| self.named(tool))
            {
                return Some(Found::Program(program));
            }
        }
        let prefix = PREFIXES.iter().find(|prefix| name.starts_with(prefix.name().as_bytes()));
        prefix.map(Found::Program)
    }

    pub(super) fn applet(&self, name: &[u8]) -> Option<&'static Program> {
        BY_APPLET.find(name)
    }

    /// Every name once.
    pub(super) fn all(&self) -> impl Iterator<Item = &Program> {
        let builtin = NAMES.iter().filter(|known| self.added(known.name().as_bytes()).is_err());
        builtin.chain(&self.added)
    }
}

/// `busybox`, `busybox-extras`, `busybox.static`.
fn is_multi_call(name: &[u8], multi: &[u8]) -> bool {
    match name.strip_prefix(multi) {
        Some([]) => true,
        Some([next, ..]) => matches!(next, b'-' | b'.' | b'_'),
        None => false,
    }
}

/// The name of a program without what shells, wrappers and the kernel put around it.
pub(super) fn plain_name(path: &[u8]) -> &[u8] {
    plain(base_name(path))
}

/// The same for a base name.
fn plain(name: &[u8]) -> &[u8] {
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    // A login shell's dash, a file that only lives in memory, a wrapped program of Nix.
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let name = name.strip_prefix(b"memfd:").unwrap_or(name);
    match name.strip_prefix(b".").and_then(|name| name.strip_suffix(b"-wrapped")) {
        Some(wrapped) => wrapped,
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar::ANY_ARGUMENT;
    use super::*;

    #[test]
    fn a_name_is_taken_out_of_what_stands_around_it() {
        let cases: [(&str, &str); 10] = [
            ("/usr/bin/curl", "curl"),
            ("curl", "curl"),
            ("-wget", "wget"),
            ("/nix/store/x/bin/.curl-wrapped", "curl"),
            ("/usr/bin/nc (deleted)", "nc"),
            ("/memfd:curl (deleted)", "curl"),
            (".-wrapped", ""),
            ("/usr/bin/", ""),
            ("", ""),
            ("curl-config", "curl-config"),
        ];
        for (path, want) in cases {
            assert_eq!(plain_name(path.as_bytes()), want.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_is_added_comes_before_what_ships() {
        let names = |programs: &Programs| -> Vec<String> {
            programs.all().map(|program| program.name.to_string()).collect()
        };
        let mut programs = Programs::builtin();
        let before = names(&programs).len();
        for name in ["ytool", "curl", "xtool", "xtool"] {
            programs.add(name, &ANY_ARGUMENT);
            let Some(Found::Program(found)) = programs.find(name.as_bytes()) else {
                panic!("{name} is not found");
            };
            assert!(found.name == name && std::ptr::eq(found.grammar, &ANY_ARGUMENT), "{found:?}");
        }
        let mut after = names(&programs);
        assert_eq!(after.len(), before + 2);
        after.sort();
        after.dedup();
        assert_eq!(after.len(), before + 2);
    }

    #[test]
    fn a_multi_call_program_may_carry_a_suffix() {
        for (name, want) in [
            ("busybox", true),
            ("busybox-x86_64", true),
            ("busybox.static", true),
            ("busyboxer", false),
            ("box", false),
        ] {
            assert_eq!(is_multi_call(name.as_bytes(), b"busybox"), want, "{name}");
        }
    }
}
