//! A workload with nothing beside it, and with this and that, in turn.

use super::table::Pairs;
use std::time::{Duration, Instant};

/// How many pairs a slice is in: with what is before it, and with what is behind.
const NEIGHBOURS: usize = 2;

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
    processors: Pairs,
}

impl Compared {
    /// What all processors worked, averaged over so many rounds before it is compared: the kernel
    /// counts that in ticks of a hundredth of a second.
    pub(super) fn processors_over(&self, rounds: usize) -> Pairs {
        self.processors.averaged(NEIGHBOURS * rounds)
    }
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

/// Runs it alone, and in each round with each and once more alone behind that; begins no round
/// after so long. What came of each, by place, in a pair with alone before it and in one with alone
/// behind it: a machine that drifts makes one larger and the other smaller. Not with the mean of both,
/// which is the slower the more single slices are disturbed.
pub(super) fn in_turn(
    rounds: usize,
    at_most: Duration,
    mut alone: impl FnMut() -> Took,
    with: &mut [With<'_>],
) -> Vec<Vec<Compared>> {
    let mut compared: Vec<Vec<Compared>> = with.iter().map(|_| Vec::new()).collect();
    let begun = Instant::now();
    let mut before = alone();
    for round in (0..rounds).take_while(|_| begun.elapsed() < at_most) {
        let part = with.iter_mut().zip(&mut compared);
        for (with, compared) in part.filter(|(with, _)| round.is_multiple_of(with.every)) {
            let took = (with.run)(round);
            let behind = alone();
            for (place, took) in took.into_iter().enumerate() {
                if compared.len() == place {
                    compared.push(Compared::default());
                }
                for neighbour in [before, behind] {
                    compared[place].wall.push(took.wall, neighbour.wall);
                    compared[place].processors.push(took.processors, neighbour.processors);
                }
            }
            before = behind;
        }
    }
    compared
}

/// Both, the one first or the other.
pub(super) fn both<A, B>(
    in_order: bool,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B,
) -> (A, B) {
    if in_order {
        let one = one();
        (one, other())
    } else {
        let other = other();
        (one(), other)
    }
}
