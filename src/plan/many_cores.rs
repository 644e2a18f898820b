//! Look-ups on more cores than there are: a model, not a measurement.
//!
//! Every core rotates batches of its own, and reads the keys once for each. A look-up takes a core as
//! long as it does here as long as memory, or a cache that all share, brings the keys in time.

use super::memory_need::key_bytes_at_rest;
use crate::fhe::bootstrap::LARGEST_BATCH;
use crate::fhe::parameters::ParameterSet;

/// What look-ups take on many cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ManyCores {
    /// Seconds of one, with all cores busy.
    pub look_up_s: f64,
    /// Bytes of keys that all cores together read in a second.
    pub key_bytes_per_s: f64,
}

/// Returns what look-ups of so many core-seconds each take on so many cores.
pub fn on_cores(cores: usize, parameters: &ParameterSet, look_up_core_s: f64) -> ManyCores {
    let batches_per_s = cores as f64 / (LARGEST_BATCH as f64 * look_up_core_s);
    ManyCores {
        look_up_s: look_up_core_s / cores as f64,
        key_bytes_per_s: batches_per_s * key_bytes_at_rest(parameters) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_share_look_ups_and_each_reads_its_keys() {
        let parameters = ParameterSet::fast().expect("secure");
        let one = on_cores(1, &parameters, 4e-3);
        assert_eq!(one.look_up_s, 4e-3);
        let of_batch = 4e-3 * LARGEST_BATCH as f64;
        let read = one.key_bytes_per_s * of_batch;
        assert!((read - key_bytes_at_rest(&parameters) as f64).abs() < 1.0);
        let many = on_cores(64, &parameters, 4e-3);
        assert!((64.0 * many.look_up_s - one.look_up_s).abs() < 1e-12);
        assert!((many.key_bytes_per_s / one.key_bytes_per_s - 64.0).abs() < 1e-9);
    }
}
