//! How a segment's answers travel: rounding, packing, protection, and the noise of all three.

use super::compiler::{Compiler, ROUNDING_FRACTION};
use crate::circuit::analysis::{PlannedAction, PlannedDownload};
use crate::circuit::interface::{DownloadEncoding, Flooding, Form};
use crate::core::torus::TURN;
use crate::fhe::noise;
use crate::fhe::pack::PackingDecomposition;
use crate::model::protection::Protection;
use crate::record::download::Download;

impl Compiler<'_> {
    pub(super) fn download(&mut self, planned: &PlannedDownload, unit: u64) -> DownloadEncoding {
        let step = planned.step as u64 * unit;
        let fraction = step as f64 / TURN;
        let zero = self.zero_variance(planned);
        let noisiest = planned.noisiest(&self.noise).powi(2) + zero.unwrap_or(0.0);
        let exact_variance = (fraction / 2.0 / self.quantile).powi(2);
        let room = if noisiest < exact_variance / 2.0 {
            exact_variance - noisiest
        } else {
            ROUNDING_FRACTION * noisiest
        };
        let count = planned.scales.len();
        // Packing and rounding share the room.
        let packing = match self.download {
            Download::Plain | Download::Full => None,
            Download::Packed => self.cheapest_packing(count, room / 2.0),
        };
        let added = packing.map_or(0.0, |packing| self.packing_variance(&packing, count));
        let rest = room - added.min(room / 2.0);
        let bytes = match zero {
            None => self.download_bytes(rest),
            // Flooding gets all but a little.
            Some(_) => self.download_bytes(rest * ROUNDING_FRACTION),
        };
        let added = added + noise::rounding_variance(self.parameters, bytes);
        let flooding = zero.map(|_| self.flooding(planned, noisiest, room - added));
        let flooded = flooding.map_or(0.0, |flooding| flooding.std.powi(2));
        let added = added + zero.unwrap_or(0.0) + flooded;
        let deviation = |gain| (self.noise.variance(gain) + added).sqrt();
        let sigma: Vec<f64> = planned.gains.iter().map(deviation).collect();
        let exact = planned.aligned
            && sigma
                .iter()
                .all(|sigma| self.quantile * sigma <= fraction / 2.0);
        for (sigma, (low, high)) in sigma.iter().zip(&planned.range) {
            let room = if exact {
                fraction / 2.0
            } else {
                0.5 - low.abs().max(high.abs()) as f64 * fraction
            };
            self.log2_p_fail
                .push(noise::log2_two_sided_tail(room / sigma));
        }
        DownloadEncoding {
            node: planned.node,
            noise_std: sigma.iter().map(|sigma| sigma / fraction).collect(),
            scales: planned.scales.clone(),
            range: planned.range.clone(),
            step,
            bytes,
            exact,
            form: self.form(planned, packing),
            packing,
            flooding,
        }
    }

    /// Returns the variance of the encryption of zero that an answer gets; none where it gets none.
    fn zero_variance(&self, planned: &PlannedDownload) -> Option<f64> {
        let step = planned.slot.checked_sub(self.analysis.uploads.len())?;
        let linear = matches!(self.analysis.steps[step].action, PlannedAction::Linear(_));
        let protected = self.protection == Protection::Rerandomise && linear;
        protected.then(|| noise::zero_variance(self.parameters))
    }

    /// Returns the flooding noise that fits a room, for an answer of that variance.
    fn flooding(&self, planned: &PlannedDownload, variance: f64, room: f64) -> Flooding {
        // A hair less than the room: what fills it exactly would count as too much.
        let std = (0.999 * room.max(0.0)).sqrt();
        // The errors of floating-point products in the mask, of which the binary key selects half.
        let product = noise::product_variance(self.parameters, self.packed_growth())
            * self.parameters.big_dimension() as f64
            / 2.0;
        let weights = planned
            .gains
            .iter()
            .map(|gain| gain.fresh)
            .fold(0.0, f64::max);
        let hidden = (variance + weights * product).sqrt();
        let count = planned.scales.len();
        Flooding {
            std,
            log2_distance: noise::log2_flooding_distance(count, self.quantile, hidden, std),
        }
    }

    fn form(&self, planned: &PlannedDownload, packing: Option<PackingDecomposition>) -> Form {
        if packing.is_some() {
            return Form::consecutive(planned.scales.len(), self.polynomial_size());
        }
        let step = planned.slot.checked_sub(self.analysis.uploads.len());
        let packed = step.filter(|&step| self.is_answer(step));
        match packed.and_then(|step| self.packed.get(&step)) {
            Some((_, packing)) => Form::packed(packing),
            None => Form::Lwe,
        }
    }

    /// Returns the packing with the fewest levels whose noise fits, or else the most precise.
    fn cheapest_packing(&self, count: usize, room: f64) -> Option<PackingDecomposition> {
        let candidates: Vec<_> = PackingDecomposition::candidates(self.parameters, count).collect();
        let found = candidates
            .iter()
            .find(|of| self.packing_variance(of, count) <= room);
        found.or(candidates.last()).copied()
    }

    fn packing_variance(&self, packing: &PackingDecomposition, count: usize) -> f64 {
        noise::packing_variance(self.parameters, packing, count.min(self.polynomial_size()))
    }

    /// Returns the fewest bytes of a coefficient whose rounding fits.
    fn download_bytes(&self, room: f64) -> usize {
        if self.download == Download::Full {
            return 8;
        }
        let rounding = |bytes| noise::rounding_variance(self.parameters, bytes);
        (2..8).find(|&bytes| rounding(bytes) <= room).unwrap_or(8)
    }
}
