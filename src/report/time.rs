//! Points in time as reports write them.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt};

/// A point in time; in JSON RFC 3339 in UTC, always with nine digits of a second,
/// so that the texts sort as the times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Timestamp);

impl Time {
    /// The moment `boot_ns` nanoseconds after boot, on a clock where boot was
    /// `boot_to_unix_ns` nanoseconds after the Unix epoch.
    ///
    /// A moment outside of what RFC 3339 can write becomes the nearest one that
    /// it can: a broken clock must not cost the report.
    pub fn from_boot(boot_ns: u64, boot_to_unix_ns: i64) -> Time {
        Time::from_unix_ns(i128::from(boot_ns) + i128::from(boot_to_unix_ns))
    }

    /// The moment `ns` nanoseconds after the Unix epoch; clamped as in [`Time::from_boot`].
    pub fn from_unix_ns(ns: i128) -> Time {
        let nearest = if ns < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Time(Timestamp::from_nanosecond(ns).unwrap_or(nearest))
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_ns(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// The moment `ns` nanoseconds later; clamped as in [`Time::from_boot`].
    #[must_use]
    pub fn plus_ns(self, ns: i64) -> Time {
        Time::from_unix_ns(self.unix_ns() + i128::from(ns))
    }

    /// Nanoseconds from `earlier` to this moment; 0 when it is not earlier.
    pub fn ns_since(self, earlier: Time) -> u64 {
        u64::try_from(self.unix_ns() - earlier.unix_ns()).unwrap_or(0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Time)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "RFC 3339 in UTC, with nanoseconds.",
            "type": "string",
            "format": "date-time"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_digits_whatever_the_clock_says() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (1, 1_700_000_000_000_000_000, "2023-11-14T22:13:20.000000001Z"),
            (5, -6, "1969-12-31T23:59:59.999999999Z"),
            (u64::MAX, i64::MAX, "2846-10-30T23:21:50.564327422Z"),
        ];
        for (boot, offset, want) in cases {
            let time = Time::from_boot(boot, offset);
            assert_eq!(time.to_string(), want, "{boot} {offset}");
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }
    }
}
