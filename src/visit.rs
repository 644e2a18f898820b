//! Visits: every round of a sweep visits every split once, in a process and with keys of its own.

use serde::{Deserialize, Serialize};

use crate::placement::Placement;
use crate::row::Status;
use crate::worker::Finished;

/// A split's turn in a round.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visit {
    pub placement: Placement,
    /// Which round, from zero.
    pub repeat: usize,
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitEnd {
    #[serde(flatten)]
    pub visit: Visit,
    pub status: Status,
    /// Why, where the status is not `ok`.
    pub reason: Option<String>,
    /// Seconds per look-up of the calibration bootstraps just before and just after.
    pub calibration_s: Option<[f64; 2]>,
    /// What the worker of a first round reported last; `None` where it did not get that far.
    pub finished: Option<Finished>,
}
