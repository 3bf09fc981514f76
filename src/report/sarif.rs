//! SARIF 2.1.0, for GitHub's code scanning and other readers of static analysis.

use super::{
    fingerprint::fingerprints,
    json,
    model::{Class, Finding, Importance, Verdict},
    phrase,
    place::Place,
    text::{finding, summary, words},
    view::{Listed, OfJob, View},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The rule of a run that was not seen in full.
pub(super) const INCOMPLETE: &str = "incomplete";

/// The report, one run of one tool: GitHub takes no more of them from a file.
pub(super) fn render(view: &View<'_>) -> serde_json::Result<String> {
    let (listed, beyond) = view.listed();
    let fingerprints = fingerprints(view.findings());
    let mut rules = Rules::default();
    let mut results: Vec<Value> = listed
        .iter()
        .map(|found| result(found, &fingerprints[found.index], rules.index(found.finding)))
        .collect();
    if view.verdict == Verdict::Incomplete {
        results.push(json!({
            "ruleId": INCOMPLETE,
            "ruleIndex": rules.incomplete(),
            "level": "warning",
            "message": { "text": message(&view.missing.join("; ")) },
            "locations": [location(view.place())],
            "partialFingerprints": { "buildwarden/v1": INCOMPLETE },
        }));
    }
    let mut notifications: Vec<Value> = view
        .missing
        .iter()
        .map(|line| json!({ "level": "warning", "message": { "text": message(line) } }))
        .collect();
    if beyond > 0 {
        let more = words::count(beyond, "more finding is", "more findings are");
        notifications.push(json!({
            "level": "warning",
            "message": { "text": format!("{more} not listed here") },
        }));
    }
    let category = view.job.as_deref().unwrap_or("buildwarden");
    let mut invocation = json!({ "executionSuccessful": view.missing.is_empty() });
    let (started, finished) = view.span();
    for (name, time) in [("startTimeUtc", started), ("endTimeUtc", finished)] {
        if let Some(time) = time {
            invocation[name] = json!(time);
        }
    }
    invocation["toolExecutionNotifications"] = notifications.into();
    let mut properties = json!({ "verdict": view.verdict });
    match (&view.of_job, view.parts.first()) {
        (Some(OfJob { kinds, .. }), _) => properties["containers"] = kinds.as_str().into(),
        (None, Some(part)) => properties["container"] = summary::container(part.container).into(),
        (None, None) => {}
    }
    properties["execs"] = view.execs.into();
    json::pretty(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": words::name(&view.tool.name),
                "version": words::name(&view.tool.version),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.list,
                "supportedTaxonomies": [{ "name": TAXONOMY, "index": 0 }],
            }},
            "automationDetails": { "id": format!("buildwarden/{category}/") },
            "invocations": [invocation],
            "taxonomies": [{
                "name": TAXONOMY,
                "organization": "MITRE",
                "informationUri": "https://attack.mitre.org/",
                "shortDescription": { "text": "Tactics and techniques of adversaries" },
                "taxa": rules.taxa,
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": properties,
        }],
    }))
}

/// What is the same for all findings of a rule.
const HELP: &str = "Each result says what was executed, by whom, how it ended and what to do: \
    review the change that brought it, examine the dependency it came from, and allow it in the \
    policy, with a reason, if the build needs it.";
const TAXONOMY: &str = "MITRE ATT&CK";

/// The rules that findings name, and the entries of the taxonomy that rules name.
#[derive(Default)]
struct Rules {
    indices: HashMap<String, usize>,
    list: Vec<Value>,
    taxa: Vec<Value>,
    taxa_ids: HashSet<String>,
}

impl Rules {
    /// The index of a finding's rule. Its level and severity are those of its worst finding.
    fn index(&mut self, found: &Finding) -> usize {
        let id = words::name(&found.recipe);
        let index = match self.indices.get(&id) {
            Some(index) => *index,
            None => self.add(id, found),
        };
        let is_first = self.list[index]["properties"]["security-severity"].is_null();
        if is_first || found.importance == Importance::Critical {
            let severity = match found.importance {
                Importance::Critical => "9.0",
                Importance::Medium => "5.0",
            };
            self.list[index]["defaultConfiguration"]["level"] = level(found.importance).into();
            self.list[index]["properties"]["security-severity"] = severity.into();
        }
        index
    }

    /// The rule of a finding, without a level.
    fn add(&mut self, id: String, found: &Finding) -> usize {
        let title = match found.title.as_str() {
            "" => id.clone(),
            title => words::name(title),
        };
        let relationships: Vec<Value> = [&found.category, &found.method]
            .into_iter()
            .map(|class| {
                self.taxon(class);
                json!({
                    "target": {
                        "id": words::name(&class.id),
                        "toolComponent": { "name": TAXONOMY, "index": 0 },
                    },
                    "kinds": ["relevant"],
                })
            })
            .collect();
        let what = format!(
            "{title}: {} ({}), {} ({})",
            words::name(&found.category.name),
            words::name(&found.category.id),
            words::name(&found.method.name),
            words::name(&found.method.id),
        );
        let rule = json!({
            "id": id,
            "shortDescription": { "text": message(&title) },
            "fullDescription": { "text": message(&what) },
            "help": { "text": HELP },
            "helpUri": concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/detection.md"),
            "defaultConfiguration": {},
            "relationships": relationships,
            "properties": { "tags": ["security"], "precision": "high" },
        });
        self.push(id, rule)
    }

    /// The index of the rule of a run that was not seen in full. A recipe may be called as
    /// it is, and no two rules may be: then it is the recipe's.
    fn incomplete(&mut self) -> usize {
        if let Some(index) = self.indices.get(INCOMPLETE) {
            return *index;
        }
        let what = "Not everything was seen: this run cannot be called clean";
        let rule = json!({
            "id": INCOMPLETE,
            "shortDescription": { "text": what },
            "fullDescription": { "text": what },
            "defaultConfiguration": { "level": "warning" },
            "properties": { "tags": ["security"] },
        });
        self.push(INCOMPLETE.to_owned(), rule)
    }

    fn push(&mut self, id: String, rule: Value) -> usize {
        let index = self.list.len();
        self.indices.insert(id, index);
        self.list.push(rule);
        index
    }

    fn taxon(&mut self, class: &Class) {
        let id = words::name(&class.id);
        if self.taxa_ids.insert(id.clone()) {
            self.taxa.push(json!({ "id": id, "name": words::name(&class.name) }));
        }
    }
}

fn result(listed: &Listed<'_, '_>, fingerprint: &str, rule: usize) -> Value {
    let Listed { part, finding: found, .. } = listed;
    let mut text = vec![phrase::headline(found), phrase::command(found)];
    text.extend(part.name.as_ref().map(|name| format!("In {name}")));
    text.push(part.happened(&finding::Group::of(found)));
    text.push(format!("Started by {}", phrase::lineage(found).join(" → ")));
    text.extend(finding::advice(found));
    let addresses = found.addresses.iter().take(100);
    let mut location = location(part.place);
    let mut properties = json!({
        "finding": found.n,
        "importance": found.importance,
        "tool": words::name(&found.tool.name),
        "addresses": addresses.map(|address| words::name(&address.address)).collect::<Vec<_>>(),
        "exec": found.exec.sequence,
        "time": found.exec.time,
    });
    if let Some(name) = &part.name {
        location["logicalLocations"] = json!([{
            "name": name,
            "fullyQualifiedName": words::name(&part.container.id),
            "kind": "container",
        }]);
        properties["container"] = summary::container(part.container).into();
        properties["job"] = part.job.map(|job| words::name(&job.id)).into();
    }
    json!({
        "ruleId": words::name(&found.recipe),
        "ruleIndex": rule,
        "level": level(found.importance),
        "message": { "text": message(&text.join("\n")) },
        "locations": [location],
        "partialFingerprints": { "buildwarden/v1": fingerprint },
        "properties": properties,
    })
}

fn level(importance: Importance) -> &'static str {
    match importance {
        Importance::Critical => "error",
        Importance::Medium => "warning",
    }
}

fn location(place: Option<&Place>) -> Value {
    let report_itself = Place::report();
    let place = place.unwrap_or(&report_itself);
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&place.path) },
            "region": { "startLine": place.line, "endLine": place.last_line },
        },
    })
}

/// A path as a URI reference (RFC 3986, section 4.1).
fn uri(path: &str) -> String {
    const SET: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let path = path.trim_start_matches("./");
    let encoded = utf8_percent_encode(path, SET).to_string();
    match (path.starts_with('/'), encoded.split('/').next()) {
        (true, _) => format!("file://{encoded}"),
        // A colon in the first segment would be read as the end of a scheme.
        (false, Some(first)) if first.contains(':') => format!("./{encoded}"),
        (false, _) => encoded,
    }
}

/// Text as a plain text message: without links (section 3.11.6 of the specification)
/// and placeholders (3.11.5) of the build's.
fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', ']', '{']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let digits = after[1..].bytes().take_while(u8::is_ascii_digit).count();
        let placeholder =
            after.starts_with('{') && after[1 + digits..].starts_with('}') && digits > 0;
        rest = match placeholder {
            true => {
                out.push_str(&format!("{{{{{}}}}}", &after[1..=digits]));
                &after[digits + 2..]
            }
            false => {
                if !after.starts_with('{') {
                    out.push('\\');
                }
                out.push_str(&after[..1]);
                &after[1..]
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_no_links_and_no_placeholders() {
        let cases = [
            ("plain {} {a} \\u{202e}", "plain {} {a} \\u{202e}"),
            ("[text](http://x)", "\\[text\\](http://x)"),
            ("{0} {12} {1", "{{0}} {{12}} {1"),
            ("\\u{2066}", "\\u{{2066}}"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(message(text), want, "{text}");
        }
    }

    #[test]
    fn a_rule_is_there_once_and_as_bad_as_its_worst_finding() {
        let text = include_bytes!("../../tests/fixtures/one-finding.json");
        let found = json::parse(text).unwrap().findings.remove(0);
        let rule = |importances: &[Importance]| {
            let mut rules = Rules::default();
            for importance in importances {
                let recipe = INCOMPLETE.to_owned();
                rules.index(&Finding { recipe, importance: *importance, ..found.clone() });
            }
            assert_eq!((rules.incomplete(), rules.list.len()), (0, 1));
            let rule = &rules.list[0];
            let severity = &rule["properties"]["security-severity"];
            (rule["defaultConfiguration"]["level"].clone(), severity.clone())
        };
        let (critical, medium) = (Importance::Critical, Importance::Medium);
        assert_eq!(rule(&[medium, medium]), ("warning".into(), "5.0".into()));
        assert_eq!(rule(&[medium, critical, medium]), ("error".into(), "9.0".into()));
        assert_eq!(rule(&[critical, medium]), ("error".into(), "9.0".into()));
    }

    #[test]
    fn paths_are_uri_references() {
        let cases = [
            ("Dockerfile", "Dockerfile"),
            ("./a b/Dockerfile", "a%20b/Dockerfile"),
            ("/srv/ü#1", "file:///srv/%C3%BC%231"),
            ("a:b/c", "./a:b/c"),
        ];
        for (path, want) in cases {
            assert_eq!(uri(path), want);
        }
    }
}
