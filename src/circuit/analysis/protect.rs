//! An answer looked up as it is, so that what leaves is the output of a bootstrap.

use super::analyst::Analyst;
use super::look_up::Wanted;
use super::planned_look_up::Purpose;
use super::value::DraftValue;
use crate::model::layer::{Activation, Function};
use crate::model::quantise::QuantParams;

impl Analyst<'_> {
    /// Looks up a value as it is; each channel has a scale of its own.
    ///
    /// One activation serves all channels, of `number = real / unit`, where a channel's unit is the
    /// widest end of its range: numbers lie between -1 and 1.
    pub(super) fn protect(&mut self, value: usize) -> DraftValue {
        let node = value - 1;
        let (slots, filling, ranges) = self.filling(value);
        let unit = |ranges: &[(f64, f64)]| {
            let ends = ranges.iter().map(|(low, high)| low.abs().max(high.abs()));
            let reach = ends.fold(0.0, f64::max);
            if reach > 0.0 { reach } else { 1.0 }
        };
        let units: Vec<f64> = ranges.chunks(filling.channel_size).map(unit).collect();
        let channels = ranges.chunks(filling.channel_size).zip(&units);
        let lows = channels.flat_map(|(ranges, unit)| ranges.iter().map(move |r| r.0 / unit));
        let lowest = lows.fold(0.0, f64::min);
        let activation = Activation {
            function: Function::Identity,
            output: QuantParams::covering(lowest, 1.0, self.protect_bits),
        };
        let wanted = Wanted {
            name: format!("{}: protection", self.model.nodes[node].name),
            node,
            at: node,
            activation: &activation,
            purpose: Purpose::Protection,
            units,
            log2_p_leave: None,
        };
        self.look_up(wanted, slots, filling, &ranges)
    }
}
