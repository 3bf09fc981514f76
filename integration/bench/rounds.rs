//! A workload with nothing beside it, and with this and that, in turn.

use super::table::Pairs;
use std::time::{Duration, Instant};

/// What it took, in some unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) wall: f64,
    /// What all processors together worked meanwhile, also for others.
    pub(super) processors: f64,
}

/// The workload with something against the workload alone.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) wall: Pairs,
    pub(super) processors: Pairs,
}

/// What the workload is run with.
pub(super) struct With<'a> {
    /// It takes part in each round of so many.
    every: usize,
    /// Runs it in a round: once, or in several places.
    run: Box<dyn FnMut(usize) -> Vec<Took> + 'a>,
}

impl<'a> With<'a> {
    pub(super) fn new(every: usize, run: impl FnMut(usize) -> Vec<Took> + 'a) -> With<'a> {
        With { every, run: Box::new(run) }
    }
}

/// Runs it alone and with each, once a round and the other way round in each second one, and begins
/// no round after so long. What came of each, by place.
pub(super) fn in_turn(
    rounds: usize,
    at_most: Duration,
    mut alone: impl FnMut() -> Took,
    with: &mut [With<'_>],
) -> Vec<Vec<Compared>> {
    let mut compared: Vec<Vec<Compared>> = with.iter().map(|_| Vec::new()).collect();
    let begun = Instant::now();
    for round in (0..rounds).take_while(|_| begun.elapsed() < at_most) {
        let mut took = vec![Vec::new(); with.len()];
        let forward = round % 2 == 0;
        let mut first = None;
        if forward {
            first = Some(alone());
        }
        for at in 0..with.len() {
            let at = if forward { at } else { with.len() - 1 - at };
            if round.is_multiple_of(with[at].every) {
                took[at] = (with[at].run)(round);
            }
        }
        let reference = first.unwrap_or_else(&mut alone);
        for (compared, took) in compared.iter_mut().zip(took) {
            for (place, took) in took.into_iter().enumerate() {
                if compared.len() == place {
                    compared.push(Compared::default());
                }
                compared[place].wall.push(took.wall, reference.wall);
                compared[place].processors.push(took.processors, reference.processors);
            }
        }
    }
    compared
}
