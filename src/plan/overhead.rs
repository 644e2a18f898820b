//! What a split costs besides the inferences that are asked for.

use crate::record::finished::is_long;

/// Seconds of a visit besides keys and look-ups: a process's start, reading and compiling.
const PER_VISIT_S: f64 = 0.1;
/// Seconds more on a split's first visit: both parties' processes.
const PER_SPLIT_S: f64 = 0.15;
/// Seconds of a server segment's study besides look-ups: attacks, ranks.
const PER_SEGMENT_S: f64 = 0.35;
/// Look-ups of the reference batches before the first visit.
const BEGIN_LOOK_UPS: f64 = 80.0;
/// Look-ups of the reference batches around a visit.
const VISIT_LOOK_UPS: f64 = 40.0;
/// Look-ups of a split's first visit, where it has any, that warm up, tell the time of one, and are
/// done for the memory of each party.
const SPLIT_LOOK_UPS: f64 = 130.0;
/// How often a segment's look-ups are done for its study: twice for the audit, and by some attacks for
/// a message that confirms them.
const STUDY_INFERENCES: f64 = 2.5;
/// Seconds of a multiplication in a simulation, with what goes with it, on all cores.
const MULTIPLICATION_S: f64 = 1e-10;
/// How fast a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Speed {
    /// Seconds of making the keys of a split with look-ups, and handing them over.
    pub key_s: f64,
    /// Seconds per look-up on all cores.
    pub look_up_s: f64,
}

impl Speed {
    /// Returns the seconds of what a sweep begins with: the keys of its reference batches, and some
    /// more of these.
    pub fn begin_s(&self) -> f64 {
        self.key_s + BEGIN_LOOK_UPS * self.look_up_s
    }

    /// Returns the seconds of studying a server segment with so many look-ups.
    pub fn study_s(&self, look_up_count: usize) -> f64 {
        let look_ups = if is_long(look_up_count) {
            0.0
        } else {
            STUDY_INFERENCES * look_up_count as f64
        };
        PER_SEGMENT_S + look_ups * self.look_up_s
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
    /// Returns the seconds of all visits of a split with so many look-ups, one of whose inferences takes
    /// `inference_s`; without the studies of its segments.
    pub fn seconds(&self, look_up_count: usize, inference_s: f64, speed: &Speed) -> f64 {
        (0..self.repeats)
            .map(|repeat| self.visit_s(repeat, look_up_count, inference_s, speed))
            .sum()
    }

    /// Returns the seconds of one of them, the first of which is number 0.
    pub fn visit_s(
        &self,
        repeat: usize,
        look_up_count: usize,
        inference_s: f64,
        speed: &Speed,
    ) -> f64 {
        let has_look_ups = f64::from(u8::from(look_up_count > 0));
        let key_s = has_look_ups * speed.key_s;
        let reference_s = VISIT_LOOK_UPS * speed.look_up_s;
        let visit_s = PER_VISIT_S + reference_s + key_s + self.images as f64 * inference_s;
        if repeat > 0 {
            return visit_s;
        }
        let simulation_s = self.simulated_multiplications * MULTIPLICATION_S;
        let batches_s = has_look_ups * SPLIT_LOOK_UPS * speed.look_up_s;
        let parties_s = if self.skip_party_memory {
            0.0
        } else {
            PER_SPLIT_S + key_s
        };
        visit_s + simulation_s + batches_s + parties_s
    }
}
