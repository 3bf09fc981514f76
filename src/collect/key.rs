//! The key that reports are signed with.

use crate::{config::Settings, report::signed::PrivateKey};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Longer than any key.
const KEY_MAX: u64 = 64 << 10;

/// The key that a report is to be signed with, or why it will not be.
pub(super) type Key = Result<PrivateKey, String>;

/// The configured key, if there is one: read while it can be, as who writes the report has
/// given up the privilege to.
pub(super) fn configured(settings: &Settings) -> Option<Key> {
    settings.key.as_deref().map(read_key)
}

/// Reads a private key that nobody but its owner may read: the caller, or root.
///
/// # Errors
/// When it cannot be read, others may read it, or it is no key; with its path.
pub fn read_key(path: &Path) -> Result<PrivateKey, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let io = |error: io::Error| named(&error);
    // A pipe in its place must not hang us.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(named(&"expected a regular file with a key"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(named(&format!(
            "others may read or change this key, its mode is {mode:04o}: chmod 600"
        )));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(named(&format!("this key is the user {owner}'s: chown it to root")));
    }
    let mut text = String::new();
    file.take(KEY_MAX).read_to_string(&mut text).map_err(io)?;
    PrivateKey::from_pem(&text).map_err(|error| named(&error))
}
