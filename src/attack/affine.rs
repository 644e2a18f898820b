//! The affine map that a server segment hides, where it hides one: what the attacks are to find.

use std::collections::{BTreeMap, HashMap};

use crate::linear_map::{LinearMap, PADDING, Row};
use crate::program::{Action, LinearStep, LookUpStep, Program};

/// Numbers of a composed map up to which it is written out.
const MOST_COMPOSED: usize = 1 << 20;

/// A segment as integer weights on the grid, from the elements of all uploads to those of all
/// downloads, one value after the other.
#[derive(Debug, Clone)]
pub struct Affine<'a> {
    pub map: LinearMap<u64>,
    /// What each element of the only upload passes through before the weights, if anything.
    pub leading: Option<Leading<'a>>,
}

/// A look-up of each element of an upload by itself.
#[derive(Debug, Clone, Copy)]
pub struct Leading<'a> {
    /// Factors in front of it.
    factors: Option<&'a LinearStep>,
    look_up: &'a LookUpStep,
    /// Steps of the program that it stands for.
    steps: usize,
}

impl<'a> Leading<'a> {
    fn of(program: &'a Program) -> Option<Self> {
        let mut steps = program.steps.iter();
        let (factors, second) = match &steps.next()?.action {
            Action::LookUp(look_up) => {
                return Some(Self {
                    factors: None,
                    look_up,
                    steps: 1,
                });
            }
            Action::Linear(linear) => (linear, &steps.next()?.action),
        };
        match second {
            Action::LookUp(look_up) if factors.weights.is_scale() => Some(Self {
                factors: Some(factors),
                look_up,
                steps: 2,
            }),
            _ => None,
        }
    }

    /// Returns what the weights read for integers of the grid.
    pub fn read(&self, integers: &[i64]) -> Vec<i64> {
        let rows = integers
            .iter()
            .map(|&integer| -> Row<u64> { vec![integer as u64].into() });
        let rows: Vec<Row<u64>> = rows.collect();
        let rows = match self.factors {
            None => rows,
            Some(factors) => factors.weights.run_clear(&[&rows]),
        };
        let rows = rows.iter().enumerate();
        rows.map(|(element, row)| {
            self.look_up.read_integer(element, row[0] as i64) * self.look_up.output_step
        })
        .collect()
    }
}

/// The weights of one output element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRow {
    pub output: usize,
    /// Input elements.
    pub inputs: Vec<u32>,
    pub weights: Vec<i64>,
    /// Which of the weights no row before this one has.
    pub new: Vec<bool>,
}

impl<'a> Affine<'a> {
    /// Returns the map of a program; `None` where a look-up stands elsewhere than first, or the map
    /// is too large.
    pub fn of(program: &'a Program) -> Option<Self> {
        let leading = Leading::of(program);
        let skipped = leading.map_or(0, |leading| leading.steps);
        let steps = &program.steps[skipped..];
        let uploads = program.interface.uploads.len();
        let is_linear = |action: &Action| matches!(action, Action::Linear(_));
        let steps_are_linear = steps.iter().all(|step| is_linear(&step.action));
        let reads_before = |slot: &usize| *slot + 1 < uploads + skipped;
        let passes_by = steps.iter().flat_map(|step| &step.inputs).any(reads_before);
        let leads = leading.is_some();
        if steps.is_empty() || !steps_are_linear || leads && (uploads > 1 || passes_by) {
            return None;
        }
        let map = match (steps, program.download_slots.as_slice()) {
            ([step], [_]) => match &step.action {
                Action::Linear(linear) => linear.weights.only_matrix().cloned(),
                Action::LookUp(_) => None,
            },
            _ => None,
        };
        let map = map.or_else(|| compose(program, skipped))?;
        Some(Self { map, leading })
    }

    /// Returns rows that hold every weight at least once: those that read the most inputs first.
    /// Positions of a convolution share their weights, and one at the edge lacks some.
    pub fn rows(&self) -> Vec<OutputRow> {
        let mut sharing: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        let mut matrices: HashMap<*const u64, usize> = HashMap::new();
        for (index, block) in self.map.blocks.iter().enumerate() {
            let next = matrices.len();
            let matrix = *matrices.entry(block.weights.as_ptr()).or_insert(next);
            for row in 0..block.outputs.len() {
                sharing.entry((matrix, row)).or_default().push(index);
            }
        }
        let mut rows = Vec::new();
        for ((_, row), mut blocks) in sharing {
            let padding = |block: &usize| {
                let inputs = self.map.blocks[*block].inputs.iter();
                inputs.filter(|&&input| input == PADDING).count()
            };
            blocks.sort_by_key(padding);
            let mut seen = vec![false; self.map.blocks[blocks[0]].inputs.len()];
            for block in blocks {
                let block = &self.map.blocks[block];
                let depth = block.inputs.len();
                let inside = (0..depth).filter(|&tap| block.inputs[tap] != PADDING);
                let inside: Vec<usize> = inside.collect();
                if inside.iter().all(|&tap| seen[tap]) {
                    continue;
                }
                let weights = &block.weights[row * depth..][..depth];
                rows.push(OutputRow {
                    output: block.outputs[row] as usize,
                    inputs: inside.iter().map(|&tap| block.inputs[tap]).collect(),
                    weights: inside.iter().map(|&tap| weights[tap] as i64).collect(),
                    new: inside.iter().map(|&tap| !seen[tap]).collect(),
                });
                inside.iter().for_each(|&tap| seen[tap] = true);
            }
        }
        rows
    }
}

/// Returns the composition of all steps but the first `skipped`, which act on each element alone.
fn compose(program: &Program, skipped: usize) -> Option<LinearMap<u64>> {
    let uploads = &program.interface.uploads;
    let sizes: Vec<usize> = uploads.iter().map(|u| u.layout.places.len()).collect();
    let inputs: usize = sizes.iter().sum();
    let downloads = &program.interface.downloads;
    let outputs: usize = downloads.iter().map(|download| download.scales.len()).sum();
    if inputs * outputs > MOST_COMPOSED {
        return None;
    }
    let mut first = 0;
    let mut slots: Vec<Vec<Row<u64>>> = Vec::new();
    for size in sizes {
        let unit = |element| -> Row<u64> {
            (0..inputs)
                .map(|input| u64::from(input == first + element))
                .collect()
        };
        slots.push((0..size).map(unit).collect());
        first += size;
    }
    for (index, step) in program.steps.iter().enumerate() {
        let output = match &step.action {
            _ if index < skipped => slots[0].clone(),
            Action::LookUp(_) => return None,
            Action::Linear(linear) => {
                let read: Vec<&[Row<u64>]> = step
                    .inputs
                    .iter()
                    .map(|&slot| slots[slot].as_slice())
                    .collect();
                linear.weights.apply(&read)
            }
        };
        slots.push(output);
    }
    let answers = program.download_slots.iter();
    let rows = answers.flat_map(|&slot| slots[slot].iter());
    let weights: Vec<u64> = rows.flat_map(|row| row.iter().copied()).collect();
    Some(LinearMap::dense(&weights, inputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Conv2d, Window};

    #[test]
    fn rows_hold_every_weight_of_a_padded_convolution_once() {
        let conv = Conv2d {
            weights: (1..=36).map(|weight| weight as f32).collect(),
            out_channels: 2,
            in_channels: 2,
            groups: 1,
            kernel: [3, 3],
            window: Window {
                stride: [1, 1],
                padding: [1, 1, 1, 1],
            },
        };
        // On a 2 x 2 image no position reads all taps.
        let float = conv.map([2, 2], [2, 2]);
        let shared: std::sync::Arc<[u64]> =
            float.blocks[0].weights.iter().map(|w| *w as u64).collect();
        let blocks = float
            .blocks
            .into_iter()
            .map(|block| crate::linear_map::Block {
                weights: shared.clone(),
                inputs: block.inputs,
                outputs: block.outputs,
            });
        let map = LinearMap {
            input_count: float.input_count,
            output_count: float.output_count,
            blocks: blocks.collect(),
        };
        let mut found: Vec<i64> = Vec::new();
        for row in (Affine { map, leading: None }).rows() {
            let new = row.weights.iter().zip(&row.new).filter(|(_, new)| **new);
            found.extend(new.map(|(weight, _)| weight));
        }
        found.sort_unstable();
        assert_eq!(found, (1..=36).collect::<Vec<i64>>());
    }
}
