//! Values that check themselves as they are read, so that an error knows its line.

use super::settings::Syslog;
use crate::report::format::Format;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// Size of one container's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingSize(pub(super) u32);

impl RingSize {
    const MIN: u64 = 64 << 10;
    const MAX: u64 = 64 << 20;

    /// The kernel takes rings of a power of two of whole pages; under 64 KiB one
    /// long argv would not fit, over 64 MiB a few containers would eat the host.
    fn from_bytes(bytes: u64) -> Result<Self, String> {
        if bytes.is_power_of_two() && (Self::MIN..=Self::MAX).contains(&bytes) {
            return Ok(RingSize(bytes as u32));
        }
        Err(format!(
            "a ring of {bytes} bytes does not exist, expected a power of two from {} to {}; the nearest is {}",
            Bytes(Self::MIN),
            Bytes(Self::MAX),
            Bytes(Self::nearest(bytes))
        ))
    }

    fn nearest(bytes: u64) -> u64 {
        let bytes = bytes.clamp(Self::MIN, Self::MAX);
        let above = bytes.next_power_of_two();
        let below = above / 2;
        if bytes - below < above - bytes { below } else { above }
    }
}

impl<'de> Deserialize<'de> for RingSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = SizeVisitor("a size, as in `1048576`, \"256KiB\" or \"1MiB\"");
        Self::from_bytes(deserializer.deserialize_any(visitor)?).map_err(de::Error::custom)
    }
}

/// A number of bytes, or text with a unit; with what to say is expected.
struct SizeVisitor(&'static str);

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse_bytes(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// `256KiB`, `1 MiB`, `65536B`, `65536`.
fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A whole number and what follows it.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// How much disk finished runs may take before the oldest are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepSize(
    /// Bytes; `None` for as much as there is.
    pub Option<u64>,
);

impl KeepSize {
    const EXPECTED: &'static str = "a size, as in \"500MiB\" or \"10GiB\", or \"unlimited\"";
}

impl FromStr for KeepSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "unlimited" => Ok(KeepSize(None)),
            _ => parse_bytes(text)
                .map(|bytes| KeepSize(Some(bytes)))
                .ok_or_else(|| format!("expected {}", Self::EXPECTED)),
        }
    }
}

impl<'de> Deserialize<'de> for KeepSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unlimited;
        impl Visitor<'_> for Unlimited {
            type Value = KeepSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(KeepSize::EXPECTED)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<KeepSize, E> {
                Ok(KeepSize(Some(bytes)))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<KeepSize, E> {
                SizeVisitor(KeepSize::EXPECTED).visit_i64(bytes).map(|bytes| KeepSize(Some(bytes)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeepSize, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Unlimited)
    }
}

/// How long a finished run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct KeepAge(
    /// `None` for ever.
    pub Option<Duration>,
);

impl KeepAge {
    pub(super) const fn days(days: u64) -> KeepAge {
        KeepAge(Some(Duration::from_secs(days * 24 * 60 * 60)))
    }
}

impl FromStr for KeepAge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(KeepAge(None));
        }
        let seconds = split_unit(text).and_then(|(number, unit)| {
            let factor = match unit {
                "m" => 60,
                "h" => 60 * 60,
                "d" => 24 * 60 * 60,
                "w" => 7 * 24 * 60 * 60,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        seconds.map(|seconds| KeepAge(Some(Duration::from_secs(seconds)))).ok_or_else(|| {
            "expected an age, as in \"90m\", \"12h\", \"30d\" or \"8w\", or \"forever\"".to_owned()
        })
    }
}

impl TryFrom<String> for KeepAge {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A number of bytes in its largest whole unit.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

/// A format that is written beside `report.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Format")]
pub(super) struct ReportFormat(pub(super) Format);

impl TryFrom<Format> for ReportFormat {
    type Error = String;

    fn try_from(format: Format) -> Result<Self, String> {
        match format {
            Format::Json => {
                Err("report.json is written always; expected another format".to_owned())
            }
            Format::InToto => {
                Err("an in-toto Statement needs subjects, which are not known yet when \
                 a container ends; `buildwarden report --format in-toto --subject …` writes one"
                    .to_owned())
            }
            format => Ok(ReportFormat(format)),
        }
    }
}

/// How many rings are kept ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Pool(pub(super) u32);

impl Pool {
    const MAX: u32 = 256;
}

impl TryFrom<i64> for Pool {
    type Error = String;

    fn try_from(rings: i64) -> Result<Self, String> {
        u32::try_from(rings).ok().filter(|rings| *rings <= Self::MAX).map(Pool).ok_or_else(|| {
            format!("a pool of {rings} rings does not exist, expected 0 to {}", Self::MAX)
        })
    }
}

/// A path that does not depend on who reads it and leads where it says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct AbsolutePath(pub(super) PathBuf);

impl TryFrom<String> for AbsolutePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = Path::new(&text);
        // The hook's working directory is the container's bundle.
        if !path.is_absolute() {
            return Err("the path is relative, expected one that begins with `/`".to_owned());
        }
        if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
            return Err("the path holds `..` or NUL, expected a plain absolute path".to_owned());
        }
        if path.parent().is_none() {
            return Err("the path is the root, expected a place of Buildwarden's own".to_owned());
        }
        Ok(AbsolutePath(path.components().collect()))
    }
}

/// The name of a group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct GroupName(pub(super) String);

impl TryFrom<String> for GroupName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // What separates the fields and lines of /etc/group cannot be in a name.
        if text.is_empty() || text.contains([':', ',', '\n', '\0']) {
            return Err("this is no group's name, expected one as in /etc/group".to_owned());
        }
        Ok(GroupName(text))
    }
}

impl TryFrom<String> for Syslog {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once("://") {
            None => AbsolutePath::try_from(text).map(|path| Syslog::Socket(path.0)),
            // A name would have to be looked up, which can take long.
            Some(("udp", address)) => address.parse().map(Syslog::Udp).map_err(|_| {
                "the address has no such form, expected one as in `udp://192.0.2.10:514`".to_owned()
            }),
            Some((scheme, _)) => {
                Err(format!("syslog over `{scheme}` is not spoken, expected a path or `udp://`"))
            }
        }
    }
}

/// The URL of a service that takes OTLP logs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Endpoint(pub(super) Url);

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const EXPECTED: &str = "expected one as in `http://127.0.0.1:4318/v1/logs`";
        let mut url = Url::parse(&text).map_err(|error| format!("no URL: {error}, {EXPECTED}"))?;
        if url.scheme() == "https" {
            return Err(
                "TLS is not spoken, expected `http:`: a collector on this host or network \
                        can hand on to a service beyond it"
                    .to_owned(),
            );
        }
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("not a plain URL of HTTP, {EXPECTED}"));
        }
        // A name would have to be looked up, which can take long.
        if !matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_) | Host::Domain("localhost"))) {
            return Err(format!("the host is no address, {EXPECTED}"));
        }
        // Where the protocol says that logs go when only the service is named.
        if url.path() == "/" {
            url.set_path("/v1/logs");
        }
        Ok(Endpoint(url))
    }
}
