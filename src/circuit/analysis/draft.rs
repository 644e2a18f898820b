//! Steps and answers before the steps of the sources are known.

use super::draft_look_up::DraftLookUp;
use super::filling::Filling;
use super::planned::Term;
use super::value::DraftValue;
use crate::model::layer::Geometry;

/// A step whose weights or bias wait for the steps of the sources.
pub(super) enum DraftStep {
    /// `Σ terms · inputs + bias` on the integers of a group.
    Natural {
        terms: Vec<Term>,
        bias: Vec<i64>,
        geometry: Geometry,
        group: usize,
    },
    /// The weights in front of a look-up.
    Filling(Filling),
    LookUp {
        draft: DraftLookUp,
        group: usize,
    },
}

/// A value that the client gets, before the steps are known.
pub(super) enum Answer {
    Natural(DraftValue),
    /// The slot of weights that fill half a turn, and the real range of each element.
    Filled {
        slot: usize,
        ranges: Vec<(f64, f64)>,
    },
}

impl Answer {
    /// Returns the slot of the value.
    pub fn slot(&self) -> usize {
        match self {
            Self::Natural(natural) => natural.slot,
            Self::Filled { slot, .. } => *slot,
        }
    }
}
