//! Expected output in files.

use std::{fs, path::Path};

/// Compares with `tests/snapshots/<name>`; with `BUILDWARDEN_UPDATE` set, writes it.
pub(crate) fn check(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BUILDWARDEN_UPDATE").is_some() {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(&path, got).unwrap();
        return;
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    if got != want {
        let line = got.lines().zip(want.lines()).take_while(|(got, want)| got == want).count();
        panic!(
            "{} differs at line {}:\n  want {:?}\n  got  {:?}\nBUILDWARDEN_UPDATE=1 writes it anew",
            path.display(),
            line + 1,
            want.lines().nth(line),
            got.lines().nth(line),
        );
    }
}
