//! Max pooling as a tree of comparisons: `max(a, b) = b + relu(a - b)`.

use std::sync::Arc;

use super::analyst::Analyst;
use super::draft::DraftStep;
use super::filling::{Filling, FillingTerm};
use super::look_up::Wanted;
use super::planned::Term;
use super::planned_look_up::Purpose;
use super::value::DraftValue;
use crate::core::linear_map::{Block, LinearMap, PADDING};
use crate::model::NodeId;
use crate::model::layer::{Activation, Function, Geometry, MaxPool};
use crate::model::quantise::QuantParams;

impl Analyst<'_> {
    /// Pools a value whose elements are all on one scale.
    pub(super) fn max_pool(&mut self, node: NodeId, pool: &MaxPool) -> DraftValue {
        let mut value = self.values[&self.model.node(node).inputs[0]].clone();
        let mut windows = pool.windows.clone();
        let (low, high) = value.range[0];
        for rounds in 1.. {
            value = self.compare(node, value, &mut windows, high - low);
            // What the next round compares has grown by the deviations of this one and those before.
            let most = high + self.noise.overshoot(rounds, high - low);
            value.range.fill((low, most));
            if windows.iter().all(|window| window.len() == 1) {
                break;
            }
        }
        value
    }

    /// Halves the windows: compares their elements two by two and keeps the larger, for elements
    /// that differ by `width` at most where none deviates.
    fn compare(
        &mut self,
        node: NodeId,
        value: DraftValue,
        windows: &mut [Vec<u32>],
        width: i64,
    ) -> DraftValue {
        let mut pairs = Vec::new();
        // Per element that is kept: the one that it was at least, and the pair that adds to it.
        let mut kept: Vec<(u32, u32)> = Vec::new();
        for window in windows.iter_mut() {
            let first = kept.len() as u32;
            for elements in window.chunks(2) {
                kept.push(match *elements {
                    [left, right] => {
                        pairs.push([left, right]);
                        (right, pairs.len() as u32 - 1)
                    }
                    _ => (elements[0], PADDING),
                });
            }
            *window = (first..kept.len() as u32).collect();
        }
        let count = value.scales.len();
        let gather = |place: fn(&(u32, u32)) -> u32, count| {
            select(kept.iter().map(place), count, kept.len())
        };
        let mut terms = vec![Term::Matrix(gather(|kept| kept.0, count))];
        let mut slots = vec![value.slot];
        if !pairs.is_empty() {
            let larger = self.larger(node, &value, &pairs, width);
            self.groups.join(value.group, larger.group);
            terms.push(Term::Matrix(gather(|kept| kept.1, pairs.len())));
            slots.push(larger.slot);
        }
        let draft = DraftStep::Natural {
            terms,
            bias: vec![0; kept.len()],
            geometry: Geometry::Other,
            group: value.group,
        };
        let slot = self.push(node, slots, draft);
        let of_kept = |list: &[f64]| kept.iter().map(|kept| list[kept.0 as usize]).collect();
        DraftValue {
            slot,
            group: value.group,
            scales: of_kept(&value.scales),
            offsets: of_kept(&value.offsets),
            range: kept
                .iter()
                .map(|kept| value.range[kept.0 as usize])
                .collect(),
            fresh: false,
            aligned: value.aligned,
        }
    }

    /// Looks up by how much the first of each pair exceeds the second, up to `width`, or else zero.
    fn larger(
        &mut self,
        node: NodeId,
        value: &DraftValue,
        pairs: &[[u32; 2]],
        width: i64,
    ) -> DraftValue {
        let (scale, (low, high)) = (value.scales[0], value.range[0]);
        let activation = Activation {
            function: Function::Relu,
            output: QuantParams {
                scale,
                low: 0,
                high: width,
            },
        };
        let reach = (high - low) as f64 * scale;
        let ranges = vec![(-reach, reach); pairs.len()];
        let wanted = Wanted {
            name: self.model.node(node).name.clone(),
            node,
            at: node,
            activation: &activation,
            purpose: Purpose::Activation,
            units: Vec::new(),
            log2_p_leave: Some(if high - low > width {
                self.noise.log2_p_fail_lookup
            } else {
                f64::NEG_INFINITY
            }),
        };
        self.look_up(wanted, vec![value.slot], differences(value, pairs), &ranges)
    }
}

/// Returns the weights in front of look-ups that give the first of each pair less the second, for a
/// value on one scale.
pub(super) fn differences(value: &DraftValue, pairs: &[[u32; 2]]) -> Filling {
    let weights: Arc<[f32]> = [1.0, -1.0].into();
    let blocks = pairs.iter().enumerate().map(|(index, pair)| Block {
        weights: Arc::clone(&weights),
        inputs: pair.to_vec(),
        outputs: vec![index as u32],
    });
    let map = LinearMap {
        input_count: value.scales.len(),
        output_count: pairs.len(),
        blocks: blocks.collect(),
    };
    exact_filling(value, map, vec![0.0; pairs.len()])
}

/// Returns the weights in front of look-ups that add up elements of a value on one scale by whole
/// factors, and a bias in reals; one table serves all.
pub(super) fn exact_filling(value: &DraftValue, map: LinearMap<f32>, bias: Vec<f64>) -> Filling {
    let count = bias.len();
    Filling {
        terms: vec![FillingTerm {
            group: value.group,
            aligned: value.aligned,
            input_scales: value.scales.clone(),
            map: Some(map),
            natural: vec![(value.scales[0], true); count],
        }],
        bias,
        geometry: Geometry::Other,
        channel_size: count,
        base: None,
        fills: Vec::new(),
    }
}

/// Returns the map that copies elements; zero where [`PADDING`] is named.
fn select(
    elements: impl Iterator<Item = u32>,
    input_count: usize,
    output_count: usize,
) -> LinearMap<u64> {
    let one: Arc<[u64]> = [1].into();
    let blocks = elements.enumerate().map(|(index, element)| Block {
        weights: Arc::clone(&one),
        inputs: vec![element],
        outputs: vec![index as u32],
    });
    LinearMap {
        input_count,
        output_count,
        blocks: blocks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyse;
    use crate::circuit::analysis::analyst::fixture::{
        all_inputs, answers, input, network, rows, value, walked,
    };
    use crate::core::placement::Segment;
    use crate::model::layer::Operation;
    use crate::model::{Model, ValueId};

    #[test]
    fn the_larger_of_each_pair_is_in_its_difference() {
        let value = value(&[0.5; 3], &[(0, 3); 3]);
        let filling = differences(&value, &[[2, 0], [0, 1]]);
        let [term] = &filling.terms[..] else {
            panic!("one term");
        };
        let map = term.map.as_ref().expect("weights");
        assert_eq!(map.apply_to(&[1.0, 10.0, 100.0]), [99.0, -9.0]);
        assert_eq!(term.natural, [(0.5, true); 2]);
        assert_eq!((filling.channel_size, filling.bias), (2, vec![0.0; 2]));
    }

    #[test]
    fn elements_are_copied_and_padding_is_zero() {
        let map = select([2, PADDING, 0].into_iter(), 3, 3);
        let copied = map.apply(&rows(&[vec![10, 20, 30]]));
        assert_eq!(copied, rows(&[vec![30, 0, 10]]));
    }

    fn pool() -> Model {
        let windows = vec![vec![0, 1, 2, 3], vec![1, 3], vec![2]];
        let pool = Operation::MaxPool(MaxPool { windows });
        network(input(4, 2), vec![(vec![0], pool)])
    }

    #[test]
    fn a_pool_is_the_largest_of_each_window() {
        let analysis = analyse(&pool(), &Segment::whole(1)).expect("fits");
        let inputs = all_inputs(4, 2);
        for (input, answer) in inputs.iter().zip(answers(&analysis, &inputs)) {
            let largest = input[0].max(input[1]).max(input[2]).max(input[3]);
            assert_eq!(
                answer,
                [largest, input[1].max(input[3]), input[2]],
                "{input:?}"
            );
        }
        assert_eq!(analysis.look_up_count(), 4, "one for each comparison");
    }

    #[test]
    fn each_round_has_room_for_the_deviations_of_those_before() {
        let model = pool();
        let analyst = walked(&model, 1);
        let most = |rounds| 2 + analyst.noise.overshoot(rounds, 2);
        assert!(most(1) > 2);
        assert_eq!(analyst.values[&ValueId::new(1)].range, [(0, most(2)); 3]);
        let analysis = analyse(&model, &Segment::whole(1)).expect("fits");
        let rounds: Vec<(f64, f64, Option<f64>)> = analysis
            .look_ups()
            .map(|look_up| {
                let channel = &look_up.channels[0];
                let real = |integer: f64| (integer * channel.scale * 1e6).round() / 1e6;
                (real(channel.low), real(channel.high), look_up.log2_p_leave)
            })
            .collect();
        // No noise has touched what the first compares; the second reads what the first has made.
        let reach = most(1) as f64;
        let log2_p_fail = analyst.noise.log2_p_fail_lookup;
        assert_eq!(
            rounds,
            [
                (-2.0, 2.0, Some(f64::NEG_INFINITY)),
                (-reach, reach, Some(log2_p_fail))
            ]
        );
    }
}
