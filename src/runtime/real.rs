//! The runtime that is wrapped.

use super::RuntimeError;
use crate::{
    config::{ConfigError, Runtimes},
    host,
};
use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// A runtime that can be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// runc.
    Runc,
    /// crun.
    Crun,
    /// youki.
    Youki,
}

impl Name {
    /// All of them.
    pub const ALL: [Name; 3] = [Name::Runc, Name::Crun, Name::Youki];

    /// Its program's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Runc => "runc",
            Name::Crun => "crun",
            Name::Youki => "youki",
        }
    }

    /// The runtime that this program stands for when it is called `argv0`: `crun`,
    /// `buildwarden-crun`, by any path.
    pub fn of_argv0(argv0: &OsStr) -> Option<Name> {
        let name = Path::new(argv0).file_name()?.as_bytes();
        let name = name.strip_prefix(b"buildwarden-").unwrap_or(name);
        Name::ALL.into_iter().find(|runtime| runtime.as_str().as_bytes() == name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The runtime's absolute path: as configured, or the first program of its name in PATH
/// that does not lead back here.
pub(super) fn find(
    name: Name,
    configured: &Runtimes,
    mistake: Option<ConfigError>,
) -> Result<PathBuf, RuntimeError> {
    let path = match name {
        Name::Runc => &configured.runc,
        Name::Crun => &configured.crun,
        Name::Youki => &configured.youki,
    };
    match path {
        Some(path) if leads_back(path) => Err(RuntimeError::Itself { name, path: path.clone() }),
        Some(path) => Ok(path.clone()),
        None => host::find_program_where(name.as_str(), |path| !leads_back(path))
            .ok_or(RuntimeError::NotFound { name, mistake }),
    }
}

/// Whether executing `path` would come here again, and again: it is a link to this
/// file, a copy of it, or a script that starts it.
fn leads_back(path: &Path) -> bool {
    let (Ok(other), Ok(this)) = (fs::metadata(path), fs::metadata("/proc/self/exe")) else {
        return false;
    };
    let same = (other.dev(), other.ino()) == (this.dev(), this.ino());
    // Another program of our length to the byte would be a strange coincidence.
    same || other.len() == this.len() || is_script_of_ours(path)
}

/// Reads once: who starts this from a script says so near its beginning.
fn is_script_of_ours(path: &Path) -> bool {
    let mut head = [0; 4096];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let head = &head[..read];
    head.starts_with(b"#!") && memchr::memmem::find(head, b"buildwarden").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_name_says_which_runtime() {
        for (argv0, want) in [
            ("runc", Some(Name::Runc)),
            ("/usr/libexec/buildwarden/crun", Some(Name::Crun)),
            ("./buildwarden-youki", Some(Name::Youki)),
            ("/usr/bin/buildwarden-runc", Some(Name::Runc)),
            ("buildwarden", None),
            ("/runc/buildwarden", None),
            ("runc-buildwarden", None),
            ("buildwarden-", None),
            ("docker-runc", None),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(Name::of_argv0(argv0.as_ref()), want, "{argv0}");
        }
    }

    #[test]
    fn what_leads_back_is_not_the_runtime() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let this = std::env::current_exe().unwrap();
        std::os::unix::fs::symlink(&this, path("link")).unwrap();
        fs::copy(&this, path("copy")).unwrap();
        fs::write(path("script"), "#!/bin/sh\nexec /usr/bin/buildwarden runtime runc \"$@\"\n")
            .unwrap();
        fs::write(path("other"), "#!/bin/sh\nexec /usr/sbin/runc \"$@\"\n").unwrap();
        for (name, want) in
            [("link", true), ("copy", true), ("script", true), ("other", false), ("none", false)]
        {
            if name != "none" {
                fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
            assert_eq!(leads_back(&path(name)), want, "{name}");
        }
        let configured = |name| Runtimes { runc: Some(path(name)), ..Runtimes::default() };
        assert_eq!(find(Name::Runc, &configured("other"), None).unwrap(), path("other"));
        let error = find(Name::Runc, &configured("link"), None).unwrap_err().to_string();
        assert!(error.ends_with("is Buildwarden itself: name the runc that it wraps"), "{error}");
    }
}
