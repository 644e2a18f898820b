//! The reference batch around visits, which tells what the machine itself did.

use crate::core::error::Result;
use crate::fhe::parameters::ParameterSet;
use crate::sweep::reference_batch::ReferenceBatch;

/// Look-ups of the batch.
const BATCH: usize = 16;

/// The batch, and its pace when it last ran.
pub struct Reference {
    reference_batch: ReferenceBatch,
    /// Seconds per look-up.
    last_s: f64,
}

impl Reference {
    /// Makes keys and runs the batch for the first time.
    ///
    /// # Errors
    ///
    /// As [`ParameterSet::fast`].
    pub fn begin() -> Result<Self> {
        let reference_batch = ReferenceBatch::new(ParameterSet::fast()?, BATCH);
        let last_s = reference_batch.look_up_s(None).median;
        Ok(Self {
            reference_batch,
            last_s,
        })
    }

    /// Runs the batch after a visit; returns the seconds per look-up before it and after it.
    pub fn around_visit(&mut self) -> [f64; 2] {
        let before = self.last_s;
        // What follows a visit also precedes the next.
        self.last_s = self.reference_batch.look_up_s(Some(before)).median;
        [before, self.last_s]
    }
}
