//! JSON as this program writes it, and reading reports back.

use super::model::{Report, SCHEMA_VERSION};
use crate::escape;
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io;
use thiserror::Error;

/// Why bytes are not a report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Not JSON, or not of this shape.
    #[error("expected a report in JSON, as `buildwarden` writes it to report.json: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a later program.
    #[error(
        "report has schema_version {found}, this program reads {SCHEMA_VERSION}: \
         use the buildwarden that wrote it, or a newer one"
    )]
    Version {
        /// The version it says it has.
        found: u64,
    },
}

/// Reads a report. Fields that this version does not know are ignored.
pub fn parse(bytes: &[u8]) -> Result<Report, ReportError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u64,
    }
    let Versioned { schema_version } = serde_json::from_slice(bytes)?;
    if schema_version != u64::from(SCHEMA_VERSION) {
        return Err(ReportError::Version { found: schema_version });
    }
    Ok(serde_json::from_slice(bytes)?)
}

/// A value as one line of JSON without its line end.
///
/// Fails only when the value cannot be written as JSON (a map with keys that are
/// no strings), which none of this program's types is.
pub fn line<T: Serialize>(value: &T) -> serde_json::Result<String> {
    write(value, Visible(CompactFormatter))
}

/// A value as indented JSON, with a line end.
pub fn pretty<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut text = write(value, Visible(PrettyFormatter::new()))?;
    text.push('\n');
    Ok(text)
}

fn write<T: Serialize>(value: &T, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

/// Writes characters that a terminal or an editor would hide as `\uXXXX`: JSON
/// asks it for some only, and a person reads these files too. So it does with the bracket
/// of what would be a command to the runner of a CI system in whose log this is printed.
struct Visible<F>(F);

impl<F: Formatter> Formatter for Visible<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Nearly all there is, and nothing in it needs a closer look.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'[') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut shown = 0;
        // A colon is none in here: no line begins with it.
        let mut brackets = escape::commands(fragment)
            .into_iter()
            .filter(|at| fragment[*at..].starts_with('['))
            .peekable();
        let mut is_written_out =
            |(at, c): &(usize, char)| brackets.next_if_eq(at).is_some() || escape::is_hidden(*c);
        for (at, c) in fragment.char_indices().filter(|indexed| is_written_out(indexed)) {
            writer.write_all(&fragment.as_bytes()[shown..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            shown = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[shown..])
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Bytes;

    #[test]
    fn hidden_characters_are_escaped_and_come_back() {
        let cases = [
            ("plain ü", r#""plain ü""#),
            ("-n a[0] #[x]", r##""-n a[0] #[x]""##),
            ("a\u{202e}b\u{7f}\u{9b}", r#""a\u202eb\u007f\u009b""#),
            ("\u{e0041}", r#""\udb40\udc41""#),
            ("\x1b\"\\\n", r#""\u001b\"\\\n""#),
            ("::a::##vso[x]", r###""::a::##vso\u005bx]""###),
        ];
        for (text, want) in cases {
            let json = line(&Bytes::from(text)).unwrap();
            assert_eq!(json, want);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "expected a report in JSON"),
            (b"{}", "missing field `schema_version`"),
            (b"{\"schema_version\": 2}", "report has schema_version 2, this program reads 1"),
            (b"{\"schema_version\": 1}", "missing field `tool`"),
        ];
        for (bytes, want) in cases {
            let error = parse(bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
