//! Whether there is memory enough, told before it is needed.

use crate::cli::progress::tell;
use crate::core::error::{Error, Result};
use crate::machine::allowance::Bound;
use crate::plan::memory_need::MemoryNeed;

/// Refuses what is projected to take more memory than there is, or than a worker may take, and tells
/// what else than the machine bounds it.
///
/// # Errors
///
/// [`Error::Usage`] with both figures and `ways_out`.
pub fn hold_memory(need: &MemoryNeed, limit: Option<u64>, ways_out: &str) -> Result<()> {
    for weighed in need.weighed(limit) {
        if weighed.is_too_much() {
            return Err(Error::Usage(format!("{weighed}: {ways_out}")));
        }
        if weighed.allowance.bound != Bound::Machine {
            tell(&format!("memory: {weighed}"));
        }
    }
    Ok(())
}
