//! The affine map that a server segment hides, where it hides one: what the attacks are to find.

use std::collections::{BTreeMap, HashMap};

use super::composition;
use super::leading::Leading;
use crate::circuit::program::{Action, LookUpStep, Program};
use crate::core::linear_map::{LinearMap, PADDING};

/// A segment as integer weights on the grid, from the elements of all uploads to those of all
/// downloads, one value after the other.
#[derive(Debug, Clone)]
pub struct Affine<'a> {
    pub map: LinearMap<u64>,
    /// Whether several steps make the map, so that its weights are no trained numbers of one layer.
    pub composed: bool,
    /// What each uploaded element passes through before the weights, if anything.
    pub leading: Option<Leading<'a>>,
}

/// The weights of one output element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRow {
    /// Which matrix, and which row of it.
    pub place: (usize, usize),
    pub output: usize,
    /// Input elements.
    pub inputs: Vec<u32>,
    pub weights: Vec<i64>,
    /// Which of the weights no row before this one has.
    pub new: Vec<bool>,
}

/// An affine map each of whose outputs goes through a look-up of its own.
#[derive(Debug, Clone)]
pub struct LookedUp<'a> {
    pub affine: Affine<'a>,
    /// One for each download, in order.
    pub look_ups: Vec<&'a LookUpStep>,
}

impl<'a> LookedUp<'a> {
    /// Returns the map of a program whose answers are all looked up last, and nothing else is; `None`
    /// for others, and where the map is too large.
    pub fn of(program: &'a Program) -> Option<Self> {
        let (look_ups, slots) = Self::last(program)?;
        let affine = Affine::up_to(program, None, &slots)?;
        Some(Self { affine, look_ups })
    }

    /// Returns whether all answers of a program are looked up last, and nothing else is.
    pub fn stands_last(program: &Program) -> bool {
        LookedUp::last(program).is_some()
    }

    /// Returns the look-ups that stand last, and the slots that they read.
    fn last(program: &'a Program) -> Option<(Vec<&'a LookUpStep>, Vec<usize>)> {
        let uploads = program.interface.uploads.len();
        let last = program.download_slots.iter().map(|slot| {
            let step = &program.steps[slot.checked_sub(uploads)?];
            match &step.action {
                Action::LookUp(look_up) => Some((look_up, step.inputs[0])),
                Action::Linear(_) => None,
            }
        });
        let (look_ups, slots): (Vec<_>, Vec<_>) =
            last.collect::<Option<Vec<_>>>()?.into_iter().unzip();
        (program.look_ups().count() == look_ups.len()).then_some((look_ups, slots))
    }

    /// Returns the look-up of an output, and which of its elements it is.
    pub fn look_up(&self, output: usize) -> (&'a LookUpStep, usize) {
        let mut element = output;
        for look_up in &self.look_ups {
            match element.checked_sub(look_up.sigma.len()) {
                None => return (look_up, element),
                Some(rest) => element = rest,
            }
        }
        unreachable!("an output beyond the look-ups")
    }
}

impl<'a> Affine<'a> {
    /// Returns the map of a program; `None` where a look-up stands elsewhere than first, or the map
    /// is too large.
    pub fn of(program: &'a Program) -> Option<Self> {
        let leading = Self::leading(program)?;
        Self::up_to(program, leading, &program.download_slots)
    }

    /// Returns whether a program is such a map behind look-ups, however large it is.
    pub fn is_led(program: &Program) -> bool {
        matches!(Affine::leading(program), Some(Some(_)))
    }

    /// Returns what leads a program that is linear otherwise, if anything does; `None` where it is not.
    fn leading(program: &'a Program) -> Option<Option<Leading<'a>>> {
        let leading = Leading::of(program);
        let skipped = leading.as_ref().map_or(0, |leading| leading.step_count);
        let steps = &program.steps[skipped..];
        let behind = program.interface.uploads.len() + skipped;
        let passes_by = |slot: &usize| {
            let led = leading.as_ref();
            led.is_some_and(|leading| *slot < behind && !leading.ends().contains(slot))
        };
        let is_linear = |action: &Action| matches!(action, Action::Linear(_));
        let is_map = !steps.is_empty() && steps.iter().all(|step| is_linear(&step.action));
        let any_by = steps.iter().flat_map(|step| &step.inputs).any(passes_by);
        (is_map && !any_by).then_some(leading)
    }

    /// Returns the map from the uploads, or from what leads, to those slots.
    fn up_to(program: &Program, leading: Option<Leading<'a>>, slots: &[usize]) -> Option<Self> {
        let skipped = leading.as_ref().map_or(0, |leading| leading.step_count);
        let uploads = program.interface.uploads.len();
        // One step alone keeps its blocks, and with them which positions share weights.
        let alone = match &program.steps[skipped].action {
            Action::Linear(linear) if uploads == 1 && slots == [uploads + skipped] => {
                linear.weights.only_matrix().cloned()
            }
            _ => None,
        };
        // A step may itself hold the weights of several layers, composed.
        let of_layers = program.steps[skipped..]
            .iter()
            .any(|step| !step.composed.is_empty());
        let composed = alone.is_none() || of_layers;
        let sources = leading
            .as_ref()
            .map_or_else(|| (0..uploads).collect(), Leading::ends);
        let map = alone.or_else(|| composition::compose(program, skipped, &sources, slots))?;
        Some(Self {
            map,
            composed,
            leading,
        })
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
        for (place @ (_, row), mut blocks) in sharing {
            let padding = |block: &usize| {
                let inputs = self.map.blocks[*block].inputs.iter();
                inputs.filter(|&&input| input == PADDING).count()
            };
            blocks.sort_by_key(padding);
            let mut seen = vec![false; self.map.blocks[blocks[0]].inputs.len()];
            for block in blocks {
                let block = &self.map.blocks[block];
                let depth = block.inputs.len();
                let inside: Vec<usize> = (0..depth)
                    .filter(|&tap| block.inputs[tap] != PADDING)
                    .collect();
                if inside.iter().all(|&tap| seen[tap]) {
                    continue;
                }
                let weights = &block.weights[row * depth..][..depth];
                rows.push(OutputRow {
                    place,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::layer::{Conv2d, Window};

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
            .map(|block| crate::core::linear_map::Block {
                weights: shared.clone(),
                inputs: block.inputs,
                outputs: block.outputs,
            });
        let map = LinearMap {
            input_count: float.input_count,
            output_count: float.output_count,
            blocks: blocks.collect(),
        };
        let affine = Affine {
            map,
            composed: false,
            leading: None,
        };
        let mut found: Vec<i64> = Vec::new();
        for row in affine.rows() {
            let new = row.weights.iter().zip(&row.new).filter(|(_, new)| **new);
            found.extend(new.map(|(weight, _)| weight));
        }
        found.sort_unstable();
        assert_eq!(found, (1..=36).collect::<Vec<i64>>());
    }
}
