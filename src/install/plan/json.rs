//! JSON files, edited so that everything else stays as it is written.

use crate::install::InstallError;
use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode},
};
use std::path::Path;

/// What is JSON and nothing more: the engines read no comments.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
};

/// A file that holds one object.
pub(super) struct Document {
    root: CstRootNode,
    pub(super) object: CstObject,
}

impl Document {
    pub(super) fn read(path: &Path, text: &str) -> Result<Document, InstallError> {
        // An empty file is what some packages begin with.
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        // Its messages are the better ones, and it is what the engines are like.
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| InstallError::malformed(path, error))?;
        if !value.is_object() {
            return Err(InstallError::malformed(path, "line 1: expected an object, `{`"));
        }
        let root = CstRootNode::parse(text, &STRICT)
            .map_err(|error| InstallError::malformed(path, error))?;
        let object = root
            .object_value()
            .ok_or_else(|| InstallError::malformed(path, "line 1: expected an object, `{`"))?;
        Ok(Document { root, object })
    }

    pub(super) fn text(&self) -> String {
        self.root.to_string()
    }
}

/// The property of that name; an engine would take the last of two.
pub(super) fn get(
    path: &Path,
    object: &CstObject,
    name: &str,
) -> Result<Option<CstObjectProp>, InstallError> {
    let mut found = object.properties().into_iter().filter(|property| {
        property.name().is_some_and(|key| key.decoded_value().is_ok_and(|key| key == name))
    });
    let first = found.next();
    if found.next().is_some() {
        return Err(InstallError::malformed(path, format!("\"{name}\" is there twice")));
    }
    Ok(first)
}

/// The object of that name.
pub(super) fn get_object(
    path: &Path,
    object: &CstObject,
    name: &str,
) -> Result<Option<CstObject>, InstallError> {
    let Some(property) = get(path, object, name)? else { return Ok(None) };
    let expected = || InstallError::malformed(path, format!("\"{name}\": expected an object"));
    property.object_value().map(Some).ok_or_else(expected)
}

/// The string of that name.
pub(super) fn get_string(
    path: &Path,
    object: &CstObject,
    name: &str,
) -> Result<Option<String>, InstallError> {
    let Some(property) = get(path, object, name)? else { return Ok(None) };
    let string = property.value().and_then(|value| value.as_string_lit());
    let string = string.and_then(|string| string.decoded_value().ok());
    let expected = || InstallError::malformed(path, format!("\"{name}\": expected a string"));
    string.map(Some).ok_or_else(expected)
}

/// Sets a string, where it stands or at the end.
pub(super) fn set_string(
    path: &Path,
    object: &CstObject,
    name: &str,
    value: &str,
) -> Result<(), InstallError> {
    let value = CstInputValue::String(value.to_owned());
    match get(path, object, name)? {
        Some(property) => property.set_value(value),
        None => drop(object.append(name, value)),
    }
    Ok(())
}
