//! Whether uid 0 is the host's root.

use std::os::unix::fs::MetadataExt;

/// Inode of the initial user namespace: `PROC_USER_INIT_INO` in Linux'
/// include/linux/proc_ns.h since 3.8, `USER_NS_INIT_INO` in its UAPI since 6.18.
const INITIAL: u64 = 0xEFFF_FFFD;

/// Whether this process is in the initial user namespace. In any other its
/// capabilities do not count for `bpf(2)`.
pub fn in_initial_user_namespace() -> bool {
    match std::fs::metadata("/proc/self/ns/user") {
        Ok(namespace) => namespace.ino() == INITIAL,
        // A kernel without user namespaces has no such file, nor a map.
        Err(_) => std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps_all(&map)),
    }
}

/// Whether a `uid_map` maps every uid to itself.
fn maps_all(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::maps_all;

    #[test]
    fn only_the_whole_identity_map_maps_all() {
        let cases = [
            ("         0          0 4294967295\n", true),
            ("0 1000 1\n", false),
            ("0 0 4294967295\n1 1 1\n", false),
            ("0 100000 65536", false),
            ("", false),
        ];
        for (map, want) in cases {
            assert_eq!(maps_all(map), want, "{map:?}");
        }
    }
}
