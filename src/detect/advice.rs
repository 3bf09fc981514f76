//! What to do about a finding: the recipe's texts with the names from the evidence.

use super::finding::Finding;
use super::recipe::Recipe;
use crate::escape::visible;

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
pub(super) fn advice(recipe: &Recipe, finding: &Finding, evidence: &Evidence<'_>) -> Vec<String> {
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

/// The beginning of a value, with everything that could act on a terminal written out.
fn plain(bytes: &[u8]) -> String {
    match bytes.get(..LONGEST) {
        Some(head) if bytes.len() > LONGEST => format!("{}…", visible(head)),
        _ => visible(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_plain_and_short() {
        assert_eq!(plain(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(plain(b"\xff"), "\\xff");
        assert!(plain(&[b'a'; 1000]).len() < 300);
    }

    #[test]
    fn a_placeholder_must_be_known() {
        assert_eq!(unknown_placeholder("{tool} to {address}"), None);
        assert_eq!(unknown_placeholder("{tool} to {secret}"), Some("secret"));
        assert_eq!(unknown_placeholder("a { b"), None);
    }
}
