//! Which execs are on record.

use std::collections::BTreeMap;

/// Which sequence numbers have been seen, as ranges: one for a run without loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// First to last of each range.
    ranges: BTreeMap<u64, u64>,
    count: u64,
}

impl Sequences {
    /// Adds a number; `false` when it was there already.
    pub fn insert(&mut self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        self.count += 1;
        let joins_before = before.filter(|(_, last)| last + 1 == number);
        let after = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        let first = joins_before.map_or(number, |(first, _)| first);
        self.ranges.insert(first, after.unwrap_or(number));
        true
    }

    /// Whether a number was added.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// How many different numbers were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The highest number; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.ranges.values().next_back().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_counted_once_each_in_any_order() {
        let mut seen = Sequences::default();
        for number in [2, 1, 5, 4, 2, 7, 6] {
            seen.insert(number);
        }
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (6, 7, 2));
        assert!(!seen.contains(3) && !seen.contains(0) && seen.contains(1) && seen.contains(7));
        assert!(seen.insert(3) && !seen.insert(3) && seen.insert(u64::MAX));
        assert_eq!((seen.count(), seen.last(), seen.ranges.len()), (8, u64::MAX, 2));
    }
}
