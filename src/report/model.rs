//! The exit report: the account of one run of one container.
//!
//! `docs/report.schema.json` is generated from these types and `docs/formats.md`
//! explains them. Other programs read the result: a name here is a promise.
//! Readers ignore fields they do not know, so a field may be added without a
//! new [`SCHEMA_VERSION`]; one may not be renamed, removed or given another
//! meaning without it.

mod job;

use super::{Bytes, Time};
pub use job::{JobContainer, JobFindings, JobReport, JobState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// How many executables a report lists at most.
pub const EXECUTABLES_MAX: usize = 10_000;

/// How many execs a report lists at most.
pub const PROCESSES_MAX: usize = 10_000;

/// How many buckets a timeline has at most.
pub const BUCKETS_MAX: usize = 120;

/// What one container executed, what of it is suspicious, and the proof that
/// nothing was missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this format.
    pub schema_version: u32,
    /// The program that wrote the report.
    pub tool: Producer,
    /// The answer in one word.
    pub verdict: Verdict,
    /// The container, and which run of it.
    pub container: Container,
    /// The CI job it belongs to; null when none is known.
    pub job: Option<Job>,
    /// Other jobs whose processes were executed into it from outside: it does not count
    /// under them.
    #[serde(default)]
    pub other_jobs: Vec<Job>,
    /// When recording began.
    pub started: Time,
    /// When the container's last process had ended.
    pub finished: Time,
    /// Execs that a recipe judged suspicious, in the order they happened.
    pub findings: Vec<Finding>,
    /// Findings that are counted in no list because there were too many to keep.
    #[serde(default)]
    pub findings_omitted: u64,
    /// Matches that the administrator's policy allows.
    #[serde(default)]
    pub allowed: Vec<Allowed>,
    /// What was executed how often, the most frequent first.
    pub executables: Vec<Executable>,
    /// Executables beyond the 10,000 that are listed.
    #[serde(default)]
    pub executables_omitted: u64,
    /// How many execs there were when; null in reports of programs that did not count it.
    #[serde(default)]
    pub timeline: Option<Timeline>,
    /// The execs in their order: all of them up to 10,000, else the findings with their
    /// ancestors and the first of the others.
    #[serde(default)]
    pub processes: Vec<Process>,
    /// Execs beyond those that are listed.
    #[serde(default)]
    pub processes_omitted: u64,
    /// What shows that nothing was missed, or what was.
    pub completeness: Completeness,
    /// What the tracing cost.
    pub cost: Cost,
    /// The event file with every exec; null when it is not kept.
    pub events: Option<Events>,
    /// The annotation log as the report found it; left out by programs that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogBefore>,
    /// Which recipes and policy judged: the same here, the same there. Left out when not one
    /// set judged all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// What confined the process that wrote the report: `no_new_privs`, `landlock`,
    /// `capabilities`, `seccomp`, as far as the kernel has it. Left out by programs that did
    /// not note it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confined: Vec<String>,
}

impl Report {
    /// The highest importance among the findings.
    pub fn importance(&self) -> Option<Importance> {
        self.findings.iter().map(|finding| finding.importance).max()
    }
}

/// The program that wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Producer {
    /// `buildwarden`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Producer {
    /// This program.
    pub fn this() -> Producer {
        Producer {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The answer of a report in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was seen, and nothing of it is suspicious.
    Clean,
    /// Something suspicious was executed.
    Findings,
    /// Nothing suspicious was seen, but not everything was seen.
    Incomplete,
}

impl Verdict {
    /// The word it has in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Findings => "findings",
            Verdict::Incomplete => "incomplete",
        }
    }
}

/// One run of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The id the engine gave it.
    pub id: String,
    /// 1 for the first run of that id on this host.
    pub run: u32,
    /// The engine's name for it.
    pub name: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// The engine or runtime that started it.
    pub engine: Option<String>,
    /// Its OCI bundle.
    pub bundle: Option<Bytes>,
    /// Its cgroup, relative to the mount point of cgroup v2.
    pub cgroup: Bytes,
    /// The inode of its cgroup.
    pub cgroup_id: u64,
    /// The annotations in its config.json.
    pub annotations: BTreeMap<String, String>,
    /// What it was told to execute: of a build, one step. Null when that was not seen.
    #[serde(default)]
    pub step: Option<Step>,
}

/// What a container was told to execute: of an image build, a RUN instruction; else
/// what was to be its entrypoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The command line, with secrets replaced.
    pub command: Vec<Bytes>,
    /// Bytes of it that are not kept here.
    #[serde(default)]
    pub command_omitted: u64,
    /// The build it belongs to; null when nothing tells.
    pub build: Option<Build>,
}

/// A build of several steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// What its steps have in common.
    pub id: String,
    /// What that is: `cgroup parent`, `builder process` or `built upon`; how sure each is
    /// stands in docs/formats.md.
    pub source: String,
}

/// The CI job a container belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// The job's id, as its source spells it.
    pub id: String,
    /// What named it: an annotation, a CI system's variables and where they stood, a cgroup.
    pub source: String,
}

/// How much a finding matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    /// The address is of a kind that is not reachable over the internet.
    Medium,
    /// The address is reachable over the internet, or a cloud's metadata service.
    Critical,
}

impl Importance {
    /// The word it has in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Importance::Medium => "medium",
            Importance::Critical => "critical",
        }
    }
}

/// One suspicious exec, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// 1 for the first finding of the run.
    pub n: u64,
    /// The recipe that matched.
    pub recipe: String,
    /// What the recipe calls what it detects.
    #[serde(default)]
    pub title: String,
    /// How much it matters.
    pub importance: Importance,
    /// The tactic, after MITRE ATT&CK.
    pub category: Class,
    /// The technique, after MITRE ATT&CK.
    pub method: Class,
    /// The tool that was executed.
    pub tool: Tool,
    /// The addresses in its arguments.
    pub addresses: Vec<Address>,
    /// Addresses beyond those that are kept; the importance counts them too.
    #[serde(default)]
    pub addresses_omitted: u64,
    /// The shells that it was told to start.
    #[serde(default)]
    pub shells: Vec<Shell>,
    /// The exec itself.
    pub exec: Exec,
    /// Who started it: its parent first, the container's entrypoint last.
    pub ancestry: Vec<Ancestor>,
    /// How the tool ended; null while it runs, or when its end was not seen.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// How the command line was read, and why that is a finding.
    #[serde(default)]
    pub explanation: Vec<String>,
    /// What to do now, in this order.
    pub advice: Vec<String>,
}

/// A match that the administrator's policy allows: no finding, but on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Allowed {
    /// The recipe that matched.
    pub recipe: String,
    /// What the recipe calls what it detects.
    #[serde(default)]
    pub title: String,
    /// How much it would matter without the policy.
    pub importance: Importance,
    /// The tactic, after MITRE ATT&CK.
    pub category: Class,
    /// The technique, after MITRE ATT&CK.
    pub method: Class,
    /// The tool that was executed.
    pub tool: Tool,
    /// The addresses in its arguments.
    pub addresses: Vec<Address>,
    /// Addresses beyond those that are kept; the importance counts them too.
    #[serde(default)]
    pub addresses_omitted: u64,
    /// The shells that it was told to start.
    #[serde(default)]
    pub shells: Vec<Shell>,
    /// The exec itself.
    pub exec: Exec,
    /// Who started it: its parent first, the container's entrypoint last.
    pub ancestry: Vec<Ancestor>,
    /// How the tool ended; null when its end was not seen.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// How the command line was read.
    #[serde(default)]
    pub explanation: Vec<String>,
    /// Why the policy allows it.
    pub reason: String,
}

/// An entry of a catalogue, such as MITRE ATT&CK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Its id, such as `T1071.001`.
    pub id: String,
    /// Its name, such as `Web Protocols`.
    pub name: String,
}

/// The tool a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name in the recipe.
    pub name: String,
    /// What showed that it is this tool: the file, the name it was invoked by, an applet.
    pub matched_by: String,
}

/// An address in the arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// The address in its canonical form.
    pub address: String,
    /// The address as it was written.
    pub text: Bytes,
    /// The argument it stands in; `argv[0]` is 0.
    pub argument: usize,
    /// What it is to the tool there: a URL's host, a proxy, a jump host.
    pub role: String,
    /// What kind of address it is, after IANA's special-purpose registries.
    pub scope: String,
    /// Where in the argument the text stands; null when it is not there literally.
    #[serde(default)]
    pub span: Option<Span>,
}

/// A shell that a tool was told to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shell {
    /// The command as it was written.
    pub text: Bytes,
    /// The argument it stands in; `argv[0]` is 0.
    pub argument: usize,
    /// What makes the tool start it.
    pub role: String,
    /// Where in the argument the text stands; null when it is not there literally.
    #[serde(default)]
    pub span: Option<Span>,
}

/// Part of an argument, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// An exec as a finding reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// 1 for the container's first exec.
    pub sequence: u64,
    /// When it happened.
    pub time: Time,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// The process, as the container numbers it.
    pub container_pid: u32,
    /// The user, as the host numbers it.
    pub uid: u32,
    /// The file executed, symbolic links resolved; for a script its interpreter.
    pub path: Bytes,
    /// The file's name as it was given to execve(2).
    pub name: Bytes,
    /// The arguments, with secrets replaced.
    pub argv: Vec<Bytes>,
    /// Bytes of the arguments that were judged and are not kept here.
    #[serde(default)]
    pub argv_omitted: u64,
    /// What else is known: `truncated`, `unreadable`, `memfd`, `deleted`, `upper_layer`,
    /// `left_cgroup`, `path_truncated`, `script`, `entered`.
    pub flags: Vec<String>,
}

/// A process that led to an exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    /// The process, as the host numbers it.
    pub pid: u32,
    /// What it had executed last; empty when that was not seen.
    pub path: Bytes,
    /// With which arguments, with secrets replaced.
    pub argv: Vec<Bytes>,
    /// That exec's sequence number; 1 is the entrypoint's. Null when it was not seen.
    #[serde(default)]
    pub sequence: Option<u64>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Its exit code; null when a signal ended it.
    pub exit_code: Option<u8>,
    /// The signal that ended it; null when it ended by itself.
    pub signal: Option<u8>,
    /// From its exec to its end, in milliseconds.
    pub duration_ms: f64,
}

/// A file that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Executable {
    /// Its path, symbolic links resolved.
    pub path: Bytes,
    /// How often.
    pub count: u64,
}

/// Execs over time: from `started` to `finished`, in buckets of equal width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Width of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// How many execs fell into each; at most 120 buckets.
    pub execs: Vec<u64>,
}

/// One exec, as a line of the process tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// 1 for the container's first exec.
    pub sequence: u64,
    /// The exec whose image its parent process was running: that exec's sequence number,
    /// which need not be listed. Null when it was not seen. A process that executes a
    /// second time keeps its pid and its parent.
    pub parent: Option<u64>,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// From the report's `started` to the exec, in milliseconds.
    pub offset_ms: f64,
    /// The user, as the host numbers it.
    pub uid: u32,
    /// The file executed, symbolic links resolved; of a longer path the last 512 bytes.
    pub path: Bytes,
    /// Bytes of the path that are not kept here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub path_omitted: u64,
    /// The first 256 bytes of the arguments, with secrets replaced.
    pub argv: Vec<Bytes>,
    /// Bytes of the arguments that are not kept here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub argv_omitted: u64,
    /// How the process ended; null when it was running, or when its end was not seen.
    pub outcome: Option<Outcome>,
    /// Its findings, by their `n`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<u64>,
}

/// Left out where it says nothing: there may be ten thousand of them.
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What shows that every exec was seen and judged, or what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completeness {
    /// Whether recording began before the entrypoint was executed.
    pub attached_before_first_exec: bool,
    /// Execs received.
    pub execs: u64,
    /// Sequence number of the last exec: equal to `execs` when none is missing.
    pub last_sequence: u64,
    /// Execs that the kernel saw and could not deliver.
    pub lost: u64,
    /// Execs whose arguments were longer than what was delivered.
    pub truncated: u64,
    /// Execs whose arguments could not be read.
    #[serde(default)]
    pub unreadable: u64,
    /// Ends of processes that the kernel saw and could not deliver: they leave an outcome
    /// unknown, not an exec.
    #[serde(default)]
    pub lost_exits: u64,
    /// Environments of execs from outside that could not be delivered whole, and named no
    /// job: they leave a job unknown, not an exec, so they do not count.
    #[serde(default)]
    pub lost_environments: u64,
    /// Whether the kernel programs were still attached at the end.
    #[serde(default)]
    pub programs_attached: bool,
    /// What else kept the account from being complete; empty when nothing did.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// What the tracing cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// From the hook's start to the moment the kernel recorded, in milliseconds.
    pub attach_ms: f64,
    /// From the container's end to this report, in milliseconds.
    pub finish_ms: f64,
    /// CPU time of the collector, in milliseconds.
    pub collector_cpu_ms: f64,
    /// Size of the container's ring buffer.
    pub ring_bytes: u64,
}

/// The annotation log that a report was made from: all of it but its last line, which is
/// about the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogBefore {
    /// Its name, beside the report.
    pub file: String,
    /// How many bytes it had.
    pub bytes: u64,
    /// Their SHA-256, in lower case hexadecimal digits.
    pub sha256: String,
}

/// The event file that a report was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// Its name, beside the report.
    pub file: String,
    /// The SHA-256 of its content, in lower case hexadecimal digits.
    pub sha256: String,
    /// How many lines it has after its header.
    pub count: u64,
}
