use super::*;
use nix::{
    sched::{CloneFlags, unshare},
    sys::{
        ptrace,
        signal::{Signal, kill},
        stat::{Mode, SFlag, mknod},
    },
    unistd::{Pid, Uid, chown, linkat, symlinkat},
};
use rustix::{
    net::{AddressFamily, SocketType},
    thread::CapabilitySets,
};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::AsFd as _, unix::net::UnixDatagram},
    path::Path,
    process::Command,
};

/// What a confined thread tries, and which layer is to keep it from that; none, where it must
/// work.
type Act<'a> = (&'a str, Option<Layer>, &'a dyn Fn() -> io::Result<()>);

#[track_caller]
fn check(confined: &Confined, acts: &[Act<'_>]) {
    let names = confined.names();
    for (what, layer, act) in acts {
        let done = act();
        let refused = done.as_ref().is_err_and(|error| {
            matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::EXDEV))
        });
        match layer {
            None => assert!(done.is_ok(), "{what}, by {names:?}: {done:?}"),
            // Only the kernel that has it can show it.
            Some(layer) if confined.layers.contains(layer) => {
                assert!(refused, "{what}, by {names:?}: {done:?}");
            }
            Some(_) => {}
        }
    }
}

/// Runs `act` on a thread of its own, which it may confine.
fn apart<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(act).join().unwrap())
}

fn directories() -> (tempfile::TempDir, [std::path::PathBuf; 3]) {
    let temp = tempfile::tempdir().unwrap();
    let paths = ["own", "run", "foreign"].map(|name| temp.path().join(name));
    for path in &paths {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "was here").unwrap();
        fs::create_dir(path.join("empty")).unwrap();
    }
    std::os::unix::fs::symlink(paths[2].join("file"), paths[0].join("link")).unwrap();
    (temp, paths)
}

/// What neither may.
#[track_caller]
fn check_forbidden(confined: &Confined, foreign: &Path) {
    let (landlock, seccomp) = (Some(Layer::Landlock), Some(Layer::Seccomp));
    let acts: &[Act<'_>] = &[
        ("read what is not its own", landlock, &|| fs::read(foreign.join("file")).map(drop)),
        ("write to what is not its own", landlock, &|| {
            File::options().append(true).open(foreign.join("file")).map(drop)
        }),
        ("make a file elsewhere", landlock, &|| fs::write(foreign.join("new"), "")),
        ("remove a file elsewhere", landlock, &|| fs::remove_file(foreign.join("file"))),
        ("list a directory elsewhere", landlock, &|| fs::read_dir(foreign).map(drop)),
        ("read accounts", landlock, &|| fs::read("/etc/passwd").map(drop)),
        ("read a process's memory", landlock, &|| {
            File::open(format!("/proc/{}/mem", std::process::id())).map(drop)
        }),
        ("execute a program", seccomp, &|| {
            let name = c"/bin/true";
            Ok(nix::unistd::execv(name, &[name]).map(drop)?)
        }),
        // Nobody has that pid: the answer would be another.
        ("trace a process", seccomp, &|| Ok(ptrace::attach(Pid::from_raw(i32::MAX))?)),
        ("signal a process", seccomp, &|| Ok(kill(Pid::from_raw(i32::MAX), Signal::SIGKILL)?)),
        ("unshare namespaces", seccomp, &|| Ok(unshare(CloneFlags::CLONE_NEWUSER)?)),
        ("make a symbolic link", seccomp, &|| {
            Ok(symlinkat("/etc/passwd", nix::fcntl::AT_FDCWD, &foreign.join("symbolic"))?)
        }),
        ("link a file", seccomp, &|| {
            let at = nix::fcntl::AT_FDCWD;
            let flags = nix::fcntl::AtFlags::empty();
            Ok(linkat(at, &foreign.join("file"), at, &foreign.join("hard"), flags)?)
        }),
        ("make a device", seccomp, &|| {
            Ok(mknod(&foreign.join("device"), SFlag::S_IFCHR, Mode::S_IRWXU, 0x0103)?)
        }),
        ("give a file away", seccomp, &|| {
            Ok(chown(&foreign.join("file"), Some(Uid::from_raw(65534)), None)?)
        }),
        ("mount", seccomp, &|| {
            let none: Option<&str> = None;
            let flags = nix::mount::MsFlags::empty();
            Ok(nix::mount::mount(none, foreign, Some("tmpfs"), flags, none)?)
        }),
        ("watch what the kernel audits", seccomp, &|| {
            let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
            Ok(rustix::net::socket(family, kind, None).map(drop)?)
        }),
        ("make another's memory its own", seccomp, &|| {
            let mut byte = [0];
            let local = &mut [io::IoSliceMut::new(&mut byte)];
            let remote = &[nix::sys::uio::RemoteIoVec { base: 4096, len: 1 }];
            Ok(nix::sys::uio::process_vm_readv(Pid::this(), local, remote).map(drop)?)
        }),
    ];
    check(confined, acts);
}

#[test]
fn a_collector_does_what_it_must_and_nothing_else() {
    let (_temp, [own, run, foreign]) = directories();
    let own_open = File::open(&own).unwrap();
    apart(|| {
        let reach = Reach {
            own: vec![own_open.as_fd()],
            prune: vec![&run],
            read: vec![Path::new("/proc/sys/kernel/ostype"), Path::new("/nonexistent")],
            ..Reach::default()
        };
        let confined = confine(reach, Calls::COLLECTOR);
        let (landlock, seccomp) = (Some(Layer::Landlock), Some(Layer::Seccomp));
        check_forbidden(&confined, &foreign);
        check(
            &confined,
            &[
                ("write a file of its own", None, &|| fs::write(own.join("new"), "new")),
                ("append to one", None, &|| {
                    File::options().append(true).open(own.join("file"))?.write_all(b"more")
                }),
                ("rename one", None, &|| fs::rename(own.join("new"), own.join("other"))),
                ("read one", None, &|| fs::read(own.join("other")).map(drop)),
                ("remove one", None, &|| fs::remove_file(own.join("other"))),
                ("remove what is empty", None, &|| fs::remove_dir(run.join("empty"))),
                ("read what was named", None, &|| fs::read("/proc/sys/kernel/ostype").map(drop)),
                ("follow a link out", landlock, &|| fs::read(own.join("link")).map(drop)),
                ("remove a file where it removes directories", landlock, &|| {
                    fs::remove_file(run.join("file"))
                }),
                ("make a directory", seccomp, &|| fs::create_dir(own.join("directory"))),
                ("start a process", seccomp, &|| {
                    Command::new("/bin/true").spawn().map(|mut child| drop(child.wait()))
                }),
                ("open a socket", seccomp, &|| UdpSocket::bind("127.0.0.1:0").map(drop)),
                ("open a local socket", seccomp, &|| UnixDatagram::unbound().map(drop)),
                ("watch files", seccomp, &|| {
                    Ok(rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC)
                        .map(drop)?)
                }),
            ],
        );
    });
}

#[test]
fn an_exporter_does_what_it_must_and_nothing_else() {
    let (_temp, [own, _, foreign]) = directories();
    let own_open = File::open(&own).unwrap();
    let [named, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [named_at, other_at] = [&named, &other].map(|listener| listener.local_addr().unwrap());
    let has_ports = apart(|| {
        let restricted = Reach::default().restrict();
        restricted.is_ok() && TcpListener::bind("127.0.0.1:0").is_err()
    });
    apart(|| {
        let reach = Reach {
            rename_in: vec![own_open.as_fd()],
            connect: vec![named_at.port()],
            ..Reach::default()
        };
        let confined = confine(reach, Calls::EXPORTER);
        check_forbidden(&confined, &foreign);
        // Connections by port are Landlock's since Linux 6.7.
        let elsewhere = has_ports.then_some(Layer::Landlock);
        let wait = std::time::Duration::from_secs(10);
        check(
            &confined,
            &[
                ("read the log", None, &|| fs::read(own.join("file")).map(drop)),
                ("write to the log", Some(Layer::Landlock), &|| {
                    File::options().append(true).open(own.join("file")).map(drop)
                }),
                ("send a datagram", None, &|| {
                    UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", named_at).map(drop)
                }),
                ("open a local socket", None, &|| UnixDatagram::unbound().map(drop)),
                ("connect where it was told to", None, &|| {
                    TcpStream::connect_timeout(&named_at, wait).map(drop)
                }),
                ("connect elsewhere", elsewhere, &|| {
                    TcpStream::connect_timeout(&other_at, wait).map(drop)
                }),
                ("start a thread", None, &|| {
                    thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap())
                }),
                ("start a process", Some(Layer::Seccomp), &|| {
                    Command::new("/bin/true").spawn().map(|mut child| drop(child.wait()))
                }),
            ],
        );
    });
}

/// What holds for a thread holds for those it starts, and for no other.
#[test]
fn confinement_is_for_the_thread_and_its_own() {
    let (_temp, [own, ..]) = directories();
    let before = available();
    apart(|| {
        assert_eq!(confine(Reach::default(), Calls::EXPORTER), before);
        let child = thread::spawn(move || fs::write(own.join("new"), ""));
        assert_eq!(child.join().unwrap().is_err(), before.layers.contains(&Layer::Landlock));
    });
    assert!(fs::read("/etc/passwd").is_ok());
}

#[test]
fn a_step_has_its_capabilities_and_no_others() {
    use rustix::thread::{CapabilitySet as Set, capabilities};
    let before = capabilities(None).unwrap();
    // What each has, as far as this process may, and what it has not.
    let steps = [
        (Privileges::Read, Set::DAC_READ_SEARCH, Set::DAC_OVERRIDE | Set::BPF | Set::SYS_ADMIN),
        (Privileges::Record, Set::CHOWN | Set::BPF, Set::PERFMON | Set::SYS_ADMIN),
        (Privileges::Load, Set::BPF | Set::PERFMON | Set::SYS_ADMIN, Set::SYS_NICE),
        (Privileges::Read, Set::SYS_PTRACE, Set::CHOWN | Set::BPF | Set::SYS_ADMIN),
    ];
    let nobodys = Set::SYS_MODULE | Set::NET_ADMIN | Set::SETUID | Set::SYS_NICE;
    apart(|| {
        let kept = Kept::of(Privileges::Load, Privileges::Read);
        for (step, has, has_not) in steps {
            kept.step(step);
            let CapabilitySets { effective, permitted, inheritable } = capabilities(None).unwrap();
            assert!(effective.contains(has & before.permitted), "{step:?}: {effective:?}");
            assert!(permitted.contains(effective) && before.permitted.contains(permitted));
            if !before.permitted.is_empty() {
                assert!(!effective.intersects(has_not), "{step:?}: {effective:?}");
                assert!(!permitted.intersects(nobodys), "{step:?}: {permitted:?}");
                assert_eq!(inheritable, Set::empty());
            }
        }
    });
    assert_eq!(capabilities(None).unwrap(), before);
}
