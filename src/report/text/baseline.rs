//! What is new since an earlier build, for a person at a terminal.

use super::{
    command,
    page::{Ink, Page, Piece, piece},
    words,
};
use crate::report::baseline::{Changes, Contact, Difference, Program, Side, Used};

/// How many items of a list are shown.
const SHOWN: usize = 30;

/// What two reports differ in.
pub(super) fn difference(page: &mut Page, difference: &Difference) {
    let Difference { old, new, executables, tools, addresses, .. } = difference;
    fact(page, "new", new);
    fact(page, "old", old);
    caveats(page, difference);
    list(page, "addresses", addresses, contact);
    list(page, "tools with findings", tools, used);
    list(page, "executables", executables, program);
    alike(page, difference);
}

/// What a report has that the baseline has not, within that report's own text.
pub(super) fn since(page: &mut Page, difference: &Difference) {
    let Difference { old, executables, tools, addresses, .. } = difference;
    page.gap();
    page.title(0, "Since the baseline");
    fact(page, "baseline", old);
    caveats(page, difference);
    if executables.new.is_empty() && !difference.has_new_contacts() {
        page.paragraph(2, &[], &[piece(Ink::Plain, "nothing new")]);
    }
    items(page, "new address", &addresses.new, contact);
    items(page, "new tool   ", &tools.new, used);
    items(page, "new program", &executables.new, program);
    alike(page, difference);
}

fn fact(page: &mut Page, name: &str, side: &Side) {
    let lead = piece(Ink::Faint, format!("  {name:<10} "));
    let mut what = words::name(side.name.as_ref().unwrap_or(&side.container));
    if side.run > 1 {
        what += &format!(", run {}", side.run);
    }
    if let Some(job) = &side.job {
        what += &format!(", job {}", words::name(&job.id));
    }
    what += &format!(", {}: {}", words::moment(side.started), side.verdict.as_str());
    page.paragraph(0, &[lead], &[piece(Ink::Plain, what)]);
}

fn caveats(page: &mut Page, difference: &Difference) {
    for caveat in &difference.caveats {
        let lead = piece(Ink::Strong, format!("  {:<10} ", "beware"));
        page.paragraph(0, &[lead], &[piece(Ink::Critical, words::sentence(caveat))]);
    }
}

fn list<T>(
    page: &mut Page,
    what: &str,
    changes: &Changes<T>,
    line: impl Fn(&T, usize) -> Vec<Piece>,
) {
    page.gap();
    let (new, gone) = (changes.new.len() as u64, changes.gone.len() as u64);
    let counts = format!("{what}: {} new, {} gone", words::number(new), words::number(gone));
    page.title(0, &counts);
    items(page, "+", &changes.new, &line);
    items(page, "-", &changes.gone, &line);
}

fn items<T>(page: &mut Page, mark: &str, items: &[T], line: impl Fn(&T, usize) -> Vec<Piece>) {
    let ink = if mark == "-" { Ink::Faint } else { Ink::Critical };
    for item in items.iter().take(SHOWN) {
        let lead = [piece(Ink::Plain, "  "), piece(ink, mark), piece(Ink::Plain, " ")];
        let room = page.width().saturating_sub(mark.len() + 3);
        page.paragraph(0, &lead, &line(item, room));
    }
    if let beyond @ 1.. = items.len().saturating_sub(SHOWN) {
        let more = format!("and {} more; --format json has all", words::number(beyond as u64));
        page.paragraph(2 + mark.len() + 1, &[], &[piece(Ink::Faint, more)]);
    }
}

fn contact(contact: &Contact, _: usize) -> Vec<Piece> {
    let tools = contact.tools(words::name);
    let scope = words::name(&contact.scope);
    vec![
        piece(Ink::Strong, words::name(&contact.address)),
        piece(Ink::Plain, format!(" ({scope}) by {tools} {}", contact.times())),
    ]
}

fn used(used: &Used, _: usize) -> Vec<Piece> {
    vec![
        piece(Ink::Strong, words::name(&used.tool)),
        piece(Ink::Plain, format!(" ({}) {}", words::name(&used.recipe), used.times())),
    ]
}

fn program(program: &Program, room: usize) -> Vec<Piece> {
    let times = format!(" {}", program.times());
    let room = room.saturating_sub(times.chars().count());
    let path = command::one_line([program.path.as_bytes()], room);
    vec![piece(Ink::Plain, path), piece(Ink::Faint, times)]
}

fn alike(page: &mut Page, difference: &Difference) {
    if let count @ 1.. = difference.alike.len() as u64 {
        let files = words::count(count, "more program differs", "more programs differ");
        let text = format!(
            "{files} from one before only in a version or a generated name; `diff --exact` counts \
             those"
        );
        page.paragraph(2, &[], &[piece(Ink::Faint, text)]);
    }
}
