//! An analysed segment by plain loops over 128-bit integers: every weight of every block by itself.

use splitbench::circuit::analysis::{Analysis, Gain, PlannedAction, PlannedLinear, Term};
use splitbench::circuit::program::{Action, Program};
use splitbench::core::linear_map::PADDING;
use splitbench::model::layer::Function;

/// Integers of one value for one input.
pub type Integers = Vec<i128>;

/// Returns every slot's integers on the grid for an input.
pub fn run(analysis: &Analysis, uploads: &[Vec<i64>]) -> Vec<Integers> {
    let mut slots: Vec<Integers> = Vec::new();
    for (upload, integers) in analysis.uploads.iter().zip(uploads) {
        let step = i128::from(upload.step);
        slots.push(integers.iter().map(|&v| i128::from(v) * step).collect());
    }
    for step in &analysis.steps {
        let output = match &step.action {
            PlannedAction::Linear(linear) => {
                let mut sum = weigh(linear, &step.inputs, &slots, |weight| weight);
                for (sum, &bias) in sum.iter_mut().zip(&linear.bias) {
                    *sum += i128::from(bias);
                }
                sum
            }
            PlannedAction::LookUp(look_up) => {
                let size = look_up.elements_per_table;
                let read = |(element, &integer): (usize, &i128)| {
                    let real = integer as f64 * look_up.channels[element / size].scale;
                    i128::from(look_up.activation.quantised(real) * look_up.output_step)
                };
                slots[step.inputs[0]].iter().enumerate().map(read).collect()
            }
        };
        slots.push(output);
    }
    slots
}

/// Returns the integers of the downloads, halves rounded away from zero.
pub fn downloads(analysis: &Analysis, slots: &[Integers]) -> Vec<Vec<i64>> {
    let rounded = |value: i128, step: i128| {
        let nearest = (2 * value.abs() + step) / (2 * step);
        (nearest * value.signum()) as i64
    };
    let downloads = analysis.downloads.iter().map(|download| {
        let integers = slots[download.slot].iter();
        integers
            .map(|&value| rounded(value, i128::from(download.step)))
            .collect()
    });
    downloads.collect()
}

/// Returns `Σ weight · input` of each output, the weights changed on the way.
fn weigh(
    linear: &PlannedLinear,
    inputs: &[usize],
    slots: &[Integers],
    change: impl Fn(i128) -> i128,
) -> Integers {
    let mut sum = vec![0; linear.bias.len()];
    for (term, &input) in linear.terms.iter().zip(inputs) {
        let input = &slots[input];
        match term {
            Term::Scale(factors) => {
                for (element, &factor) in factors.iter().enumerate() {
                    sum[element] += change(i128::from(factor)) * input[element];
                }
            }
            Term::Matrix(map) => {
                for block in &map.blocks {
                    for (row, &output) in block.outputs.iter().enumerate() {
                        for (column, &element) in block.inputs.iter().enumerate() {
                            if element != PADDING {
                                let weight = block.weights[row * block.inputs.len() + column];
                                let weight = change(i128::from(weight as i64));
                                sum[output as usize] += weight * input[element as usize];
                            }
                        }
                    }
                }
            }
        }
    }
    sum
}

/// Returns the gains of a slot: a one on each element of each source in turn is brought through
/// the linear steps, and the squares of what arrives are added up.
pub fn probed_gains(analysis: &Analysis, slot: usize) -> Vec<Gain> {
    let counts = element_counts(analysis);
    let mut gains = vec![Gain::default(); counts[slot]];
    for source in (0..=slot).filter(|&source| is_source(analysis, source)) {
        for element in 0..counts[source] {
            for (gain, weight) in gains.iter_mut().zip(probe(analysis, slot, source, element)) {
                let square = (weight as f64).powi(2);
                if source < analysis.uploads.len() {
                    gain.fresh += square;
                } else {
                    gain.look_up += square;
                }
            }
        }
    }
    gains
}

/// Returns what a one on an element of a source puts on a slot.
fn probe(analysis: &Analysis, slot: usize, source: usize, element: usize) -> Integers {
    let counts = element_counts(analysis).into_iter().take(slot + 1);
    let mut slots: Vec<Integers> = counts.map(|count| vec![0; count]).collect();
    slots[source][element] = 1;
    let uploads = analysis.uploads.len();
    for (index, step) in analysis.steps.iter().enumerate() {
        if let PlannedAction::Linear(linear) = &step.action
            && (source.max(uploads)..=slot).contains(&(uploads + index))
        {
            slots[uploads + index] = weigh(linear, &step.inputs, &slots, |weight| weight);
        }
    }
    slots.swap_remove(slot)
}

/// Returns whether integers of a slot are not made of other slots' by weights.
pub fn is_source(analysis: &Analysis, slot: usize) -> bool {
    slot.checked_sub(analysis.uploads.len())
        .is_none_or(|step| matches!(analysis.steps[step].action, PlannedAction::LookUp(_)))
}

fn element_counts(analysis: &Analysis) -> Vec<usize> {
    let uploads = analysis.uploads.iter();
    let uploads = uploads.map(|upload| upload.quantisation.scales.len());
    let steps = analysis.steps.iter().map(|step| match &step.action {
        PlannedAction::Linear(linear) => linear.bias.len(),
        PlannedAction::LookUp(look_up) => look_up.gains.len(),
    });
    uploads.chain(steps).collect()
}

/// Returns, for each slot, how far a program's integers may lie from the integer network's, of
/// which `slots` are those of one input.
///
/// A linear step carries distances on by the magnitude of its weights. A table has 2N cells to the
/// turn. The entry of a cell belongs to the possible input nearest to the cell's centre, which lies
/// no further from an input in that cell than one cell. A function of slope at most L, read up to
/// d away from where it should be, then gives an integer that is off by at most L·d in output steps
/// rounded down, and one. An input out of its range may be read as any output.
pub fn distances(
    analysis: &Analysis,
    program: &Program,
    slots: &[Integers],
    found: &[Integers],
) -> Vec<Integers> {
    let uploads = analysis.uploads.len();
    let mut distances: Vec<Integers> = slots[..uploads].iter().map(|s| vec![0; s.len()]).collect();
    for (step, compiled) in analysis.steps.iter().zip(&program.steps) {
        let distance = match (&step.action, &compiled.action) {
            (PlannedAction::Linear(linear), _) => {
                weigh(linear, &step.inputs, &distances, i128::abs)
            }
            (PlannedAction::LookUp(look_up), Action::LookUp(compiled)) => {
                let input = step.inputs[0];
                let output = look_up.activation.output;
                let of = |(element, &distance): (usize, &i128)| {
                    let table = compiled.table(element);
                    let cell = cell_width(program, table.values.len());
                    let scale = look_up.channels[element / look_up.elements_per_table].scale;
                    let ends = [slots[input][element], found[input][element]];
                    let (low, high) = table.range;
                    let most = i128::from(output.high - output.low);
                    let steps = if (i128::from(low)..=i128::from(high)).contains(&ends[1]) {
                        let reach = ends.map(|end| (end as f64 * scale).abs());
                        let reach = reach[0].max(reach[1]) + cell * scale;
                        let slope = steepest(&look_up.activation.function, reach);
                        let away = (distance as f64 + cell) * scale;
                        most.min((slope * away / output.scale) as i128 + 1)
                    } else {
                        most
                    };
                    steps * i128::from(look_up.output_step)
                };
                distances[input].iter().enumerate().map(of).collect()
            }
            _ => unreachable!("a program has the steps of its analysis"),
        };
        distances.push(distance);
    }
    distances
}

/// Returns the integers of the grid in a cell of a table of that many cells to the half turn.
pub fn cell_width(program: &Program, cells: usize) -> f64 {
    2f64.powi(63) / cells as f64 / program.unit as f64
}

/// Returns the steepest slope of a function up to `reach` on either side of zero.
pub fn steepest(function: &Function, reach: f64) -> f64 {
    match function {
        Function::Sigmoid => 0.25,
        Function::HardSwish => 1.5,
        Function::Polynomial(square) => {
            assert_eq!(square.name(), "square");
            2.0 * reach
        }
        _ => 1.0,
    }
}
