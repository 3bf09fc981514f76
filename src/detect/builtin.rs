//! The recipes and grammars that ship with the program.

use super::grammar::{Grammar, GrammarFile};
use super::recipe::{Recipe, RecipeError};
use super::tool::Programs;

/// Recipe files, in the order of their findings.
pub(super) const RECIPES: [(&str, &str); 2] = [
    (
        "net_suspicious_tool_exec.toml",
        include_str!("../../config/recipes/net_suspicious_tool_exec.toml"),
    ),
    (
        "net_suspicious_tool_shell.toml",
        include_str!("../../config/recipes/net_suspicious_tool_shell.toml"),
    ),
];

macro_rules! grammars {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../config/grammars/", $name, ".toml")))),*]
    };
}

/// One file a family of tools.
const GRAMMARS: [(&str, &str); 17] = grammars! {
    "aria2" "busybox" "carriers" "curl" "dns" "ftp" "lftp" "nc" "ncat" "ping" "rsync" "shells" "socat" "ssh" "telnet" "traceroute" "wget"
};

/// A grammar file holds one or more grammars.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
struct File {
    grammar: Vec<GrammarFile>,
}

pub(super) fn recipes() -> Result<Vec<Recipe>, RecipeError> {
    RECIPES.iter().map(|(_, text)| Recipe::read(text)).collect()
}

pub(super) fn programs() -> Result<Programs, RecipeError> {
    let mut programs = Programs::default();
    for (_, text) in GRAMMARS {
        let file: File = toml::from_str(text)?;
        for grammar in file.grammar {
            let like = grammar.keywords_of.clone();
            let mut grammar = Grammar::compile(grammar)?;
            if let Some(program) = like.and_then(|like| programs.named(&like).cloned()) {
                grammar.keywords.clone_from(&program.grammar.keywords);
            }
            programs.add(grammar);
        }
    }
    Ok(programs)
}
