//! Values looked up as they are: answers, so that what leaves is the output of a bootstrap, and uploads, so
//! that what goes on is an integer of the encoding whatever was encrypted.

use super::analyst::Analyst;
use super::filling::Filling;
use super::look_up::Wanted;
use super::planned_look_up::Purpose;
use super::value::DraftValue;
use crate::model::layer::{Activation, Function, Geometry};
use crate::model::quantise::QuantParams;
use crate::model::{NodeId, ValueId};

/// A value to be looked up as it is.
struct Same {
    /// The node that the look-up counts with.
    node: NodeId,
    purpose: Purpose,
    slots: Vec<usize>,
    filling: Filling,
    /// Per element: what is read, in reals.
    ranges: Vec<(f64, f64)>,
    /// As [`Wanted::units`].
    units: Vec<f64>,
    output: QuantParams,
}

impl Analyst<'_> {
    /// Looks up a node's value as it is; each channel has a scale of its own.
    ///
    /// One look-up serves all channels, of `number = real / unit`, where a channel's unit is the
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
        self.same(Same {
            node,
            purpose: Purpose::Protection,
            slots,
            filling,
            ranges,
            units,
            output: QuantParams::covering(lowest, 1.0, self.identity_bits),
        })
    }

    /// Looks up an upload as it is: its integers, all by one table, or fewer levels of them where they have more
    /// bits than a value that is looked up.
    ///
    /// *Whatever phase was uploaded, what goes on is an integer of the output's l..=h.* The table holds
    /// 2f - (l + h) for integers f of l..=h, and the other half of the turn reads it negated: there, an
    /// entry stands for the f' of 2f' - (l + h) = -(2f - (l + h)), which is f' = l + h - f, of l..=h again. The
    /// constant (l + h)/2 that centres the table is added behind it. Honest integers reach all of l..=h, whose
    /// steps are one of theirs wide or more, so that no upload makes the layers read what no honest one does.
    pub(super) fn gate(&mut self, value: ValueId) -> DraftValue {
        let uploaded = self.values[&value].clone();
        let count = uploaded.scales.len();
        let counted = DraftValue {
            scales: vec![1.0; count],
            offsets: vec![0.0; count],
            ..uploaded.clone()
        };
        let (term, bias, ranges) = Self::identity_term(&counted);
        let (low, high) = uploaded.range[0];
        let looked_up = self.same(Same {
            node: self.model.first_reader(value, &self.nodes),
            purpose: Purpose::Gate,
            slots: vec![uploaded.slot],
            filling: Filling {
                terms: vec![term],
                bias,
                geometry: Geometry::Other,
                channel_size: count,
                base: None,
                fills: Vec::new(),
            },
            ranges,
            units: Vec::new(),
            output: passed(low, high, self.identity_bits),
        });
        let scales = uploaded.scales.iter().zip(&looked_up.scales);
        DraftValue {
            scales: scales.map(|(real, level)| real * level).collect(),
            offsets: uploaded.offsets,
            ..looked_up
        }
    }

    fn same(&mut self, same: Same) -> DraftValue {
        let name = &self.model.node(same.node).name;
        let activation = Activation {
            function: Function::Identity,
            output: same.output,
        };
        let wanted = Wanted {
            name: match same.purpose {
                Purpose::Gate => format!("{name}: gate"),
                _ => format!("{name}: protection"),
            },
            node: same.node,
            at: same.node,
            activation: &activation,
            purpose: same.purpose,
            units: same.units,
            log2_p_leave: None,
        };
        self.look_up(wanted, same.slots, same.filling, &same.ranges)
    }
}

/// Returns what of the integers from `low` to `high` passes a gate: all of them, or as many levels as the bits
/// hold, zero among them.
fn passed(low: i64, high: i64, bits: u32) -> QuantParams {
    if high - low < 1 << bits {
        let scale = 1.0;
        return QuantParams { scale, low, high };
    }
    let levels = QuantParams::covering(low as f64, high as f64, bits);
    QuantParams {
        low: levels.quantise(low as f64),
        high: levels.quantise(high as f64),
        ..levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::{
        all_inputs, answers, dense, input, linear, network, relu, rows, walked, walked_in,
    };
    use crate::circuit::analysis::{NoiseBound, PlannedAction, analyse_to_end};
    use crate::circuit::compile::{Target, compile_placement};
    use crate::core::placement::Segment;
    use crate::model::layer::{Linear, MaxPool, Operation};
    use crate::model::output_mode::OutputMode;
    use crate::model::protection::Protection;
    use crate::model::{Input, Model};
    use std::collections::BTreeSet;

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
        analyst.identity_bits = 4;
        let value = analyst.protect(NodeId::new(0));
        assert_eq!(value.scales, [1.0 / 15.0 * 2.25]);
        assert_eq!(value.range, [(0, 15)]);
    }

    const GATED: OutputMode = OutputMode {
        answer: crate::model::answer::Answer::Logits,
        protect: Protection::Gate,
    };

    /// Returns a layer of two inputs of integers i that stand for 2i - 1 and 3i.
    fn of_two(max: u32) -> Model {
        let input = Input {
            scale: vec![2.0, 3.0],
            offset: vec![-1.0, 0.0],
            ..input(2, max)
        };
        network(input, vec![(vec![0], dense(&[&[1.0, -2.0]], &[0.5]))])
    }

    #[test]
    fn a_gate_gives_the_uploads_own_integers_or_fewer_levels_of_their_range() {
        let model = of_two(17);
        let passed = |bits| {
            let value = &walked_in(GATED, bits, &model, 0).values[&ValueId::INPUT];
            assert!(!value.fresh && value.aligned);
            assert_eq!(value.offsets, [-1.0, 0.0]);
            (value.scales.clone(), value.range.clone())
        };
        assert_eq!(passed(8), (vec![2.0, 3.0], vec![(0, 17); 2]));
        assert_eq!(passed(5), (vec![2.0, 3.0], vec![(0, 17); 2]));
        let level = 17.0 / 15.0;
        let scales = vec![2.0 * level, 3.0 * level];
        assert_eq!(passed(4), (scales, vec![(0, 15); 2]));
    }

    #[test]
    fn levels_keep_zero_and_whatever_ends_honest_integers_reach() {
        let of = |low, high, bits| {
            let QuantParams { scale, low, high } = super::passed(low, high, bits);
            (scale, low, high)
        };
        assert_eq!(of(-127, 127, 8), (1.0, -127, 127));
        assert_eq!(of(-127, 127, 4), (127.0 / 7.0, -7, 7));
        // 7 is 6.1 steps.
        assert_eq!(of(-8, 7, 4), (1.0, -8, 7));
        assert_eq!(of(-8, 7, 3), (8.0 / 3.0, -3, 3));
        assert_eq!(of(-100, 10, 4), (100.0 / 7.0, -7, 1));
    }

    #[test]
    fn the_layers_behind_a_gate_are_those_of_what_was_uploaded() {
        let model = of_two(17);
        let analysis = |mode| {
            let noise = NoiseBound::default();
            analyse_to_end(&model, &Segment::whole(1), mode, 8, noise).expect("fits")
        };
        let gated = analysis(GATED);
        assert_eq!(gated.look_up_count(), 2);
        assert_eq!(gated.look_up_names(), "layer0: gate");
        assert!(gated.steps.iter().all(|step| step.composed.is_empty()));
        let inputs = [vec![0, 0], vec![17, 3], vec![5, 16]];
        let scale = gated.downloads[0].scales[0];
        for (input, answer) in inputs.iter().zip(answers(&gated, &inputs)) {
            let real = 2.0 * input[0] as f64 - 1.0 - 2.0 * 3.0 * input[1] as f64 + 0.5;
            let found = answer[0] as f64 * scale;
            // Weights of eight bits err by half of one in 127 each.
            let room = (17.0 * 5.0) / 254.0 * 2.0;
            assert!(
                (found - real).abs() <= room,
                "{input:?}: {found} for {real}"
            );
        }
        let plain = analysis(OutputMode::default());
        assert_eq!((plain.look_up_count(), plain.steps.len()), (0, 1));
        let inputs = [rows(&inputs)];
        assert_eq!(plain.run(&inputs, &mut |_, _, _| {})[0].len(), 1);
        assert!(matches!(gated.steps[0].action, PlannedAction::Linear(_)));
    }

    #[test]
    fn pools_and_activations_read_what_has_passed() {
        let windows = vec![vec![0, 1]];
        let pool = (vec![0], Operation::MaxPool(MaxPool { windows }));
        let relu = (vec![1], Operation::Activation(relu(1.0, 2)));
        let model = network(input(2, 3), vec![pool, relu]);
        let noise = NoiseBound::default();
        let analysis = analyse_to_end(&model, &Segment::whole(2), GATED, 8, noise).expect("fits");
        assert_eq!(analysis.look_up_count(), 2 + 1 + 1);
        let inputs = all_inputs(2, 3);
        for (input, answer) in inputs.iter().zip(answers(&analysis, &inputs)) {
            let largest = input[0].max(input[1]);
            assert_eq!(answer, [largest.min(2)], "{input:?}");
        }
    }

    #[test]
    fn every_phase_of_the_turn_is_looked_up_to_what_an_honest_upload_is() {
        for max in [1, 3, 16, 200, 255] {
            let model = of_two(max);
            let target = Target {
                output_mode: GATED,
                ..Target::usual()
            };
            let placement = "S".parse().expect("a letter");
            let programs = compile_placement(&model, &placement, &target).expect("compiles");
            let program = &programs[0];
            let gate = program.look_ups().next().expect("one");
            assert_eq!(gate.purpose, Purpose::Gate);
            let table = gate.table(0);
            let cells = 2 * table.values.len() as u64;
            let of_turn: BTreeSet<i64> = (0..cells)
                .map(|cell| gate.read(table, cell << (64 - cells.ilog2())))
                .collect();
            let step = program.upload_steps[0];
            let honest: BTreeSet<i64> = (0..=i64::from(max))
                .map(|integer| gate.read_integer(0, integer * step))
                .collect();
            assert_eq!(of_turn, honest, "{max}");
            assert_eq!(of_turn.len() as u64, gate.output_steps() + 1);
        }
    }
}
