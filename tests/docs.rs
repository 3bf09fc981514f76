//! The documents: their links lead somewhere, and the book has every page.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What is to be known of a document.
struct Document {
    path: PathBuf,
    /// What its links say.
    links: Vec<String>,
    /// The anchors that its headings get.
    anchors: BTreeSet<String>,
}

fn read(path: &Path) -> Document {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut document = Document { path: path.to_owned(), links: vec![], anchors: BTreeSet::new() };
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(&text, pulldown_cmark::Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                document.anchors.extend(heading.take().map(|text| anchor(&text)));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    document
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Every document that a reader is given.
fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        found.push(read(&root.join(name)));
    }
    let mut directories = vec![root.join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(read(&path));
            }
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut dead = Vec::new();
    let mut followed = 0;
    for Document { path, links, anchors } in &documents {
        for link in links.iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = path.parent().unwrap().join(file);
            let of_target = match file {
                "" => Some(anchors),
                _ => target.canonicalize().ok().and_then(|target| {
                    let same = |other: &&Document| other.path.canonicalize().unwrap() == target;
                    documents.iter().find(same).map(|other| &other.anchors)
                }),
            };
            let there = file.is_empty() || target.exists();
            let named = anchor.is_empty() || of_target.is_some_and(|of| of.contains(anchor));
            if !there || !named {
                dead.push(format!("{}: {link}", path.display()));
            }
            followed += 1;
        }
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
    assert!(followed > 30, "only {followed} links were found");
}

#[test]
fn the_book_has_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let summary = docs.join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> =
        read(&summary).links.iter().map(|link| docs.join(link)).collect();
    let pages: BTreeSet<PathBuf> = documents()
        .into_iter()
        .map(|document| document.path)
        .filter(|path| path.starts_with(&docs) && *path != summary)
        .collect();
    assert_eq!(listed, pages);
}
