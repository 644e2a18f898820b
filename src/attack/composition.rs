//! Several linear steps as one map, composed from the outputs backwards, so that only what an output
//! reads is ever held, and weights that no path leads to do not count.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::circuit::analysis::Term;
use crate::circuit::program::{Action, Program, Step};
use crate::core::linear_map::{Block, LinearMap, PADDING};

/// Numbers of a composed map up to which it is written out, and multiplications up to which it is
/// worked out, in units of that.
const MOST_COMPOSED: usize = 1 << 20;
const MOST_WORK: usize = 32 * MOST_COMPOSED;

/// Weights by slot and element.
type Weights = BTreeMap<(usize, u32), i64>;

/// Returns the composition of all steps but the first `skipped`, which act on each element alone, up
/// to those slots; `sources` are the slots of the uploads, or of what the skipped steps made of them.
/// `None` where a look-up is on the way or the map is too large.
pub fn compose(
    program: &Program,
    skipped: usize,
    sources: &[usize],
    slots: &[usize],
) -> Option<LinearMap<u64>> {
    let uploads = &program.interface.uploads;
    let mut first_of_upload = vec![0];
    for upload in uploads {
        first_of_upload
            .push(first_of_upload[first_of_upload.len() - 1] + upload.layout.places.len());
    }
    let lower = uploads.len() + skipped;
    let composer = Composer::of(program, skipped);
    let (mut work, mut size) = (0, 0);
    let mut rows = Vec::new();
    for &slot in slots {
        for element in 0..composer.output_count(slot)? {
            let row = composer.row(slot, element as u32, lower, &mut work)?;
            let input = |((slot, element), weight): ((usize, u32), i64)| {
                let upload = sources.iter().position(|&source| source == slot)?;
                Some((first_of_upload[upload] as u32 + element, weight))
            };
            let row = row
                .into_iter()
                .map(input)
                .collect::<Option<Vec<(u32, i64)>>>()?;
            size += row.len();
            if size > MOST_COMPOSED || row.is_empty() {
                return None;
            }
            rows.push(row);
        }
    }
    Some(shared(rows, first_of_upload[uploads.len()]))
}

/// Returns a map of one block for each row; rows of the same weights share them, as positions of a
/// convolution do.
fn shared(rows: Vec<Vec<(u32, i64)>>, input_count: usize) -> LinearMap<u64> {
    let mut known: HashMap<Vec<u64>, Arc<[u64]>> = HashMap::new();
    let output_count = rows.len();
    let blocks = rows.into_iter().enumerate().map(|(output, row)| {
        let (inputs, weights): (Vec<u32>, Vec<u64>) = row
            .into_iter()
            .map(|(input, weight)| (input, weight as u64))
            .unzip();
        let shared = known
            .entry(weights)
            .or_insert_with_key(|weights| weights.as_slice().into());
        Block {
            weights: shared.clone(),
            inputs,
            outputs: vec![output as u32],
        }
    });
    LinearMap {
        blocks: blocks.collect(),
        input_count,
        output_count,
    }
}

/// The steps of a program, with the places of their matrices' outputs.
struct Composer<'a> {
    steps: &'a [Step],
    uploads: usize,
    /// Per step and term: block and row of each output.
    places: Vec<Vec<Vec<(u32, u32)>>>,
}

impl<'a> Composer<'a> {
    fn of(program: &'a Program, skipped: usize) -> Self {
        let places = program
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| match &step.action {
                Action::Linear(linear) if index >= skipped => linear
                    .weights
                    .terms
                    .iter()
                    .map(|term| match term {
                        Term::Matrix(map) => map.locate_outputs(),
                        Term::Scale(_) => Vec::new(),
                    })
                    .collect(),
                _ => Vec::new(),
            });
        Self {
            places: places.collect(),
            steps: &program.steps,
            uploads: program.interface.uploads.len(),
        }
    }

    fn output_count(&self, slot: usize) -> Option<usize> {
        match &self.steps[slot.checked_sub(self.uploads)?].action {
            Action::Linear(linear) => Some(linear.weights.bias.len()),
            Action::LookUp(_) => None,
        }
    }

    /// Returns the weights of an element of a slot on the slots below `lower`.
    fn row(&self, slot: usize, element: u32, lower: usize, work: &mut usize) -> Option<Weights> {
        let mut weights = Weights::from([((slot, element), 1)]);
        // A step reads only slots before its own.
        while let Some((&(slot, element), &weight)) = weights.last_key_value() {
            if slot < lower {
                break;
            }
            weights.pop_last();
            let step = slot - self.uploads;
            let Action::Linear(linear) = &self.steps[step].action else {
                return None;
            };
            for (index, term) in linear.weights.terms.iter().enumerate() {
                let input = self.steps[step].inputs[index];
                let mut add = |element: u32, factor: i64| {
                    let sum = weights.entry((input, element)).or_insert(0);
                    *sum = sum.wrapping_add(weight.wrapping_mul(factor));
                };
                match term {
                    Term::Scale(factors) => add(element, factors[element as usize]),
                    Term::Matrix(map) => {
                        let (block, row) = self.places[step][index][element as usize];
                        let block = &map.blocks[block as usize];
                        let depth = block.inputs.len();
                        *work += depth;
                        let row = &block.weights[row as usize * depth..][..depth];
                        let taps = block.inputs.iter().zip(row);
                        for (&input, &factor) in taps.filter(|(input, _)| **input != PADDING) {
                            add(input, factor as i64);
                        }
                    }
                }
            }
            if *work > MOST_WORK {
                return None;
            }
        }
        Some(weights)
    }
}
