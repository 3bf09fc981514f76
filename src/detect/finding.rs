//! What a judgement says: values only, ready to be rendered.

use super::explain::Reading;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a finding weighs; Critical is above Medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// A contact inside networks that are not globally reachable.
    Medium,
    /// A contact with the world, or with a metadata service.
    Critical,
}

impl Importance {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Importance::Medium => "medium",
            Importance::Critical => "critical",
        }
    }
}

/// A MITRE ATT&CK tactic or technique.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Such as `TA0011`.
    pub id: String,
    /// Such as `Command and Control`.
    pub name: String,
}

/// What said that a program is the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The base name of the file executed, links resolved.
    ResolvedFile,
    /// The base name given to `execve(2)`.
    InvokedName,
    /// The base name of `argv[0]`.
    Argv0,
    /// The applet of a multi-call program.
    Applet,
    /// The program given to a dynamic loader.
    Loader,
    /// The program given to a user-mode emulator.
    Emulator,
}

impl Signal {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Signal::ResolvedFile => "resolved file",
            Signal::InvokedName => "invoked name",
            Signal::Argv0 => "argv[0]",
            Signal::Applet => "applet",
            Signal::Loader => "loader's program",
            Signal::Emulator => "emulator's program",
        }
    }
}

/// The tool of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The name by which a recipe lists it.
    pub name: String,
    /// What said so.
    pub matched_by: Signal,
}

/// An address in a place where a host can stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Canonical: IPv4-mapped IPv6 as IPv4, no zone.
    pub address: String,
    /// As it stood, decoded from what contained it (quotes, JSON, a nested command).
    pub text: Vec<u8>,
    /// Index into argv.
    pub argument: usize,
    /// Where in that argument it stands, when it stands there literally.
    pub span: Option<Range<usize>>,
    /// What the tool does with it, such as `URL host`.
    pub role: String,
    /// The network it belongs to, such as `private`.
    pub scope: String,
    /// What this address weighs, policy applied.
    pub importance: Importance,
}

/// A shell that the tool was told to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// The command as it stood.
    pub text: Vec<u8>,
    /// Index into argv.
    pub argument: usize,
    /// Where in that argument it stands, when it stands there literally.
    pub span: Option<Range<usize>>,
    /// What makes the tool start it, such as `program joined to the connection`.
    pub role: String,
}

/// One recipe's verdict on one exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The recipe's name.
    pub recipe: String,
    /// What the recipe looks for, in a few words.
    pub description: String,
    /// The highest over all addresses, or what the recipe says.
    pub importance: Importance,
    /// The MITRE tactic.
    pub category: Attack,
    /// The MITRE technique.
    pub method: Attack,
    /// The tool.
    pub tool: Tool,
    /// The addresses, in the order of the arguments; at most [`Finding::MOST`].
    pub addresses: Vec<Address>,
    /// How many more there were.
    pub more_addresses: usize,
    /// The shells that the tool was told to start.
    pub shells: Vec<Shell>,
    /// How the command line was read.
    pub explanation: Reading,
}

impl Finding {
    /// How many addresses a finding carries. The importance counts them all.
    pub const MOST: usize = 256;
}

/// An address that would have made a finding and that the policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The recipe's name.
    pub recipe: String,
    /// The tool.
    pub tool: Tool,
    /// The address; none when a tool's use was allowed as such.
    pub address: Option<Address>,
    /// The rule's reason.
    pub reason: String,
}

/// Everything that is to say about one exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// In the order of the recipes.
    pub findings: Vec<Finding>,
    /// What the policy allowed; at most [`Finding::MOST`].
    pub allowed: Vec<Allowed>,
}
