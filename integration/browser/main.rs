//! HTML reports in a real browser. `integration/browser-tests [FILTER]` runs this; the
//! pictures that it takes are in `target/screenshots/`.

mod accessible;
mod driver;
mod looks;
mod page;
mod quiet;
#[path = "../harness/wait.rs"]
mod wait;
