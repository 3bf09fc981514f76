//! The recipes for CI systems: what a page shows is the file that it names, and each file
//! is one of its kind. That they work is tested in `integration/ci.rs`.

use buildwarden::config::Settings;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use yaml_rust2::YamlLoader;

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The code blocks of a page: language, text, and the last file that was linked to just before.
fn blocks(page: &Path) -> Vec<(String, String, Option<PathBuf>)> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut named = None;
    let mut block: Option<(String, String)> = None;
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::List(_)) => named = None,
            Event::Start(Tag::Link { dest_url, .. }) => {
                let path = recipes().join(&*dest_url);
                named = (path.is_file() && !is_page(&path)).then_some(path);
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let CodeBlockKind::Fenced(language) = kind else {
                    panic!("{}: a code block without a fence", page.display());
                };
                block = Some((language.into_string(), String::new()));
            }
            Event::Text(text) => {
                if let Some((_, block)) = &mut block {
                    block.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let (language, text) = block.take().unwrap();
                blocks.push((language, text, named.take()));
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn pages_show_the_files_as_they_are() {
    let mut all = Vec::new();
    files(&recipes(), &mut all);
    let (pages, files): (Vec<PathBuf>, Vec<PathBuf>) = all.into_iter().partition(|f| is_page(f));
    let mut shown: BTreeMap<PathBuf, u32> = files.into_iter().map(|file| (file, 0)).collect();
    for page in pages {
        for (language, text, file) in blocks(&page) {
            let Some(file) = file else {
                // What somebody types.
                assert_eq!(language, "sh", "{}: of which file?\n{text}", page.display());
                continue;
            };
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "{}", file.display());
            *shown.get_mut(&file).unwrap() += 1;
        }
    }
    assert!(shown.values().all(|times| *times == 1), "not shown once: {shown:#?}");
    assert!(shown.len() > 15, "{shown:#?}");
}

#[test]
fn each_file_is_one_of_its_kind() {
    let mut all = Vec::new();
    files(&recipes(), &mut all);
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for file in all.iter().filter(|file| !is_page(file)) {
        let text = fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let kind = match name.rsplit_once('.').map_or(name, |(_, extension)| extension) {
            kind @ ("yml" | "yaml") => {
                let documents = YamlLoader::load_from_str(&text);
                let documents = documents.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(matches!(&documents[..], [one] if one.as_hash().is_some()), "{name}");
                kind
            }
            "toml" => {
                toml::from_str::<toml::Table>(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
                "toml"
            }
            kind @ ("sh" | "pre-exit") => {
                assert!(text.starts_with("#!/bin/"), "{name}");
                kind
            }
            kind @ "Jenkinsfile" => {
                let count = |c| text.chars().filter(|other| *other == c).count();
                assert_eq!((count('{'), count('\'') % 2), (count('}'), 0), "{name}");
                kind
            }
            kind @ "Dockerfile" => {
                assert!(text.starts_with("FROM "), "{name}");
                kind
            }
            kind @ "env" => {
                let is_one =
                    |line: &str| line.is_empty() || line.starts_with('[') || line.contains('=');
                assert!(text.lines().all(is_one), "{name}");
                kind
            }
            other => panic!("{}: what is {other}?", file.display()),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert!(kinds.len() > 7, "{kinds:?}");
}

#[test]
fn the_host_is_set_up_as_the_page_says() {
    let page = fs::read_to_string(recipes().join("README.md")).unwrap();
    let expression = page.lines().find_map(|line| line.strip_prefix("sudo sed -i '"));
    let (expression, file) = expression.unwrap().split_once("' ").unwrap();
    assert_eq!(file, "/etc/buildwarden/buildwarden.toml");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/buildwarden.toml");
    let edited = Command::new("sed").arg(expression).arg(config).output().unwrap();
    let config: toml::Table = toml::from_str(&String::from_utf8(edited.stdout).unwrap()).unwrap();
    assert_eq!(config["keep"]["group"].as_str(), Some("buildwarden"));
    Settings::load(Some(&recipes().join("host/buildwarden.toml"))).unwrap();
}
