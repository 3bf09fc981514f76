//! Engines run the script of a build (`programs/build.sh`) with us and without: what can be
//! seen of it from outside is equal, and with us each container has its report.

mod cli;
mod containerd;
mod docker;
mod observed;
mod oci;
mod podman;

use crate::harness::{Dir, Release, run};
use observed::Observed;
pub(crate) use observed::without_ids;
use std::{path::Path, time::Duration};

/// An engine of a release.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    /// The program that says which version it is.
    program: fn() -> &'static Path,
    release: fn(&Dir) -> Release,
    /// Sets it up, and gives each of its scenarios.
    scenarios: fn(&Dir, Release, &mut dyn FnMut(&Scenario<'_>)),
}

/// All of them.
pub(crate) const ENGINES: [Engine; 13] = [
    oci::RUNC,
    oci::NEXT_RUNC,
    oci::CRUN,
    oci::NEXT_CRUN,
    oci::YOUKI,
    podman::PODMAN,
    podman::NEXT_PODMAN,
    podman::BUILDAH,
    podman::NEXT_BUILDAH,
    docker::DOCKER,
    docker::NEXT_DOCKER,
    containerd::CONTAINERD,
    containerd::NEXT_CONTAINERD,
];

impl Engine {
    /// Gives each of its scenarios, and the engine's name with its version.
    pub(crate) fn scenarios(&self, dir: &Dir, mut each: impl FnMut(&str, &Scenario<'_>)) {
        let release = (self.release)(dir);
        let program = (self.program)();
        let said = run(release.command(program).arg("--version")).expect_code(0).stdout();
        let mut words = said.split([' ', ',', '\n']);
        let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        let version = version.unwrap_or_else(|| panic!("{} --version: {said}", program.display()));
        let name = format!("{} {version}", self.name);
        (self.scenarios)(dir, release, &mut |scenario| each(&name, scenario));
    }
}

/// A way in which an engine runs the script.
pub(crate) struct Scenario<'e> {
    pub(crate) name: &'static str,
    /// How many findings each container's report has, in order of their number.
    findings: &'static [usize],
    run: Box<dyn Fn(&mut Observed) + 'e>,
}

impl<'e> Scenario<'e> {
    fn new(
        name: &'static str,
        findings: &'static [usize],
        run: impl Fn(&mut Observed) + 'e,
    ) -> Scenario<'e> {
        Scenario { name, findings, run: Box::new(run) }
    }

    /// Runs it with us and without, one of them first, and fails where a difference can be
    /// told. How long the engine took, with us and without.
    #[track_caller]
    pub(crate) fn pair(&self, dir: &Dir, us_first: bool) -> [Duration; 2] {
        let (with, without) = if us_first {
            let with = self.with_us(dir);
            (with, self.without_us(dir))
        } else {
            let without = self.without_us(dir);
            (self.with_us(dir), without)
        };
        with.expect_same(&without);
        [with.took(), without.took()]
    }

    /// How many findings it is to have with us.
    pub(crate) fn findings(&self) -> usize {
        self.findings.iter().sum()
    }

    #[track_caller]
    fn with_us(&self, dir: &Dir) -> Observed {
        let before = dir.runs();
        dir.set_up(true);
        let observed = self.observe();
        let mut findings = Vec::new();
        for run in dir.runs().iter().filter(|run| !before.contains(run)) {
            let report = dir.report(run);
            assert_eq!(report.completeness.reasons, [""; 0], "{run}");
            findings.push(report.findings.len());
        }
        findings.sort();
        assert_eq!(findings, self.findings, "findings of each container");
        dir.expect_nothing_live();
        observed
    }

    #[track_caller]
    fn without_us(&self, dir: &Dir) -> Observed {
        let before = dir.runs();
        dir.set_up(false);
        let observed = self.observe();
        assert_eq!(dir.runs(), before, "traced without us");
        observed
    }

    #[track_caller]
    fn observe(&self) -> Observed {
        let mut observed = Observed::default();
        (self.run)(&mut observed);
        // The script ran, to its end, and without a network.
        for said in ["asked to end: 5\n", "(198.51.100.40): Network is unreachable"] {
            assert!(observed.contains(said), "{}: nothing says {said:?}", self.name);
        }
        observed
    }
}

/// Every scenario of an engine, once.
#[track_caller]
fn check(engine: Engine) {
    let dir = Dir::new();
    let mut ran = 0;
    engine.scenarios(&dir, |name, scenario| {
        // Where a failure says what it is of.
        println!("{name}: {}", scenario.name);
        scenario.pair(&dir, true);
        ran += 1;
    });
    assert!(ran > 0, "{} has no scenario", engine.name);
}

#[test]
fn root_runc_runs_a_build_as_without_us() {
    check(oci::RUNC);
}

#[test]
fn root_next_runc_runs_a_build_as_without_us() {
    check(oci::NEXT_RUNC);
}

#[test]
fn root_crun_runs_a_build_as_without_us() {
    check(oci::CRUN);
}

#[test]
fn root_next_crun_runs_a_build_as_without_us() {
    check(oci::NEXT_CRUN);
}

#[test]
fn root_youki_runs_a_build_as_without_us() {
    check(oci::YOUKI);
}

#[test]
fn root_podman_runs_a_build_as_without_us() {
    check(podman::PODMAN);
}

#[test]
fn root_next_podman_runs_a_build_as_without_us() {
    check(podman::NEXT_PODMAN);
}

#[test]
fn root_buildah_runs_a_build_as_without_us() {
    check(podman::BUILDAH);
}

#[test]
fn root_next_buildah_runs_a_build_as_without_us() {
    check(podman::NEXT_BUILDAH);
}

#[test]
fn root_docker_runs_a_build_as_without_us() {
    check(docker::DOCKER);
}

#[test]
fn root_next_docker_runs_a_build_as_without_us() {
    check(docker::NEXT_DOCKER);
}

#[test]
fn root_containerd_runs_a_build_as_without_us() {
    check(containerd::CONTAINERD);
}

#[test]
fn root_next_containerd_runs_a_build_as_without_us() {
    check(containerd::NEXT_CONTAINERD);
}
