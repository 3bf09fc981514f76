//! `/proc/self/mountinfo`, the fields that are asked for. The format is in
//! proc_pid_mountinfo(5).

use super::error::HostError;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount of this process's mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// The file system's type.
    pub file_system: String,
}

/// The mounts of this process's mount namespace, in the order they were made.
pub fn mounts() -> Result<Vec<Mount>, HostError> {
    let path = PathBuf::from("/proc/self/mountinfo");
    match std::fs::read(&path) {
        Ok(text) => Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect()),
        Err(source) => Err(HostError::Unreadable { path, source }),
    }
}

/// `36 35 98:0 /root /point options tag:1 - type source options`
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let file_system = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Mount { root, point, file_system })
}

/// Undoes the kernel's `\040` for a space, tab, newline or backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => bytes.push(first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let mount = |root: &str, point: &str, file_system: &str| {
            Some(Mount {
                root: root.into(),
                point: point.into(),
                file_system: file_system.to_owned(),
            })
        };
        let cases = [
            (
                "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
                mount("/", "/sys/fs/cgroup/unified", "cgroup2"),
            ),
            (
                "1 2 8:1 /a /b\\040c\\134d rw shared:1 master:2 - ext4 /dev/sda1 rw",
                mount("/a", "/b c\\d", "ext4"),
            ),
            ("1 2 8:1 / /b\\04 rw - ext4 x rw", mount("/", "/b\\04", "ext4")),
            ("1 2 8:1 / /b rw - ", mount("/", "/b", "")),
            ("1 2 8:1 / /b rw", None),
            ("", None),
        ];
        for (line, want) in cases {
            assert_eq!(parse(line.as_bytes()), want, "{line}");
        }
    }
}
