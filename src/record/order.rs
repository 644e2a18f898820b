//! The order in which a round of a sweep visits the splits.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How a round is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Shuffled, another way in each round, so that a drift of the machine falls on no split.
    #[default]
    Seeded,
    /// As listed.
    Forwards,
    /// As listed, last first.
    Backwards,
}

impl Order {
    /// Returns the indices of `count` splits in the order of a round, the same for the same seed.
    pub fn of_round(self, count: usize, seed: u64, round: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..count).collect();
        match self {
            Self::Forwards => {}
            Self::Backwards => indices.reverse(),
            Self::Seeded => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(round as u64);
                indices.shuffle(&mut random);
            }
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_visits_every_split_once_in_an_order_that_its_seed_decides() {
        let order = |seed, round| Order::Seeded.of_round(20, seed, round);
        let mut sorted = order(1, 0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1), "rounds differ");
        assert_ne!(order(1, 0), order(2, 0), "seeds differ");
        assert_eq!(Order::Forwards.of_round(3, 1, 1), [0, 1, 2]);
        assert_eq!(Order::Backwards.of_round(3, 1, 1), [2, 1, 0]);
        assert!(Order::Seeded.of_round(0, 1, 1).is_empty());
    }
}
