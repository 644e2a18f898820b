//! Figures as a person types them, with their units.

use crate::core::units;

/// Reads a size.
///
/// # Errors
///
/// What to give instead.
pub fn size(text: &str) -> std::result::Result<u64, String> {
    units::parse_bytes(text).ok_or_else(|| "give a size with its unit, such as 2GB".into())
}

/// Reads a fraction.
///
/// # Errors
///
/// What to give instead.
pub fn fraction(text: &str) -> std::result::Result<f64, String> {
    units::parse_fraction(text).ok_or_else(|| "give a fraction from 0 to 1, or 0% to 100%".into())
}

/// Reads a time.
///
/// # Errors
///
/// What to give instead.
pub fn seconds(text: &str) -> std::result::Result<f64, String> {
    units::parse_seconds(text).ok_or_else(|| "give a time with its unit, such as 30m".into())
}
