//! What this process may do.

use crate::confine::Confined;
use crate::doctor::{Check, Section};
use crate::host::{Capabilities, Facts};

const SECTION: Section = Section::Privileges;

pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![user_namespace(facts.initial_user_namespace)];
    match &facts.capabilities {
        Ok(capabilities) => {
            checks.push(bpf(capabilities));
            checks.push(memlock(facts, capabilities));
            checks.push(real_time(capabilities));
        }
        Err(error) => {
            checks.push(Check::problem(SECTION, "capabilities", error.to_string(), "mount /proc"))
        }
    }
    checks
}

fn user_namespace(initial: bool) -> Check {
    let name = "user namespace";
    if initial {
        return Check::ok(SECTION, name, "the host's");
    }
    Check::problem(
        SECTION,
        name,
        "not the host's: the kernel refuses BPF here, whatever the capabilities say",
        "run as the host's root; containers of rootless engines cannot be traced by their own hooks",
    )
}

/// `CAP_SYS_ADMIN` stands in for both, see capabilities(7).
fn bpf(capabilities: &Capabilities) -> Check {
    let name = "capabilities";
    let wanted = [("CAP_BPF", capabilities.bpf), ("CAP_PERFMON", capabilities.perfmon)];
    let missing: Vec<_> =
        wanted.iter().filter(|(_, has)| !has && !capabilities.sys_admin).map(|(n, _)| *n).collect();
    if !missing.is_empty() {
        return Check::problem(
            SECTION,
            name,
            format!("{} missing: BPF programs cannot be loaded", missing.join(" and ")),
            "run as root with all capabilities",
        );
    }
    if !capabilities.sys_admin {
        return Check::warning(
            SECTION,
            name,
            "CAP_SYS_ADMIN missing: the BPF file system cannot be mounted nor a container started from here",
            "run as root with all capabilities",
        );
    }
    Check::ok(SECTION, name, "CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN")
}

/// Since Linux 5.11 (bpf: "Eliminate rlimit-based memory accounting") maps are
/// charged to the cgroup's memory; no interface tells, hence the version.
fn memlock(facts: &Facts, capabilities: &Capabilities) -> Check {
    let name = "locked memory";
    let by_cgroup = facts.kernel.version().is_some_and(|version| version >= (5, 11));
    match facts.kernel.memlock {
        None => Check::ok(SECTION, name, "no limit"),
        Some(_) if by_cgroup => Check::ok(SECTION, name, "this kernel does not count BPF maps"),
        Some(_) if capabilities.sys_resource => {
            Check::ok(SECTION, name, "limited; the limit can be raised (CAP_SYS_RESOURCE)")
        }
        Some(bytes) => Check::warning(
            SECTION,
            name,
            format!("limited to {bytes} bytes, and CAP_SYS_RESOURCE is missing to raise it"),
            "raise the engine's limit: LimitMEMLOCK=infinity in its systemd unit",
        ),
    }
}

fn real_time(capabilities: &Capabilities) -> Check {
    let name = "real-time priority";
    if capabilities.sys_nice {
        return Check::ok(SECTION, name, "allowed (CAP_SYS_NICE)");
    }
    Check::warning(
        SECTION,
        name,
        "CAP_SYS_NICE missing: a storm of execs on the collector's CPU can make it lose some",
        "give the engine CAP_SYS_NICE, or make ring.size larger; losses are always reported",
    )
}

/// What collectors, exporters and who takes over give up.
pub(in crate::doctor) fn confinement(confined: &Confined) -> Check {
    let name = "confinement";
    let found = confined.names().join(", ");
    if confined.missing.is_empty() {
        return Check::ok(SECTION, name, found);
    }
    let missing = confined
        .missing
        .iter()
        .map(|(layer, why)| format!("{} is missing ({why})", layer.as_str()));
    let found = format!("{found}; {}", missing.collect::<Vec<_>>().join("; "));
    // It only lacks a net under a mistake of ours: nothing that a build could be harmed by.
    Check::warning(
        SECTION,
        name,
        found,
        "boot a kernel with CONFIG_SECCOMP_FILTER and, from Linux 5.13 on, CONFIG_SECURITY_LANDLOCK \
         and `landlock` in `lsm=`",
    )
}
