//! What runs in the containers: a static busybox, and programs in C for what a
//! shell cannot do.

use super::command::run;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// Where this package lies.
pub(super) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A static busybox.
pub(crate) fn busybox() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        let done = run(&mut Command::new(package().join("integration/busybox"))).expect_code(0);
        done.stdout().trim_end().into()
    });
    &PATH
}

/// The program made of `integration/programs/<name>.c`, static.
pub(crate) fn program(name: &str) -> PathBuf {
    let source = package().join("integration/programs").join(name).with_extension("c");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Tests run at the same time: each compiles its own, the last rename wins.
    let fresh = target.with_extension(format!("{:?}", std::thread::current().id()));
    let mut compile = Command::new("cc");
    compile.args(["-static", "-Os", "-Wall", "-Werror", "-o"]).arg(&fresh).arg(source);
    run(&mut compile).expect_code(0);
    std::fs::rename(&fresh, &target).unwrap();
    target
}
