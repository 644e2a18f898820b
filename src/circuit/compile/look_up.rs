//! Look-ups of a program: tables, noise, and the probability that they fail.

use super::compiler::Compiler;
use crate::circuit::analysis::PlannedLookUp;
use crate::circuit::program::LookUpStep;
use crate::core::torus::TURN;
use crate::fhe::noise;
use crate::model::NodeId;

impl Compiler<'_> {
    /// Returns the variance of a step deviation of the look-ups that reach what stands in a slot, in
    /// steps, at most; none where the slot's range has room for whatever they are.
    ///
    /// Of values that lie anywhere within a step, a deviation is the noise of s steps and the
    /// rounding errors of the value with it and without: s² + 1/12 + 1/12.
    pub(super) fn deviation(&self, slot: usize, look_up: &PlannedLookUp, unit: u64) -> Option<f64> {
        if look_up.log2_p_leave.is_some() {
            return None;
        }
        let fraction = unit as f64 / TURN;
        let sources = self.analysis.look_ups_behind(slot);
        let variances =
            sources.map(|source| source.step_noise(&self.noise, fraction).powi(2) + 1.0 / 6.0);
        Some(variances.fold(0.0, f64::max))
    }

    /// Compiles a look-up and counts its failures: of values in their range, which fail by noise
    /// alone, and of those that deviations of earlier look-ups carry out of it. From a calibrated
    /// range that is its own margin and the noise margin away from a failure, which noise and deviations
    /// make together.
    pub(super) fn look_up(
        &mut self,
        node: NodeId,
        look_up: &PlannedLookUp,
        deviation: Option<f64>,
        unit: u64,
    ) -> LookUpStep {
        let fraction = unit as f64 / TURN;
        let gains = look_up.gains.iter();
        let sigma: Vec<f64> = gains.map(|gain| self.noise.look_up_sigma(gain)).collect();
        for (element, sigma) in sigma.iter().enumerate() {
            let channel = &look_up.channels[element / look_up.elements_per_table];
            let noise_margin = channel.noise_margin(unit);
            let leaves = match (look_up.log2_p_leave, deviation) {
                (Some(log2_p_leave), _) => log2_p_leave,
                (None, None | Some(0.0)) => f64::NEG_INFINITY,
                (None, Some(deviation)) => {
                    let deviations = look_up.gains[element].steps * fraction.powi(2) * deviation;
                    let room = noise_margin + channel.margin() * fraction;
                    noise::log2_two_sided_tail(room / (sigma.powi(2) + deviations).sqrt())
                }
            };
            let tail = noise::log2_two_sided_tail(noise_margin / sigma);
            self.log2_p_fail.extend([tail, leaves]);
            let worst = self.log2_p_fail_lookup.get_or_insert(tail);
            *worst = worst.max(tail);
        }
        let (size, centre) = (self.polynomial_size(), look_up.centre);
        let tables = look_up
            .channels
            .iter()
            .map(|channel| channel.table(unit, size, &look_up.activation, centre));
        LookUpStep {
            purpose: look_up.purpose,
            node,
            tables: tables.collect(),
            elements_per_table: look_up.elements_per_table,
            sigma,
            unit,
            output_step: look_up.output_step,
            centre,
        }
    }
}
