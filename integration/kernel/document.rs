//! The table of docs/kernels.md, which must say what was seen.

use std::{fs, path::Path, sync::Mutex};

/// The first cell of the table's header.
const CORNER: &str = "on Debian's kernel";

/// The table in a document of Markdown: its lines, and its cells.
fn table(text: &str) -> (Vec<usize>, Vec<Vec<String>>) {
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|line| line.starts_with(&format!("| {CORNER} |")));
    let begin = begin.expect("the table in docs/kernels.md");
    let numbers =
        (begin..).take_while(|at| lines.get(*at).is_some_and(|line| line.starts_with('|')));
    let numbers: Vec<usize> = numbers.collect();
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows = numbers.iter().map(|at| cells(lines[*at])).collect();
    (numbers, rows)
}

/// The column of a kernel must have these rows with these cells, or gets them with
/// `BUILDWARDEN_UPDATE=1`.
#[track_caller]
pub(super) fn check(release: &str, column: &[(String, String)]) {
    static FILE: Mutex<()> = Mutex::new(());
    let _lock = FILE.lock();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kernels.md");
    let mut text = fs::read_to_string(&path).unwrap();
    let (numbers, mut rows) = table(&text);
    let at = rows[0].iter().position(|cell| cell == release).expect("a column of this kernel");
    if std::env::var_os("BUILDWARDEN_UPDATE").is_some() {
        let known = rows.split_off(2);
        let width = rows[0].len();
        rows.extend(column.iter().map(|(name, cell)| {
            let known = known.iter().find(|row| row[0] == *name).cloned();
            let mut row = known.unwrap_or_else(|| vec![name.clone(); 1]);
            row.resize(width, "?".to_owned());
            row[at].clone_from(cell);
            row
        }));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let written = rows.iter().map(|row| format!("| {} |", row.join(" | ")));
        lines.splice(numbers[0]..=numbers[numbers.len() - 1], written);
        text = lines.join("\n") + "\n";
        fs::write(&path, &text).unwrap();
    }
    let (_, rows) = table(&text);
    let said: Vec<(String, String)> =
        rows[2..].iter().map(|row| (row[0].clone(), row[at].clone())).collect();
    assert_eq!(said, column, "docs/kernels.md on {release}; BUILDWARDEN_UPDATE=1 writes it");
}
