//! curl's URL globs: `{a,b}`, `[1-9]`, `[01-10:2]`, `[a-z]` (src/tool_urlglob.c).

use crate::detect::address;

/// How many URLs of one glob are looked at. All that follow differ from one of
/// these in a later part only, and every part is varied first to last.
const MOST: usize = 256;

/// One part of a pattern.
enum Part<'a> {
    Text(&'a [u8]),
    Set(Vec<&'a [u8]>),
    Numbers { first: u64, step: u64, count: u64, width: usize },
    Letters { first: u8, step: u8, count: u8 },
}

impl Part<'_> {
    fn count(&self) -> u64 {
        match self {
            Part::Text(_) => 1,
            Part::Set(items) => items.len() as u64,
            Part::Numbers { count, .. } => *count,
            Part::Letters { count, .. } => u64::from(*count),
        }
    }

    fn write(&self, index: u64, into: &mut Vec<u8>) {
        match self {
            Part::Text(text) => into.extend_from_slice(text),
            Part::Set(items) => {
                into.extend_from_slice(items.get(index as usize).copied().unwrap_or_default())
            }
            Part::Numbers { first, step, width, .. } => {
                let number = first + step * index;
                into.extend_from_slice(format!("{number:0width$}").as_bytes());
            }
            Part::Letters { first, step, .. } => into.push(first + step * index as u8),
        }
    }
}

/// Calls `each` with every URL that the pattern stands for, up to a bound, until
/// it returns false. A pattern that curl refuses is passed on as it is.
pub(super) fn each(pattern: &[u8], mut each: impl FnMut(&[u8]) -> bool) {
    let Some(parts) = parse(pattern) else {
        each(pattern);
        return;
    };
    // A vast pattern is not multiplied by its own length.
    let most = MOST.min(1 + (4 << 20) / pattern.len().max(1)) as u64;
    let mut url = Vec::with_capacity(pattern.len());
    for number in 0..most {
        let mut rest = number;
        url.clear();
        for part in &parts {
            part.write(rest % part.count(), &mut url);
            rest /= part.count();
        }
        if rest > 0 || !each(&url) {
            return;
        }
    }
}

fn parse(pattern: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(at) = memchr::memchr3(b'{', b'[', b'\\', rest) {
        let (text, special) = rest.split_at(at);
        parts.push(Part::Text(text));
        rest = match special {
            [b'\\', escaped @ (b'{' | b'[' | b'}' | b']'), after @ ..] => {
                parts.push(Part::Text(std::slice::from_ref(escaped)));
                after
            }
            [b'\\', after @ ..] => {
                parts.push(Part::Text(b"\\"));
                after
            }
            [b'{', after @ ..] => {
                let end = memchr::memchr(b'}', after)?;
                parts.push(Part::Set(after[..end].split(|byte| *byte == b',').collect()));
                &after[end + 1..]
            }
            _ => {
                let end = memchr::memchr(b']', special)?;
                let inside = &special[1..end];
                parts.push(match range(inside) {
                    Some(part) => part,
                    None if memchr::memchr(b':', inside).is_some()
                        && address::ipv6(inside).is_some() =>
                    {
                        Part::Text(&special[..=end])
                    }
                    None => return None,
                });
                &special[end + 1..]
            }
        };
        // Each part costs its place in every URL.
        if parts.len() > 4096 {
            return None;
        }
    }
    parts.push(Part::Text(rest));
    Some(parts)
}

/// `1-9`, `001-100:3`, `a-z:2`.
fn range(text: &[u8]) -> Option<Part<'static>> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() < 64)?;
    let (first, rest) = text.split_once('-')?;
    let (last, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let step: u64 = step.parse().ok().filter(|step| *step > 0)?;
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
    {
        let step = u8::try_from(step).ok()?;
        return Some(Part::Letters {
            first: *first,
            step,
            count: last.checked_sub(*first)? / step + 1,
        });
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let width = if first.starts_with('0') { first.len() } else { 0 };
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some(Part::Numbers { first, step, count: last.checked_sub(first)? / step + 1, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str) -> Vec<String> {
        let mut urls = Vec::new();
        each(pattern.as_bytes(), |url| {
            urls.push(String::from_utf8_lossy(url).into_owned());
            true
        });
        urls
    }

    #[test]
    fn patterns_are_expanded_as_curl_does() {
        assert_eq!(all("http://{7,8}.8.8.8/"), ["http://7.8.8.8/", "http://8.8.8.8/"]);
        assert_eq!(all("http://[7-8].8.8.8/"), ["http://7.8.8.8/", "http://8.8.8.8/"]);
        assert_eq!(all("[08-10]"), ["08", "09", "10"]);
        assert_eq!(all("[a-e:2]"), ["a", "c", "e"]);
        assert_eq!(all("http://[::1]/"), ["http://[::1]/"]);
        assert_eq!(all("{a,b}{c,d}"), ["ac", "bc", "ad", "bd"]);
        assert_eq!(all("a\\{b"), ["a{b"]);
        assert_eq!(all("[9-1]"), ["[9-1]"]);
        assert_eq!(all("{a"), ["{a"]);
    }

    #[test]
    fn an_expansion_is_bounded() {
        assert_eq!(all("[0-99999999999]").len(), MOST);
        assert_eq!(all(&"[0-9]".repeat(50)).len(), MOST);
    }
}
