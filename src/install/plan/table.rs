//! TOML files, edited so that everything else stays as it is written.

use crate::install::InstallError;
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

pub(super) fn read(path: &Path, text: &str) -> Result<DocumentMut, InstallError> {
    text.parse().map_err(|error| InstallError::malformed(path, error))
}

/// The table at a path of keys.
pub(super) fn get<'a>(document: &'a DocumentMut, keys: &[&str]) -> Option<&'a dyn TableLike> {
    keys.iter().try_fold(document.as_table() as &dyn TableLike, |table, key| {
        table.get(key)?.as_table_like()
    })
}

/// The table at a path of keys, made where it is missing.
pub(super) fn get_or_make<'a>(
    path: &Path,
    document: &'a mut DocumentMut,
    keys: &[&str],
) -> Result<&'a mut dyn TableLike, InstallError> {
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for (at, key) in keys.iter().enumerate() {
        let is_last = at + 1 == keys.len();
        table = table
            .entry(key)
            .or_insert_with(|| {
                let mut table = Table::new();
                // No header for what holds tables only.
                table.set_implicit(!is_last);
                Item::Table(table)
            })
            .as_table_like_mut()
            .ok_or_else(|| {
                InstallError::malformed(path, format!("`{}`: expected a table", keys.join(".")))
            })?;
    }
    Ok(table)
}

/// Sets a string; comments beside it stay.
pub(super) fn set(table: &mut dyn TableLike, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = text.into();
            *old.decor_mut() = decor;
        }
        None => {
            let indent = table.iter().last().and_then(|(last, _)| indent(table, last));
            table.insert(key, value(text));
            if let (Some(indent), Some(mut key)) = (indent, table.key_mut(key)) {
                key.leaf_decor_mut().set_prefix(indent);
            }
        }
    }
}

/// The blanks before a key.
fn indent(table: &dyn TableLike, key: &str) -> Option<String> {
    let prefix = table.key(key)?.leaf_decor().prefix()?.as_str()?;
    let line = prefix.rsplit('\n').next()?;
    line.chars().all(|c| c == ' ' || c == '\t').then(|| line.to_owned())
}

/// The string of a key.
pub(super) fn string<'a>(
    path: &Path,
    table: &'a dyn TableLike,
    key: &str,
) -> Result<Option<&'a str>, InstallError> {
    let Some(item) = table.get(key) else { return Ok(None) };
    let expected = || InstallError::malformed(path, format!("`{key}`: expected a string"));
    item.as_str().map(Some).ok_or_else(expected)
}

/// Takes away the tables at the end of a path of keys that hold nothing and that
/// `original` had not.
pub(super) fn prune(document: &mut DocumentMut, original: Option<&DocumentMut>, keys: &[&str]) {
    for end in (1..=keys.len()).rev() {
        let keys = &keys[..end];
        let was_there = original.is_some_and(|original| get(original, keys).is_some());
        let is_empty = get(document, keys).is_some_and(|table| table.is_empty());
        if was_there || !is_empty {
            return;
        }
        let (last, parents) = keys.split_last().unwrap_or((&"", &[]));
        let mut table: Option<&mut dyn TableLike> = Some(document.as_table_mut());
        for key in parents {
            table = table.and_then(|table| table.get_mut(key)?.as_table_like_mut());
        }
        if let Some(table) = table {
            table.remove(last);
        }
    }
}

/// Takes away the header of a table that holds other tables only, where `original` had
/// none.
pub(super) fn without_header(
    document: &mut DocumentMut,
    original: Option<&DocumentMut>,
    keys: &[&str],
) {
    let had_header = original.is_some_and(|original| {
        let table =
            keys.iter().try_fold(original.as_table(), |table, key| table.get(key)?.as_table());
        table.is_some_and(|table| !table.is_implicit())
    });
    let table = keys
        .iter()
        .try_fold(document.as_table_mut(), |table, key| table.get_mut(key)?.as_table_mut());
    let Some(table) = table.filter(|_| !had_header) else { return };
    if !table.is_empty() && table.iter().all(|(_, item)| item.is_table()) {
        table.set_implicit(true);
    }
}
