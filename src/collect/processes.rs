//! Which process runs what: the lineage of an exec.

use crate::{
    event::{Exec, Parents, ProcessId},
    report::{Bytes, model::Ancestor},
};
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// What is remembered of one process's last exec.
#[derive(Clone, Debug)]
struct Image {
    sequence: u64,
    path: Vec<u8>,
    /// Redacted, at most [`Processes::ARGV`] bytes.
    argv: Vec<Bytes>,
    parents: Parents,
    /// The image that this process had before, as an ancestor of this one.
    before: Option<Box<Ancestor>>,
}

/// The processes of a scope that have executed something. Bounded: a fork bomb
/// costs lineage, not memory.
#[derive(Debug, Default)]
pub(super) struct Processes {
    images: HashMap<ProcessId, Image, RandomState>,
    /// The same by the sequence numbers of the execs.
    numbers: HashMap<u64, ProcessId, RandomState>,
    /// Ended ones are kept a while: the record of a child's exec may come after
    /// that of its parent's end when they ran on different CPUs.
    ended: VecDeque<ProcessId>,
}

impl Processes {
    /// Processes that are remembered at most.
    const MOST: usize = 16_384;
    /// Ended processes that are remembered.
    const ENDED: usize = 1024;
    /// Bytes of argv that are remembered of each.
    const ARGV: usize = 1024;
    /// Ancestors that a finding shows at most.
    const LINEAGE: usize = 64;

    /// Who led to this exec: the process's own earlier image, its parent, and so on
    /// to the entrypoint. Call it before [`Processes::insert`].
    pub(super) fn lineage(&self, process: ProcessId, parents: &Parents) -> Vec<Ancestor> {
        let mut lineage = Vec::new();
        let mut at = self.images.get_key_value(&process);
        let mut above = *parents;
        while lineage.len() < Self::LINEAGE {
            if let Some((id, image)) = at {
                lineage.push(image.ancestor(*id));
                lineage.extend(image.before.iter().map(|before| (**before).clone()));
                above = image.parents;
            }
            // A process that forked without executing runs its parent's image.
            at = above.as_slice().iter().find_map(|parent| self.images.get_key_value(parent));
            if at.is_none()
                || at.is_some_and(|(_, i)| lineage.iter().any(|l| l.sequence == Some(i.sequence)))
            {
                break;
            }
        }
        lineage
    }

    /// Whether the process may have executed something before: with so many processes that
    /// not all are remembered, any may.
    pub(super) fn may_know(&self, process: ProcessId) -> bool {
        self.images.len() >= Self::MOST || self.images.contains_key(&process)
    }

    /// The last exec of the nearest of these ancestors that has executed something. Where
    /// none is known, all are outside of the container.
    pub(super) fn by(&self, parents: &Parents) -> Option<u64> {
        parents.as_slice().iter().find_map(|parent| self.last_exec(*parent))
    }

    /// A process's last exec.
    pub(super) fn last_exec(&self, process: ProcessId) -> Option<u64> {
        self.images.get(&process).map(|image| image.sequence)
    }

    /// The process whose last exec that is.
    pub(super) fn of_exec(&self, sequence: u64) -> Option<ProcessId> {
        self.numbers.get(&sequence).copied()
    }

    /// Remembers an exec.
    pub(super) fn insert<'a>(&mut self, exec: &Exec<'_>, argv: impl Iterator<Item = &'a [u8]>) {
        if self.images.len() >= Self::MOST && !self.images.contains_key(&exec.process) {
            return;
        }
        let mut room = Self::ARGV;
        let argv = argv
            .map_while(|argument| {
                let kept = argument.len().min(room);
                let more = room > 0;
                room = room.saturating_sub(kept + 1);
                more.then(|| Bytes::from(&argument[..kept]))
            })
            .collect();
        let before = self.images.get(&exec.process).map(|image| {
            self.numbers.remove(&image.sequence);
            Box::new(image.ancestor(exec.process))
        });
        self.numbers.insert(exec.sequence, exec.process);
        self.images.insert(
            exec.process,
            Image {
                sequence: exec.sequence,
                path: exec.path.to_vec(),
                argv,
                parents: exec.parents,
                before,
            },
        );
    }

    /// Forgets a process, in a while.
    pub(super) fn end(&mut self, process: ProcessId) {
        if self.images.contains_key(&process) {
            self.ended.push_back(process);
        }
        if self.ended.len() > Self::ENDED {
            let oldest = self.ended.pop_front();
            let forgotten = oldest.and_then(|process| self.images.remove(&process));
            forgotten.and_then(|image| self.numbers.remove(&image.sequence));
        }
    }
}

impl Image {
    fn ancestor(&self, process: ProcessId) -> Ancestor {
        Ancestor {
            pid: process.pid,
            path: Bytes::from(&self.path),
            argv: self.argv.clone(),
            sequence: Some(self.sequence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Argv;

    fn exec(sequence: u64, pid: u32, parents: &[u32]) -> Exec<'static> {
        Exec {
            sequence,
            process: ProcessId { pid, start: 1 },
            parents: parents.iter().map(|pid| ProcessId { pid: *pid, start: 1 }).collect(),
            path: b"/bin/x",
            argv: Argv(b"x\0"),
            ..Exec::default()
        }
    }

    #[test]
    fn where_not_all_are_remembered_any_may_be_known() {
        let mut processes = Processes::default();
        let id = |pid| ProcessId { pid, start: 1 };
        for pid in 0..Processes::MOST as u32 {
            assert!(!processes.may_know(id(pid)), "{pid}");
            let exec = exec(1, pid, &[]);
            processes.insert(&exec, exec.argv.iter());
            assert!(processes.may_know(id(pid)), "{pid}");
        }
        assert!(processes.may_know(id(u32::MAX)));
    }

    #[test]
    fn lineage_leads_over_forks_and_earlier_images_to_the_entrypoint() {
        let mut processes = Processes::default();
        let mut pids = |exec: &Exec<'_>| {
            let lineage = processes.lineage(exec.process, &exec.parents);
            processes.insert(exec, exec.argv.iter());
            lineage.into_iter().filter_map(|a| a.sequence).collect::<Vec<_>>()
        };
        assert_eq!(pids(&exec(1, 10, &[])), Vec::<u64>::new());
        // 11 forked from 10 and executed nothing; 12 is its child
        assert_eq!(pids(&exec(2, 12, &[11, 10])), [1]);
        // 12 executes again
        assert_eq!(pids(&exec(3, 12, &[11, 10])), [2, 1]);
        assert_eq!(pids(&exec(4, 13, &[12, 11, 10])), [3, 2, 1]);
        // unknown ancestors only
        assert_eq!(pids(&exec(5, 20, &[19])), Vec::<u64>::new());
    }

    #[test]
    fn it_forgets_what_has_ended_and_refuses_what_is_too_much() {
        let mut processes = Processes::default();
        for pid in 1..=Processes::MOST as u32 + 10 {
            let exec = exec(pid.into(), pid, &[]);
            processes.insert(&exec, exec.argv.iter());
        }
        assert_eq!(processes.images.len(), Processes::MOST);
        assert_eq!(processes.numbers.len(), Processes::MOST);
        for pid in 1..=Processes::MOST as u32 {
            processes.end(ProcessId { pid, start: 1 });
        }
        assert_eq!(processes.images.len(), Processes::ENDED);
        assert_eq!(processes.numbers.len(), Processes::ENDED);
    }

    #[test]
    fn an_exec_is_named_by_the_last_of_its_process() {
        let mut processes = Processes::default();
        let id = |pid| ProcessId { pid, start: 1 };
        for (sequence, pid) in [(1, 10), (2, 12), (3, 12)] {
            let exec = exec(sequence, pid, &[]);
            processes.insert(&exec, exec.argv.iter());
        }
        assert_eq!(processes.by(&[id(11), id(12), id(10)].into_iter().collect()), Some(3));
        assert_eq!(processes.by(&[id(11)].into_iter().collect()), None);
        assert_eq!([1, 2, 3].map(|n| processes.of_exec(n)), [Some(id(10)), None, Some(id(12))]);
        // A child's exec may come after that.
        processes.end(id(12));
        assert_eq!(processes.last_exec(id(12)), Some(3));
    }
}
