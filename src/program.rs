//! What the server runs for one segment, and the same in the clear.
//!
//! Activations are integers on the torus: an integer v has the phase `v · step`, where the step
//! is a torus element chosen for each stretch between look-ups. Linear layers multiply and add
//! integers; a look-up adds an offset to the phase, reads the cell that the phase falls in, and
//! gets the next integer on the next step. [`Program::run_clear`] does this on integers with the
//! server's own wrap-around and the server's own table, so that it is the oracle for both.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::fhe::pack::PackingDecomposition;
use crate::fhe::parameters::ParameterSet;
use crate::linear_map::{LinearMap, Row};
use crate::packing::{Layout, Packing};
use crate::quantise::QuantParams;

/// A compiled server segment.
#[derive(Debug, Clone)]
pub struct Program {
    /// Indices of its layers.
    pub layers: Range<usize>,
    pub parameters: ParameterSet,
    /// What the client must know of it.
    pub interface: Interface,
    pub steps: Vec<Step>,
    /// log2 of the failure probability of its worst look-up; `None` without look-ups.
    pub log2_p_fail_lookup: Option<f64>,
    /// log2 of the probability that any of its look-ups or decryptions fails.
    pub log2_p_fail: f64,
}

/// The part of a program that the client knows: how to encode uploads and decode downloads.
#[derive(Debug, Clone)]
pub struct Interface {
    pub upload: UploadEncoding,
    pub download: DownloadEncoding,
}

/// How the client encodes a segment's input.
#[derive(Debug, Clone)]
pub struct UploadEncoding {
    /// Where the elements lie in the ciphertexts.
    pub layout: Layout,
    pub quantisation: QuantParams,
    /// Phase of the integer 1.
    pub step: u64,
    /// Leading bytes of each body coefficient that travel.
    pub bytes: usize,
}

/// How the client decodes a segment's output.
#[derive(Debug, Clone)]
pub struct DownloadEncoding {
    /// `real = scale · integer`, one per element.
    pub scales: Vec<f64>,
    /// Phase of the integer 1.
    pub step: u64,
    /// Leading bytes of each ciphertext coefficient that travel.
    pub bytes: usize,
    /// Standard deviation of each element's noise, in integers.
    pub noise_std: Vec<f64>,
    /// Whether rounding to integers removes the noise, failures aside.
    pub exact: bool,
    /// Integers that the network was calibrated for.
    pub range: Vec<(i64, i64)>,
    pub form: Form,
    /// The packing keyswitch at the end, if there is one.
    pub packing: Option<PackingDecomposition>,
}

/// What kind of ciphertexts an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// One LWE ciphertext per element.
    Lwe,
    /// GLWE ciphertexts with the body coefficients that matter: for each, element and coefficient.
    /// The mask is shared by all elements of a ciphertext.
    Glwe(Vec<Vec<(u32, u32)>>),
}

impl Form {
    /// Returns the form of elements packed one after the other.
    pub fn consecutive(element_count: usize, polynomial_size: usize) -> Self {
        let elements: Vec<(u32, u32)> = (0..element_count)
            .map(|element| (element as u32, (element % polynomial_size) as u32))
            .collect();
        Self::Glwe(
            elements
                .chunks(polynomial_size)
                .map(<[_]>::to_vec)
                .collect(),
        )
    }

    /// Returns the form in which the products of a packed layer travel as they are.
    pub fn packed(packing: &Packing) -> Self {
        let mut ciphertexts = vec![Vec::new(); packing.products.len()];
        for (element, place) in packing.outputs.iter().enumerate() {
            ciphertexts[place.ciphertext as usize].push((element as u32, place.coefficient));
        }
        Self::Glwe(ciphertexts)
    }
}

impl UploadEncoding {
    /// Returns the phases of the leading coefficients of each ciphertext that carry `integers`.
    ///
    /// # Panics
    ///
    /// Panics where the number of integers is not that of the layout.
    pub fn phases(&self, integers: &[i64]) -> Vec<Vec<u64>> {
        let Layout { lengths, places } = &self.layout;
        assert_eq!(integers.len(), places.len(), "elements of the upload");
        let mut phases: Vec<Vec<u64>> = lengths.iter().map(|&length| vec![0; length]).collect();
        for (&integer, place) in integers.iter().zip(places) {
            let phase = (integer as u64).wrapping_mul(self.step);
            phases[place.ciphertext as usize][place.coefficient as usize] = phase;
        }
        phases
    }
}

impl DownloadEncoding {
    /// Returns the nearest integer to a decrypted phase.
    pub fn decode(&self, phase: u64) -> i64 {
        (phase as i64 as f64 / self.step as f64).round() as i64
    }

    /// Returns the number of coefficients of each ciphertext of the answer.
    pub fn ciphertext_sizes(&self, parameters: &ParameterSet) -> Vec<usize> {
        match &self.form {
            Form::Lwe => vec![parameters.big_size(); self.scales.len()],
            Form::Glwe(ciphertexts) => ciphertexts
                .iter()
                .map(|elements| parameters.big_dimension() + elements.len())
                .collect(),
        }
    }
}

/// A layer of a program.
#[derive(Debug, Clone)]
pub enum Step {
    Linear(LinearStep),
    LookUp(LookUpStep),
}

/// `output = map · input + bias`, on integers.
#[derive(Debug, Clone)]
pub struct LinearStep {
    /// Index of the layer in the model.
    pub layer: usize,
    pub map: LinearMap<u64>,
    pub bias: Vec<i64>,
    /// Phase of the integer 1.
    pub step: u64,
    /// The same on packed ciphertexts, where the layer is the segment's first and it pays.
    pub packing: Option<Packing>,
}

/// An activation layer by table.
#[derive(Debug, Clone)]
pub struct LookUpStep {
    /// Index of the layer in the model.
    pub layer: usize,
    /// One per channel.
    pub tables: Vec<Table>,
    /// Elements per channel; element i uses table i / this.
    pub elements_per_table: usize,
    /// Standard deviation of the noise on each element's phase, as a share of the torus.
    pub sigma: Vec<f64>,
    /// Whether the range lies in the half turn [0, 1/2) or fills the whole turn.
    pub padding_bit: bool,
    /// Phase of the input integer 1.
    pub input_step: u64,
    /// Phase of the output integer 1; even.
    pub output_step: u64,
    /// Added to twice an output integer's table value: see [`Table::values`].
    pub centre: i64,
}

/// The table of one channel.
#[derive(Debug, Clone)]
pub struct Table {
    /// N entries for the phases of the half turn [0, 1/2): twice the output integer, less the
    /// step's `centre`. The other half turn reads them negated.
    pub values: Vec<i64>,
    /// Added to the phase before it is read.
    pub offset: u64,
    /// Input integers that the network was calibrated for.
    pub range: (i64, i64),
}

/// Seed of the noise in a clear run; each element of each step has its own stream.
#[derive(Debug, Clone, Copy)]
pub struct NoiseSeed(pub u64);

/// The outcome of a clear run.
#[derive(Debug, Clone)]
pub struct ClearRun {
    /// Integers in two's complement, as the client would decode them.
    pub output: Vec<Row<u64>>,
    /// How many values left their calibrated range.
    pub range_overflow_count: u64,
}

impl Program {
    /// Runs the segment on integers, each column one input; with noise where a seed is given.
    ///
    /// # Panics
    ///
    /// Panics where the number of rows is not that of the upload.
    pub fn run_clear(&self, input: Vec<Row<u64>>, noise: Option<NoiseSeed>) -> ClearRun {
        self.observe_clear(input, noise, &mut |_, _| {})
    }

    /// As [`Self::run_clear`]; `before_look_up` sees the integers that each look-up is given.
    ///
    /// # Panics
    ///
    /// As [`Self::run_clear`].
    pub fn observe_clear(
        &self,
        input: Vec<Row<u64>>,
        noise: Option<NoiseSeed>,
        before_look_up: &mut dyn FnMut(&LookUpStep, &[Row<u64>]),
    ) -> ClearRun {
        let mut rows = input;
        let mut range_overflow_count = 0;
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Linear(linear) => rows = linear.run_clear(&rows),
                Step::LookUp(look_up) => {
                    before_look_up(look_up, &rows);
                    let noise = noise.map(|seed| (seed, index));
                    range_overflow_count += look_up.run_clear(&mut rows, noise);
                }
            }
        }
        let download = &self.interface.download;
        range_overflow_count += count_outside(&rows, |element| download.range[element]);
        rows.par_iter_mut().enumerate().for_each(|(element, row)| {
            // What the client decodes: the phase modulo one turn, with noise where it is asked for.
            let decoded = |value: u64, noise: f64| {
                let phase = value.wrapping_mul(download.step);
                let noise = (noise * download.step as f64) as i64 as u64;
                download.decode(phase.wrapping_add(noise)) as u64
            };
            match noise {
                None => row
                    .iter_mut()
                    .for_each(|value| *value = decoded(*value, 0.0)),
                Some(seed) => {
                    let std = download.noise_std[element];
                    let noise = noise_of(seed, self.steps.len(), element, std);
                    for (value, noise) in row.iter_mut().zip(noise) {
                        *value = decoded(*value, noise);
                    }
                }
            }
        });
        ClearRun {
            output: rows,
            range_overflow_count,
        }
    }

    /// Returns the look-ups of one inference.
    pub fn bootstrap_count(&self) -> usize {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Linear(_) => 0,
                Step::LookUp(look_up) => look_up.sigma.len(),
            })
            .sum()
    }
}

impl Step {
    /// Returns the index of the layer in the model.
    pub fn layer(&self) -> usize {
        match self {
            Self::Linear(step) => step.layer,
            Self::LookUp(step) => step.layer,
        }
    }
}

impl LinearStep {
    /// Runs the layer on integers, each column one input.
    pub fn run_clear(&self, input: &[Row<u64>]) -> Vec<Row<u64>> {
        let mut output = self.map.apply(input);
        for (row, &bias) in output.iter_mut().zip(&self.bias) {
            for value in row.iter_mut() {
                *value = value.wrapping_add(bias as u64);
            }
        }
        output
    }
}

impl LookUpStep {
    /// Returns the table of an element.
    pub fn table(&self, element: usize) -> &Table {
        &self.tables[element / self.elements_per_table]
    }

    /// Returns the integer that an input integer is looked up to, without noise.
    pub fn read_integer(&self, element: usize, integer: i64) -> i64 {
        let table = self.table(element);
        let phase = (integer as u64).wrapping_mul(self.input_step);
        self.read(table, phase.wrapping_add(table.offset))
    }

    /// Returns the integer that a phase is looked up to.
    pub fn read(&self, table: &Table, phase: u64) -> i64 {
        let size = table.values.len();
        let cell = (phase >> (u64::BITS - 1 - size.ilog2())) as usize;
        let value = match cell.checked_sub(size) {
            None => table.values[cell],
            Some(mirrored) => -table.values[mirrored],
        };
        (value + self.centre) / 2
    }

    /// Replaces the rows by their look-ups and returns how many were out of range.
    fn run_clear(&self, rows: &mut [Row<u64>], noise: Option<(NoiseSeed, usize)>) -> u64 {
        let overflows = count_outside(rows, |element| self.table(element).range);
        rows.par_iter_mut().enumerate().for_each(|(element, row)| {
            let table = self.table(element);
            let look_up = |value: u64, noise: u64| {
                let phase = value.wrapping_mul(self.input_step);
                let phase = phase.wrapping_add(table.offset).wrapping_add(noise);
                self.read(table, phase) as u64
            };
            match noise {
                None => row.iter_mut().for_each(|value| *value = look_up(*value, 0)),
                Some((seed, step)) => {
                    let noise = noise_of(seed, step, element, self.sigma[element]);
                    for (value, noise) in row.iter_mut().zip(noise) {
                        *value = look_up(*value, torus(noise));
                    }
                }
            }
        });
        overflows
    }
}

fn count_outside(rows: &[Row<u64>], range: impl Fn(usize) -> (i64, i64) + Sync) -> u64 {
    rows.par_iter()
        .enumerate()
        .map(|(element, row)| {
            let (low, high) = range(element);
            let outside = |value: &&u64| !(low..=high).contains(&(**value as i64));
            row.iter().filter(outside).count() as u64
        })
        .sum()
}

/// Returns an endless stream of centred Gaussian noise for one element of one step.
fn noise_of(seed: NoiseSeed, step: usize, element: usize, std: f64) -> impl Iterator<Item = f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed.0);
    generator.set_stream(((step as u64) << 40) | element as u64);
    StandardNormal
        .sample_iter(generator)
        .map(move |normal: f64| normal * std)
}

/// Returns the torus element of a share of a turn, modulo one turn.
pub fn torus(share: f64) -> u64 {
    ((share - share.round()) * 18_446_744_073_709_551_616.0) as i64 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_wrap_to_the_torus() {
        assert_eq!(torus(0.25), 1 << 62);
        assert_eq!(torus(-0.25), 3 << 62);
        assert_eq!(torus(1.25), 1 << 62);
        assert_eq!(torus(0.0), 0);
    }

    #[test]
    fn noise_has_the_asked_spread_and_repeats() {
        let draw = |seed| -> Vec<f64> { noise_of(NoiseSeed(seed), 1, 2, 0.5).take(4000).collect() };
        let noise = draw(7);
        let variance = noise.iter().map(|n| n * n).sum::<f64>() / noise.len() as f64;
        assert!((variance / 0.25 - 1.0).abs() < 0.1, "{variance}");
        assert_eq!(noise, draw(7));
        assert_ne!(noise, draw(8));
    }

    #[test]
    fn tables_are_negacyclic() {
        let step = LookUpStep {
            layer: 0,
            tables: Vec::new(),
            elements_per_table: 1,
            sigma: Vec::new(),
            padding_bit: false,
            input_step: 2,
            output_step: 2,
            centre: 3,
        };
        // Twice the integers 0, 1, 2, 3 less the centre.
        let table = Table {
            values: vec![-3, -1, 1, 3],
            offset: 0,
            range: (0, 0),
        };
        let read: Vec<i64> = (0..8).map(|cell| step.read(&table, cell << 61)).collect();
        assert_eq!(read, [0, 1, 2, 3, 3, 2, 1, 0]);
    }
}
