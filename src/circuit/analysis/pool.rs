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
use crate::model::layer::{Activation, Function, Geometry, MaxPool};
use crate::model::quantise::QuantParams;

impl Analyst<'_> {
    /// Pools a value whose elements are all on one scale.
    pub(super) fn max_pool(&mut self, node: usize, pool: &MaxPool) -> DraftValue {
        let mut value = self.values[&self.model.nodes[node].inputs[0]].clone();
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
        node: usize,
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
        node: usize,
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
            name: self.model.nodes[node].name.clone(),
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
