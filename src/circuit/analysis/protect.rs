//! An answer looked up as it is, so that what leaves is the output of a bootstrap.

use super::analyst::Analyst;
use super::look_up::Wanted;
use super::planned_look_up::Purpose;
use super::value::DraftValue;
use crate::model::NodeId;
use crate::model::layer::{Activation, Function};
use crate::model::quantise::QuantParams;

impl Analyst<'_> {
    /// Looks up a node's value as it is; each channel has a scale of its own.
    ///
    /// One activation serves all channels, of `number = real / unit`, where a channel's unit is the
    /// widest end of its range: numbers lie between -1 and 1.
    pub(super) fn protect(&mut self, node: NodeId) -> DraftValue {
        let (slots, filling, ranges) = self.filling(node.value());
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
            name: format!("{}: protection", self.model.node(node).name),
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

#[cfg(test)]
mod tests {
    use crate::circuit::analysis::analyst::fixture::{input, linear, network, walked};
    use crate::model::layer::{Linear, Operation};
    use crate::model::{Model, NodeId};

    /// Returns a layer of one input from 0 to 3, with the calibrated range of each output.
    fn layer(rows: &[&[f32]], range: &[(f32, f32)]) -> Model {
        let linear = Operation::Linear(Linear {
            range: range.to_vec(),
            ..linear(rows, &vec![0.0; rows.len()])
        });
        network(input(1, 3), vec![(vec![0], linear)])
    }

    #[test]
    fn each_channel_counts_in_its_own_widest_end() {
        let wide = (-100.0, 100.0);
        let model = layer(&[&[1.0], &[-2.0], &[0.0]], &[wide, wide, (0.0, 0.0)]);
        let value = walked(&model, 0).protect(NodeId::new(0));
        // Worst cases of 0 to 3 and -6 to 0, and a sixteenth at either end; nothing counts in ones.
        let units = [3.1875, 6.375, 1.0];
        assert_eq!(value.scales, units.map(|unit| 1.0 / 127.0 * unit));
        assert_eq!(value.range, [(-127, 127); 3]);
    }

    #[test]
    fn answers_without_negative_numbers_use_all_bits_from_zero_on() {
        // Widened by a quarter, 0.75 to 2.25.
        let model = layer(&[&[1.0]], &[(1.0, 2.0)]);
        let mut analyst = walked(&model, 0);
        analyst.protect_bits = 4;
        let value = analyst.protect(NodeId::new(0));
        assert_eq!(value.scales, [1.0 / 15.0 * 2.25]);
        assert_eq!(value.range, [(0, 15)]);
    }
}
