//! The recipes of `docs/ci`: containers are started, entered and built as each CI system
//! does it, and then the documented scripts and commands run as they stand.

use crate::harness::{Dir, Docker, Done, run};
use buildwarden::report::model::JobReport;
use nix::{sys::stat::Mode, unistd::mkfifo};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use yaml_rust2::{Yaml, YamlLoader};

/// What the build of a job does, and how its gate ends. A quiet one, one that calls an
/// address, and shows what reports must not let through.
const BUILDS: [(&str, &str, i32); 2] =
    [("17", "true", 0), ("18", "wget 'http://8.8.8.8/</pre><b>&' ::error::hello || true", 10)];

/// A variable of a job: name and value.
type Variables<'a> = [(&'a str, &'a str)];

fn recipe(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci").join(path)
}

fn yaml(path: &str) -> Yaml {
    let text = fs::read_to_string(recipe(path)).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// A sequence of strings, a line each.
#[track_caller]
fn lines(yaml: &Yaml) -> String {
    let lines = yaml.as_vec().unwrap_or_else(|| panic!("no sequence: {yaml:?}"));
    lines.iter().map(|line| line.as_str().unwrap().to_owned() + "\n").collect()
}

/// `NAME=value`, each after this option.
fn options(option: &str, variables: &Variables<'_>) -> Vec<String> {
    variables
        .iter()
        .flat_map(|(name, value)| [option.to_owned(), format!("{name}={value}")])
        .collect()
}

/// A build host: an engine that is set up, and the programs that scripts call by name.
struct Host<'a> {
    dir: &'a Dir,
    docker: Docker<'a>,
}

/// What a job's build is executed as.
const BUILD: &str = "build.sh";

impl<'a> Host<'a> {
    #[track_caller]
    fn new(dir: &'a Dir) -> Host<'a> {
        let docker = Docker::new(dir);
        let program = env!("CARGO_BIN_EXE_buildwarden");
        let config = dir.config();
        for (name, script) in [
            // Where it is installed, it finds its configuration by itself.
            (
                "buildwarden",
                format!("BUILDWARDEN_CONFIG={} exec {program} \"$@\"", config.display()),
            ),
            // Nothing leaves this machine; and this daemon has no bridge.
            ("docker", "verb=$1; shift; exec /usr/bin/docker $verb --network none \"$@\"".into()),
            (
                "buildkite-agent",
                "echo \"$*\" >>$AGENT/log; case $1 in artifact) cp $3 $AGENT;; *) cat >$AGENT/annotation; esac"
                    .into(),
            ),
        ] {
            let path = dir.path("tools").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        docker.docker(&["tag", "img:1", "debian:12"]).expect_code(0);
        Host { dir, docker }
    }

    /// A directory of a job, with its checkout.
    fn checkout(&self, job: &str, build: &str, dockerfile: &str) -> PathBuf {
        let checkout = self.dir.path("checkouts").join(job);
        fs::create_dir_all(&checkout).unwrap();
        let script = checkout.join(BUILD);
        fs::write(&script, format!("#!/bin/sh\n{build}\n")).unwrap();
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(recipe(dockerfile), checkout.join("Dockerfile")).unwrap();
        // Of what the builds are not given.
        fs::write(checkout.join(".dockerignore"), "buildwarden.*\n").unwrap();
        plant(&checkout);
        checkout
    }

    /// A command on the host, outside of any container, with a job's variables.
    #[track_caller]
    fn on_host(&self, variables: &Variables<'_>, at: &Path, command: &[&str]) -> Done {
        let mut host = Command::new("unshare");
        host.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        host.arg("mount --bind \"$0\" /usr/local/sbin; cd \"$1\"; shift; exec \"$@\"");
        host.arg(self.dir.path("tools")).arg(at).args(command);
        host.env_clear().env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin");
        run(host.env("HOME", at).envs(self.docker.environment()).envs(variables.iter().copied()))
    }

    /// The documented `docker build`, with both builders.
    #[track_caller]
    fn build(&self, variables: &Variables<'_>, checkout: &Path, command: &str) {
        assert!(command.starts_with("docker build "), "{command}");
        for buildkit in ["0", "1"] {
            let variables = [variables, &[("DOCKER_BUILDKIT", buildkit)]].concat();
            // What was built before is not taken from the cache: the variables differ, or
            // this does.
            fs::write(checkout.join("builder"), buildkit).unwrap();
            self.on_host(&variables, checkout, &["bash", "-ec", command]).expect_code(0);
        }
    }

    /// A step that is executed into the container of its stage, which then goes.
    #[track_caller]
    fn step(&self, name: &str, variables: &Variables<'_>, build: &str) {
        let start = ["run", "--detach", "--tty", "--network", "none", "--name", name];
        self.docker.docker(&[&start[..], &["debian:12", "cat"]].concat()).expect_code(0);
        let options = options("--env", variables);
        let mut exec = vec!["exec"];
        exec.extend(options.iter().map(String::as_str));
        exec.extend([name, "sh", "-c", build]);
        self.docker.docker(&exec).expect_code(0);
        self.docker.docker(&["rm", "--force", name]).expect_code(0);
    }

    /// A container that is started with variables.
    #[track_caller]
    fn container(&self, variables: &Variables<'_>, build: &str) {
        let options = options("--env", variables);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        self.docker.run(&[&["--rm"], &options[..]].concat(), build).expect_code(0);
    }
}

/// What a build may leave where the gate's files are to be: a link to a file of the gate's
/// user, a pipe that nobody reads, and more than a file.
fn plant(workspace: &Path) {
    symlink("profile", workspace.join("buildwarden.json")).unwrap();
    fs::create_dir_all(workspace.join("buildwarden.html/within")).unwrap();
    mkfifo(&workspace.join("buildwarden.codequality.json"), Mode::S_IRWXU).unwrap();
}

/// What stands in a job's summary already.
const EARLIER: &str = "# Earlier\n";

/// A file that shells execute first when an environment says so.
fn shadow(dir: &Dir) -> String {
    let path = dir.path("shadow.sh");
    fs::write(&path, "buildwarden() { echo >shadowed; }\n").unwrap();
    path.display().to_string()
}

/// Variables with which a job could change what a script on the host does.
fn shadows(file: &str) -> [(&str, &str); 3] {
    [("BASH_ENV", file), ("BASH_FUNC_cat%%", "() { :; }"), ("BASH_FUNC_mktemp%%", "() { pwd; }")]
}

/// Expects that a recipe has kept a report of so many containers, as JSON and as a page.
#[track_caller]
fn kept(directory: &Path, containers: usize, code: i32) {
    assert!(!directory.join("profile").exists());
    let read = |name| {
        let path = directory.join(name);
        assert!(path.symlink_metadata().unwrap().is_file(), "{}", path.display());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let report: JobReport = serde_json::from_str(&read("buildwarden.json")).unwrap();
    assert_eq!(report.containers.len(), containers, "{report:?}");
    assert_eq!(report.findings.critical > 0, code == 10, "{report:?}");
    let page = read("buildwarden.html");
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert_eq!(page.contains("8.8.8.8"), code == 10, "{page}");
}

#[test]
fn root_recipe_for_github() {
    let dir = Dir::new();
    let host = Host::new(&dir);
    let workflow = yaml("github/workflow.yml");
    let hook = recipe("github/job-completed.sh").display().to_string();
    // What a job may put before PATH.
    let theirs = dir.path("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("buildwarden"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(theirs.join("buildwarden"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/sbin:/usr/bin:/bin", theirs.display());
    let shadow = shadow(&dir);
    for (number, build, code) in BUILDS {
        let checkout = host.checkout(number, build, "github/Dockerfile");
        let summary = checkout.join("summary");
        let summary_path = summary.display().to_string();
        let variables = |job| {
            [
                ("GITHUB_REPOSITORY", "acme/web"),
                ("GITHUB_RUN_ID", number),
                ("GITHUB_RUN_ATTEMPT", "1"),
                ("GITHUB_JOB", job),
                ("RUNNER_NAME", "builder-1"),
            ]
        };
        host.step(&format!("test-{number}"), &variables("test"), build);
        let image = workflow["jobs"]["image"]["steps"][1]["run"].as_str().unwrap();
        host.build(&variables("image"), &checkout, image);
        for job in ["test", "image"] {
            fs::write(&summary, EARLIER).unwrap();
            let own = [("GITHUB_STEP_SUMMARY", summary_path.as_str()), ("PATH", path.as_str())];
            let own = [&own[..], &shadows(&shadow)].concat();
            let of = variables(job);
            let done = host.on_host(&[&of[..], &own].concat(), &checkout, &["bash", "-e", &hook]);
            let done = done.expect_code(code);
            let stdout = done.stdout();
            let token = stdout.lines().next().unwrap().strip_prefix("::stop-commands::").unwrap();
            assert_eq!(token.len(), 32, "{done}");
            let (log, annotations) = stdout.split_once(&format!("\n::{token}::\n")).unwrap();
            let verdict = if code == 10 { "FINDINGS" } else { "CLEAN" };
            assert!(log.lines().nth(1).unwrap().starts_with(verdict), "{done}");
            let kind = if code == 10 { "error" } else { "notice" };
            assert!(annotations.starts_with(&format!("::{kind} title=Buildwarden")), "{done}");
            assert!(annotations.lines().all(|line| line.starts_with("::")), "{done}");
            let summary = fs::read_to_string(&summary).unwrap();
            let summary = summary.strip_prefix(EARLIER).unwrap();
            assert!(summary.starts_with("## Buildwarden: "), "{summary}");
            assert_eq!(summary.contains("8.8.8.8/</pre><b>&"), code == 10, "{summary}");
        }
        // A job without a container.
        fs::remove_file(&summary).unwrap();
        let own = [("GITHUB_STEP_SUMMARY", summary_path.as_str())];
        let of = [&variables("other")[..], &own].concat();
        let done = host.on_host(&of, &checkout, &["bash", "-e", &hook]).expect_code(0);
        assert!(done.stderr().contains("no container of a job"), "{done}");
        assert!(done.stdout().lines().all(|line| line.starts_with("::")), "{done}");
        assert_eq!(fs::read(&summary).unwrap(), b"");

        let gate = workflow["jobs"]["buildwarden"]["steps"][0]["run"].as_str().unwrap();
        host.on_host(&variables("buildwarden"), &checkout, &["bash", "-ec", gate])
            .expect_code(code);
        kept(&checkout, 3, code);
    }
    dir.expect_nothing_live();
}

#[test]
fn root_recipe_for_gitlab() {
    let dir = Dir::new();
    let host = Host::new(&dir);
    let pipeline = yaml("gitlab/build.gitlab-ci.yml");
    let gate = &yaml("gitlab/gate.gitlab-ci.yml")["buildwarden"];
    for (number, build, code) in BUILDS {
        let checkout = host.checkout(number, build, "gitlab/Dockerfile");
        let variables =
            |job| [("CI_PROJECT_PATH", "acme/web"), ("CI_PIPELINE_ID", number), ("CI_JOB_ID", job)];
        let service = format!("service-{number}");
        let of_service = options("--env", &variables("1"));
        let mut start: Vec<&str> = vec!["--detach", "--name", &service];
        start.extend(of_service.iter().map(String::as_str));
        host.docker.run(&start, "exec sleep 600").expect_code(0);
        host.container(&variables("1"), build);
        host.docker.docker(&["rm", "--force", &service]).expect_code(0);
        host.build(&variables("2"), &checkout, lines(&pipeline["image"]["script"]).trim_end());

        let script = lines(&gate["script"]);
        let shell = ["bash", "-eo", "pipefail", "-c"];
        let done = host.on_host(&variables("3"), &checkout, &[&shell[..], &[&script]].concat());
        let done = done.expect_code(code);
        assert!(done.stdout().contains(&format!("job acme/web/{number}/2")), "{done}");
        let artifacts = lines(&gate["artifacts"]["paths"]);
        assert_eq!(artifacts, "buildwarden.html\nbuildwarden.json\n");
        kept(&checkout, 4, code);
        let quality = gate["artifacts"]["reports"]["codequality"].as_str().unwrap();
        let quality = fs::read(checkout.join(quality)).unwrap();
        let quality: serde_json::Value = serde_json::from_slice(&quality).unwrap();
        assert_eq!(quality.as_array().unwrap().is_empty(), code == 0, "{quality}");
    }
    // A build that the variables are no part of, but for its cgroup's name.
    let page = fs::read_to_string(recipe("README.md")).unwrap();
    let command = page.lines().find_map(|line| {
        let command = line.trim();
        command.starts_with("docker build --cgroup-parent ").then_some(command)
    });
    let checkout = host.checkout("cgroup", BUILDS[1].1, "gitlab/Dockerfile");
    fs::write(checkout.join("Dockerfile"), "FROM debian:12\nCOPY . .\nRUN ./build.sh\n").unwrap();
    // Below the test's own, of which nothing is left in the end.
    let project = format!("{}/web", dir.name());
    let project = ("CI_PROJECT_PATH", project.as_str());
    let variables = [project, ("CI_PIPELINE_ID", "19"), ("CI_JOB_ID", "1")];
    let build = [&variables[..], &[("DOCKER_BUILDKIT", "0")]].concat();
    host.on_host(&build, &checkout, &["bash", "-ec", command.unwrap()]).expect_code(0);
    let script = lines(&gate["script"]);
    let done = host.on_host(&variables, &checkout, &["bash", "-ec", &script]).expect_code(10);
    assert!(done.stdout().contains("/web/19/1"), "{done}");

    // A pipeline that nothing is known of does not pass.
    let none = [("CI_PROJECT_PATH", "acme/web"), ("CI_PIPELINE_ID", "1")];
    host.on_host(&none, &dir.path(""), &["bash", "-ec", &script]).expect_code(11);
    dir.expect_nothing_live();
}

/// The shell commands of a Jenkinsfile, in order.
fn jenkins_commands() -> Vec<String> {
    let text = fs::read_to_string(recipe("jenkins/Jenkinsfile")).unwrap();
    let commands = text.lines().filter_map(|line| line.trim().strip_prefix("sh '"));
    commands.map(|command| command.strip_suffix('\'').unwrap().to_owned()).collect()
}

#[test]
fn root_recipe_for_jenkins() {
    let dir = Dir::new();
    let host = Host::new(&dir);
    let commands = jenkins_commands();
    let [_test, image, clear, gate] = &commands[..] else { panic!("{commands:?}") };
    for (number, build, code) in BUILDS {
        let checkout = host.checkout(number, build, "jenkins/Dockerfile");
        let variables = [("JOB_NAME", "team/web"), ("BUILD_NUMBER", number)];
        host.step(&format!("agent-{number}"), &variables, build);
        host.build(&variables, &checkout, image);
        host.on_host(&variables, &checkout, &["sh", "-xec", clear]).expect_code(0);
        host.on_host(&variables, &checkout, &["sh", "-xec", gate]).expect_code(code);
        kept(&checkout, 3, code);
    }
    dir.expect_nothing_live();
}

#[test]
fn root_recipe_for_buildkite() {
    let dir = Dir::new();
    let host = Host::new(&dir);
    let steps = &yaml("buildkite/pipeline.yml")["steps"];
    let passed = lines(&steps[0]["plugins"][0]["docker#v5.12.0"]["environment"]);
    let hook = recipe("buildkite/hooks/pre-exit").display().to_string();
    // As the agent does, which keeps what the hook sets.
    let agent = ". \"$0\"; code=$?; [ \"$PATH\" = \"$BEFORE\" ] || exit 99; exit $code";
    let path = "/bin:/usr/bin";
    let shadow = shadow(&dir);
    // What a pipeline may set, to be looked for elsewhere.
    const OTHER_SYSTEM: [(&str, &str); 3] =
        [("GITHUB_REPOSITORY", "acme/web"), ("GITHUB_RUN_ID", "1"), ("GITHUB_JOB", "none")];
    for (number, build, code) in BUILDS {
        let checkout = host.checkout(number, build, "buildkite/Dockerfile");
        let kept_by_agent = dir.path("agent").join(number);
        fs::create_dir_all(&kept_by_agent).unwrap();
        let to = kept_by_agent.display().to_string();
        let hook = |job| {
            let variables =
                [("BUILDKITE_PIPELINE_SLUG", "web"), ("BUILDKITE_JOB_ID", job), ("AGENT", &to)];
            let own = [("PATH", path), ("BEFORE", path)];
            let variables = [&variables[..], &own, &shadows(&shadow), &OTHER_SYSTEM].concat();
            host.on_host(&variables, &checkout, &["bash", "-c", agent, &hook])
        };
        let job = format!("0190-{number}");
        let variables = [("BUILDKITE_PIPELINE_SLUG", "web"), ("BUILDKITE_JOB_ID", job.as_str())];
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(passed.lines().collect::<Vec<_>>(), names);
        host.container(&variables, build);
        host.build(&variables, &checkout, steps[1]["command"].as_str().unwrap());

        let done = hook("0190-upload").expect_code(0);
        assert!(done.stderr().contains("no container of a job"), "{done}");
        assert!(!kept_by_agent.join("log").exists());
        let done = hook(&job).expect_code(code);
        kept(&kept_by_agent, 3, code);
        let report = fs::read_to_string(kept_by_agent.join("buildwarden.txt")).unwrap();
        assert!(done.stdout().contains(&report), "{done}");
        let annotation = fs::read_to_string(kept_by_agent.join("annotation")).ok();
        assert_eq!(annotation.is_some(), code != 0, "{done}");
        if let Some(annotation) = annotation {
            assert!(annotation.contains("8.8.8.8/&lt;/pre>&lt;b>&amp;"), "{annotation}");
            assert_eq!(annotation.matches('<').count(), 2, "{annotation}");
        }
    }
    dir.expect_nothing_live();
}

/// A step of Woodpecker or Drone with the host's directories mounted.
#[track_caller]
fn step_with_volumes(
    host: &Host<'_>,
    variables: &Variables<'_>,
    checkout: &Path,
    volumes: &[String],
    commands: &str,
) -> Done {
    let [run, state, none] = [host.dir.run(), host.dir.state(), host.dir.path("none")];
    fs::create_dir_all(&none).unwrap();
    let mut args: Vec<String> =
        ["run", "--rm", "--network", "none", "--workdir", "/src"].map(str::to_owned).to_vec();
    args.extend(["--volume".to_owned(), format!("{}:/src", checkout.display())]);
    for volume in volumes {
        let there = volume.trim_end_matches(":ro");
        let (from, to) = there.split_once(':').unwrap_or((there, there));
        assert_eq!(from, to);
        let here = match from {
            "/usr/bin/buildwarden" => Path::new(env!("CARGO_BIN_EXE_buildwarden")),
            "/etc/buildwarden" => &none,
            "/run/buildwarden" => &run,
            "/var/lib/buildwarden" => &state,
            other => panic!("{other}"),
        };
        args.extend(["--volume".to_owned(), format!("{}:{to}", here.display())]);
    }
    assert_eq!(volumes.len(), 4);
    args.extend(options("--env", variables));
    args.extend(["debian:12", "sh", "-ec", commands].map(str::to_owned));
    host.docker.docker(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Steps whose variables of these names, from the repository to the number of the workflow,
/// name the job.
#[track_caller]
fn steps_are_judged(system: &str, names: [&str; 4], build: &Yaml, gate: &Yaml, volumes: &[String]) {
    let dir = Dir::new();
    let host = Host::new(&dir);
    for (number, script, code) in BUILDS {
        let [repository, pipeline, name, workflow] = names;
        let variables =
            [(repository, "acme/web"), (pipeline, number), (name, "default"), (workflow, "1")];
        let checkout = host.checkout(number, script, &format!("{system}/Dockerfile"));
        host.container(&variables, script);
        host.build(&variables, &checkout, lines(&build["commands"]).trim_end());
        let commands = lines(&gate["commands"]);
        let done = step_with_volumes(&host, &variables, &checkout, volumes, &commands);
        let done = done.expect_code(code);
        assert!(done.stdout().contains("1 still running and set aside"), "{done}");
        // With the step's own.
        kept(&checkout, 4, code);
    }
    dir.expect_nothing_live();
}

#[test]
fn root_recipe_for_woodpecker() {
    let [build, gate] = ["woodpecker/build.yaml", "woodpecker/gate.yaml"].map(yaml);
    let gate = &gate["steps"][1];
    let volumes: Vec<String> = lines(&gate["volumes"]).lines().map(str::to_owned).collect();
    let names = ["CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NAME", "CI_WORKFLOW_NUMBER"];
    steps_are_judged("woodpecker", names, &build["steps"][0], gate, &volumes);
}

#[test]
fn root_recipe_for_drone() {
    let [build, file] = ["drone/build.yml", "drone/gate.yml"].map(yaml);
    let gate = &file["steps"][1];
    let text = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
    let host_path = |name: &Yaml| {
        let volumes = file["volumes"].as_vec().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == *name).unwrap();
        text(&volume["host"]["path"])
    };
    let volumes = gate["volumes"].as_vec().unwrap().iter();
    let volumes: Vec<String> =
        volumes.map(|v| format!("{}:{}", host_path(&v["name"]), text(&v["path"]))).collect();
    let names = ["DRONE_REPO", "DRONE_BUILD_NUMBER", "DRONE_STAGE_NAME", "DRONE_STAGE_NUMBER"];
    steps_are_judged("drone", names, &build["steps"][0], gate, &volumes);
}
