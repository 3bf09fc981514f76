//! The recipes and grammars that ship with the program.

use super::recipe::{Recipe, RecipeError};
pub(super) use tables::{APPLETS, NAMES, PREFIXES};

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

pub(super) fn recipes() -> Result<Vec<Recipe>, RecipeError> {
    RECIPES.iter().map(|(_, text)| Recipe::read(text)).collect()
}

/// What `build/grammars.rs` made of `config/grammars/*.toml`.
mod tables {
    use crate::detect::address::{Accepts, Spelling};
    use crate::detect::finding::Signal;
    use crate::detect::grammar::{
        Grammar, Keywords, Kind, Long, Operands, Order, Place, Rule, Standing, Takes,
    };
    use crate::detect::tool::Program;

    include!(concat!(env!("OUT_DIR"), "/grammars.rs"));
}
