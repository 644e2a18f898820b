//! How finely a segment's uploads are rounded.

use super::compiler::{Compiler, ROUNDING_FRACTION};
use crate::circuit::analysis::Gain;
use crate::fhe::noise;
use crate::model::protection::Protection;

impl Compiler<'_> {
    /// Counts what packed products and rounded uploads add to fresh noise, and returns the bytes of
    /// a body coefficient that keep rounding below its part of the noise wherever it arrives.
    pub(super) fn round_uploads(&mut self) -> usize {
        let product = noise::product_variance(self.parameters, 1.0);
        let growth = self.packed_growth();
        let own = growth * (self.noise.fresh + product);
        let gains = self.analysis.look_ups().flat_map(|look_up| &look_up.gains);
        let look_ups = gains.map(|gain| (gain, self.noise.added));
        let downloads = self.analysis.downloads.iter().flat_map(|download| {
            // Half a unit at most is lost to noise where decoding is to be exact.
            let floor = (0.25 / (download.largest() + 0.5) / self.quantile).powi(2);
            download.gains.iter().map(move |gain| (gain, floor))
        });
        let arrivals: Vec<(&Gain, f64)> = look_ups.chain(downloads).collect();
        let fits = |bytes: &usize| {
            let rounding = growth * noise::body_rounding_variance(*bytes);
            arrivals.iter().all(|(gain, floor)| {
                let there = gain.fresh * own + gain.look_up * self.noise.look_up + floor;
                gain.fresh * rounding <= ROUNDING_FRACTION * there
            })
        };
        let bytes = match self.protection {
            Protection::None | Protection::Bootstrap | Protection::Gate => {
                (2..8).find(fits).unwrap_or(8)
            }
            // Rounding errors meet the weights, and the client knows them: flooding would have to
            // hide them too.
            Protection::Rerandomise => 8,
        };
        self.noise.fresh = own + growth * noise::body_rounding_variance(bytes);
        bytes
    }
}
