//! Formats against their published schemas.

use super::*;
use jsonschema::Validator;

fn validator(name: &str) -> Validator {
    let path = tests().join("schemas").join(name);
    let text = fs::read_to_string(&path).unwrap();
    // A slip in SARIF's own pattern for languages, which other validators read over.
    let text = text.replace("{2}-[a-zA-Z]{2}]?$", "{2}-[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[track_caller]
fn check_valid(validator: &Validator, name: &str, instance: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .take(5)
        .map(|error| format!("{}: {error:.300}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}:\n{}", errors.join("\n"));
}

#[test]
fn sarif_is_valid() {
    let validator = validator("sarif-2.1.0.json");
    for (name, subject) in subjects() {
        let sarif: Value = serde_json::from_str(&subject.render(Format::Sarif)).unwrap();
        check_valid(&validator, name, &sarif);
        assert_eq!(sarif["runs"].as_array().unwrap().len(), 1, "{name}");
        let run = &sarif["runs"][0];
        let results = run["results"].as_array().unwrap();
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let incomplete = usize::from(subject.verdict() == Verdict::Incomplete);
        assert_eq!(results.len(), subject.listed() + incomplete, "{name}");
        for result in results {
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"], "{name}");
            assert_eq!(result["locations"].as_array().unwrap().len(), 1);
            if matches!(subject, Subject::Job(_)) && result["ruleId"] != "incomplete" {
                let container = &result["locations"][0]["logicalLocations"][0];
                assert!(container["name"].is_string(), "{name}");
            }
        }
        let invocation = &run["invocations"][0];
        let notes = invocation["toolExecutionNotifications"].as_array().unwrap();
        let said = notes
            .iter()
            .any(|note| !note["message"]["text"].as_str().unwrap().ends_with("not listed here"));
        assert_eq!(invocation["executionSuccessful"], !said, "{name}");
    }
}

#[test]
fn in_toto_is_valid() {
    let validator = validator("in-toto-statement-v1-runtime-trace-v0.1.json");
    for (name, report) in reports() {
        let statement: Value = serde_json::from_str(&rendered(&report, Format::InToto)).unwrap();
        check_valid(&validator, name, &statement);
        let predicate = &statement["predicate"];
        let entries = predicate["monitorLog"]["process"].as_array().unwrap();
        assert_eq!(entries.len(), report.processes.len(), "{name}");
        for (entry, process) in entries.iter().zip(&report.processes) {
            assert_eq!(entry["arguments"], serde_json::to_value(&process.argv).unwrap(), "{name}");
        }
        let findings = predicate["buildwarden"]["findings"].clone();
        assert!(findings == serde_json::to_value(&report.findings).unwrap(), "{name}");
    }
}

#[test]
fn ocsf_is_valid() {
    let validator = validator("ocsf-1.8.0-detection_finding.json");
    for (name, subject) in subjects() {
        let lines = subject.render(Format::Ocsf);
        let (mut findings, mut incomplete, mut uids) = (0, 0, HashSet::new());
        for (n, line) in lines.lines().enumerate() {
            let event: Value = serde_json::from_str(line).unwrap();
            // Of thousands a few: a debug build validates slowly.
            if n % 50 == 0 || n < 50 {
                check_valid(&validator, name, &event);
            }
            assert_eq!(event["type_uid"], 200_401);
            match event["evidences"].is_array() {
                true => findings += 1,
                false => incomplete += 1,
            }
            let uid = event["finding_info"]["uid"].as_str().unwrap().to_owned();
            assert!(uids.insert(uid), "{name}: {line}");
        }
        assert_eq!(findings, subject.listed(), "{name}");
        let lacking = match &subject {
            Subject::One(report) => usize::from(report.verdict == Verdict::Incomplete),
            Subject::Job(job) => {
                let lacks = |c: &&JobContainer| c.findings.is_empty() && !c.is_complete();
                job.containers.iter().filter(lacks).count() + usize::from(!job.reasons.is_empty())
            }
        };
        assert_eq!(incomplete, lacking, "{name}");
    }
}

/// `xmllint` comes with libxml2-utils, which `integration/setup` installs.
#[test]
fn junit_is_valid() {
    for (name, subject) in subjects() {
        let mut child = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema"])
            .arg(tests().join("schemas/junit-10.xsd"))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xmllint runs: `integration/setup` installs libxml2-utils");
        let xml = subject.render(Format::Junit);
        child.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_schema_refuses_what_is_not_of_it() {
    let cases = [
        ("sarif-2.1.0.json", r#"{"version": "2.1.0"}"#),
        ("in-toto-statement-v1-runtime-trace-v0.1.json", r#"{"_type": "x"}"#),
        ("ocsf-1.8.0-detection_finding.json", r#"{"class_uid": 2004}"#),
    ];
    for (name, instance) in cases {
        let instance = serde_json::from_str(instance).unwrap();
        assert!(!validator(name).is_valid(&instance), "{name}");
    }
}
