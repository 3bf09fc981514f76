//! OCSF Detection Findings (class 2004), one JSON object a line, for a SIEM.

use super::{
    Bytes, Time, json,
    model::{Ancestor, Class, Container, Finding, Importance, Producer},
    phrase,
    sarif::INCOMPLETE,
    text::{command, finding, words},
    view::{Listed, OfJob, View},
};
use crate::{escape, event::base_name};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The version of OCSF that this is.
const VERSION: &str = "1.8.0";
/// Bytes of a command line.
const COMMAND: usize = 8_000;

/// A line for each finding, and one for each container without any that was not seen in
/// full, as for a job that lacks more than that; none for what is clean.
pub(super) fn render(view: &View<'_>) -> serde_json::Result<String> {
    let (listed, beyond) = view.listed();
    let mut events: Vec<Value> =
        listed.iter().map(|listed| event(view.tool, listed, beyond)).collect();
    for part in view.parts.iter().filter(|part| part.findings.is_empty()) {
        if !part.missing.is_empty() {
            let resource = json!({ "type": "container", "uid": words::name(&part.container.id) });
            let uid = uid(part.container, INCOMPLETE);
            events.push(incomplete(view.tool, &uid, &part.missing, part.until, resource));
        }
    }
    if let (Some(OfJob { reasons, now, .. }), Some(job)) = (&view.of_job, &view.job)
        && !reasons.is_empty()
    {
        let resource = json!({ "type": "job", "uid": job });
        let uid = format!("{job}/{INCOMPLETE}");
        events.push(incomplete(view.tool, &uid, reasons, *now, resource));
    }
    let mut out = String::new();
    for event in events {
        out.push_str(&json::line(&event)?);
        out.push('\n');
    }
    Ok(out)
}

/// What every event has. `about` is the event's `finding_info`.
fn base(tool: &Producer, time: Time, importance: Importance, about: Value) -> Map<String, Value> {
    let (severity_id, severity) = match importance {
        Importance::Critical => (5, "Critical"),
        Importance::Medium => (3, "Medium"),
    };
    let fields = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": ms(time),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": true,
        "metadata": {
            "version": VERSION,
            "profiles": ["container"],
            "product": {
                "name": "Buildwarden",
                "vendor_name": "Buildwarden",
                "version": words::name(&tool.version),
            },
        },
        "finding_info": about,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn event(tool: &Producer, listed: &Listed<'_, '_>, beyond: u64) -> Value {
    let Listed { part, finding: found, .. } = listed;
    let title = match found.title.as_str() {
        "" => words::name(&found.recipe),
        title => words::name(title),
    };
    let about = json!({
        "uid": uid(part.container, &found.n.to_string()),
        "title": title,
        "desc": phrase::headline(found),
        "created_time": ms(found.exec.time),
        "analytic": { "type_id": 1, "type": "Rule", "uid": words::name(&found.recipe), "name": title },
        "attacks": [attack(found)],
    });
    let mut event = base(tool, found.exec.time, found.importance, about);
    event.insert("message".into(), phrase::headline(found).into());
    event.insert("evidences".into(), evidences(part.container, found).into());
    event.insert("observables".into(), observables(found).into());
    let advice = finding::advice(found).join("\n");
    if !advice.is_empty() {
        event.insert("remediation".into(), json!({ "desc": advice }));
    }
    event.insert(
        "unmapped".into(),
        json!({
            "finding": found.n,
            "findings_omitted": beyond,
            "job": part.job.map(|job| words::name(&job.id)),
            "exec_sequence": found.exec.sequence,
            "flags": found.exec.flags.iter().take(16).map(|flag| words::name(flag)).collect::<Vec<_>>(),
            "outcome": found.outcome,
            "complete": part.missing.is_empty(),
        }),
    );
    Value::Object(event)
}

/// What cannot be called clean.
fn incomplete(
    tool: &Producer,
    uid: &str,
    missing: &[String],
    time: Time,
    resource: Value,
) -> Value {
    let missing = missing.join("; ");
    let about = json!({
        "uid": uid,
        "title": "Not everything was seen",
        "desc": missing,
        "created_time": ms(time),
    });
    let mut event = base(tool, time, Importance::Medium, about);
    event.insert("message".into(), format!("not everything was seen: {missing}").into());
    event.insert("resources".into(), json!([resource]));
    Value::Object(event)
}

/// The container, its run, and what of it.
fn uid(container: &Container, what: &str) -> String {
    format!("{}/{}/{what}", words::name(&container.id), container.run)
}

/// Milliseconds since 1970, as OCSF's `timestamp_t`.
fn ms(time: Time) -> i64 {
    i64::try_from(time.unix_ns() / 1_000_000).unwrap_or(0)
}

fn attack(found: &Finding) -> Value {
    let class =
        |class: &Class| json!({ "uid": words::name(&class.id), "name": words::name(&class.name) });
    // `T1071.001` is a sub-technique of T1071.
    let kind = if found.method.id.contains('.') { "sub_technique" } else { "technique" };
    json!({ "tactic": class(&found.category), (kind): class(&found.method) })
}

/// The process first, then the addresses that its arguments name.
fn evidences(container: &Container, found: &Finding) -> Vec<Value> {
    const MOST: usize = 100;
    let exec = &found.exec;
    let mut process = json!({
        "pid": exec.pid,
        "namespace_pid": exec.container_pid,
        "name": name(&exec.path),
        "path": path(&exec.path),
        "file": { "name": name(&exec.path), "path": path(&exec.path), "type_id": 1, "type": "Regular File" },
        "cmd_line": words::clip(&phrase::command(found), COMMAND),
        "created_time": ms(exec.time),
        "user": { "uid": exec.uid.to_string() },
        "container": about(container),
        "ancestry": found.ancestry.iter().take(64).map(ancestor).collect::<Vec<_>>(),
    });
    if let Some(parent) = found.ancestry.first() {
        process["parent_process"] = ancestor(parent);
    }
    let mut evidences = vec![json!({ "name": "exec", "process": process })];
    let addresses = found.addresses.iter().take(MOST);
    evidences.extend(addresses.filter_map(|address| {
        let ip: IpAddr = address.address.parse().ok()?;
        Some(
            json!({ "name": words::name(&address.role), "dst_endpoint": { "ip": ip.to_string() } }),
        )
    }));
    evidences
}

fn ancestor(ancestor: &Ancestor) -> Value {
    let argv: Vec<&[u8]> = ancestor.argv.iter().map(|argument| argument.as_bytes()).collect();
    json!({
        "pid": ancestor.pid,
        "name": name(&ancestor.path),
        "path": path(&ancestor.path),
        "cmd_line": words::clip(&command::line(&argv, &[]), COMMAND),
    })
}

fn about(container: &Container) -> Value {
    let mut about = json!({ "uid": words::name(&container.id) });
    if let Some(name) = &container.name {
        about["name"] = words::name(name).into();
    }
    if let Some(image) = &container.image {
        about["image"] = json!({ "uid": words::name(image), "name": words::name(image) });
    }
    if let Some(engine) = &container.engine {
        about["runtime"] = words::name(engine).into();
    }
    about
}

fn observables(found: &Finding) -> Vec<Value> {
    const MOST: usize = 100;
    let mut observables: Vec<Value> = found
        .addresses
        .iter()
        .take(MOST)
        .filter(|address| address.address.parse::<IpAddr>().is_ok())
        .map(|address| {
            let name = "evidences[].dst_endpoint.ip";
            json!({ "name": name, "type_id": 2, "type": "IP Address", "value": address.address })
        })
        .collect();
    observables.push(json!({
        "name": "evidences[].process.name",
        "type_id": 9,
        "type": "Process Name",
        "value": name(&found.exec.path),
    }));
    observables
}

/// A file's name, written out.
fn name(path: &Bytes) -> String {
    words::clip(&escape::visible(base_name(path)), 255)
}

/// A path, written out.
fn path(path: &Bytes) -> String {
    words::clip(&escape::visible(path), 4_096)
}
