//! Tokens that say what they are.

use std::ops::Range;

/// A kind of token: what it begins with, how many bytes follow at least, and whether
/// `-` and `_` may be among them.
struct Kind {
    prefix: &'static [u8],
    least: usize,
    dashes: bool,
}

const fn kind(prefix: &'static str, least: usize, dashes: bool) -> Kind {
    Kind { prefix: prefix.as_bytes(), least, dashes }
}

/// From the issuers' documents; the lengths are low, because the prefixes are rare.
/// `npm_` is strict: npm's own variables are `npm_config_…`.
const KINDS: [Kind; 34] = [
    kind("ghp_", 16, false),
    kind("gho_", 16, false),
    kind("ghu_", 16, false),
    kind("ghs_", 16, false),
    kind("ghr_", 16, false),
    kind("github_pat_", 16, true),
    kind("glpat-", 16, true),
    kind("gldt-", 16, true),
    kind("glrt-", 16, true),
    kind("glcbt-", 16, true),
    kind("glptt-", 16, true),
    kind("xoxa-", 10, true),
    kind("xoxb-", 10, true),
    kind("xoxe-", 10, true),
    kind("xoxp-", 10, true),
    kind("xoxr-", 10, true),
    kind("xoxs-", 10, true),
    kind("xapp-", 10, true),
    kind("AKIA", 16, false),
    kind("ASIA", 16, false),
    kind("AIza", 30, true),
    kind("SG.", 16, true),
    kind("dckr_pat_", 16, true),
    kind("dop_v1_", 16, false),
    kind("eyJ", 10, true),
    kind("hf_", 16, false),
    kind("hvs.", 16, true),
    kind("npm_", 30, false),
    kind("pypi-", 16, true),
    kind("rk_live_", 16, false),
    kind("shpat_", 16, false),
    kind("sk-", 20, true),
    kind("sk_live_", 16, false),
    kind("sk_test_", 16, false),
];

/// Finds the tokens in an argument. A token begins where a word does, so what
/// follows a prefix is looked at once.
pub(super) fn read(bytes: &[u8], hide: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < bytes.len() {
        if !in_word(bytes[at]) {
            at += 1;
            continue;
        }
        let word = bytes[at..].iter().position(|byte| !in_word(*byte));
        let end = word.map_or(bytes.len(), |length| at + length);
        if let Some(length) = token(&bytes[at..], end - at) {
            hide(at..at + length);
        }
        at = end;
    }
}

/// The length of the token that `bytes` begins with, whose first word is `word` long.
fn token(bytes: &[u8], word: usize) -> Option<usize> {
    if !matches!(bytes.first()?, b'A' | b'S' | b'd'..=b'h' | b'n' | b'p' | b'r' | b's' | b'x') {
        return None;
    }
    let kind = KINDS.iter().find(|kind| bytes.starts_with(kind.prefix))?;
    let body = &bytes[kind.prefix.len()..];
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || kind.dashes && matches!(byte, b'-' | b'_');
    let length = body.iter().position(|byte| !allowed(byte)).unwrap_or(body.len());
    if length < kind.least {
        return None;
    }
    if !matches!(kind.prefix, b"eyJ" | b"SG.") {
        return Some(kind.prefix.len() + length);
    }
    // These have parts, joined by dots: a header alone is no JWT.
    let mut total = kind.prefix.len() + length;
    let mut parts = 0;
    while let Some(rest) = bytes.get(total..).and_then(|rest| rest.strip_prefix(b".")) {
        if parts == 4 {
            break;
        }
        parts += 1;
        total += 1 + rest.iter().position(|byte| !allowed(byte)).unwrap_or(rest.len());
    }
    (parts > 0 && total > word).then_some(total)
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
