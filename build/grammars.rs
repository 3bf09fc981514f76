//! Compiles `config/grammars/*.toml` into the tables of `src/detect/grammar.rs`: Rust
//! source, so that they are a part of the program. What is wrong with a grammar is said
//! here and fails the build.

use super::terms::{Kind, Long, Order, Spelling, Standing, bucket, keyword_form};
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem;

/// A grammar file holds one or more grammars of a family of tools.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    grammar: Vec<GrammarFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrammarFile {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    applets: Vec<String>,
    #[serde(default)]
    standing: Standing,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    long: Long,
    accepts: Option<Vec<Spelling>>,
    #[serde(default)]
    flags: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    optional: String,
    #[serde(default)]
    option: Vec<OptionFile>,
    #[serde(default)]
    operands: Vec<OperandsFile>,
    #[serde(default)]
    keyword: Vec<KeywordFile>,
    keywords_of: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionFile {
    names: String,
    kind: Kind,
    #[serde(default)]
    role: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    joined: bool,
    sets: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperandsFile {
    when: Option<String>,
    count: Option<usize>,
    places: Vec<PlaceFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeywordFile {
    names: String,
    places: Vec<PlaceFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceFile {
    kind: Kind,
    #[serde(default)]
    role: String,
    #[serde(default)]
    joined: bool,
}

/// The source of all tables, of files as name and text. An error says which file is wrong,
/// where in it, and what to write.
pub(super) fn source(files: &[(String, String)]) -> Result<String, String> {
    let mut tables = Tables::default();
    for (name, text) in files {
        tables.file(text).map_err(|mistake| format!("{name}: {mistake}"))?;
    }
    Ok(tables.source())
}

/// What all grammars come to.
#[derive(Default)]
struct Tables {
    /// The source of each, and of what refers to its keywords.
    grammars: Vec<(String, String)>,
    /// Items that those refer to.
    keywords: String,
    /// The grammars' indices.
    names: BTreeMap<String, usize>,
    applets: BTreeMap<String, usize>,
    prefixes: BTreeMap<String, usize>,
}

impl Tables {
    fn file(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        for grammar in file.grammar {
            let mut names = grammar.names.iter().chain(&grammar.applets).chain(&grammar.prefixes);
            let name = names
                .next()
                .cloned()
                .ok_or("a grammar has no names and no applets; say which program it is for")?;
            self.grammar(grammar).map_err(|mistake| format!("grammar of {name:?}: {mistake}"))?;
        }
        Ok(())
    }

    fn grammar(&mut self, file: GrammarFile) -> Result<(), String> {
        let index = self.grammars.len();
        let lists = [
            (&mut self.names, &file.names),
            (&mut self.applets, &file.applets),
            (&mut self.prefixes, &file.prefixes),
        ];
        for (known, names) in lists {
            for name in names {
                if known.insert(name.clone(), index).is_some() {
                    return Err(format!("{name:?} has a grammar already; keep one"));
                }
            }
        }
        let keywords = match &file.keywords_of {
            Some(_) if !file.keyword.is_empty() => {
                return Err("it has keyword and keywords-of; keep one".to_owned());
            }
            Some(like) => {
                let like =
                    self.names.get(like).filter(|like| **like < index).ok_or_else(|| {
                        format!("keywords-of = {like:?} names no grammar before it")
                    })?;
                self.grammars[*like].1.clone()
            }
            None if file.keyword.is_empty() => "Keywords::NONE".to_owned(),
            None => {
                let name = format!("KEYWORDS_{index}");
                let keywords = keywords(&file.keyword)?;
                self.keywords += &format!("static {name}: Keywords = {keywords};\n\n");
                name
            }
        };
        let source = grammar(file, &keywords)?;
        self.grammars.push((source, keywords));
        Ok(())
    }

    fn source(&self) -> String {
        let mut source = self.keywords.clone();
        let grammars = self.grammars.iter().map(|(source, _)| source);
        let count = grammars.len();
        source += &format!("static GRAMMARS: [Grammar; {count}] = {};\n", list(grammars));
        for (table, names, kind) in [
            ("NAMES", &self.names, "builtin"),
            ("APPLETS", &self.applets, "applet"),
            ("PREFIXES", &self.prefixes, "builtin"),
        ] {
            let mut names: Vec<_> = names.iter().collect();
            names.sort_by_key(|(name, _)| bucket(name.as_bytes()));
            let count = names.len();
            let programs = names
                .iter()
                .map(|(name, index)| format!("Program::{kind}({name:?}, &GRAMMARS[{index}])"));
            let programs = list(programs);
            source += &format!(
                "\npub(in crate::detect) static {table}: [Program; {count}] = {programs};\n"
            );
        }
        source
    }
}

/// The source of one grammar.
fn grammar(file: GrammarFile, keywords: &str) -> Result<String, String> {
    let plain = |kind, names, optional| OptionFile {
        names,
        kind,
        optional,
        role: String::new(),
        joined: false,
        sets: None,
    };
    let simple = [
        plain(Kind::Flag, file.flags, false),
        plain(Kind::Text, file.text, false),
        plain(Kind::Text, file.optional, true),
    ];
    let mut options = Options::new();
    for option in simple.into_iter().filter(|option| !option.names.is_empty()).chain(file.option) {
        options.add(option)?;
    }
    let operands = file
        .operands
        .iter()
        .map(|form| {
            let when = form.when.as_ref().map_or(Ok(0), |state| {
                options.state(state).ok_or_else(|| {
                    format!("no option sets {state:?}; name it in some option's `sets`")
                })
            })?;
            let (count, places) = (form.count, places(&form.places));
            Ok(format!("Operands {{ when: {when}, count: {count:?}, places: &{places} }}"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let carries = match (file.standing, file.names.iter().any(|name| name.starts_with("qemu"))) {
        (Standing::Carrier, true) => "Some(Signal::Emulator)",
        (Standing::Carrier, false) => "Some(Signal::Loader)",
        _ => "None",
    };
    let accepts = match file.accepts {
        None => "RESOLVER".to_owned(),
        Some(spellings) => {
            let spellings: Vec<_> =
                spellings.iter().map(|spelling| format!("Spelling::{spelling:?}")).collect();
            format!("of(&[{}])", spellings.join(", "))
        }
    };
    let dashed = options.dashed.iter().map(|((_, name), index)| format!("({name:?}, {index})"));
    Ok([
        format!("// {:?}", [file.names, file.prefixes, file.applets].concat()),
        "Grammar {".to_owned(),
        format!("standing: Standing::{:?},", file.standing),
        format!("carries: {carries},"),
        format!("order: Order::{:?},", file.order),
        format!("long: Long::{:?},", file.long),
        format!("accepts: Accepts::{accepts},"),
        format!("rules: &{},", list(&options.rules)),
        format!("short: {:?},", options.short),
        format!("dashed: &{},", list(dashed)),
        format!("words: &{},", list(named(&options.words))),
        format!("operands: &{},", list(&operands)),
        format!("keywords: &{keywords},"),
        format!("states: &{:?},", options.states),
        "}".to_owned(),
    ]
    .join("\n"))
}

/// The options of one grammar. Indices are into `rules`.
struct Options {
    /// The source of each.
    rules: Vec<String>,
    /// By letter; plus one.
    short: [usize; 128],
    /// The longest first.
    dashed: BTreeMap<(Reverse<usize>, String), usize>,
    words: BTreeMap<String, usize>,
    states: Vec<String>,
}

impl Options {
    fn new() -> Options {
        Options {
            rules: Vec::new(),
            short: [0; 128],
            dashed: BTreeMap::new(),
            words: BTreeMap::new(),
            states: Vec::new(),
        }
    }

    fn add(&mut self, option: OptionFile) -> Result<(), String> {
        let takes = match option.kind {
            Kind::Flag => "Nothing",
            Kind::Argv | Kind::EnvArgv | Kind::ShellRest => "Rest",
            _ if option.optional => "Attached",
            _ => "Value",
        };
        let sets = match &option.sets {
            None => 0,
            Some(state) => match self.state(state) {
                Some(bit) => bit,
                None if self.states.len() == 32 => return Err("more than 32 states".to_owned()),
                None => {
                    self.states.push(state.clone());
                    1 << (self.states.len() - 1)
                }
            },
        };
        let index = self.rules.len();
        let place = place(option.kind, &option.role, option.joined);
        self.rules.push(format!("Rule {{ place: {place}, takes: Takes::{takes}, sets: {sets} }}"));
        for name in option.names.split_whitespace() {
            let is_new = match name.as_bytes() {
                [b'-', b'-', _, ..] => self.words.insert(name[2..].to_owned(), index).is_none(),
                [b'-', letter] if letter.is_ascii() && *letter != b'-' => {
                    mem::replace(&mut self.short[usize::from(*letter)], index + 1) == 0
                }
                [b'-', _, _, ..] => {
                    let key = (Reverse(name.len()), name[1..].to_owned());
                    self.dashed.insert(key, index).is_none()
                }
                _ => return Err(format!("{name:?} is no option; write it like -x or --name")),
            };
            if !is_new {
                return Err(format!("option {name:?} stands in it twice; keep one"));
            }
        }
        Ok(())
    }

    /// The bit of a state that an option sets.
    fn state(&self, name: &str) -> Option<u32> {
        self.states.iter().position(|state| state == name).map(|at| 1 << at)
    }
}

/// The source of a grammar's keywords.
fn keywords(files: &[KeywordFile]) -> Result<String, String> {
    let mut names = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        for name in file.names.split_whitespace() {
            let form: String = keyword_form(name.as_bytes()).map(char::from).collect();
            if names.insert(form, index).is_some_and(|other| other != index) {
                return Err(format!("keyword {name:?} stands in it twice; keep one"));
            }
        }
    }
    let lists = files.iter().map(|file| format!("&{}", places(&file.places)));
    let names = list(named(&names));
    Ok(format!("Keywords {{ names: &{names}, places: &{} }}", list(lists)))
}

fn places(files: &[PlaceFile]) -> String {
    let places: Vec<_> =
        files.iter().map(|file| place(file.kind, &file.role, file.joined)).collect();
    format!("[{}]", places.join(", "))
}

fn place(kind: Kind, role: &str, joined: bool) -> String {
    format!("Place {{ kind: Kind::{kind:?}, role: {role:?}, joined: {joined} }}")
}

/// Names with their indices.
fn named(names: &BTreeMap<String, usize>) -> impl Iterator<Item = String> {
    names.iter().map(|(name, index)| format!("({name:?}, {index})"))
}

/// A list, an item a line.
fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let mut list = "[\n".to_owned();
    items.into_iter().for_each(|item| list += &format!("{item},\n"));
    list + "]"
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_grammar_that_cannot_be_meant_is_refused() {
        let check = |text: &str, want: &str| {
            let files = [("a.toml".to_owned(), text.to_owned())];
            let mistake = super::source(&files).expect_err(text);
            assert!(mistake.starts_with("a.toml: "), "{text}: {mistake}");
            assert!(mistake.contains(want), "{text}: {mistake}");
        };
        let cases = [
            ("text = '-x -x'", "grammar of \"a\": option \"-x\" stands in it twice; keep one"),
            ("flags = '--x'\ntext = '--x'", "option \"--x\" stands in it twice"),
            ("flags = '-xy'\ntext = '-xy'", "option \"-xy\" stands in it twice"),
            ("flags = 'x'", "grammar of \"a\": \"x\" is no option; write it like -x or --name"),
            ("flags = '-'", "\"-\" is no option"),
            ("flags = '-\u{e4}x --'", "\"--\" is no option"),
            (
                "operands = [{ when = 'listen', places = [] }]",
                "grammar of \"a\": no option sets \"listen\"; name it in some option's `sets`",
            ),
            (
                "keyword = [{ names = 'a_b', places = [] }, { names = 'A-B', places = [] }]",
                "grammar of \"a\": keyword \"A-B\" stands in it twice; keep one",
            ),
            ("keywords-of = 'a'", "keywords-of = \"a\" names no grammar before it"),
            ("keywords-of = 'a'\nkeyword = [{ names = 'b', places = [] }]", "keep one"),
            ("applets = ['b', 'b']", "grammar of \"a\": \"b\" has a grammar already; keep one"),
            ("option = [{ names = '-x', kind = 'hots' }]", "unknown variant `hots`"),
            ("flag = '-x'", "line 3, column 1"),
        ];
        for (text, want) in cases {
            check(&format!("[[grammar]]\nnames = ['a']\n{text}\n"), want);
        }
        let states: String = (0..33)
            .map(|at| format!("{{ names = '--{at}', kind = 'flag', sets = '{at}' }},"))
            .collect();
        check(
            &format!("[[grammar]]\nnames = ['a']\noption = [{states}]\n"),
            "grammar of \"a\": more than 32 states",
        );
        check("[[grammar]]\nnames = []\n", "a grammar has no names and no applets");
        check("grammar = 1", "line 1");
    }
}
