//! A detection as data: `config/recipes/*.toml` as written, then checked.

use super::finding::{Attack, Importance};
use serde::Deserialize;
use std::collections::BTreeSet;
use thiserror::Error;

/// What makes an exec of a listed tool a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looks {
    /// An address where a host can stand.
    Address,
    /// A shell that the tool is told to start.
    Shell,
}

/// How heavy its findings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As the scope of the addresses says.
    ByScope,
    /// Always Medium.
    Medium,
    /// Always Critical.
    Critical,
}

impl Weight {
    pub(super) fn fixed(self) -> Option<Importance> {
        match self {
            Weight::ByScope => None,
            Weight::Medium => Some(Importance::Medium),
            Weight::Critical => Some(Importance::Critical),
        }
    }
}

/// A recipe as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RecipeFile {
    name: String,
    description: String,
    looks_for: Looks,
    importance: Weight,
    category: Attack,
    method: Attack,
    tools: ToolsFile,
    #[serde(default)]
    advice: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ToolsFile {
    named: Vec<String>,
    #[serde(default)]
    relatives: Vec<String>,
    #[serde(default)]
    applets: Vec<String>,
    #[serde(default)]
    shells: Vec<String>,
}

/// A detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its name, such as `net_suspicious_tool_exec`.
    pub name: String,
    /// What it looks for, in a few words.
    pub description: String,
    /// What makes an exec a finding.
    pub looks_for: Looks,
    /// How heavy its findings are.
    pub importance: Weight,
    /// The MITRE tactic.
    pub category: Attack,
    /// The MITRE technique.
    pub method: Attack,
    /// Base names of the tools it is about.
    pub tools: BTreeSet<String>,
    /// Applets of multi-call programs that it is about.
    pub applets: BTreeSet<String>,
    /// Shells whose `-c` text is searched for such a tool piped into a shell.
    pub shells: BTreeSet<String>,
    /// What to do about a finding: templates for [`super::advice()`].
    pub advice: Vec<String>,
}

/// Why a recipe cannot be used.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// Not TOML, or not a recipe; says where.
    #[error("recipe is not understood: {0}")]
    Toml(#[from] toml::de::Error),
    /// A field that must not be empty.
    #[error("recipe {recipe:?}: {field} is empty; {what}")]
    Empty {
        /// The recipe's name.
        recipe: String,
        /// The field.
        field: &'static str,
        /// What to write.
        what: &'static str,
    },
    /// A name with other characters than reports and file names can carry.
    #[error("recipe {0:?}: a name is made of lower-case letters, digits and underscores")]
    Name(String),
    /// A tool without a grammar.
    #[error(
        "recipe {recipe:?}: tools: {tool:?} has no grammar, so its arguments cannot be read; known are {known}"
    )]
    Tool {
        /// The recipe's name.
        recipe: String,
        /// The tool.
        tool: String,
        /// Names near it, or all.
        known: String,
    },
    /// An identifier that is not MITRE's.
    #[error(
        "recipe {recipe:?}: {field}.id {id:?} is no MITRE ATT&CK id; write it like TA0011 or T1071.001"
    )]
    Attack {
        /// The recipe's name.
        recipe: String,
        /// `category` or `method`.
        field: &'static str,
        /// As written.
        id: String,
    },
    /// A placeholder that no evidence fills.
    #[error(
        "recipe {recipe:?}: advice[{index}]: unknown placeholder {placeholder:?}; known are {{tool}} {{address}} {{step}} {{script}} {{parents}} {{job}}"
    )]
    Placeholder {
        /// The recipe's name.
        recipe: String,
        /// Position in the list, from 0.
        index: usize,
        /// As written.
        placeholder: String,
    },
    /// Two recipes of one name.
    #[error("recipe {0:?} is given twice; rename one")]
    Twice(String),
    /// An extra tool of the policy is like an unknown one.
    #[error(
        "policy.tool {name:?}: like = {like:?} names no tool with a grammar; leave it out to look into any argument"
    )]
    Like {
        /// The extra tool.
        name: String,
        /// As written.
        like: String,
    },
}

impl RecipeError {
    /// The line of `text`, from 1, that a person has to look at; `None` when it is in no
    /// one line. Found by what the error quotes: what was read no longer knows its place.
    pub fn line(&self, text: &str) -> Option<usize> {
        let wanted = match self {
            RecipeError::Toml(error) => {
                let start = error.span()?.start;
                return Some(1 + text.get(..start)?.matches('\n').count());
            }
            RecipeError::Empty { field, .. } => field.rsplit('.').next()?.to_owned(),
            RecipeError::Name(_) => "name".to_owned(),
            RecipeError::Tool { tool, .. } => format!("\"{tool}\""),
            RecipeError::Attack { id, .. } => format!("\"{id}\""),
            RecipeError::Placeholder { placeholder, .. } => format!("{{{placeholder}}}"),
            RecipeError::Twice(_) | RecipeError::Like { .. } => return None,
        };
        let is_comment = |line: &str| line.trim_start().starts_with('#');
        let at = text.lines().position(|line| !is_comment(line) && line.contains(&wanted))?;
        Some(at + 1)
    }
}

impl Recipe {
    /// The file of a recipe that ships with the program.
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        super::builtin::RECIPES
            .iter()
            .find(|(file, _)| file.strip_suffix(".toml") == Some(name))
            .map(|(_, text)| *text)
    }

    /// Reads a recipe file's text. Whether its tools have grammars is checked by
    /// [`super::Detector::new`].
    pub fn read(text: &str) -> Result<Recipe, RecipeError> {
        let file: RecipeFile = toml::from_str(text)?;
        let recipe = Recipe {
            name: file.name,
            description: file.description,
            looks_for: file.looks_for,
            importance: file.importance,
            category: file.category,
            method: file.method,
            tools: file.tools.named.into_iter().chain(file.tools.relatives).collect(),
            applets: file.tools.applets.into_iter().collect(),
            shells: file.tools.shells.into_iter().collect(),
            advice: file.advice,
        };
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), RecipeError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.name.is_empty() || !self.name.bytes().all(plain) {
            return Err(RecipeError::Name(self.name.clone()));
        }
        let empty = |field, what| RecipeError::Empty { recipe: self.name.clone(), field, what };
        if self.description.trim().is_empty() {
            return Err(empty("description", "say in a few words what it looks for"));
        }
        if self.tools.is_empty() {
            return Err(empty("tools.named", "name at least one program"));
        }
        for (field, attack) in [("category", &self.category), ("method", &self.method)] {
            let digits =
                attack.id.strip_prefix("TA").or(attack.id.strip_prefix('T')).unwrap_or_default();
            if digits.is_empty()
                || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            {
                return Err(RecipeError::Attack {
                    recipe: self.name.clone(),
                    field,
                    id: attack.id.clone(),
                });
            }
        }
        for (index, text) in self.advice.iter().enumerate() {
            if let Some(placeholder) = super::advice::unknown_placeholder(text) {
                return Err(RecipeError::Placeholder {
                    recipe: self.name.clone(),
                    index,
                    placeholder: placeholder.to_owned(),
                });
            }
        }
        Ok(())
    }
}
