//! How much of the sources' noise reaches each element of a value: carried through the steps.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::gain::Gain;
use super::planned::{Analysis, PlannedAction, Term};
use super::planned_look_up::PlannedLookUp;
use crate::core::linear_map::PADDING;

/// Returns the gain of each element of a slot, of which the steps before it are planned.
pub fn gains(analysis: &Analysis, slot: usize) -> Vec<Gain> {
    let uploads = analysis.uploads.len();
    let places: BTreeMap<usize, Vec<Vec<(u32, u32)>>> = ancestors(analysis, slot)
        .into_iter()
        .map(|slot| {
            let PlannedAction::Linear(linear) = &analysis.steps[slot - uploads].action else {
                unreachable!("only linear steps lie between sources");
            };
            let of = |term: &Term| match term {
                Term::Matrix(map) => map.locate_outputs(),
                Term::Scale(_) => Vec::new(),
            };
            (slot, linear.terms.iter().map(of).collect())
        })
        .collect();
    let count = element_count(analysis, slot);
    (0..count)
        .into_par_iter()
        .map(|element| gain(analysis, &places, slot, element as u32))
        .collect()
}

impl Analysis {
    /// Returns the look-ups whose outputs reach a slot by linear steps alone.
    pub fn look_ups_behind(&self, slot: usize) -> impl Iterator<Item = &PlannedLookUp> {
        let uploads = self.uploads.len();
        let slots = ancestors(self, slot).into_iter();
        let linear = slots.map(move |slot| slot - uploads);
        let read = linear.flat_map(|step| &self.steps[step].inputs);
        let made = read.filter_map(move |slot| slot.checked_sub(uploads));
        made.filter_map(|step| match &self.steps[step].action {
            PlannedAction::LookUp(look_up) => Some(look_up),
            PlannedAction::Linear(_) => None,
        })
    }
}

/// Returns the linear slots from the nearest sources to a slot, itself included.
fn ancestors(analysis: &Analysis, slot: usize) -> Vec<usize> {
    let Some(step) = slot
        .checked_sub(analysis.uploads.len())
        .map(|i| &analysis.steps[i])
    else {
        return Vec::new();
    };
    if matches!(step.action, PlannedAction::LookUp(_)) {
        return Vec::new();
    }
    let before = step
        .inputs
        .iter()
        .flat_map(|&input| ancestors(analysis, input));
    let mut slots: Vec<usize> = before.chain([slot]).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn element_count(analysis: &Analysis, slot: usize) -> usize {
    match slot.checked_sub(analysis.uploads.len()) {
        None => analysis.uploads[slot].quantisation.scales.len(),
        Some(step) => match &analysis.steps[step].action {
            PlannedAction::Linear(linear) => linear.bias.len(),
            PlannedAction::LookUp(look_up) => look_up.gains.len(),
        },
    }
}

/// Returns the gain of an element of a slot.
///
/// Weights are pulled back from slot to slot, the last first: all that read a slot lie behind it, so
/// that the weights of all ways have met before they are squared.
fn gain(
    analysis: &Analysis,
    places: &BTreeMap<usize, Vec<Vec<(u32, u32)>>>,
    slot: usize,
    element: u32,
) -> Gain {
    // Weights on the elements of each slot, from the last slot back to the sources.
    let mut weights: BTreeMap<usize, Vec<(u32, f64)>> =
        BTreeMap::from([(slot, vec![(element, 1.0)])]);
    let uploads = analysis.uploads.len();
    let mut gain = Gain::default();
    while let Some((slot, mut on_slot)) = weights.pop_last() {
        merge(&mut on_slot);
        let Some(places) = places.get(&slot) else {
            let squares: f64 = on_slot.iter().map(|(_, weight)| weight * weight).sum();
            match slot
                .checked_sub(uploads)
                .map(|step| &analysis.steps[step].action)
            {
                Some(PlannedAction::LookUp(source)) => {
                    gain.look_up += squares;
                    gain.steps += squares * (source.output_step as f64).powi(2);
                }
                _ => gain.fresh += squares,
            }
            continue;
        };
        let step = &analysis.steps[slot - uploads];
        let PlannedAction::Linear(linear) = &step.action else {
            unreachable!("only linear steps have places");
        };
        for ((term, places), &input) in linear.terms.iter().zip(places).zip(&step.inputs) {
            let on_input = weights.entry(input).or_default();
            pull_back(term, places, &on_slot, on_input);
        }
    }
    gain
}

/// Adds up the weights on each element.
fn merge(weights: &mut Vec<(u32, f64)>) {
    weights.sort_unstable_by_key(|&(element, _)| element);
    weights.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
}

/// Adds the weights on a term's input, given weights on its output: `w_input = Σ w_output · weight`.
fn pull_back(
    term: &Term,
    places: &[(u32, u32)],
    on_output: &[(u32, f64)],
    on_input: &mut Vec<(u32, f64)>,
) {
    for &(element, factor) in on_output {
        match term {
            Term::Scale(factors) => {
                on_input.push((element, factor * factors[element as usize] as f64));
            }
            Term::Matrix(map) => {
                let (block, row) = places[element as usize];
                let block = &map.blocks[block as usize];
                let depth = block.inputs.len();
                let weights = &block.weights[row as usize * depth..][..depth];
                let taps = block.inputs.iter().zip(weights);
                let inside = taps.filter(|&(&input, _)| input != PADDING);
                on_input.extend(inside.map(|(&i, &weight)| (i, factor * weight as i64 as f64)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::{analysis, looked_up, matrix, sum};
    use crate::core::linear_map::LinearMap;
    use proptest::prelude::*;

    fn fresh(fresh: f64) -> Gain {
        Gain {
            fresh,
            ..Gain::default()
        }
    }

    #[test]
    fn a_gain_is_the_square_of_the_weights() {
        let step = |term| analysis(&[2], vec![(vec![0], sum(vec![term], 1))]);
        assert_eq!(gains(&step(matrix(&[3, -4], 2)), 1), [fresh(25.0)]);
        assert_eq!(gains(&step(Term::Scale(vec![-3])), 1), [fresh(9.0)]);
        assert_eq!(gains(&step(matrix(&[3, -4], 2)), 0), [fresh(1.0); 2]);
        let mut padded = LinearMap::dense(&[3, 5], 2);
        padded.blocks[0].inputs[1] = PADDING;
        assert_eq!(gains(&step(Term::Matrix(padded)), 1), [fresh(9.0)]);
    }

    #[test]
    fn ways_from_one_source_add_up_before_they_are_squared() {
        // (x + y) - x is y.
        let first = sum(vec![matrix(&[1, 1, 1, 0], 2)], 2);
        let second = sum(vec![matrix(&[1, -1], 2)], 1);
        let in_a_row = analysis(&[2], vec![(vec![0], first), (vec![1], second)]);
        assert_eq!(gains(&in_a_row, 2), [fresh(1.0)]);
        // Two terms on one source: 3x - x; on two sources they are independent.
        let terms = || vec![Term::Scale(vec![3]), Term::Scale(vec![-1])];
        let same = analysis(&[1], vec![(vec![0, 0], sum(terms(), 1))]);
        assert_eq!(gains(&same, 1), [fresh(4.0)]);
        let apart = analysis(&[1, 1], vec![(vec![0, 1], sum(terms(), 1))]);
        assert_eq!(gains(&apart, 2), [fresh(10.0)]);
    }

    #[test]
    fn look_ups_are_sources_whose_steps_count() {
        let looked_up = PlannedAction::LookUp(looked_up(2, 8));
        let terms = vec![matrix(&[1, 2], 2), matrix(&[3, 0], 2)];
        let steps = vec![(vec![0], looked_up), (vec![1, 0], sum(terms, 1))];
        let analysis = analysis(&[2], steps);
        let source = Gain {
            fresh: 0.0,
            look_up: 1.0,
            steps: 64.0,
        };
        assert_eq!(gains(&analysis, 1), [source; 2]);
        let both = Gain {
            fresh: 9.0,
            look_up: 5.0,
            steps: 5.0 * 64.0,
        };
        assert_eq!(gains(&analysis, 2), [both]);
        let behind = |slot| analysis.look_ups_behind(slot).count();
        assert_eq!([behind(0), behind(1), behind(2)], [0, 0, 1]);
    }

    proptest! {
        #[test]
        fn a_matrix_carries_its_squared_norms_and_a_factor_its_square(
            weights in prop::collection::vec(-99i64..100, 6), factors in prop::array::uniform2(-9i64..10),
        ) {
            let Term::Matrix(map) = matrix(&weights, 3) else {
                unreachable!("a matrix");
            };
            let norms = map.squared_norms();
            let first = sum(vec![Term::Matrix(map)], 2);
            let second = sum(vec![Term::Scale(factors.to_vec())], 2);
            let analysis = analysis(&[3], vec![(vec![0], first), (vec![1], second)]);
            for (element, norm) in norms.into_iter().enumerate() {
                prop_assert_eq!(gains(&analysis, 1)[element], fresh(norm));
                let square = (factors[element] as f64).powi(2);
                prop_assert_eq!(gains(&analysis, 2)[element], fresh(norm * square));
            }
        }
    }
}
