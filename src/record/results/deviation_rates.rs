//! Step deviations of look-ups as fractions of them.

use crate::record::deviations::Deviations;
use crate::record::finished::LayerDeviations;

/// Fractions of look-ups that deviate by at least one and at least two steps.
pub(super) struct DeviationRates {
    pub predicted: Option<(f64, f64)>,
    pub measured: Option<(f64, f64)>,
    pub audited: Option<u64>,
}

impl DeviationRates {
    /// Returns the fractions over some layers.
    pub fn of(layers: &[LayerDeviations]) -> Self {
        let total = |tally: fn(&LayerDeviations) -> Deviations| {
            layers
                .iter()
                .map(tally)
                .fold(Deviations::default(), Deviations::plus)
        };
        let measured = total(|layer| layer.measured);
        Self {
            predicted: total(|layer| layer.predicted).rates(),
            measured: measured.rates(),
            audited: (measured.look_ups > 0).then_some(measured.look_ups),
        }
    }
}
