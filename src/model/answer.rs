//! What the network's last server segment returns: its logits, or only which is the largest.

use serde::{Deserialize, Serialize};

/// What the client gets where the server runs the last layer. Where the client runs it, it has the
/// logits anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The output of the last layer.
    #[default]
    Logits,
    /// A one for the class with the largest logit, the first of equals, and zeros for all others:
    /// compared under encryption.
    Label,
}

/// The most bits that one look-up conjoins. A turn holds so many whole steps; with nine, the half
/// step to a wrong answer is as wide as the noise allows that four-bit activations have.
const MOST_CONJOINED: usize = 9;

impl Answer {
    /// Returns the word in split files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Label => "label",
        }
    }
}

/// Returns how many bits each look-up conjoins so that the conjunction of `bits` is made of as few
/// look-ups as `MOST_CONJOINED` allows, and how many look-ups that are: all but the last few
/// conjoin equally many.
pub fn conjunction(bits: usize) -> (usize, usize) {
    let look_ups = bits.div_ceil(MOST_CONJOINED).max(1);
    (bits.div_ceil(look_ups), look_ups)
}

/// Returns the look-ups that find the largest of so many logits: one for each pair, and the
/// conjunctions of each class's comparisons.
pub fn label_look_up_count(classes: usize) -> usize {
    if classes < 2 {
        return 0;
    }
    let mut count = classes * (classes - 1) / 2;
    let mut bits = classes - 1;
    loop {
        let (_, look_ups) = conjunction(bits);
        count += classes * look_ups;
        if look_ups == 1 {
            return count;
        }
        bits = look_ups;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_worked_out_by_hand() {
        // Ten classes: 45 pairs, and nine bits of each class in one look-up.
        assert_eq!(label_look_up_count(10), 45 + 10);
        // A hundred: 99 bits of each class in eleven look-ups of nine, those in two, those in one.
        assert_eq!(label_look_up_count(100), 4950 + 100 * (11 + 2 + 1));
        assert_eq!(label_look_up_count(2), 1 + 2);
        assert_eq!(label_look_up_count(1), 0);
        assert_eq!(conjunction(11), (6, 2));
    }
}
