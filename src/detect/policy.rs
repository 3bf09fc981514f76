//! The administrator's word on top of the recipes: as written, then resolved.

use super::finding::Importance;
use crate::pattern;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use thiserror::Error;

/// The `[policy]` table of `buildwarden.toml`, as written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Contacts that are legitimate; they stay in the report as allowed.
    #[serde(default)]
    pub allow: Vec<RuleFile>,
    /// Contacts that are Critical whatever their address.
    #[serde(default)]
    pub deny: Vec<RuleFile>,
    /// Programs to judge like the recipe's own tools.
    #[serde(default)]
    pub tool: Vec<ExtraToolFile>,
    /// Roles that never make a finding ("Host header", "source address" …).
    #[serde(default)]
    pub ignore_roles: Vec<String>,
}

/// One `[[policy.allow]]` or `[[policy.deny]]`, as written. What is absent matches everything.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Networks or addresses.
    #[serde(default)]
    pub cidr: Vec<String>,
    /// Names of tools.
    #[serde(default)]
    pub tool: Vec<String>,
    /// Patterns of job ids: `*` stands for any text.
    #[serde(default)]
    pub job: Vec<String>,
    /// Why; shown in the report.
    pub reason: String,
    /// RFC 3339 time after which the rule is dead.
    #[serde(default)]
    pub expires: Option<String>,
}

/// One `[[policy.tool]]`, as written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraToolFile {
    /// The program's base name.
    pub name: String,
    /// A tool whose arguments it reads alike; without it an address is looked for in any argument.
    #[serde(default)]
    pub like: Option<String>,
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// Not an address and not a network.
    #[error(
        "policy.{list}[{index}].cidr: {value:?} is neither an address nor a network; write it like 10.0.0.0/8 or 2001:db8::/32"
    )]
    Cidr {
        /// `allow` or `deny`.
        list: &'static str,
        /// Position in the list, from 0.
        index: usize,
        /// As written.
        value: String,
    },
    /// Not a time.
    #[error(
        "policy.{list}[{index}].expires: {value:?} is no time; write it like 2031-12-31T00:00:00Z"
    )]
    Expires {
        /// `allow` or `deny`.
        list: &'static str,
        /// Position in the list, from 0.
        index: usize,
        /// As written.
        value: String,
    },
    /// A rule without a reason.
    #[error(
        "policy.{list}[{index}].reason is empty; say why, it is shown in every report the rule touches"
    )]
    Reason {
        /// `allow` or `deny`.
        list: &'static str,
        /// Position in the list, from 0.
        index: usize,
    },
    /// A rule that matches everything.
    #[error("policy.{list}[{index}] matches every finding; give it a cidr, a tool or a job")]
    Everything {
        /// `allow` or `deny`.
        list: &'static str,
        /// Position in the list, from 0.
        index: usize,
    },
    /// A program's name that no executable can have.
    #[error(
        "policy.tool[{index}].name: {value:?} is no base name of a program; give it without a directory"
    )]
    ToolName {
        /// Position in the list, from 0.
        index: usize,
        /// As written.
        value: String,
    },
}

/// A policy ready for use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub(super) allow: Vec<Rule>,
    pub(super) deny: Vec<Rule>,
    pub(super) tools: Vec<ExtraToolFile>,
    pub(super) ignored_roles: Vec<String>,
    written: String,
}

/// A rule ready for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    networks: Vec<IpNet>,
    tools: Vec<String>,
    jobs: Vec<String>,
    pub(super) reason: String,
    expires: Option<Timestamp>,
}

/// What the detector has to know that an exec does not say.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time of the judgement: rules expire.
    pub now: Timestamp,
    /// The job's id.
    pub job: Option<&'a str>,
}

impl Policy {
    /// Checks what was written and makes it ready for use.
    pub fn resolve(file: PolicyFile) -> Result<Policy, PolicyError> {
        for (index, tool) in file.tool.iter().enumerate() {
            let name = &tool.name;
            if name.is_empty() || name.contains('/') || name.contains('\0') {
                return Err(PolicyError::ToolName { index, value: name.clone() });
            }
        }
        // A file of strings is always written.
        let written = serde_json::to_string(&file).unwrap_or_default();
        Ok(Policy {
            written: if file == PolicyFile::default() { String::new() } else { written },
            allow: Rule::list("allow", file.allow)?,
            deny: Rule::list("deny", file.deny)?,
            tools: file.tool,
            ignored_roles: file.ignore_roles,
        })
    }

    /// The names of the tools that it adds.
    pub fn added_tools(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| tool.name.as_str())
    }

    /// What was written, in one spelling; empty when that was nothing.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The first allow rule that covers this contact.
    pub(super) fn allowing(
        &self,
        address: IpAddr,
        tool: &str,
        context: &Context<'_>,
    ) -> Option<&Rule> {
        self.allow.iter().find(|rule| rule.covers(Some(address), tool, context))
    }

    /// The importance after the deny rules.
    pub(super) fn raise(
        &self,
        importance: Importance,
        address: IpAddr,
        tool: &str,
        context: &Context<'_>,
    ) -> Importance {
        let denied = self.deny.iter().any(|rule| rule.covers(Some(address), tool, context));
        if denied { Importance::Critical } else { importance }
    }

    /// The first allow rule that covers a use of the tool whatever the address.
    pub(super) fn allowing_tool(&self, tool: &str, context: &Context<'_>) -> Option<&Rule> {
        self.allow.iter().find(|rule| rule.covers(None, tool, context))
    }

    pub(super) fn ignores(&self, role: &str) -> bool {
        self.ignored_roles.iter().any(|ignored| ignored.eq_ignore_ascii_case(role))
    }
}

impl Rule {
    fn list(list: &'static str, files: Vec<RuleFile>) -> Result<Vec<Rule>, PolicyError> {
        files
            .into_iter()
            .enumerate()
            .map(|(index, file)| Rule::resolve(list, index, file))
            .collect()
    }

    fn resolve(list: &'static str, index: usize, file: RuleFile) -> Result<Rule, PolicyError> {
        if file.reason.trim().is_empty() {
            return Err(PolicyError::Reason { list, index });
        }
        if file.cidr.is_empty() && file.tool.is_empty() && file.job.is_empty() {
            return Err(PolicyError::Everything { list, index });
        }
        let networks = file
            .cidr
            .into_iter()
            .map(|value| network(&value).ok_or(PolicyError::Cidr { list, index, value }))
            .collect::<Result<_, _>>()?;
        let expires = match file.expires {
            None => None,
            Some(value) => match value.parse() {
                Ok(time) => Some(time),
                Err(_) => return Err(PolicyError::Expires { list, index, value }),
            },
        };
        Ok(Rule { networks, tools: file.tool, jobs: file.job, reason: file.reason, expires })
    }

    /// `address` is none when the finding is not about an address.
    fn covers(&self, address: Option<IpAddr>, tool: &str, context: &Context<'_>) -> bool {
        let any = |list: &[String], matches: &dyn Fn(&String) -> bool| {
            list.is_empty() || list.iter().any(matches)
        };
        let alive = self.expires.is_none_or(|end| context.now < end);
        alive
            && match address {
                Some(address) => {
                    self.networks.is_empty()
                        || self.networks.iter().any(|network| network.contains(&address))
                }
                None => self.networks.is_empty(),
            }
            && any(&self.tools, &|name| name == tool)
            && any(&self.jobs, &|pattern| {
                context.job.is_some_and(|job| pattern::fits(pattern, job))
            })
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused() {
        let check = |toml: &str, want: &str| {
            let file: PolicyFile = toml::from_str(toml).expect(toml);
            let error = Policy::resolve(file).expect_err(toml);
            assert!(error.to_string().contains(want), "{toml}: {error}");
        };
        check("allow = [{ reason = \"r\" }]", "policy.allow[0] matches every finding");
        check("allow = [{ reason = \" \", tool = [\"curl\"] }]", "policy.allow[0].reason is empty");
        check(
            "deny = [{ reason = \"r\", cidr = [\"10.0.0.0/33\"] }]",
            "policy.deny[0].cidr: \"10.0.0.0/33\"",
        );
        check(
            "deny = [{ reason = \"r\", tool = [\"nc\"], expires = \"soon\" }]",
            "policy.deny[0].expires: \"soon\"",
        );
        check("tool = [{ name = \"a/b\" }]", "policy.tool[0].name");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<PolicyFile>("allowed = []").is_err());
        assert!(
            toml::from_str::<PolicyFile>("allow = [{ reason = \"r\", ip = \"1.1.1.1\" }]").is_err()
        );
    }
}
