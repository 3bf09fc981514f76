//! The seeds of the fuzz targets, and what is near them.

use crate::properties::{self, TARGETS};
use fastrand::Rng;
use std::{collections::BTreeSet, fs, path::Path, thread};

/// How many bytes of a target's seeds, changed, are looked at; small seeds more often.
const BYTES: usize = 1 << 20;
/// How often one is changed at most, and at least.
const OFTEN: usize = 100;
const SELDOM: usize = 4;

fn fuzz() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Names of the entries of a directory in fuzz/, without what follows a dot.
fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(directory)).expect(directory);
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    entries.map(|entry| name(entry).unwrap().split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn each_property_has_its_target_and_its_seeds() {
    let properties: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("targets"), properties);
    assert_eq!(names("seeds"), properties);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap().iter();
    assert_eq!(
        bins.map(|bin| bin["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
        properties
    );
}

/// What a dictionary for libFuzzer holds: a word in quotes a line, `\xNN` for bytes.
fn words() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz().join("words")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| word(line).unwrap_or_else(|| panic!("fuzz/words: {line}"))).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut word = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                word.push(b'\\');
                rest = tail;
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                word.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = tail;
            }
            (b'\\' | b'"', _) => return None,
            (byte, _) => word.push(*byte),
        }
    }
    (!word.is_empty()).then_some(word)
}

/// Changes a few places; what is put in comes from `words` or from elsewhere in it.
fn mutate(data: &mut Vec<u8>, rng: &mut Rng, words: &[Vec<u8>]) {
    for _ in 0..=rng.usize(..4) {
        if data.is_empty() {
            return;
        }
        let at = rng.usize(..data.len());
        let end = (at + 1 + rng.usize(..16)).min(data.len());
        match rng.u8(..8) {
            0 => data.truncate(at),
            1 => data.insert(at, rng.u8(..)),
            2 | 3 => {
                let word = &words[rng.usize(..words.len())];
                drop(data.splice(at..at, word.iter().copied()));
            }
            4 => {
                let word = &words[rng.usize(..words.len())];
                drop(data.splice(at..end, word.iter().copied()));
            }
            5 => drop(data.drain(at..end)),
            6 => {
                let copied = data[at..end].to_vec();
                let to = rng.usize(..data.len());
                drop(data.splice(to..to, copied));
            }
            _ => data[at] = rng.u8(..),
        }
    }
}

/// Says what did not hold, where that panics.
struct Shown<'a>(&'static str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: this does not hold:\n{}", self.0, self.1.escape_ascii());
        }
    }
}

fn hold(name: &'static str, words: &[Vec<u8>]) {
    // The same mutations every time.
    let mut rng = Rng::with_seed(7);
    let mut seeds: Vec<_> = fs::read_dir(fuzz().join("seeds").join(name))
        .unwrap()
        .map(|seed| fs::read(seed.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    let size = seeds.iter().map(Vec::len).sum::<usize>();
    let often = (BYTES / size.max(1)).clamp(SELDOM, OFTEN);
    for seed in seeds {
        let shown = Shown(name, &seed);
        properties::check(name, &seed);
        drop(shown);
        for _ in 0..often {
            let mut data = seed.clone();
            mutate(&mut data, &mut rng, words);
            let _shown = Shown(name, &data);
            properties::check(name, &data);
        }
    }
}

#[test]
fn the_fuzz_seeds_and_what_is_near_them_hold() {
    let words = words();
    // One thread each: a hundred small files are soon read, the renderers take longer.
    thread::scope(|scope| {
        for (name, _) in TARGETS {
            let words = &words;
            thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, move || hold(name, words))
                .unwrap();
        }
    });
}
