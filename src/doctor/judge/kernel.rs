//! The kernel and its file systems.

use crate::config::Settings;
use crate::doctor::{Check, Section};
use crate::host::{Facts, Kernel};
use crate::trace::{Feature, INSTRUCTIONS_MAX, Verified};

const SECTION: Section = Section::Kernel;

pub(super) fn judge(facts: &Facts, settings: &Settings) -> Vec<Check> {
    let mut checks = vec![release(&facts.kernel), btf(facts), bpffs(facts, settings)];
    checks.push(cgroup(facts));
    checks.push(lockdown(&facts.kernel));
    checks.extend(unprivileged_bpf(&facts.kernel));
    checks
}

/// A feature that was tried.
pub(super) fn feature((name, result): &Feature) -> Check {
    match result {
        Ok(()) => Check::ok(SECTION, name, "works"),
        Err(error) => Check::problem(
            SECTION,
            name,
            error,
            "boot a kernel that has it: Linux 5.10 or later, as distributions build it",
        ),
    }
}

/// What it took to accept the programs.
pub(super) fn verifier(verified: &[Verified]) -> Option<Check> {
    let most = verified.iter().max_by_key(|verified| verified.instructions)?;
    let Verified { program, instructions, .. } = most;
    Some(Check::ok(
        SECTION,
        "verifier",
        format!("at most {instructions} of {INSTRUCTIONS_MAX} instructions, for {program}"),
    ))
}

fn release(kernel: &Kernel) -> Check {
    let release = kernel.release.as_deref().unwrap_or("of an unknown release");
    Check::ok(SECTION, "kernel", format!("Linux {release}, {}", kernel.architecture))
}

fn btf(facts: &Facts) -> Check {
    let name = "type information";
    match &facts.btf {
        Ok(btf) if btf.missing.is_empty() => Check::ok(
            SECTION,
            name,
            format!(
                "BTF of {:.1} MiB with all that is needed",
                btf.bytes as f64 / f64::from(1 << 20)
            ),
        ),
        Ok(btf) => Check::problem(
            SECTION,
            name,
            format!("BTF lacks {}", btf.missing.join(", ")),
            "boot a kernel with tracepoints, cgroups and namespaces built in, as distributions do",
        ),
        Err(error) => Check::problem(
            SECTION,
            name,
            format!("no BTF: {error}"),
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y; Debian's have it since 11, Ubuntu's since 20.10, RHEL's since 8.2",
        ),
    }
}

fn bpffs(facts: &Facts, settings: &Settings) -> Check {
    let name = "BPF file system";
    let wanted = settings.bpffs.as_path();
    match &facts.bpffs {
        Err(error) => Check::problem(SECTION, name, error.to_string(), "mount /proc"),
        Ok(mounts) if mounts.iter().any(|mount| wanted.starts_with(mount)) => {
            Check::ok(SECTION, name, format!("mounted on {}", wanted.display()))
        }
        Ok(_) => Check::warning(
            SECTION,
            name,
            format!("not mounted on {}; the first hook will mount it", wanted.display()),
            // A hook's mount is lost where the engine has a mount namespace of its own.
            format!(
                "mount it at boot, for an engine may hide what its hooks mount: mount -t bpf bpf {}",
                wanted.display()
            ),
        ),
    }
}

fn cgroup(facts: &Facts) -> Check {
    let name = "cgroup v2";
    match &facts.cgroup2 {
        Ok(mount) if mount.ends_with("unified") => {
            Check::ok(SECTION, name, format!("{}, beside v1 (hybrid)", mount.display()))
        }
        Ok(mount) => Check::ok(SECTION, name, mount.display().to_string()),
        Err(error) => Check::problem(
            SECTION,
            name,
            error.to_string(),
            "boot with systemd.unified_cgroup_hierarchy=1, or beside v1: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
        ),
    }
}

fn lockdown(kernel: &Kernel) -> Check {
    let name = "lockdown";
    match kernel.lockdown.as_deref() {
        // LOCKDOWN_BPF_READ_KERNEL is forbidden at confidentiality only.
        Some("confidentiality") => Check::problem(
            SECTION,
            name,
            "confidentiality: BPF programs may not read kernel memory",
            "boot with lockdown=integrity",
        ),
        Some(mode) => Check::ok(SECTION, name, mode),
        None => Check::ok(SECTION, name, "not in this kernel, or securityfs is not mounted"),
    }
}

fn unprivileged_bpf(kernel: &Kernel) -> Option<Check> {
    let name = "unprivileged BPF";
    Some(match kernel.unprivileged_bpf_disabled? {
        0 => Check::ok(SECTION, name, "allowed; Buildwarden does not need it"),
        _ => Check::ok(SECTION, name, "refused"),
    })
}
