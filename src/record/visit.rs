//! Visits: every round of a sweep visits every split once, in a process and with keys of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::placement::Placement;

/// A split's turn in a round.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visit {
    pub placement: Placement,
    /// Which round, from zero.
    pub repeat: usize,
}

impl fmt::Display for Visit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (repeat {})", self.placement, self.repeat)
    }
}
