//! What this kernel can do for us, found by trying.

use super::{OBJECT, messages, probe_set::create_ring, verifier};
use libbpf_rs::ObjectBuilder;
use verifier::Verified;

/// A thing the kernel must be able to do, and whether it can.
pub type Feature = (String, Result<(), String>);

/// What the kernel did when it was tried.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// All that tracing needs of bpf(2).
    pub features: Vec<Feature>,
    /// What accepting each program took; empty when one was refused.
    pub verified: Vec<Verified>,
}

impl Trial {
    /// Tries everything that tracing needs of bpf(2), and leaves nothing behind.
    pub fn run() -> Trial {
        messages::keep_statistics();
        let ring = create_ring(4 * super::mapping::page_size() as u32);
        let mut features = vec![named("BPF ring buffer (Linux 5.8)", ring.map(drop))];
        let object = ObjectBuilder::default().open_memory(OBJECT).and_then(|mut open| {
            open.progs_mut().for_each(|mut program| {
                program.set_log_level(verifier::LOG_STATISTICS);
            });
            open.load()
        });
        let verified = messages::verified();
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
        Trial { features, verified }
    }
}

fn named<E: std::fmt::Display>(name: &str, result: Result<(), E>) -> Feature {
    let result = result.map_err(|error| match messages::last() {
        Some(message) => format!("{error} ({message})"),
        None => error.to_string(),
    });
    (name.to_owned(), result)
}
