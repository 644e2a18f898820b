//! The security that every parameter set has at least.

/// Security of every set that passes the check, in bits.
pub const SECURITY_BITS: u32 = 132;
