//! What holds for a command line without its secrets: a byte of how many places are kept,
//! two bytes for each, then the tool and its arguments, each followed by NUL.

use buildwarden::redact::{Place, Redactor};

pub(crate) fn check(data: &[u8]) {
    let Some((&kept, data)) = data.split_first() else { return };
    let Some((kept, data)) = data.split_at_checked(2 * usize::from(kept % 4)) else { return };
    let mut words = data.split(|byte| *byte == 0);
    let tool = words.next().unwrap_or_default();
    let argv: Vec<&[u8]> = words.collect();
    let keep: Vec<Place> = kept.chunks_exact(2).filter_map(|pair| place(&argv, pair)).collect();
    let redactor = Redactor::new(b"salt");
    let redacted = redactor.argv(tool, argv.iter().copied(), &keep);
    assert_eq!(redacted, redactor.argv(tool, argv.iter().copied(), &keep), "twice, two answers");
    let Some(redacted) = redacted else { return };
    assert_eq!(redacted.argv.len(), argv.len());
    for (before, after) in argv.iter().zip(&redacted.argv) {
        // A replacement has 19 bytes and stands for one at least.
        assert!(after.len() <= 19 * before.len(), "{} for {}", after.len(), before.len());
    }
    assert_eq!(redacted.kept.len(), keep.len());
    for (before, after) in keep.iter().zip(&redacted.kept) {
        assert_eq!(before.argument, after.argument);
        let now = redacted.argv[after.argument].get(after.range.clone());
        assert_eq!(now, argv[before.argument].get(before.range.clone()), "what is kept has moved");
    }
    if keep.is_empty() {
        check_hidden(&redactor, tool, &argv, &redacted.argv);
    }
}

/// A place that there is.
fn place(argv: &[&[u8]], pair: &[u8]) -> Option<Place> {
    let argument = usize::from(pair[0]) % argv.len().max(1);
    let length = argv.get(argument)?.len();
    let start = usize::from(pair[1] >> 4).min(length);
    Some(Place { argument, range: start..(start + usize::from(pair[1] & 15)).min(length) })
}

/// Who sees the result learns nothing more from it by redacting again.
fn check_hidden(redactor: &Redactor, tool: &[u8], before: &[&[u8]], after: &[Vec<u8>]) {
    let mark = b"[redacted:";
    let hidden = |argument: &[u8]| argument.windows(mark.len()).any(|window| window == mark);
    let changed = before.iter().zip(after).filter(|(before, after)| **before != after.as_slice());
    for (_, after) in changed {
        assert!(hidden(after), "changed, and nothing says so");
    }
    let again = redactor.argv(tool, after.iter().map(Vec::as_slice), &[]);
    for (after, again) in after.iter().zip(again.iter().flat_map(|again| &again.argv)) {
        assert!(!hidden(after) || hidden(again));
    }
}
