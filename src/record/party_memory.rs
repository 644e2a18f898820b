//! The memory that each party's process had at most.

use serde::{Deserialize, Serialize};

/// Resident bytes of a party's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleMemory {
    /// With its own layers in place, before keys.
    pub start_bytes: u64,
    /// The most at any time from then on.
    pub peak_bytes: u64,
}

impl RoleMemory {
    /// Returns the smallest usual memory that holds the peak, in GB: 2, 4 or 8.
    pub fn fits_gb(&self) -> Option<u64> {
        const GB: u64 = 1_000_000_000;
        [2, 4, 8]
            .into_iter()
            .find(|size| self.peak_bytes <= size * GB)
    }
}

/// The memory of both parties in one inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleMemories {
    pub client: RoleMemory,
    /// None where everything runs at the client.
    pub server: Option<RoleMemory>,
}
