//! `/proc/self/mountinfo`, the fields that are asked for. The format is in
//! proc_pid_mountinfo(5), that of an overlay's options in the kernel's
//! Documentation/filesystems/overlayfs.rst.

use super::error::HostError;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
    /// The layers, when it is an overlay.
    pub overlay: Option<Overlay>,
}

/// The directories that an overlay is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Where it is written.
    pub upper: PathBuf,
    /// What it stands on, topmost first.
    pub lower: Vec<PathBuf>,
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
    let overlay = (file_system == "overlay").then(|| overlay(fields.nth(1)?)).flatten();
    Some(Mount { root, point, file_system, overlay })
}

/// The layers in an overlay's options; `None` when nothing writes to it.
fn overlay(options: &[u8]) -> Option<Overlay> {
    let (mut upper, mut lower) = (None, Vec::new());
    for option in options.split(|byte| *byte == b',') {
        let Some(equals) = option.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (&option[..equals], unescape(&option[equals + 1..]));
        match key {
            b"upperdir" => upper = Some(value),
            b"lowerdir" => lower.extend(layers(value.as_os_str().as_bytes())),
            // Since 6.8, where they were given one by one.
            b"lowerdir+" => lower.push(value),
            _ => {}
        }
    }
    Some(Overlay { upper: upper?, lower })
}

/// Takes `/a:/b` apart, where `\:` is a colon of a name.
fn layers(list: &[u8]) -> Vec<PathBuf> {
    let mut names = vec![Vec::new()];
    let mut bytes = list.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => names.push(Vec::new()),
            _ => {
                let literal = if byte == b'\\' { bytes.next() } else { Some(byte) };
                names.last_mut().into_iter().for_each(|name| name.extend(literal));
            }
        }
    }
    // `::` comes before layers of which only data is taken.
    names.into_iter().filter(|name| !name.is_empty()).map(path).collect()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
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
    path(bytes)
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
                overlay: None,
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
    #[test]
    fn the_layers_of_an_overlay_are_told() {
        for (options, want) in [
            (
                "rw,lowerdir=/l/A:/l/B,upperdir=/u,workdir=/w,uuid=on",
                Some(("/u", &["/l/A", "/l/B"][..])),
            ),
            ("rw,lowerdir+=/a,lowerdir+=/b:c,upperdir=/u", Some(("/u", &["/a", "/b:c"]))),
            (
                "rw,lowerdir=/a\\040b\\134:c:/d\\054::/data,upperdir=/u\\054",
                Some(("/u,", &["/a b:c", "/d,", "/data"])),
            ),
            ("ro,lowerdir=/a:/b", None),
            ("rw,upperdir=/u", Some(("/u", &[]))),
            ("", None),
        ] {
            let line = format!("1 2 0:3 / /m rw shared:1 - overlay overlay {options}");
            let found = parse(line.as_bytes()).unwrap().overlay;
            let want = want.map(|(upper, lower)| Overlay {
                upper: upper.into(),
                lower: lower.iter().map(PathBuf::from).collect(),
            });
            assert_eq!(found, want, "{options}");
        }
    }
}
