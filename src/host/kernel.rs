//! What the kernel says of itself.

use rustix::process::{Resource, getrlimit};
use std::fs::read_to_string;

/// Which boot of this machine this is: no two have the same. `None` where the kernel
/// does not tell.
pub fn boot_id() -> Option<String> {
    trimmed("/proc/sys/kernel/random/boot_id")
}

/// The running kernel. A field is `None` where the kernel does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As `uname -r` says.
    pub release: Option<String>,
    /// As `uname -m` says, for the architecture this binary was built for.
    pub architecture: &'static str,
    /// The lockdown mode: `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`: 0 allowed, 1 and 2 not.
    pub unprivileged_bpf_disabled: Option<u32>,
    /// Bytes that this process may lock; `None` without a limit.
    pub memlock: Option<u64>,
}

impl Kernel {
    pub(super) fn read() -> Kernel {
        Kernel {
            release: trimmed("/proc/sys/kernel/osrelease"),
            architecture: std::env::consts::ARCH,
            lockdown: trimmed("/sys/kernel/security/lockdown")
                .and_then(|modes| chosen(&modes).map(str::to_owned)),
            unprivileged_bpf_disabled: trimmed("/proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|value| value.parse().ok()),
            memlock: getrlimit(Resource::Memlock).current,
        }
    }

    /// Major and minor number, for what cannot be asked otherwise.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.as_deref()?.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

fn trimmed(path: &str) -> Option<String> {
    read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The mode in brackets, as in `none [integrity] confidentiality`.
fn chosen(modes: &str) -> Option<&str> {
    modes.split_once('[')?.1.split_once(']').map(|(mode, _)| mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lockdown_mode_is_the_one_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality"), Some("integrity"));
        assert_eq!(chosen("[none] integrity confidentiality"), Some("none"));
        assert_eq!(chosen("none"), None);
        assert_eq!(chosen("[none"), None);
    }

    #[test]
    fn a_release_begins_with_its_version() {
        let cases = [
            ("6.18.44-cloud", Some((6, 18))),
            ("5.10.0-32-amd64", Some((5, 10))),
            ("7.2-rc1", Some((7, 2))),
            ("next", None),
            ("", None),
        ];
        for (release, want) in cases {
            let kernel = Kernel {
                release: Some(release.to_owned()),
                architecture: "x86_64",
                lockdown: None,
                unprivileged_bpf_disabled: None,
                memlock: None,
            };
            assert_eq!(kernel.version(), want, "{release}");
        }
    }
}
