//! How much of the sources' noise reaches an element of a value.

/// Squared Euclidean norms of the weights that carry noise to an element: the factors on the
/// variance of independent noise, exact also where a source reaches it by several ways.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gain {
    /// On uploads.
    pub fresh: f64,
    /// On look-ups.
    pub look_up: f64,
    /// On look-ups, each weight times the grid integers of its source's step: the factor on the
    /// variance of independent step deviations.
    pub steps: f64,
}
