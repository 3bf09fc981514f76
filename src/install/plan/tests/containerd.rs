//! containerd, of each version of its configuration.

use super::*;

/// containerd's tables of `version`, with its runtimes.
fn cri(version: i64, tail: &str) -> String {
    let plugin = match version {
        2 => "plugins.\"io.containerd.grpc.v1.cri\".containerd",
        _ => "plugins.\"io.containerd.cri.v1.runtime\".containerd",
    };
    tail.replace("[cri", &format!("[{plugin}"))
}

#[test]
fn containerd_has_a_runtime_and_the_default() {
    for version in [2, 3] {
        let ours = format!(
            "[cri]\ndefault_runtime_name = \"buildwarden\"\n\n[cri.runtimes.runc]\n{RUNC_V2}\n\n\
             [cri.runtimes.buildwarden]\n{RUNC_V2}\n\n[cri.runtimes.buildwarden.options]\n\
             BinaryName = \"/usr/bin/buildwarden-runc\"\n"
        );
        let before = format!("# a\nversion = {version} # b\nroot = \"/r\"\n");
        let want = format!("{before}\n{}", cri(version, &ours));
        check_both(Engine::Containerd, CONTAINERD, &before, &want);
        // What runc has, ours has.
        let before = cri(
            version,
            &format!(
                "version = {version}\n[cri.runtimes.runc] # c\n# d\n{RUNC_V2}\n[cri.runtimes.runc.options]\nSystemdCgroup = true # e\n"
            ),
        );
        let ours = format!(
            "\n[cri.runtimes.buildwarden]\n{RUNC_V2}\n\n[cri.runtimes.buildwarden.options]\n\
             SystemdCgroup = true\nBinaryName = \"/usr/bin/buildwarden-runc\"\n\n[cri]\ndefault_runtime_name = \"buildwarden\"\n"
        );
        let mut machine = Machine::new(&[(CONTAINERD, &before)]);
        machine.install(Engine::Containerd, Others::Refuse);
        let text = machine.text(CONTAINERD).to_owned();
        for part in [&before, &cri(version, &ours)].iter().flat_map(|text| text.split("\n\n")) {
            let part = part.strip_prefix(&format!("version = {version}\n")).unwrap_or(part);
            assert!(text.contains(part.trim()), "{part}\nin\n{text}");
        }
        machine.forget();
        machine.uninstall(Engine::Containerd);
        assert_eq!(machine.text(CONTAINERD), before);
    }
}

#[test]
fn containerd_is_told_where_it_listens() {
    let drop_in = "/etc/containerd/conf.d/buildwarden.toml";
    let nvidia = "/etc/containerd/conf.d/99-nvidia.toml";
    let imports = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n";
    let v3 = format!("version = 3\n{imports}");
    let v2 = format!(
        "version = 2\n{imports}[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"\n"
    );
    let section = cri(2, &format!("version = 2\n[cri.runtimes.nvidia]\n{RUNC_V2}\n"));
    for (files, home) in [
        // Merged.
        (vec![(CONTAINERD, v3.as_str())], drop_in),
        // Taken whole from the last file that has one.
        (vec![(CONTAINERD, &v2)], CONTAINERD),
        (vec![(CONTAINERD, &v2), (nvidia, &section)], nvidia),
        (vec![(CONTAINERD, "version = 3\n")], CONTAINERD),
        (vec![], CONTAINERD),
    ] {
        let original = Machine::new(&files);
        let mut machine = original.clone();
        let plan = machine.install(Engine::Containerd, Others::Refuse);
        let paths: Vec<_> = plan.edits.iter().map(|edit| edit.path.to_str().unwrap()).collect();
        assert_eq!(paths, [home], "{files:?}");
        machine.uninstall(Engine::Containerd);
        assert_eq!(machine, original, "{files:?}");
    }
    // Without a file, what containerd reads then is not lost.
    let imports = vec!["/etc/containerd/conf.d/*.toml".to_owned()];
    let containerd = Some(Hint { version: 3, imports });
    let facts = Facts { containerd, ..Facts::default() };
    let plan = plan(Engine::Containerd, &facts, &wish(Verb::Install, Others::Refuse)).unwrap();
    let text = plan.edits[0].after.as_deref().unwrap();
    assert!(text.starts_with(&v3), "{text}");
}

#[test]
fn containerd_that_cannot_be_told_is_left() {
    let kata = cri(
        2,
        "version = 2\n[cri]\ndefault_runtime_name = \"kata\"\n[cri.runtimes.kata]\nruntime_type = \"io.containerd.kata.v2\"\n",
    );
    for (text, said) in [
        ("version = 1\n", "version = 1, expected 2 or 3"),
        ("root = \"/x\"\n", "version = 1, expected 2 or 3"),
        (&kata, "default_runtime_name is \"kata\""),
        ("version = 2\n[plugins\n", "line 2"),
    ] {
        let machine = Machine::new(&[(CONTAINERD, text)]);
        let error = machine.plan(Engine::Containerd, Verb::Install, Others::Refuse).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    let mut machine = Machine::new(&[(CONTAINERD, &kata)]);
    let original = machine.clone();
    machine.install(Engine::Containerd, Others::Keep);
    assert!(machine.text(CONTAINERD).contains("default_runtime_name = \"kata\""));
    machine.uninstall(Engine::Containerd);
    assert_eq!(machine, original);
    // As Docker's package has it.
    let off = Machine::new(&[(CONTAINERD, "disabled_plugins = [\"cri\"]\n")]);
    let plan = off.plan(Engine::Containerd, Verb::Install, Others::Refuse).unwrap();
    assert!(plan.is_empty() && plan.notes[0].contains("the CRI plugin is off"), "{plan:?}");
    // A later file has the last word.
    let main = "version = 3\nimports = [\"conf.d/*.toml\"]\n";
    let late = cri(3, "version = 3\n[cri]\ndefault_runtime_name = \"runc\"\n");
    let files = [(CONTAINERD, main), ("/etc/containerd/conf.d/late.toml", &late)];
    let error = Machine::new(&files).plan(Engine::Containerd, Verb::Install, Others::Refuse);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("late.toml: sets default_runtime_name after"), "{error}");
}
