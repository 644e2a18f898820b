//! What a split costs besides the inferences that are asked for.

/// Seconds that a visit takes besides keys and inferences: start and calibration bootstraps.
pub const PER_VISIT_S: f64 = 0.3;
/// Seconds more on a split's first visit: simulation, its own probe, both parties' processes.
pub const PER_SPLIT_S: f64 = 1.0;
/// Look-ups above which an inference takes so long that none is spent on warming up or on an audit:
/// page faults and cold caches are nothing beside it.
const LONG_LOOK_UPS: usize = 20_000;

/// Inferences of a split that are run besides the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Further {
    /// To warm up, in each visit.
    pub per_visit: usize,
    /// For the audit and for the memory of each party, in the first visit.
    pub first: usize,
}

impl Further {
    /// Returns those of a split with so many look-ups.
    pub fn of(look_up_count: usize) -> Self {
        match look_up_count > LONG_LOOK_UPS {
            true => Self {
                per_visit: 0,
                first: 1,
            },
            false => Self {
                per_visit: 1,
                first: 2,
            },
        }
    }
}
