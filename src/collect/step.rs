//! What a container was told to execute.

use crate::{
    oci::{self, Bundle},
    redact::Redactor,
    report::{
        Bytes,
        model::{Container, Step},
    },
};

/// Bytes of a command line that are kept: a step can be a whole script.
const KEPT: usize = 8 << 10;
/// Bytes of it that an advice names.
const NAMED: usize = 150;

/// The step that the bundle's configuration tells.
pub(super) fn of(
    container: &Container,
    bundle: &Bundle,
    redactor: Option<&Redactor>,
) -> Option<Step> {
    let argv = bundle.arguments().iter().map(|argument| argument.as_bytes());
    let tool = argv.clone().next()?;
    let redacted = redactor.and_then(|redactor| redactor.argv(tool, argv.clone(), &[]));
    let mut command: Vec<Bytes> = match redacted {
        Some(redacted) => redacted.argv.into_iter().map(Bytes::from).collect(),
        None => argv.map(Bytes::from).collect(),
    };
    let command_omitted = cut(&mut command);
    let build = oci::build_of(container.engine.as_deref(), bundle);
    Some(Step { command, command_omitted, build })
}

/// Cuts a command line to what is kept; how much was cut off.
fn cut(command: &mut Vec<Bytes>) -> u64 {
    let mut room = KEPT;
    let mut omitted = 0;
    for argument in command.iter_mut() {
        let kept = argument.len().min(room);
        omitted += (argument.len() - kept) as u64;
        argument.0.truncate(kept);
        // Each has a place in the list too, which has its price.
        room = room.saturating_sub(kept + 1);
    }
    let used = command.iter().rposition(|argument| !argument.is_empty()).map_or(0, |last| last + 1);
    if room == 0 {
        command.truncate(used);
    }
    omitted
}

/// The step in an advice: a shell's script, or the command line.
pub(super) fn in_words(step: &Step) -> Vec<u8> {
    let words: Vec<&[u8]> = step.command.iter().map(|word| &**word).collect();
    let mut text = match words[..] {
        [_, b"-c", script] => script.to_vec(),
        _ => words.join(&b' '),
    };
    if text.len() > NAMED {
        text.truncate(NAMED);
        text.extend_from_slice("…".as_bytes());
    }
    [b"the step `", &text[..], b"`"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_step_is_read_without_its_secrets_and_its_bulk() {
        let directory = tempfile::tempdir().unwrap();
        let step_of = |args: &[&str], engine: &str| {
            let spec = json!({
                "ociVersion": "1.0.2",
                "process": { "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": args },
                "linux": { "cgroupsPath": "/ci-42/docker/buildkit/abc" },
            });
            std::fs::write(directory.path().join("config.json"), spec.to_string()).unwrap();
            let bundle = Bundle::read(directory.path()).unwrap();
            let container = Container { engine: Some(engine.to_owned()), ..Container::default() };
            of(&container, &bundle, Some(&Redactor::new(b"salt")))
        };
        let step = step_of(&["/bin/sh", "-c", "curl -u me:secret http://h/"], "buildkit").unwrap();
        assert_eq!(step.build.as_ref().map(|build| build.id.as_str()), Some("ci-42"));
        let text = String::from_utf8(in_words(&step)).unwrap();
        assert!(text.starts_with("the step `curl -u me:[redacted:"), "{text}");
        assert!(!format!("{step:?}").contains("secret"), "{step:?}");

        let step = step_of(&["make", &"x".repeat(10_000), "y"], "runc").unwrap();
        assert_eq!(step.command.len(), 2);
        assert_eq!(step.command_omitted, 10_005 + 1 - KEPT as u64);
        assert_eq!(step.build, None);
        assert!(in_words(&step).len() < 200);
        let step = step_of(&[""; 20_000], "runc").unwrap();
        assert_eq!(step.command.len(), 0);

        assert_eq!(step_of(&[], "buildkit"), None);
    }
}
