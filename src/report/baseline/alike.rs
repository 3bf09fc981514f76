//! Paths that differ only in what changes from build to build.
//!
//! A package has its version in its directory, a cache a hash, a temporary directory a
//! random name; a reviewer who is shown each of those as new stops reading. What is
//! passed over is only the name: such files are still counted, and can be listed.

/// A run of letters and digits of at least this length that has both is generated.
const GENERATED: usize = 16;

/// The same for one of hexadecimal digits only.
const HASH: usize = 8;

/// What is compared of a path: numbers, versions and generated names are not.
pub(super) fn likeness(path: &[u8]) -> Vec<u8> {
    let components: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let mut like = Vec::with_capacity(path.len());
    for (at, component) in components.iter().enumerate() {
        if at > 0 {
            like.push(b'/');
        }
        let is_last = at + 1 == components.len();
        if !is_last && is_temporary(&components[..at]) || is_made(component) {
            like.push(b'*');
        } else {
            push_component(&mut like, component);
        }
    }
    like
}

/// Whether these components lead to a directory for temporary files.
fn is_temporary(components: &[&[u8]]) -> bool {
    matches!(components, [b"", b"tmp"] | [b"", b"var", b"tmp"] | [b"", b"dev", b"shm"])
}

/// Whether this is a name as mktemp(1) and its relatives make it.
fn is_made(component: &[u8]) -> bool {
    let rest = component.strip_prefix(b".tmp").or_else(|| component.strip_prefix(b"tmp."));
    rest.is_some_and(|rest| rest.len() >= 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

fn push_component(like: &mut Vec<u8>, component: &[u8]) {
    for run in component.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()) {
        if is_generated(run) {
            like.push(b'*');
            continue;
        }
        for part in run.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
            if !part[0].is_ascii_digit() {
                like.extend_from_slice(part);
            } else if like.ends_with(b"#.") {
                // A version has as many numbers as it likes.
                like.pop();
            } else {
                like.push(b'#');
            }
        }
    }
}

fn is_generated(run: &[u8]) -> bool {
    let has_digit = run.iter().any(u8::is_ascii_digit);
    let has_letter = run.iter().any(u8::is_ascii_alphabetic);
    let is_hash = run.len() >= HASH && run.iter().all(u8::is_ascii_hexdigit);
    has_digit && has_letter && (is_hash || run.len() >= GENERATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_change_from_build_to_build_are_alike() {
        let cases = [
            ("/tmp/tmp.X8dk3LmQ1a/configure", "/tmp/tmp.pQ/configure", true),
            ("/tmp/pip-build-env-x8kd_3l2/bin/ninja", "/tmp/pip-build-env-p/bin/ninja", true),
            ("/build/tmp.X8dk3LmQ1a", "/build/tmp.aaaaaaaaaa", true),
            ("/app/.tmpAb3dEf/run", "/app/.tmpXXXXXX/run", true),
            ("/root/r/index-6f17d22bba15001f/p-1.2.3/b", "/root/r/index-0a1b2c3d/p-1.10/b", true),
            ("/n/.pnpm/esbuild@0.21.5/bin/esbuild", "/n/.pnpm/esbuild@0.25/bin/esbuild", true),
            ("/nix/store/9s2k0w1q7x3v5z8b-gcc/cc", "/nix/store/0q8m2c6r4t1y5h7n-gcc/cc", true),
            ("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "/usr/lib/gcc/x86_64-linux-gnu/13/cc1", true),
            ("/proc/self/fd/3", "/proc/self/fd/14", true),
            // What is executed in a temporary directory has a name of its own.
            ("/tmp/payload", "/tmp/configure", false),
            ("/tmp/a/curl", "/tmp/b/wget", false),
            ("/usr/bin/curl", "/usr/local/bin/curl", false),
            ("/usr/bin/cc", "/usr/bin/c", false),
            ("/a/deadbeef/x", "/a/cafebabe/x", false),
            ("/build/tmp.sh", "/build/tmp.py", false),
            ("/b/a", "/b//a", false),
            ("/b/\u{ff}", "/b/\u{fe}", false),
        ];
        for (one, other, want) in cases {
            let (one, other) = (likeness(one.as_bytes()), likeness(other.as_bytes()));
            assert_eq!(one == other, want, "{} {}", one.escape_ascii(), other.escape_ascii());
        }
        assert_eq!(likeness(b""), b"");
        assert_eq!(likeness(b"/a-1.2.3-rc.4"), b"/a-#-rc.#");
    }
}
