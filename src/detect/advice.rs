//! What to do about a finding: the recipe's texts with the names from the evidence.

use super::finding::Finding;
use super::recipe::Recipe;
use std::fmt::Write;

/// What is known of a finding's surroundings. What is absent is said in general words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The build step, such as its command or its name.
    pub step: Option<&'a [u8]>,
    /// The script that started the tool.
    pub script: Option<&'a [u8]>,
    /// Who started it, parent first: paths or command names.
    pub parents: &'a [&'a [u8]],
    /// The job.
    pub job: Option<&'a [u8]>,
}

const PLACEHOLDERS: [&str; 6] = ["tool", "address", "step", "script", "parents", "job"];

/// The longest value that is inserted, in bytes.
const LONGEST: usize = 200;

/// The advice of a recipe for one finding, in the recipe's order. Inserted
/// values are plain text: what could act on a terminal is written as an escape.
pub fn advice(recipe: &Recipe, finding: &Finding, evidence: &Evidence<'_>) -> Vec<String> {
    recipe.advice.iter().map(|template| render(template, finding, evidence)).collect()
}

fn render(template: &str, finding: &Finding, evidence: &Evidence<'_>) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    for (literal, placeholder) in pieces(template) {
        text.push_str(literal);
        let value = |known: Option<&[u8]>, otherwise: &str| {
            known.map_or_else(|| otherwise.to_owned(), plain)
        };
        match placeholder {
            None => {}
            Some("tool") => text.push_str(&plain(finding.tool.name.as_bytes())),
            Some("address") => text.push_str(&addresses(finding)),
            Some("step") => text.push_str(&value(evidence.step, "this step")),
            Some("script") => text.push_str(&value(evidence.script, "the script that started it")),
            Some("job") => text.push_str(&value(evidence.job, "this job")),
            Some("parents") => match evidence.parents {
                [] => text.push_str("the container's entrypoint"),
                parents => text.push_str(
                    &parents.iter().map(|parent| plain(parent)).collect::<Vec<_>>().join(" ← "),
                ),
            },
            Some(_) => {}
        }
    }
    text
}

fn addresses(finding: &Finding) -> String {
    let mut names: Vec<&str> = Vec::new();
    for address in &finding.addresses {
        if !names.contains(&address.address.as_str()) {
            names.push(&address.address);
        }
        if names.len() == 4 {
            break;
        }
    }
    match (names.as_slice(), finding.addresses.len() + finding.more_addresses) {
        ([], _) => "the other side".to_owned(),
        (names, all) if all > names.len() && names.len() == 4 => {
            format!("{} and others", names[..3].join(", "))
        }
        (names, _) => names.join(", "),
    }
}

/// The literal texts of a template, each with the placeholder that follows it.
fn pieces(template: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(template);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match text.split_once('{').and_then(|(literal, after)| {
            after.split_once('}').map(|(name, after)| (literal, name, after))
        }) {
            Some((literal, name, after)) => {
                rest = Some(after);
                Some((literal, Some(name)))
            }
            None => Some((text, None)),
        }
    })
}

/// The first placeholder that no evidence fills.
pub(super) fn unknown_placeholder(template: &str) -> Option<&str> {
    pieces(template).filter_map(|(_, name)| name).find(|name| !PLACEHOLDERS.contains(name))
}

/// Bytes as plain text: controls, directional marks and zero-width characters
/// as `\u{..}`, what is not UTF-8 as `\xNN`.
fn plain(bytes: &[u8]) -> String {
    let cut = bytes.len() > LONGEST;
    let mut text = String::with_capacity(bytes.len().min(LONGEST));
    for chunk in bytes[..bytes.len().min(LONGEST)].utf8_chunks() {
        for char in chunk.valid().chars() {
            if acts(char) {
                let _ = write!(text, "\\u{{{:x}}}", u32::from(char));
            } else {
                text.push(char);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if cut {
        text.push('…');
    }
    text
}

/// Whether a character acts on what displays it, or cannot be seen.
fn acts(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            (b"\x1b[2J", "\\u{1b}[2J"),
            (b"a\nb", "a\\u{a}b"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            (b"\xff", "\\xff"),
            ("é".as_bytes(), "é"),
        ];
        for (bytes, want) in cases {
            assert_eq!(plain(bytes), want);
        }
        assert!(plain(&[b'a'; 1000]).len() < 300);
    }

    #[test]
    fn a_placeholder_must_be_known() {
        assert_eq!(unknown_placeholder("{tool} to {address}"), None);
        assert_eq!(unknown_placeholder("{tool} to {secret}"), Some("secret"));
        assert_eq!(unknown_placeholder("a { b"), None);
    }
}
