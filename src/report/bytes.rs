//! Bytes in JSON without losing any.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, ops::Deref};

/// A byte string that a build controls: an argument, a path, a piece of one.
///
/// In JSON it is a string when the bytes are UTF-8, and `{"base64": "…"}`
/// (RFC 4648, section 4) when they are not. No string stands for other bytes
/// than its own, so what was executed can be had back from a report exactly.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Bytes {
    fn from(bytes: &T) -> Self {
        Bytes(bytes.as_ref().to_vec())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Bytes(text.into_bytes())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// The form of bytes that are not UTF-8.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Encoded<'a> {
    base64: Cow<'a, str>,
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded { base64: STANDARD.encode(&self.0).into() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an untagged enum, which would keep a copy of each: an event file has millions.
        deserializer.deserialize_any(Form)
    }
}

/// The two forms.
struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or {\"base64\": \"…\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(Bytes::from(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Bytes, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bytes, A::Error> {
        let Encoded { base64 } = Encoded::deserialize(MapAccessDeserializer::new(map))?;
        STANDARD.decode(base64.as_ref()).map(Bytes).map_err(|error| {
            de::Error::custom(format_args!("expected standard base64 with padding: {error}"))
        })
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes: a string when they are UTF-8, else an object with their standard base64.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "base64": { "type": "string", "contentEncoding": "base64" } },
                    "required": ["base64"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let cases: [(&[u8], &str); 6] = [
            (b"", r#""""#),
            (b"curl", r#""curl""#),
            ("ü\u{202e}".as_bytes(), "\"ü\u{202e}\""),
            (b"\x1b[31m\n", r#""\u001b[31m\n""#),
            (b"\xff", r#"{"base64":"/w=="}"#),
            (b"a\0\xc3", r#"{"base64":"YQDD"}"#),
        ];
        for (bytes, json) in cases {
            let value = Bytes::from(bytes);
            assert_eq!(serde_json::to_string(&value).unwrap(), json, "{bytes:?}");
            assert_eq!(serde_json::from_str::<Bytes>(json).unwrap(), value, "{json}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for json in ["1", "null", r#"{"base64":"*"}"#, r#"{"base64":"YQ==","x":1}"#, "[97]"] {
            assert!(serde_json::from_str::<Bytes>(json).is_err(), "{json}");
        }
    }
}
