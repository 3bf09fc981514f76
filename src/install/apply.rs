//! The change: one engine's files, each whole or not at all.

use super::{InstallError, Plan, Root, Verb};
use std::path::PathBuf;

/// What was done, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A file has changed; what it was before is kept there.
    Changed(PathBuf, Option<PathBuf>),
    /// A file or link is new.
    Made(PathBuf),
    /// A file is as it was before the first change.
    Restored(PathBuf),
    /// A file is gone.
    Removed(PathBuf),
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Done::Changed(path, None) => write!(f, "changed {}", path.display()),
            Done::Changed(path, Some(backup)) => {
                write!(f, "changed {} (as it was: {})", path.display(), backup.display())
            }
            Done::Made(path) => write!(f, "made {}", path.display()),
            Done::Restored(path) => write!(f, "restored {}", path.display()),
            Done::Removed(path) => write!(f, "removed {}", path.display()),
        }
    }
}

/// Whether a plan can be carried out, as far as that can be told without trying.
pub(super) fn check_writable(root: &Root, plan: &Plan) -> Result<(), InstallError> {
    let links = plan.links.iter().chain(&plan.unlinks).map(|link| &link.path);
    let mut paths = links.chain(plan.edits.iter().map(|edit| &edit.path));
    paths.try_for_each(|path| root.check_writable(path))
}

/// Carries a plan out. Links come first: no engine may be told of a program that is not
/// there.
pub(super) fn apply(root: &Root, plan: &Plan, verb: Verb) -> Result<Vec<Done>, InstallError> {
    let mut done = Vec::new();
    let result = carry_out(root, plan, verb, &mut done);
    match result {
        Ok(()) => Ok(done),
        Err(error) if done.is_empty() => Err(error),
        Err(failed) => {
            let done = done.iter().map(Done::to_string).collect::<Vec<_>>().join(", ");
            Err(InstallError::Halfway { engine: plan.engine, done, failed: Box::new(failed) })
        }
    }
}

fn carry_out(
    root: &Root,
    plan: &Plan,
    verb: Verb,
    done: &mut Vec<Done>,
) -> Result<(), InstallError> {
    for link in &plan.links {
        root.make_link(&link.path, &link.target)?;
        done.push(Done::Made(root.shown(&link.path)));
    }
    for edit in &plan.edits {
        let (path, shown) = (&edit.path, root.shown(&edit.path));
        let before = edit.before.as_deref();
        match (&edit.after, verb) {
            (Some(after), Verb::Install) => {
                root.write(path, before, after, !edit.ours)?;
                let backup = super::root::backup(path);
                done.push(match before {
                    None => Done::Made(shown),
                    Some(_) if root.exists(&backup) => {
                        Done::Changed(shown, Some(root.shown(&backup)))
                    }
                    Some(_) => Done::Changed(shown, None),
                });
            }
            (Some(after), Verb::Uninstall) => {
                let original = root.read(path)?.and_then(|found| found.backup);
                root.write(path, before, after, false)?;
                root.remove_backup(path)?;
                let restored = original.as_ref() == Some(after);
                done.push(if restored {
                    Done::Restored(shown)
                } else {
                    Done::Changed(shown, None)
                });
            }
            (None, _) => {
                root.remove(path, before.unwrap_or_default())?;
                root.remove_backup(path)?;
                if let Some(directory) = path.parent() {
                    root.remove_empty(directory);
                }
                done.push(Done::Removed(shown));
            }
        }
    }
    for link in &plan.unlinks {
        root.remove_link(&link.path, &link.target)?;
        if let Some(directory) = link.path.parent() {
            root.remove_empty(directory);
        }
        done.push(Done::Removed(root.shown(&link.path)));
    }
    Ok(())
}
