//! The largest logit under encryption: each pair is compared by a look-up, and a class wins whose
//! comparisons all say so.
//!
//! With s_ij = 1 where l_i ≥ l_j and else 0, for i < j, class i beats a later j where s_ij, and an
//! earlier j where not s_ji, so that the first of equals wins. What two classes that both lose say
//! of each other changes no label. Before a comparison all logits lie on one scale, so that without
//! noise the comparisons are those of integers, and exactly one class wins.

use std::sync::Arc;

use super::analyst::Analyst;
use super::look_up::Wanted;
use super::planned_look_up::Purpose;
use super::pool::{differences, exact_filling};
use super::value::DraftValue;
use crate::core::linear_map::{Block, LinearMap};
use crate::model::NodeId;
use crate::model::answer::conjunction;
use crate::model::layer::{Activation, Function, function::Polynomial};
use crate::model::quantise::QuantParams;

/// A bit, or its negation.
#[derive(Debug, Clone, Copy)]
struct Literal {
    element: u32,
    negated: bool,
}

impl Analyst<'_> {
    /// Looks up which element of a node's value is the largest: one for it, zero for all others.
    pub(super) fn label(&mut self, node: NodeId) -> DraftValue {
        let logits = self.comparable(node);
        let classes = logits.scales.len() as u32;
        let pairs: Vec<[u32; 2]> = (0..classes)
            .flat_map(|i| (i + 1..classes).map(move |j| [i, j]))
            .collect();
        let mut bits = self.compare_all(node, &logits, &pairs);
        let mut literals: Vec<Vec<Literal>> = vec![Vec::new(); classes as usize];
        for (element, &[first, second]) in pairs.iter().enumerate() {
            let element = element as u32;
            let literal = |negated| Literal { element, negated };
            literals[first as usize].push(literal(false));
            literals[second as usize].push(literal(true));
        }
        loop {
            let (together, look_ups) = conjunction(literals[0].len());
            let conjoined: Vec<&[Literal]> = literals
                .iter()
                .flat_map(|literals| literals.chunks(together))
                .collect();
            bits = self.conjoin(node, &bits, &conjoined, together);
            if look_ups == 1 {
                return bits;
            }
            let of_class = |class: u32| {
                let elements = class * look_ups as u32..(class + 1) * look_ups as u32;
                elements.map(|element| Literal {
                    element,
                    negated: false,
                })
            };
            literals = (0..classes)
                .map(|class| of_class(class).collect())
                .collect();
        }
    }

    /// Returns logits on one scale, shifted to where rounding them to that leaves their means.
    fn comparable(&mut self, node: NodeId) -> DraftValue {
        let is_uniform = |list: &[f64]| list.iter().all(|&one| one == list[0]);
        let known = self.values.get(&node.value());
        match known.filter(|known| is_uniform(&known.scales) && is_uniform(&known.offsets)) {
            Some(known) => known.clone(),
            // As that of a layer, the correction is for inputs that look-ups have rounded.
            None if self.linear.is_fresh(node.value()) => self.on_one_scale(node, &[]),
            None => self.on_one_scale(node, &self.model.label_correction),
        }
    }

    /// Looks up for each pair whether the first is as large as the second.
    fn compare_all(&mut self, node: NodeId, logits: &DraftValue, pairs: &[[u32; 2]]) -> DraftValue {
        let scale = logits.scales[0];
        let real = |integer: i64| integer as f64 * scale;
        let range = pairs.iter().map(|[first, second]| {
            let (first, second) = (
                logits.range[*first as usize],
                logits.range[*second as usize],
            );
            (real(first.0 - second.1), real(first.1 - second.0))
        });
        // Halfway between equal logits and those that differ by one.
        let activation = step_at(-scale / 2.0);
        let wanted = Wanted {
            name: format!("{}: comparisons", self.model.node(node).name),
            node,
            at: node,
            activation: &activation,
            purpose: Purpose::Comparison,
            units: Vec::new(),
            // All differences of its integers fit.
            log2_p_leave: Some(f64::NEG_INFINITY),
        };
        let ranges: Vec<(f64, f64)> = range.collect();
        self.look_up(
            wanted,
            vec![logits.slot],
            differences(logits, pairs),
            &ranges,
        )
    }

    /// Looks up for each group of bits whether all are set; a group that lacks some of `together`
    /// is filled up with set ones.
    ///
    /// `Σ bits - Σ negated bits + bias` counts the literals that hold: a negated bit that is not set
    /// counts as one, and so does each literal that the group lacks. All hold from `together` on.
    fn conjoin(
        &mut self,
        node: NodeId,
        bits: &DraftValue,
        groups: &[&[Literal]],
        together: usize,
    ) -> DraftValue {
        let blocks = groups.iter().enumerate().map(|(index, literals)| {
            let weight = |literal: &Literal| if literal.negated { -1.0 } else { 1.0 };
            Block {
                weights: literals.iter().map(weight).collect::<Arc<[f32]>>(),
                inputs: literals.iter().map(|literal| literal.element).collect(),
                outputs: vec![index as u32],
            }
        });
        let map = LinearMap {
            input_count: bits.scales.len(),
            output_count: groups.len(),
            blocks: blocks.collect(),
        };
        let bias = groups.iter().map(|literals| {
            let negated = literals.iter().filter(|literal| literal.negated).count();
            (negated + together - literals.len()) as f64
        });
        let activation = step_at(together as f64 - 0.5);
        let wanted = Wanted {
            name: format!("{}: label", self.model.node(node).name),
            node,
            at: node,
            activation: &activation,
            purpose: Purpose::Conjunction,
            units: Vec::new(),
            log2_p_leave: Some(f64::NEG_INFINITY),
        };
        let filling = exact_filling(bits, map, bias.collect());
        let ranges = vec![(0.0, together as f64); groups.len()];
        self.look_up(wanted, vec![bits.slot], filling, &ranges)
    }
}

/// Returns the function that is one from `threshold` on and zero below.
fn step_at(threshold: f64) -> Activation {
    Activation {
        // x + 1/2 - threshold, rounded to whole numbers, a half up, and clipped.
        function: Function::Polynomial(Polynomial {
            coefficients: vec![0.5 - threshold, 1.0],
        }),
        output: QuantParams {
            scale: 1.0,
            low: 0,
            high: 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::{
        all_inputs, answers, identity, input, network,
    };
    use crate::circuit::analysis::{Analysis, NoiseBound, analyse_to_end};
    use crate::core::placement::Segment;
    use crate::model::answer::Answer;
    use crate::model::output_mode::OutputMode;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_step_is_one_from_its_threshold_on() {
        for threshold in [-0.5, 0.0, 2.5] {
            let step = step_at(threshold);
            let found =
                [-9.0, -0.01, 0.0, 0.01, 9.0].map(|beyond| step.quantised(threshold + beyond));
            assert_eq!(found, [0, 0, 1, 1, 1], "{threshold}");
        }
    }

    /// Returns the analysis of the largest of so many logits, which the client uploads.
    fn labelled(classes: usize, max: u32) -> Analysis {
        let model = network(input(classes, max), vec![(vec![0], identity(classes))]);
        let mode = OutputMode {
            answer: Answer::Label,
            ..OutputMode::default()
        };
        let noise = NoiseBound::default();
        analyse_to_end(&model, &Segment::whole(1), mode, 8, noise).expect("fits")
    }

    fn check(analysis: &Analysis, inputs: &[Vec<i64>]) {
        for (logits, answer) in inputs.iter().zip(answers(analysis, inputs)) {
            let largest = logits.iter().max();
            let first = logits.iter().position(|logit| Some(logit) == largest);
            let expected = (0..logits.len()).map(|class| i64::from(Some(class) == first));
            assert_eq!(answer, expected.collect::<Vec<_>>(), "{logits:?}");
        }
    }

    #[test]
    fn the_first_of_the_largest_logits_wins() {
        let analysis = labelled(3, 3);
        check(&analysis, &all_inputs(3, 3));
        assert_eq!(analysis.look_up_count(), 3 + 3);
    }

    #[test]
    fn comparisons_beyond_those_of_one_look_up_are_conjoined_in_rounds() {
        // Eleven comparisons of each of twelve classes: six and five, and both together.
        let analysis = labelled(12, 4);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut logits = || (0..12).map(|_| random.random_range(0..=4)).collect();
        let inputs: Vec<Vec<i64>> = (0..200).map(|_| logits()).collect();
        check(&analysis, &inputs);
        assert_eq!(analysis.look_up_count(), 66 + 12 * 2 + 12);
    }
}
