//! Compiles the kernel side and names its ABI.

use libbpf_cargo::SkeletonBuilder;
use std::{env, fs, path::PathBuf};

const SOURCE: &str = "bpf/exec.bpf.c";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let object = out.join("exec.bpf.o");
    SkeletonBuilder::new()
        .source(SOURCE)
        .obj(&object)
        .clang_args(["-I", "bpf", "-Wall", "-Werror"])
        .build()
        .unwrap_or_else(|error| panic!("{SOURCE} does not compile with clang: {error:?}"));

    // The directory that a probe set is pinned in is named after its code and the names
    // that it is loaded with: another layout, program or list gets a directory of its
    // own, and a newer binary never talks to an older probe set.
    let mut code = fs::read(&object).expect("clang wrote the object");
    let grammars = fs::read_dir("config/grammars").expect("the tools that are known");
    let mut names: Vec<PathBuf> = grammars.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.push("src/detect/carriers.rs".into());
    for file in &names {
        code.extend(fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-changed=config/grammars");
    println!("cargo::rustc-env=BUILDWARDEN_ABI={:016x}", fnv1a(&code));
    println!("cargo::rerun-if-changed=bpf");
}

/// FNV-1a, 64 bits: a name, not a seal.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
