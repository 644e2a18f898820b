//! Look-ups of uploaded elements, each by itself, before anything else reads them: activations, gates, or an
//! activation behind a gate. The client knows their tables, and what the noise on them does on average.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::circuit::analysis::{Purpose, Term};
use crate::circuit::program::{Action, LookUpStep, Program, Step};
use crate::core::torus::torus;

/// Points at which the Gaussian of a look-up's noise is taken, as far as so many standard deviations: the mean
/// output errs by less than a hundredth of a step.
const POINTS: i32 = 256;
const REACH: f64 = 6.0;
/// By what part of its range a gated upload may lie outside: the table's ends go on for a few standard
/// deviations of its noise, and there no noise moves what passes.
const BEYOND: i64 = 8;

/// What each element of all uploads passes through before the weights.
#[derive(Debug, Clone)]
pub struct Leading<'a> {
    /// How many of the program's first steps they are, factors in front of look-ups among them.
    pub step_count: usize,
    /// Of each upload, in order.
    chains: Vec<Chain<'a>>,
}

/// Steps of one upload, each of which reads the one before.
#[derive(Debug, Clone)]
struct Chain<'a> {
    steps: Vec<&'a Step>,
    /// Elements of the upload.
    count: usize,
    /// The slot of what the last step gives.
    end: usize,
}

impl<'a> Leading<'a> {
    /// Returns what leads a program; `None` where nothing does, and where an upload passes by, or through two
    /// look-ups side by side.
    pub fn of(program: &'a Program) -> Option<Self> {
        let uploads = &program.interface.uploads;
        let acts_alone = |step: &&Step| match &step.action {
            Action::LookUp(_) => true,
            Action::Linear(linear) => linear.weights.is_scale(),
        };
        let alone = program.steps.iter().take_while(acts_alone).count();
        let looks_up = |step: &Step| matches!(step.action, Action::LookUp(_));
        let step_count = 1 + program.steps[..alone].iter().rposition(looks_up)?;
        let chains = uploads.iter().enumerate().map(|(upload, encoding)| {
            let mut chain = Chain {
                steps: Vec::new(),
                count: encoding.layout.places.len(),
                end: upload,
            };
            for (index, step) in program.steps[..step_count].iter().enumerate() {
                if step.inputs == [chain.end] {
                    chain.steps.push(step);
                    chain.end = uploads.len() + index;
                }
            }
            chain
        });
        let chains: Vec<Chain<'_>> = chains.collect();
        let counts = chains.iter().map(|chain| chain.steps.len());
        let is_all = counts.clone().sum::<usize>() == step_count && counts.min() > Some(0);
        is_all.then_some(Self { step_count, chains })
    }

    /// Returns the slots that the weights read, one for each upload.
    pub fn ends(&self) -> Vec<usize> {
        self.chains.iter().map(|chain| chain.end).collect()
    }

    /// Returns what the weights read for integers of the grid, one upload after the other, without noise.
    pub fn read(&self, integers: &[i64]) -> Vec<i64> {
        self.each(integers, |chain, element, integer| {
            let steps = chain.steps.iter();
            steps.fold(integer, |integer, step| passed(step, element, integer))
        })
    }

    /// Returns what the weights read for them on average.
    pub fn mean(&self, integers: &[i64]) -> Vec<i64> {
        self.each(integers, |chain, element, integer| {
            let mut known = HashMap::new();
            mean(&chain.steps, element, integer, &mut known).round() as i64
        })
    }

    /// Returns, for each element, the uploaded integers of which the weights read the least and the most on
    /// average: of the encoding, or for a gate a little beyond it.
    pub fn extremes(&self, program: &Program) -> (Vec<i64>, Vec<i64>) {
        let uploads = program.interface.uploads.iter();
        let uploads = uploads.zip(&program.upload_steps).zip(&self.chains);
        let ends = uploads.flat_map(|((upload, &step), chain)| {
            let (low, high) = (upload.quantisation.low, upload.quantisation.high);
            let beyond = if chain.is_gated() {
                (high - low) / BEYOND + 1
            } else {
                0
            };
            let of_element = |element: usize| {
                let mut known = HashMap::new();
                let mut ends = [(f64::INFINITY, low), (f64::NEG_INFINITY, low)];
                for integer in low - beyond..=high + beyond {
                    let mean = mean(&chain.steps, element, integer * step, &mut known);
                    if mean < ends[0].0 {
                        ends[0] = (mean, integer);
                    }
                    if mean > ends[1].0 {
                        ends[1] = (mean, integer);
                    }
                }
                (ends[0].1, ends[1].1)
            };
            let ends: Vec<(i64, i64)> = (0..chain.count).into_par_iter().map(of_element).collect();
            ends
        });
        ends.unzip()
    }

    fn each(
        &self,
        integers: &[i64],
        of: impl Fn(&Chain<'_>, usize, i64) -> i64 + Sync,
    ) -> Vec<i64> {
        let mut rest = integers;
        let mut all = Vec::with_capacity(integers.len());
        for chain in &self.chains {
            let (own, after) = rest.split_at(chain.count);
            rest = after;
            let elements = own.par_iter().enumerate();
            all.par_extend(elements.map(|(element, &integer)| of(chain, element, integer)));
        }
        all
    }
}

impl Chain<'_> {
    fn is_gated(&self) -> bool {
        let mut look_ups = self.steps.iter().filter_map(|step| match &step.action {
            Action::LookUp(look_up) => Some(look_up.purpose),
            Action::Linear(_) => None,
        });
        look_ups.next() == Some(Purpose::Gate)
    }
}

/// Returns what a step makes of an integer of the grid without noise.
fn passed(step: &Step, element: usize, integer: i64) -> i64 {
    match &step.action {
        Action::LookUp(look_up) => look_up.read_integer(element, integer) * look_up.output_step,
        Action::Linear(linear) => {
            let [Term::Scale(factors)] = linear.weights.terms.as_slice() else {
                unreachable!("what leads acts on each element alone");
            };
            let product = integer.wrapping_mul(factors[element]);
            product.wrapping_add(linear.weights.bias[element])
        }
    }
}

/// Returns what steps make of an integer of the grid on average; `known` are the averages behind each step, by
/// how many are left.
fn mean(
    steps: &[&Step],
    element: usize,
    integer: i64,
    known: &mut HashMap<(usize, i64), f64>,
) -> f64 {
    let Some((step, rest)) = steps.split_first() else {
        return integer as f64;
    };
    if let Some(&mean) = known.get(&(steps.len(), integer)) {
        return mean;
    }
    let found = match &step.action {
        Action::Linear(_) => mean(rest, element, passed(step, element, integer), known),
        Action::LookUp(look_up) => {
            let (mut sum, mut total) = (0.0, 0.0);
            for (output, weight) in outputs(look_up, element, integer) {
                sum += weight * mean(rest, element, output * look_up.output_step, known);
                total += weight;
            }
            sum / total
        }
    };
    known.insert((steps.len(), integer), found);
    found
}

/// Returns the integers that a look-up gives with noise, neighbours that are equal once, and how likely each is
/// beside the others.
fn outputs(look_up: &LookUpStep, element: usize, integer: i64) -> Vec<(i64, f64)> {
    let table = look_up.table(element);
    let centre = (integer as u64)
        .wrapping_mul(look_up.unit)
        .wrapping_add(table.offset);
    let mut outputs: Vec<(i64, f64)> = Vec::new();
    for point in 0..POINTS {
        let z = REACH * (f64::from(2 * point + 1) / f64::from(POINTS) - 1.0);
        let output = look_up.read(
            table,
            centre.wrapping_add(torus(z * look_up.sigma[element])),
        );
        let weight = (-z * z / 2.0).exp();
        match outputs.last_mut() {
            Some((last, sum)) if *last == output => *sum += weight,
            _ => outputs.push((output, weight)),
        }
    }
    outputs
}
