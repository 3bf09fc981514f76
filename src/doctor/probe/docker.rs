//! A container through Docker, and a step of its BuildKit, from an image that is this
//! program alone.

use super::engine::{SHORT, Workshop, program, run};
use super::records::Records;
use super::{Check, Failure, PROGRAM, Probe, RUN_LIMIT, finish, judge};
use crate::host::{find_program, output};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

const CONTAINER: &str = "docker container";
const BUILD: &str = "docker build";

impl Probe<'_> {
    /// None without Docker.
    pub(super) fn docker(&self) -> Vec<Check> {
        let here = self.facts.engines.dockerd.is_some()
            || self.facts.programs.iter().any(|program| program.name == "dockerd");
        let Some(docker) = find_program("docker").filter(|_| here) else { return Vec::new() };
        let mut image = match self.docker_image(docker) {
            Ok(image) => image,
            Err(failure) => return vec![finish(CONTAINER, Err(failure))],
        };
        let container = image.container(self);
        let build = image.build(self);
        let removed = image.remove();
        let build = build.and_then(|found| removed.map(|()| found));
        vec![finish(CONTAINER, container), finish(BUILD, build)]
    }

    fn docker_image(&self, docker: PathBuf) -> Result<Image, Failure> {
        self.expect_always()?;
        let ours = match &self.facts.docker {
            Ok(Some(daemon)) => daemon
                .runtimes
                .iter()
                .any(|runtime| daemon.default_runtime.as_ref() == Some(&runtime.name)),
            _ => false,
        };
        if !ours {
            return Err(Failure::NotRun(
                "its default runtime is not Buildwarden".to_owned(),
                "run `buildwarden install --engine docker`",
            ));
        }
        let version = ["version", "--format", "{{.Server.Version}}"];
        run(&docker, Command::new(&docker).args(version), SHORT)?;
        Image::make(docker)
    }
}

/// An image of one file. Goes with what was made of it.
struct Image {
    docker: PathBuf,
    workshop: Workshop,
    /// What is to be removed in the end, in this order.
    made: Vec<String>,
}

impl Image {
    fn make(docker: PathBuf) -> Result<Image, Failure> {
        let workshop = Workshop::new()?;
        let archive = workshop.path("image.tar");
        write(&archive).map_err(Failure::Bundle)?;
        let mut import = Command::new(&docker);
        import.arg("import").arg(&archive).arg(workshop.name());
        run(&docker, &mut import, RUN_LIMIT)?;
        let made = vec![workshop.name().to_owned()];
        Ok(Image { docker, workshop, made })
    }

    fn container(&self, probe: &Probe<'_>) -> Result<String, Failure> {
        let (workshop, docker) = (&self.workshop, &self.docker);
        let records = Records::new(probe.settings);
        let mut command = Command::new(docker);
        command.args(["run", "--rm", "--name", workshop.name(), "--cidfile"]);
        command.arg(workshop.path("cid")).args(["--network", "none", "--log-driver", "none"]);
        let command = command.args([workshop.name(), PROGRAM, "--version"]);
        let judged = run(docker, command, RUN_LIMIT).and_then(|_| {
            let report = records.wait(&workshop.id("cid")?);
            judge(&report.map_err(|error| error.untraced("Docker"))?, false)
        });
        // It is gone, unless something failed on the way; then there is nothing to tell.
        let _ = output(Command::new(docker).args(["rm", "--force", workshop.name()]), SHORT);
        let removed = workshop.id("cid").map_or(Ok(()), |id| records.remove(id));
        let found = judged?;
        removed.map(|()| found)
    }

    fn build(&mut self, probe: &Probe<'_>) -> Result<String, Failure> {
        let (workshop, docker) = (&self.workshop, &self.docker);
        let records = Records::new(probe.settings);
        let (context, name) = (workshop.path("context"), workshop.name());
        let dockerfile = format!("FROM {name}\nRUN [\"{PROGRAM}\", \"--version\", \"{name}\"]\n");
        fs::create_dir(&context)
            .and_then(|()| fs::write(context.join("Dockerfile"), dockerfile))
            .map_err(Failure::Bundle)?;
        let before = records.runs();
        let mut command = Command::new(docker);
        // dockerd's own, whatever builder is chosen for the user.
        command.env("DOCKER_BUILDKIT", "1").env("BUILDX_BUILDER", "default");
        command.args(["build", "--quiet", "--no-cache", "--network", "none", "--iidfile"]);
        run(docker, command.arg(workshop.path("iid")).arg(&context), RUN_LIMIT)?;
        let image = fs::read_to_string(workshop.path("iid")).map_err(Failure::Bundle)?;
        self.made.insert(0, image.trim().to_owned());
        let is_ours = |word: &[u8]| word == name.as_bytes();
        let found = records.find(&before, |report| {
            let step = report.container.step.as_ref();
            step.is_some_and(|step| step.command.iter().any(|word| is_ours(word.as_bytes())))
        });
        let (run, report) = found.map_err(|error| error.untraced("Docker's BuildKit"))?;
        let judged = judge(&report, false);
        let removed = records.remove(run);
        let found = judged?;
        removed.map(|()| found)
    }

    fn remove(&self) -> Result<(), Failure> {
        let mut command = Command::new(&self.docker);
        command.args(["image", "rm", "--force"]).args(&self.made);
        run(&self.docker, &mut command, SHORT)
            .map(drop)
            .map_err(|error| Failure::Leftover(error.to_string()))
    }
}

/// An archive of this program.
fn write(path: &Path) -> std::io::Result<()> {
    let program = program().map_err(std::io::Error::other)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(fs::metadata(&program)?.len());
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(File::create(path)?);
    archive.append_data(&mut header, PROGRAM.trim_start_matches('/'), File::open(program)?)?;
    archive.finish()
}
