//! What this kernel can do for us, found by trying.

use super::{OBJECT, messages, probe_set::create_ring};
use libbpf_rs::ObjectBuilder;

/// A thing the kernel must be able to do, and whether it can.
pub type Feature = (String, Result<(), String>);

/// Tries everything that tracing needs of bpf(2), and leaves nothing behind.
pub fn features() -> Vec<Feature> {
    messages::keep();
    let ring = create_ring(4 * super::mapping::page_size() as u32);
    let mut features = vec![named("BPF ring buffer (Linux 5.8)", ring.map(drop))];
    let object = ObjectBuilder::default().open_memory(OBJECT).and_then(|open| open.load());
    match object {
        Err(error) => features.push(named("load the programs (BTF, tp_btf)", Err(error))),
        Ok(object) => {
            features.push(named::<libbpf_rs::Error>("load the programs (BTF, tp_btf)", Ok(())));
            for program in object.progs_mut() {
                let name = format!("attach {}", program.section().to_string_lossy());
                features.push(named(&name, program.attach().map(drop)));
            }
        }
    }
    features
}

fn named<E: std::fmt::Display>(name: &str, result: Result<(), E>) -> Feature {
    let result = result.map_err(|error| match messages::last() {
        Some(message) => format!("{error} ({message})"),
        None => error.to_string(),
    });
    (name.to_owned(), result)
}
