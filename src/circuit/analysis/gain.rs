//! How much of the sources' noise reaches an element of a value: the figures.

/// Squared Euclidean norms of the weights that carry noise to an element: the factors on the
/// variance of independent noise, exact also where a source reaches it by several ways.
///
/// Each is ‖w‖² = Σ w_e² over elements e of sources, where w_e is the sum, over all ways from e, of
/// the products of their weights; the element's noise has the variance Σ ‖w‖² · (input variance).
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
