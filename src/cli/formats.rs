//! Which formats a report is written in, and where to.

use crate::{
    escape,
    report::{
        format::Format,
        model::Step,
        place::{Place, in_dockerfile},
    },
};
use anyhow::{Context as _, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::{fs, path::Path, path::PathBuf};

/// Reads the name of a format.
pub(super) fn parser() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.name()).help(format.about()));
    PossibleValuesParser::new(values).try_map(|name| {
        // Only names of formats come so far.
        Format::from_name(&name).ok_or("no such format")
    })
}

/// Each format with where it is written: a file, or standard output.
pub(super) fn pair<'a>(
    formats: &[Format],
    outputs: &'a [PathBuf],
    has_subject: bool,
) -> anyhow::Result<Vec<(Format, Option<&'a Path>)>> {
    let formats = if formats.is_empty() { &[Format::Text] } else { formats };
    let in_toto = formats.contains(&Format::InToto);
    if in_toto && !has_subject {
        bail!(
            "--format in-toto says something about artifacts: name each with --subject NAME=sha256:DIGEST"
        );
    }
    if has_subject && !in_toto {
        bail!("--subject is for --format in-toto, which is not among the formats");
    }
    let given = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    if outputs.is_empty() && formats.len() == 1 {
        return Ok(vec![(formats[0], None)]);
    }
    if formats.len() != outputs.len() {
        bail!(
            "{} and {}: give each --format its own --output, in the same order (- is standard output)",
            given(formats.len(), "format"),
            given(outputs.len(), "output"),
        );
    }
    for (i, output) in outputs.iter().enumerate() {
        if outputs[..i].contains(output) {
            let shown = escape::visible(output.as_os_str().as_encoded_bytes());
            bail!("{shown}: two formats cannot be written to the same output");
        }
    }
    let target = |path: &'a PathBuf| Some(path.as_path()).filter(|path| *path != Path::new("-"));
    Ok(formats.iter().copied().zip(outputs.iter().map(target)).collect())
}

/// Where each of the steps stands in a Dockerfile. Finding none is no error, but told.
pub(super) fn places<'a>(
    file: &Path,
    steps: impl Iterator<Item = Option<&'a Step>>,
) -> anyhow::Result<Vec<Option<Place>>> {
    let shown = escape::visible(file.as_os_str().as_encoded_bytes()).into_owned();
    let bytes = fs::read(file).with_context(|| format!("{shown}: cannot read it"))?;
    let text = String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{shown}: not UTF-8, expected a Dockerfile"))?;
    let places: Vec<Option<Place>> = steps
        .map(|step| {
            let (line, last_line) = in_dockerfile(&text, step?)?;
            Some(Place { path: shown.clone(), line, last_line })
        })
        .collect();
    if places.iter().all(Option::is_none) {
        super::terminal::say(&format!(
            "{shown}: no RUN instruction in it is what the container executed; findings point at \
             the report"
        ));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_outputs_are_paired_in_order() {
        use Format::{InToto, Json, Sarif, Text};
        type Case<'a> =
            (&'a [Format], &'a [&'a str], bool, Result<&'a [(Format, Option<&'a str>)], &'a str>);
        let cases: [Case<'_>; 12] = [
            (&[], &[], false, Ok(&[(Text, None)])),
            (&[], &["a"], false, Ok(&[(Text, Some("a"))])),
            (&[Json], &[], false, Ok(&[(Json, None)])),
            (&[Json], &["-"], false, Ok(&[(Json, None)])),
            (&[Json, Sarif], &["a", "-"], false, Ok(&[(Json, Some("a")), (Sarif, None)])),
            (&[Json, Sarif], &[], false, Err("2 formats and 0 outputs: give each")),
            (&[Json, Sarif], &["a"], false, Err("2 formats and 1 output: give each")),
            (&[Json], &["a", "b"], false, Err("1 format and 2 outputs: give each")),
            (&[Json, Sarif], &["a", "a"], false, Err("a: two formats cannot")),
            (&[InToto], &[], false, Err("name each with --subject")),
            (&[InToto], &[], true, Ok(&[(InToto, None)])),
            (&[Json], &[], true, Err("--subject is for --format in-toto")),
        ];
        for (formats, outputs, subject, want) in cases {
            let outputs: Vec<PathBuf> = outputs.iter().map(PathBuf::from).collect();
            match (pair(formats, &outputs, subject), want) {
                (Ok(got), Ok(want)) => {
                    let want: Vec<_> = want.iter().map(|(f, to)| (*f, to.map(Path::new))).collect();
                    assert_eq!(got, want);
                }
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
                (got, want) => panic!("{formats:?} {outputs:?}: {got:?}, expected {want:?}"),
            }
        }
    }
}
