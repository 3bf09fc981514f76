//! Who is the tool: from the names of an exec to a grammar.

use super::finding::Signal;
use super::grammar::{Grammar, Standing};
use crate::event::base_name;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// Programs that contain others and choose by name.
const MULTI_CALL: [&[u8]; 2] = [b"busybox", b"toybox"];

/// Packages of alternatives, before the name of the tool: `inetutils-telnet`, `netkit-ftp`.
const PACKAGES: [&[u8]; 2] = [b"inetutils-", b"netkit-"];

/// Every program that has a grammar, by name.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    names: HashMap<Box<[u8]>, Arc<Program>, RandomState>,
    /// Beginnings of names, for programs whose names carry versions and architectures.
    prefixes: Vec<(Box<[u8]>, Arc<Program>)>,
    applets: HashMap<Box<[u8]>, Arc<Program>, RandomState>,
    /// Whether any name begins with a byte, or what stands around names does: most
    /// execs are decided here.
    first: FirstBytes,
    /// Whether anything that is known by its beginning begins with a byte.
    stems: FirstBytes,
}

#[derive(Clone, Debug)]
struct FirstBytes([bool; 256]);

impl FirstBytes {
    fn mark(&mut self, name: &[u8]) {
        if let Some(first) = name.first() {
            self.0[usize::from(*first)] = true;
        }
    }

    /// Whether a name may be one of those marked.
    fn may_hold(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|first| self.0[usize::from(*first)])
    }
}

impl Default for Programs {
    fn default() -> Self {
        let mut stems = FirstBytes([false; 256]);
        MULTI_CALL.iter().chain(&PACKAGES).for_each(|stem| stems.mark(stem));
        let mut first = stems.clone();
        [b"-", b".", b"m"].iter().for_each(|around| first.mark(*around));
        Programs {
            names: HashMap::default(),
            prefixes: Vec::new(),
            applets: HashMap::default(),
            first,
            stems,
        }
    }
}

/// A program: its listed name and its grammar.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The name by which recipes list it.
    pub(super) name: Box<str>,
    pub(super) grammar: Arc<Grammar>,
    /// Only for carriers: what to say of the program they run.
    pub(super) carries: Option<Signal>,
    /// A name made known by its prefix or as an applet may be no tool of a recipe.
    pub(super) applet: bool,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'p> {
    Program(&'p Program),
    /// busybox, toybox.
    MultiCall,
}

impl Programs {
    pub(super) fn add(&mut self, grammar: Grammar) {
        let grammar = Arc::new(grammar);
        let carries = (grammar.standing == Standing::Carrier).then(|| {
            if grammar.names.iter().any(|name| name.starts_with("qemu")) {
                Signal::Emulator
            } else {
                Signal::Loader
            }
        });
        let program = |name: &str, applet| {
            Arc::new(Program { name: name.into(), grammar: Arc::clone(&grammar), carries, applet })
        };
        for name in &grammar.names {
            self.name(name.as_bytes(), program(name, false));
        }
        for prefix in &grammar.prefixes {
            self.first.mark(prefix.as_bytes());
            self.stems.mark(prefix.as_bytes());
            self.prefixes.push((prefix.as_bytes().into(), program(prefix, false)));
        }
        for name in &grammar.applets {
            self.applets.insert(name.as_bytes().into(), program(name, true));
        }
    }

    /// Makes a program known under one more name.
    pub(super) fn name(&mut self, name: &[u8], program: Arc<Program>) {
        self.first.mark(name);
        self.names.insert(name.into(), program);
    }

    /// The program of exactly this name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Program>> {
        self.names.get(name.as_bytes())
    }

    /// What a path or a name stands for.
    pub(super) fn find(&self, path: &[u8]) -> Option<Found<'_>> {
        let name = base_name(path);
        if !self.first.may_hold(name) {
            return None;
        }
        let name = plain(name);
        let stem = self.stems.may_hold(name);
        if stem && MULTI_CALL.iter().any(|multi| is_multi_call(name, multi)) {
            return Some(Found::MultiCall);
        }
        if let Some(program) = self.names.get(name) {
            return Some(Found::Program(program));
        }
        if !stem {
            return None;
        }
        for package in PACKAGES {
            if let Some(program) = name.strip_prefix(package).and_then(|tool| self.names.get(tool))
            {
                return Some(Found::Program(program));
            }
        }
        self.prefixes
            .iter()
            .find(|(prefix, _)| name.starts_with(prefix))
            .map(|(_, program)| Found::Program(program))
    }

    pub(super) fn applet(&self, name: &[u8]) -> Option<&Program> {
        self.applets.get(name).map(Arc::as_ref)
    }

    /// Every name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&[u8], &Program)> {
        self.names.iter().map(|(name, program)| (&**name, &**program))
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
