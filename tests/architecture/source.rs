//! Source files as far as the rules ask: which paths they name.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{fs, path};

/// One source file without its tests.
pub(crate) struct File {
    /// From the repository's root.
    pub(crate) name: String,
    /// Every path, those of `use` trees one by one.
    pub(crate) paths: Vec<Path>,
    /// Whether the keyword stands anywhere.
    pub(crate) has_unsafe: bool,
    /// The modules it declares in files of their own.
    modules: Vec<String>,
}

/// `a::b::c`.
#[derive(Debug)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn new(parts: Vec<String>) -> Path {
        Path(parts)
    }

    pub(crate) fn part(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str)
    }

    pub(crate) fn begins_with(&self, part: &str) -> bool {
        self.part(0) == Some(part)
    }

    /// Whether it is `name`, lies in it, or is a module on the way to it.
    pub(crate) fn means(&self, name: &str) -> bool {
        let name: Vec<&str> = name.split("::").collect();
        // `std` alone imports nothing, and a type may be used without all it can do.
        let is_on_the_way = self.0.len() > 1
            && self.0.last().is_some_and(|last| last.starts_with(char::is_lowercase));
        (self.0.len() >= name.len() || is_on_the_way)
            && self.0.iter().zip(&name).all(|(a, b)| a == b)
    }
}

impl File {
    pub(crate) fn parse(name: &str, text: &str) -> File {
        let tokens = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut file = File {
            name: name.to_owned(),
            paths: Vec::new(),
            has_unsafe: false,
            modules: Vec::new(),
        };
        file.read(tokens, &[]);
        file
    }

    /// The room that it lies in: `src/ROOM.rs` or `src/ROOM/…`.
    pub(crate) fn room(&self) -> &str {
        let below = self.name.strip_prefix("src/").unwrap_or(&self.name);
        below.split(['/', '.']).next().unwrap_or(below)
    }

    /// Reads tokens that stand behind the path `prefix` in a `use` tree.
    fn read(&mut self, tokens: TokenStream, prefix: &[String]) {
        let mut tokens = tokens.into_iter().peekable();
        let mut path = prefix.to_vec();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(mark)
                    if mark.as_char() == '#' && tokens.next_if(is_cfg_test).is_some() =>
                {
                    // The item that it stands before ends with its braces or its semicolon.
                    tokens.by_ref().find(ends_item);
                }
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    self.has_unsafe |= word == "unsafe";
                    if word == "as" && !prefix.is_empty() {
                        // The new name of what was just imported.
                        tokens.next();
                        continue;
                    }
                    if word == "mod"
                        && let Some(TokenTree::Ident(name)) = tokens.peek()
                    {
                        self.modules.push(name.to_string());
                    }
                    if word != "self" || prefix.is_empty() {
                        path.push(word);
                    }
                    let colons = [(); 2].map(|()| tokens.next_if(|t| is_mark(t, ':')));
                    let goes_on = colons.iter().all(Option::is_some);
                    if goes_on && matches!(tokens.peek(), Some(TokenTree::Ident(_))) {
                        continue;
                    }
                    match tokens.peek() {
                        Some(TokenTree::Group(tree))
                            if goes_on && tree.delimiter() == Delimiter::Brace =>
                        {
                            self.read(tree.stream(), &path);
                            tokens.next();
                        }
                        _ => self.paths.push(Path(path.clone())),
                    }
                    path.truncate(prefix.len());
                }
                TokenTree::Group(group) => self.read(group.stream(), &[]),
                _ => {}
            }
        }
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_cfg_test(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

fn ends_item(token: &TokenTree) -> bool {
    is_mark(token, ';')
        || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// Every file of the crate whose root is `lib`, without the root and without tests.
pub(crate) fn files(lib: &path::Path) -> Vec<File> {
    let mut files = Vec::new();
    let source = lib.parent().unwrap();
    let root = File::parse("src/lib.rs", &fs::read_to_string(lib).unwrap());
    let mut ahead: Vec<path::PathBuf> = root.modules.iter().map(|name| source.join(name)).collect();
    while let Some(module) = ahead.pop() {
        let candidates = [module.with_extension("rs"), module.join("mod.rs")];
        // A module in braces has no file, and is read with the one it stands in.
        let Some(path) = candidates.iter().find(|path| path.is_file()) else { continue };
        let name = format!("src/{}", path.strip_prefix(source).unwrap().display());
        let file = File::parse(&name, &fs::read_to_string(path).unwrap());
        ahead.extend(file.modules.iter().map(|name| module.join(name)));
        files.push(file);
    }
    files
}

/// Visits every file below a directory, but for what is built or fetched and what git keeps.
pub(crate) fn walk(directory: &path::Path, visit: &mut dyn FnMut(&path::Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_other = ["target", ".cache", ".git"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !path.is_symlink() && !is_other {
            walk(&path, visit);
        } else if path.is_file() && !is_other {
            visit(&path);
        }
    }
}
