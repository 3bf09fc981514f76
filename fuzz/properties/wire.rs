//! What holds for what lies in a ring: records, each with two bytes of its length before it.

use buildwarden::{
    event::{Event, Exec},
    oci::job_from_environment,
    wire::{decode, number, spill},
};

/// An argv from the spill buffers, where a record says that it is there.
const SPILLED: &[u8] = b"curl\0-s\0http://198.51.100.7/p\0";

pub(crate) fn check(data: &[u8]) {
    let mut rest = data;
    let mut sequence = 0;
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (record, after) = tail.split_at(length);
        rest = after;
        sequence += 1;
        check_record(record, sequence);
    }
    // Without a stream around it.
    check_record(data, 1);
}

fn check_record(record: &[u8], sequence: u64) {
    let spill = spill(record);
    if let Some(spill) = spill {
        let buffers: Vec<usize> = spill.buffers().collect();
        assert!((1..=3).contains(&buffers.len()) && buffers.iter().all(|index| *index < 255));
    }
    let spilled = spill.map(|spill| &SPILLED[..spill.len.min(SPILLED.len())]);
    match decode(record, spilled) {
        Err(_) => {}
        Ok(Event::Exec(exec)) => {
            let own = if spilled.is_some() { 0 } else { exec.argv.0.len() };
            assert!(exec.path.len() + exec.name.len() + own <= record.len(), "more than it has");
            assert!(number(record).is_some(), "an exec without a number");
            let exec = Exec { sequence, ..exec };
            super::events::check_exec(&exec);
            super::exec::check_exec(super::exec::detector(), &exec);
        }
        Ok(Event::Exit(exit)) => {
            assert!(exit.code().is_none() || exit.signal().is_none());
            super::events::check_exit(&exit);
        }
        Ok(Event::Environment(environment)) => {
            for (name, value) in environment.variables() {
                assert!(!name.contains(['=', '\0']) && !value.contains('\0'));
            }
            assert!(!format!("{environment:?}").contains('='), "variables are shown");
            if let Some(job) = job_from_environment(environment.variables()) {
                assert!(!job.id.is_empty() && job.id.chars().count() <= 256);
            }
        }
        Ok(Event::Gap(_)) => panic!("the kernel writes no gaps"),
    }
}
