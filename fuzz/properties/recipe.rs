//! What holds for a recipe and a policy.

use super::exec::check_exec;
use buildwarden::{
    detect::{Detector, Policy, PolicyFile, Recipe},
    event::{Argv, Exec},
};

/// What some rule of most recipes is about.
const ARGV: [&[u8]; 4] = [
    b"curl\0-x\0http://192.0.2.1:80\0https://[2001:db8::1]/\0",
    b"ssh\0-J\0u@8.8.8.8\0example.com\0",
    b"sh\0-c\0exec 3<>/dev/tcp/10.0.0.1/80\0",
    b"busybox\0wget\0http://1.1.1.1\0",
];

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(recipe) = Recipe::read(text) {
        check_detector(Detector::new(vec![recipe], Policy::default()).ok());
    }
    if let Ok(Ok(policy)) = toml::from_str::<PolicyFile>(text).map(Policy::resolve) {
        check_detector(Detector::new(Detector::builtin_recipes(), policy).ok());
    }
}

fn check_detector(detector: Option<Detector>) {
    let Some(detector) = detector else { return };
    for argv in ARGV {
        let path = argv.split(|byte| *byte == 0).next().unwrap_or_default();
        check_exec(&detector, &Exec { path, name: path, argv: Argv(argv), ..Exec::default() });
    }
}
