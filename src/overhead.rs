//! What a split costs besides the inferences that are asked for.

/// Seconds that a visit takes besides keys and inferences: start and calibration bootstraps.
const PER_VISIT_S: f64 = 0.3;
/// Seconds more on a split's first visit: its own probe, both parties' processes.
const PER_SPLIT_S: f64 = 1.0;
/// Seconds of a multiplication in a simulation, with what goes with it, on all cores.
const MULTIPLICATION_S: f64 = 1e-10;
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

/// How often a sweep runs each split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Runs {
    pub images: usize,
    pub repeats: usize,
    pub skip_party_memory: bool,
    /// Multiplications of all inferences that are simulated.
    pub simulated_multiplications: f64,
}

impl Runs {
    /// Returns the seconds of a split with so many look-ups, whose keys take `key_s` and an inference
    /// `inference_s`.
    pub fn seconds(&self, look_up_count: usize, key_s: f64, inference_s: f64) -> f64 {
        let further = Further::of(look_up_count);
        let inferences = (self.images + further.per_visit) as f64;
        let visit_s = PER_VISIT_S + key_s + inferences * inference_s;
        let inferences = (further.first - usize::from(self.skip_party_memory)) as f64;
        let simulation_s = self.simulated_multiplications * MULTIPLICATION_S;
        let first_s = PER_SPLIT_S + simulation_s + key_s + inferences * inference_s;
        self.repeats as f64 * visit_s + first_s
    }
}
