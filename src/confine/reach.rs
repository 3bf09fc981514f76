//! Files and network: Landlock.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use std::{os::fd::BorrowedFd, path::Path};

/// The newest release of Landlock whose restrictions are used; on an older kernel those that
/// it has.
const KNOWN: ABI = ABI::V6;

/// What stays within reach.
#[derive(Debug, Default)]
pub struct Reach<'a> {
    /// Directories whose files can be read, made, written and removed.
    pub own: Vec<BorrowedFd<'a>>,
    /// Directories whose files can be read, renamed and removed, and not be written.
    pub rename_in: Vec<BorrowedFd<'a>>,
    /// Directories below which empty directories can be removed.
    pub prune: Vec<&'a Path>,
    /// Files that can be read, and all below where one is a directory.
    pub read: Vec<&'a Path>,
    /// TCP ports that can be connected to; none can be bound.
    pub connect: Vec<u16>,
}

impl Reach<'_> {
    /// Takes everything else away from the calling thread.
    pub(super) fn restrict(self) -> Result<(), String> {
        match self.restricted() {
            Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
            Ok(RulesetStatus::NotEnforced) => {
                Err("this kernel has no Landlock, or does not list it in `lsm=`".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn restricted(self) -> Result<RulesetStatus, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let rename = read | AccessFs::MakeReg | AccessFs::RemoveFile;
        let own = rename | AccessFs::WriteFile | AccessFs::Truncate;
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(KNOWN))?
            .handle_access(AccessNet::from_all(KNOWN))?
            .scope(Scope::from_all(KNOWN))?
            .create()?;
        for (directories, access) in [(self.own, own), (self.rename_in, rename)] {
            for directory in directories {
                ruleset = ruleset.add_rule(PathBeneath::new(directory, access))?;
            }
        }
        let prune: BitFlags<AccessFs> = AccessFs::RemoveDir.into();
        for (paths, access) in [(self.prune, prune), (self.read, read)] {
            // What is not there cannot be reached in any case.
            ruleset = ruleset.add_rules(landlock::path_beneath_rules(paths, access))?;
        }
        for port in self.connect {
            ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
        Ok(ruleset.restrict_self()?.ruleset)
    }
}
