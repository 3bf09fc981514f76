//! `make function-order`: which functions the linker puts together, because a container's start or
//! end waits for them. Writes `build/functions.ld`, which says more.

use super::{machine::timed, stand_in::Stage};
use crate::harness::{Container, Dir, program};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const HEAD: &str = "\
/*
 * Made by `make function-order`; not to be changed by hand.
 *
 * The functions that are in a hurry, in the order in which they are met: of the hook at a container's
 * start, of that at its end, of the shim, and of a collector. The kernel maps a file in windows of
 * 64 KB as they are touched, and interrupts the program for each: side by side these functions fill a
 * few, and all over the program they were in some fifty.
 *
 * A `*` stands for what another compilation may call otherwise. A pattern without a function
 * does nothing, and a function without a pattern lies where it would anyhow: what is out of date
 * here is only slower.
 */
";

#[test]
#[ignore = "writes build/functions.ld: `make function-order` runs it on a release build"]
fn root_function_order() {
    let dir = Dir::like_a_host();
    let stage = Stage::new(&dir);
    let stepper = Stepper { dir: &dir, step: program("step") };
    // The most urgent first: a function lies where it is met first.
    let met = [
        at_the_start(&stepper, &stage),
        at_the_end(&stepper, &stage),
        in_the_shim(&stepper, "create"),
        in_the_shim(&stepper, "state"),
        while_collecting(&stepper, &stage),
    ];
    stage.unload();

    let map = fs::read_to_string(Path::new(env!("OUT_DIR")).join("buildwarden.map")).unwrap();
    let sections = sections(&map);
    let mut known = HashSet::new();
    let mut script = format!("{HEAD}SECTIONS\n{{\n\t.text.early :\n\t{{\n");
    for met in met {
        let mut functions = BTreeMap::new();
        for (begin, section) in met.iter().filter_map(|address| at(&sections, *address)) {
            functions.insert(begin, section.size);
            if let Some(pattern) = &section.pattern
                && known.insert(pattern)
            {
                script += &format!("\t\t{pattern}\n");
            }
        }
        let size = functions.values().sum::<u64>() / 1024;
        println!("{} functions, {size} KB; {} patterns so far", functions.len(), known.len());
        assert!(functions.len() > 50, "they lie elsewhere than the linker's map says");
    }
    script += "\t}\n}\nINSERT BEFORE .text;\n";
    fs::write("build/functions.ld", script).unwrap();
}

/// The hook at a start, with a probe set that is loaded and a pool that is full.
fn at_the_start(stepper: &Stepper<'_>, stage: &Stage<'_>) -> Vec<u64> {
    stage.watched("first").end();
    let stand_in = stage.stand_in("start");
    let hook = stage.dir.buildwarden(["hook", "createRuntime"]);
    let met = stepper.step("start", &hook, stand_in.input());
    stand_in.settled();
    stand_in.end();
    met
}

/// The hook behind an end that the collector has seen.
fn at_the_end(stepper: &Stepper<'_>, stage: &Stage<'_>) -> Vec<u64> {
    let mut stand_in = stage.watched("end");
    stand_in.die();
    stage.dir.expect_nothing_live();
    stepper.step("end", &stage.dir.buildwarden(["hook", "poststop"]), stand_in.input())
}

/// The shim, until it becomes the runtime.
fn in_the_shim(stepper: &Stepper<'_>, what: &str) -> Vec<u64> {
    let container = Container::new(stepper.dir, what).hooks(&[]).runtime(&stepper.dir.shim("runc"));
    container.write_config();
    let mut create = container.create();
    match what {
        "create" => stepper.step(what, &create, Stdio::null()),
        _ => {
            timed(create.stdin(Stdio::null()).stdout(Stdio::null()));
            stepper.step(what, &container.runc(&[what, what]), Stdio::null())
        }
    }
}

/// A collector from its start to its end, with some execs and a finding between.
fn while_collecting(stepper: &Stepper<'_>, stage: &Stage<'_>) -> Vec<u64> {
    let curl = stage.dir.path("curl");
    fs::copy(&stage.nothing, &curl).unwrap();
    let mut stand_in = stage.stand_in("collected");
    let hook = stage.dir.buildwarden(["hook", "createRuntime"]);
    let stepped = stepper.start("child", "collected", &hook, stand_in.input());
    stand_in.settled();
    for (program, word) in [(&stage.nothing, "once"), (&curl, "http://198.51.100.9/x")] {
        timed(stand_in.exec_loop("3", program).arg(word).stdout(Stdio::null()));
    }
    stand_in.die();
    let met = stepper.finish("collected", stepped);
    assert!(!stage.dir.report("collected").findings.is_empty());
    met
}

/// Runs programs one instruction at a time.
struct Stepper<'a> {
    dir: &'a Dir,
    step: PathBuf,
}

impl Stepper<'_> {
    /// The addresses of a program's instructions, in the order in which they are met first.
    #[track_caller]
    fn step(&self, name: &str, command: &Command, input: Stdio) -> Vec<u64> {
        self.finish(name, self.start("it", name, command, input))
    }

    fn addresses(&self, name: &str) -> PathBuf {
        self.dir.path(name).with_extension("addresses")
    }

    fn start(&self, who: &str, name: &str, command: &Command, input: Stdio) -> Child {
        let mut step = Command::new(&self.step);
        step.arg(who).arg(self.addresses(name)).arg(command.get_program()).args(command.get_args());
        step.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        step.stdin(input).stdout(Stdio::null()).spawn().unwrap()
    }

    #[track_caller]
    fn finish(&self, name: &str, mut stepped: Child) -> Vec<u64> {
        let status = stepped.wait().unwrap();
        assert!(status.success(), "{name}: {status}");
        let addresses = fs::read_to_string(self.addresses(name)).unwrap();
        addresses.lines().map(|line| u64::from_str_radix(line, 16).unwrap()).collect()
    }
}

/// What the linker took from an object: with few exceptions a function.
struct Section {
    size: u64,
    /// None where every program begins, which stays where it is.
    pattern: Option<String>,
}

fn at(sections: &BTreeMap<u64, Section>, address: u64) -> Option<(u64, &Section)> {
    let (&begin, section) = sections.range(..=address).next_back()?;
    (address < begin + section.size).then_some((begin, section))
}

/// The code in a map that lld wrote, by its address. Of what lies in what tells the indentation:
///
/// ```text
///      VMA      LMA     Size Align Out     In      Symbol
///   392c3c   392c3c       54     1 .text
///   392c3c   392c3c       54     1         /path/of/libc.a(exit.o):(.text)
///   392c3c   392c3c        0     1                 exit
/// ```
fn sections(map: &str) -> BTreeMap<u64, Section> {
    let mut lines = map.lines();
    let heading = lines.next().unwrap_or_default();
    let columns = heading.find("Out").zip(heading.find("In"));
    let (out, input) = columns.expect("the linker is lld, whose map this reads");
    let mut sections = BTreeMap::new();
    let mut code = false;
    for line in lines {
        let number = |at: usize| u64::from_str_radix(line.split_whitespace().nth(at)?, 16).ok();
        let (Some(begin), Some(size)) = (number(0), number(2)) else { continue };
        if !line[out..].starts_with(' ') {
            code = line[out..].starts_with(".text");
        } else if code
            && let Some((file, section)) = line[input..].split_once(":(")
            && !file.starts_with(' ')
        {
            let pattern = pattern(file, section.trim_end_matches(')'));
            sections.insert(begin, Section { size, pattern });
        }
    }
    sections
}

/// What stands for a section in the linker's script: the section's name, which is its function's,
/// and where the compiler made one section of many functions the object too.
fn pattern(file: &str, section: &str) -> Option<String> {
    if let Some((kind, name)) = section.split_once("._R") {
        return Some(format!("*({kind}._R{})", lasting(name)));
    }
    let Some((archive, object)) = file.trim_end_matches(')').rsplit_once('(') else {
        return (section != ".text").then(|| format!("*({section})"));
    };
    let archive = archive.rsplit('/').next().unwrap_or(archive);
    // What follows is a hash, or the version of the C library.
    let archive = match (archive.rsplit_once('-'), archive.rsplit_once('.')) {
        (Some((name, _)), Some((_, suffix))) => format!("{name}-*.{suffix}"),
        _ => archive.to_owned(),
    };
    let is_hash =
        |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let object = match object.split_once('-') {
        Some((hash, name)) if is_hash(hash) => format!("*-{name}"),
        _ => object.to_owned(),
    };
    Some(format!("*{archive}:{object}({section})"))
}

/// A mangled name (RFC 2603) without what another compilation writes otherwise: `Cs…_`, which crate
/// of that name it is; `B…_`, how far before something stood already; at the end the crate that a
/// generic function was compiled for, as of equal ones any may be kept; and `.…`, a number of it.
fn lasting(name: &str) -> String {
    let (name, numbered) = name.split_once('.').map_or((name, ""), |(name, _)| (name, ".*"));
    let mut pattern = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let tag = ["Cs", "B"].into_iter().find(|tag| rest.starts_with(tag));
        let hash = tag.and_then(|tag| Some((tag, rest[tag.len()..].split_once('_')?)));
        match hash {
            Some((tag, (hash, behind)))
                if hash.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    && (tag == "B") == (hash.len() < 4) =>
            {
                if behind.is_empty() || (tag == "Cs" && is_one_word(behind)) {
                    return pattern + "*";
                }
                pattern += &format!("{tag}*_");
                rest = behind;
            }
            _ => {
                pattern.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    pattern + numbered
}

/// Whether nothing is behind the first word of a mangled name, which its length comes before.
fn is_one_word(text: &str) -> bool {
    let word = text.trim_start_matches(|character: char| character.is_ascii_digit());
    text[..text.len() - word.len()] == word.len().to_string()
}
