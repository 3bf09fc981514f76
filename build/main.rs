//! Compiles the kernel side and the grammars, names the ABI of the former, and tells the linker
//! which functions are to lie together.

mod grammars;
#[path = "../src/detect/terms.rs"]
mod terms;

use libbpf_cargo::SkeletonBuilder;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

const SOURCE: &str = "bpf/exec.bpf.c";
const GRAMMARS: &str = "config/grammars";
const CARRIERS: &str = "src/detect/carriers.rs";
const FUNCTIONS: &str = "build/functions.ld";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let object = out.join("exec.bpf.o");
    SkeletonBuilder::new()
        .source(SOURCE)
        .obj(&object)
        .clang_args(["-I", "bpf", "-Wall", "-Werror"])
        .build()
        .unwrap_or_else(|error| panic!("{SOURCE} does not compile with clang: {error:?}"));
    println!("cargo::rerun-if-changed=bpf");

    let files = grammar_files();
    match grammars::source(&files) {
        Ok(source) => {
            fs::write(out.join("grammars.rs"), source).expect("OUT_DIR can be written to");
        }
        Err(mistake) => {
            mistake.lines().for_each(|line| println!("cargo::error={line}"));
            process::exit(1);
        }
    }

    // The directory that a probe set is pinned in is named after its code and the names
    // that it is loaded with: another layout, program or list gets a directory of its
    // own, and a newer binary never talks to an older probe set.
    let mut code = fs::read(&object).expect("clang wrote the object");
    files.iter().for_each(|(_, text)| code.extend(text.as_bytes()));
    code.extend(read(Path::new(CARRIERS)).as_bytes());
    println!("cargo::rerun-if-changed={CARRIERS}");
    println!("cargo::rustc-env=BUILDWARDEN_ABI={:016x}", fnv1a(&code));

    order_functions(&out);
}

/// Has the linker put the functions together that are in a hurry, and write down where everything
/// lies: `make function-order` reads that.
fn order_functions(out: &Path) {
    println!("cargo::rerun-if-changed={FUNCTIONS}");
    let is = |name, value| env::var(name).is_ok_and(|set| set == value);
    // Where the linker is called by a C compiler, and the program is one that somebody waits for.
    let gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    // Neither reads such a list; whoever prefers one has said so in flags.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let other = ["gold", "mold"].iter().any(|linker| flags.contains(linker));
    if !gnu || other || !is("PROFILE", "release") {
        return;
    }
    let functions = fs::canonicalize(FUNCTIONS).unwrap_or_else(|e| panic!("{FUNCTIONS}: {e}"));
    println!("cargo::rustc-link-arg-bins=-T{}", functions.display());
    println!("cargo::rustc-link-arg-bins=-Xlinker");
    println!("cargo::rustc-link-arg-bins=-Map={}", out.join("buildwarden.map").display());
}

/// The tools that are known: each file's name and text.
fn grammar_files() -> Vec<(String, String)> {
    // Of a directory cargo looks at all that is in it.
    println!("cargo::rerun-if-changed={GRAMMARS}");
    let entries = fs::read_dir(GRAMMARS).unwrap_or_else(|error| panic!("{GRAMMARS}: {error}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory's entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), read(path))).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// FNV-1a, 64 bits: a name, not a seal.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
