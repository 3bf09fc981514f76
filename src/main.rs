//! The door: see `buildwarden::cli`.
//!
//! Rust's own `main` asks a file of the kernel where the stack ends, and makes another stack to
//! say on it that the first is full: a tenth of what a hook takes. Here a full stack ends the
//! program without words; what else that `main` does is done here.

#![no_main]

use rustix::{
    io::fcntl_getfd,
    stdio::{stderr, stdin, stdout},
};
use std::{
    ffi::{c_char, c_int},
    fs::File,
    os::fd::{AsRawFd as _, IntoRawFd as _},
    panic, process,
};

/// As Rust ends who panics.
const PANICKED: c_int = 101;

#[allow(unsafe_code)]
// SAFETY: the C library calls it, once, as it calls any program's; nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    open_standard_streams();
    // Whoever reads us no more is told as an error, not by our end.
    #[allow(unsafe_code)]
    // SAFETY: no handler is called, and nobody else sets one before there is a thread.
    let _ = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let ended = panic::catch_unwind(|| c_int::from(buildwarden::cli::main().code()));
    // Unlike a return, it writes out what standard output holds.
    process::exit(ended.unwrap_or(PANICKED))
}

/// Of those that are closed: whatever is opened next would be taken for one.
fn open_standard_streams() {
    if [stdin(), stdout(), stderr()].iter().all(|stream| fcntl_getfd(stream).is_ok()) {
        return;
    }
    while let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        if null.as_raw_fd() > libc::STDERR_FILENO {
            break;
        }
        let _ = null.into_raw_fd();
    }
}
