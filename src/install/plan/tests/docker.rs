//! dockerd: its daemon.json and its unit.

use super::*;

#[test]
fn daemon_json_keeps_what_is_there() {
    let check = |before: &str, want: &str| check_both(Engine::Docker, DOCKER_JSON, before, want);
    check(
        "",
        "{\n  \"runtimes\": {\n    \"buildwarden\": {\n      \"path\": \"/usr/bin/buildwarden-runc\"\n    }\n  },\n  \"default-runtime\": \"buildwarden\"\n}\n",
    );
    // Tabs, an odd order, numbers as they are written, no newline at the end.
    check(
        "{\n\t\"max-concurrent-uploads\": 1e1,\n\t\"hosts\":[ \"unix://\" ]\n}",
        "{\n\t\"max-concurrent-uploads\": 1e1,\n\t\"hosts\":[ \"unix://\" ],\n\t\"runtimes\": {\n\t\t\"buildwarden\": {\n\t\t\t\"path\": \"/usr/bin/buildwarden-runc\"\n\t\t}\n\t},\n\t\"default-runtime\": \"buildwarden\"\n}",
    );
    // Windows line ends.
    check(
        "{\r\n  \"debug\": true\r\n}\r\n",
        "{\r\n  \"debug\": true,\r\n  \"runtimes\": {\r\n    \"buildwarden\": {\r\n      \"path\": \"/usr/bin/buildwarden-runc\"\r\n    }\r\n  },\r\n  \"default-runtime\": \"buildwarden\"\r\n}\r\n",
    );
}

#[test]
fn a_default_that_can_be_wrapped_is() {
    let plan = check(
        Engine::Docker,
        Others::Refuse,
        DOCKER_JSON,
        "{\"default-runtime\":\"c\",\"runtimes\":{\"c\":{\"path\":\"/opt/crun\",\"runtimeArgs\":[\"--debug\"]}}}",
        "{\"default-runtime\":\"buildwarden\",\"runtimes\":{\n    \"c\":{\"path\":\"/opt/crun\",\"runtimeArgs\":[\"--debug\"]},\n    \"buildwarden\": {\n      \"path\": \"/usr/bin/buildwarden-crun\",\n      \"runtimeArgs\": [\"--debug\"]\n    }\n  }}",
    );
    let links: Vec<_> = plan.links.iter().map(|link| link.path.to_str().unwrap()).collect();
    assert_eq!(
        links,
        ["/usr/bin/buildwarden-runc", "/usr/libexec/buildwarden/runc", "/usr/bin/buildwarden-crun"]
    );
    assert!(plan.notes[0].contains("runtime.crun = \"/opt/crun\""), "{:?}", plan.notes);
}

const NVIDIA: &str = "{\n    \"default-runtime\": \"nvidia\",\n    \"runtimes\": {\n        \"nvidia\": {\n            \"args\": [],\n            \"path\": \"nvidia-container-runtime\"\n        }\n    }\n}\n";

#[test]
fn a_default_of_somebody_elses_is_not_dropped_silently() {
    let machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
    let error =
        machine.plan(Engine::Docker, Verb::Install, Others::Refuse).unwrap_err().to_string();
    for said in ["default-runtime is \"nvidia\"", "--keep-default", "--replace-default"] {
        assert!(error.contains(said), "{error}");
    }
    let ours = ",\n        \"buildwarden\": {\n            \"path\": \"/usr/bin/buildwarden-runc\"\n        }\n    }\n}\n";
    let kept = NVIDIA.replace("\n    }\n}\n", ours);
    let replaced = kept.replacen("nvidia", "buildwarden", 1);
    for (others, want, note) in [
        (Others::Keep, kept, "default-runtime stays \"nvidia\""),
        (Others::Replace, replaced, "default-runtime was \"nvidia\""),
    ] {
        let plan = check(Engine::Docker, others, DOCKER_JSON, NVIDIA, &want);
        assert!(plan.notes.iter().any(|said| said.contains(note)), "{:?}", plan.notes);
        // Edited since: only ours goes, and what was the default comes back.
        let mut machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
        machine.install(Engine::Docker, others);
        let found = machine.0.get_mut(Path::new(DOCKER_JSON)).unwrap();
        found.content =
            found.content.replace("{\n    \"default", "{\n    \"debug\": true,\n    \"default");
        machine.uninstall(Engine::Docker);
        let want = NVIDIA.replace("{\n    \"default", "{\n    \"debug\": true,\n    \"default");
        assert_eq!(machine.text(DOCKER_JSON), want);
    }
}

#[test]
fn what_somebody_has_set_up_by_hand_is_left() {
    for text in [
        include_str!("../../../../hooks/docker/daemon.json"),
        "{\"default-runtime\":\"traced\",\"runtimes\":{\"traced\":{\"path\":\"/usr/bin/buildwarden-crun\"}}}",
    ] {
        let mut machine = Machine::new(&[(DOCKER_JSON, text)]);
        machine.install(Engine::Docker, Others::Refuse);
        assert_eq!(machine.text(DOCKER_JSON), text);
    }
    for (text, said) in [
        ("{\"runtimes\":{\"buildwarden\":{\"path\":\"/bin/x\"}}}", "runs /bin/x, not Buildwarden"),
        ("{\n  \"debug\": true,\n}", "line 3"),
        ("[]", "expected an object"),
        ("{\"runtimes\": []}", "\"runtimes\": expected an object"),
        ("{\"default-runtime\": 1}", "\"default-runtime\": expected a string"),
        ("{\"runtimes\":{},\"runtimes\":{}}", "\"runtimes\" is there twice"),
    ] {
        let machine = Machine::new(&[(DOCKER_JSON, text)]);
        let error = machine.plan(Engine::Docker, Verb::Install, Others::Refuse).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[test]
fn the_environment_of_dockerd_keeps_its_path() {
    const DROP_IN: &str = "/etc/systemd/system/docker.service.d/buildwarden.conf";
    let mut machine = Machine::new(&[
        ("/lib/systemd/system/docker.service", "[Service]\nEnvironment=PATH=/a\n"),
        (
            "/etc/systemd/system/docker.service.d/a.conf",
            "[Service]\nEnvironment=PATH=/b:/usr/bin\n",
        ),
        ("/etc/systemd/system/docker.service.d/x.conf", "[Service]\nEnvironment=PATH=/late\n"),
        ("/etc/systemd/system/docker.service.d/w.conf", "[Service]\nEnvironment=\n"),
    ]);
    let before = machine.clone();
    let plan = machine.install(Engine::Docker, Others::Refuse);
    let text = machine.text(DROP_IN).to_owned();
    assert!(text.contains("\nEnvironment=PATH=/usr/libexec/buildwarden:/late\n"), "{text}");
    assert!(
        text.contains("\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND=/usr/bin/buildwarden-runc\n")
    );
    for note in ["x.conf: sets PATH after", "w.conf: its empty Environment= drops"] {
        assert!(plan.notes.iter().any(|said| said.contains(note)), "{:?}", plan.notes);
    }
    // Somebody's lines in our file stay.
    let found = machine.0.get_mut(Path::new(DROP_IN)).unwrap();
    found.content += "Environment=BUILDWARDEN_CONFIG=/x\n";
    machine.install(Engine::Docker, Others::Refuse);
    assert!(machine.text(DROP_IN).ends_with("CONFIG=/x\n"));
    machine.install_other(Engine::Docker);
    let text = machine.text(DROP_IN);
    assert!(text.contains("\nEnvironment=PATH=/usr/local/libexec/buildwarden:/late\n"), "{text}");
    assert!(text.contains("\nEnvironment=BUILDWARDEN_CONFIG=/x\n"), "{text}");
    assert_eq!(text.matches("DOCKER_BUILDKIT_RUNC_COMMAND").count(), 1, "{text}");
    machine.uninstall(Engine::Docker);
    assert_eq!(machine.text(DROP_IN), "[Service]\nEnvironment=BUILDWARDEN_CONFIG=/x\n");
    machine.0.remove(Path::new(DROP_IN));
    assert_eq!(machine, before);
}

#[test]
fn a_drop_in_of_our_name_keeps_what_is_there() {
    const DROP_IN: &str = "/etc/systemd/system/docker.service.d/buildwarden.conf";
    let ours = "# Written by `buildwarden install`; `buildwarden uninstall` removes it.\n# BuildKit inside of dockerd does not know the default runtime.\n# Docker 23 and newer:\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND=/usr/bin/buildwarden-runc\n# Docker 20.10 runs the first `runc` in PATH, and this directory has a link of that name:\nEnvironment=PATH=/usr/libexec/buildwarden:/mine\n";
    for (before, want) in [
        (
            "[Service]\nEnvironment=PATH=/mine\n\n[Unit]\nAfter=x\n",
            format!("[Service]\nEnvironment=PATH=/mine\n{ours}\n[Unit]\nAfter=x\n"),
        ),
        (
            "[Unit]\nAfter=x\n",
            format!("[Unit]\nAfter=x\n[Service]\n{}", ours.replace("/mine", "/a")),
        ),
    ] {
        let unit = ("/lib/systemd/system/docker.service", "[Service]\nEnvironment=PATH=/a\n");
        let original = Machine::new(&[unit, (DROP_IN, before)]);
        let mut machine = original.clone();
        machine.install(Engine::Docker, Others::Refuse);
        assert_eq!(machine.text(DROP_IN), want);
        let mut edited = machine.clone();
        machine.uninstall(Engine::Docker);
        assert_eq!(machine, original);
        // Since then, a line of somebody's.
        let found = edited.0.get_mut(Path::new(DROP_IN)).unwrap();
        found.content += "# more\n";
        edited.uninstall(Engine::Docker);
        let text = edited.text(DROP_IN);
        let rest = text.strip_prefix(before).and_then(|rest| rest.strip_suffix("# more\n"));
        assert!(matches!(rest, Some("" | "[Service]\n")), "{text}");
    }
}

#[test]
fn one_unit_of_a_name_is_read() {
    let unit = "docker.service.d/a.conf";
    let lib = format!("/lib/systemd/system/{unit}");
    let etc = format!("/etc/systemd/system/{unit}");
    let run = format!("/run/systemd/system/{unit}");
    let late = "/run/systemd/system/docker.service.d/b.conf";
    let path = |directory: &str| format!("[Service]\nEnvironment=PATH={directory}\n");
    let (of_lib, of_run, of_etc) = (path("/lib-has"), path("/run-has"), path("/etc-has"));
    for (files, want) in [
        (vec![(lib.as_str(), of_lib.as_str())], "/lib-has"),
        (vec![(&lib, &of_lib), (&run, &of_run)], "/run-has"),
        (vec![(&lib, &of_lib), (&run, &of_run), (&etc, &of_etc)], "/etc-has"),
        // Masked.
        (vec![(&lib, &of_lib), (&etc, "")], "/usr/local/sbin"),
        // Reset by a later one.
        (vec![(&lib, &of_lib), (late, "[Service]\nEnvironment=\n")], "/usr/local/sbin"),
    ] {
        let mut machine = Machine::new(&files);
        machine.install(Engine::Docker, Others::Refuse);
        let text = machine.text("/etc/systemd/system/docker.service.d/buildwarden.conf");
        assert!(text.contains(&format!("PATH=/usr/libexec/buildwarden:{want}")), "{text}");
    }
}

#[test]
fn what_dockerd_would_not_start_with_is_refused() {
    for (line, said) in [
        ("ExecStart=/usr/bin/dockerd -H fd:// --default-runtime=nvidia", Some("--default-runtime")),
        ("ExecStart=/usr/bin/dockerd --add-runtime a=/b", Some("--add-runtime")),
        ("ExecStart=/usr/bin/dockerd --config-file /x.json", Some("another configuration file")),
        ("ExecStart=/usr/bin/dockerd -H fd://", None),
        ("# ExecStart=/usr/bin/dockerd --add-runtime a=/b", None),
        (
            "ExecStart=/usr/bin/dockerd -H fd:// \\\n# for GPUs\n  --add-runtime a=/b",
            Some("--add-runtime"),
        ),
        ("ExecStart = /usr/bin/dockerd --add-runtime a=/b", Some("--add-runtime")),
        // Reset.
        (
            "ExecStart=/usr/bin/dockerd --add-runtime a=/b\nExecStart=\nExecStart=/usr/bin/dockerd",
            None,
        ),
        (
            "ExecStart=/usr/bin/dockerd --add-runtime a=/b\nExecStart=\nExecStart=dockerd --config-file /x",
            Some("another configuration file"),
        ),
    ] {
        let unit = format!("[Service]\n{line}\n");
        let machine = Machine::new(&[("/lib/systemd/system/docker.service", &unit)]);
        let planned = machine.plan(Engine::Docker, Verb::Install, Others::Refuse);
        match said {
            None => assert!(planned.is_ok(), "{line}"),
            Some(said) => {
                let error = planned.unwrap_err().to_string();
                assert!(error.contains(said), "{line}: {error}");
            }
        }
    }
}

#[test]
fn the_command_line_of_dockerd_is_the_last_one() {
    const UNIT: &str = "/lib/systemd/system/docker.service";
    const DROP_INS: &str = "/etc/systemd/system/docker.service.d";
    let (one, own) = (format!("{DROP_INS}/a.conf"), format!("{DROP_INS}/buildwarden.conf"));
    let wrong = "[Service]\nExecStart=dockerd --add-runtime a=/b\n";
    let other = "[Service]\nExecStart=\nExecStart=dockerd -H fd://\n";
    for (files, refused_for) in [
        (vec![(UNIT, wrong), (one.as_str(), other)], None),
        (vec![(UNIT, other), (&one, wrong)], Some(&one)),
        // Whoever has put it into a file of our name.
        (vec![(UNIT, other), (&own, wrong)], Some(&own)),
        (vec![(UNIT, wrong), (&own, other)], None),
    ] {
        let planned = Machine::new(&files).plan(Engine::Docker, Verb::Install, Others::Refuse);
        let error = planned.err().map(|error| error.to_string());
        match refused_for {
            None => assert_eq!(error, None, "{files:?}"),
            Some(path) => assert!(error.is_some_and(|error| error.contains(path)), "{files:?}"),
        }
    }
}

#[test]
fn a_default_that_has_gone_does_not_come_back() {
    let mut machine = Machine::new(&[(DOCKER_JSON, NVIDIA)]);
    machine.install(Engine::Docker, Others::Replace);
    let found = machine.0.get_mut(Path::new(DOCKER_JSON)).unwrap();
    found.content = found.content.replace("\"nvidia\": {", "\"other\": {");
    machine.uninstall(Engine::Docker);
    let text = machine.text(DOCKER_JSON);
    assert!(text.contains("other") && !text.contains("default-runtime"), "{text}");
}
