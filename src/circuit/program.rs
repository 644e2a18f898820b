//! A compiled server segment: integer steps, tables and encodings, for the server to run on
//! ciphertexts and for the simulation to run in the clear.
//!
//! Values are integers of one grid; an integer stands for the phase `integer · unit`. Linear steps
//! multiply and add integers; a look-up adds an offset to the phase, reads the cell that the phase
//! falls in, and gives the next integer. [`Program::run_clear`] does this on integers with the
//! server's own wrap-around and the server's own table, so that it is the oracle for both.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::circuit::analysis::{PlannedLinear, Purpose};
use crate::circuit::interface::{DownloadEncoding, Interface};
use crate::circuit::packing::Packing;
use crate::circuit::schedule::{self, LiveValues};
use crate::core::linear_map::Row;
use crate::core::torus::{TURN, torus};
use crate::fhe::parameters::ParameterSet;
use crate::model::NodeId;
use crate::record::reads::{ColumnReads, Reads};

/// A compiled server segment.
#[derive(Debug, Clone)]
pub struct Program {
    /// Indices of its nodes in the model.
    pub nodes: Range<usize>,
    pub parameters: ParameterSet,
    /// Phase of the grid's integer 1.
    pub unit: u64,
    /// What the client must know of it.
    pub interface: Interface,
    /// Grid integers of each upload's integer 1.
    pub upload_steps: Vec<i64>,
    pub steps: Vec<Step>,
    /// Slots of the downloads.
    pub download_slots: Vec<usize>,
    /// log2 of the failure probability of its worst look-up, of a value in its range; `None` without
    /// look-ups.
    pub log2_p_fail_lookup: Option<f64>,
    /// log2 of the probability that any of its look-ups or decryptions fails, step deviations that
    /// carry values out of their range included.
    pub log2_p_fail: f64,
}

/// A step of a program.
pub type Step = schedule::Step<Action>;

impl Step {
    /// Returns which of its inputs its output takes the place of in memory, where it does.
    pub fn in_place(&self) -> Option<usize> {
        match &self.action {
            Action::LookUp(_) => Some(0),
            Action::Linear(LinearStep {
                packing: Some(_), ..
            }) => None,
            Action::Linear(linear) => linear.weights.in_place(|input| self.may_change(input)),
        }
    }

    /// Returns whether it is the last to read an input, and reads it once.
    pub fn may_change(&self, input: usize) -> bool {
        let slot = self.inputs[input];
        let reads = self.inputs.iter().filter(|&&other| other == slot).count();
        self.last_reads.contains(&slot) && reads == 1
    }

    /// Returns the elements of its output.
    pub fn element_count(&self) -> usize {
        match &self.action {
            Action::Linear(linear) => linear.weights.bias.len(),
            Action::LookUp(look_up) => look_up.sigma.len(),
        }
    }

    /// Returns whether it reads and writes packed ciphertexts.
    pub fn is_packed(&self) -> bool {
        matches!(&self.action, Action::Linear(linear) if linear.packing.is_some())
    }

    /// Returns the bytes of its output's ciphertexts.
    pub fn output_bytes(&self, parameters: &ParameterSet) -> u64 {
        match &self.action {
            Action::Linear(LinearStep {
                packing: Some(packing),
                ..
            }) => parameters.glwe_bytes(packing.products.len()),
            _ => parameters.lwe_bytes(self.element_count()),
        }
    }

    /// Returns the bytes of memory that its output takes beside what is there.
    pub fn further_bytes(&self, parameters: &ParameterSet) -> u64 {
        match self.in_place() {
            Some(_) => 0,
            None => self.output_bytes(parameters),
        }
    }
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    Linear(LinearStep),
    LookUp(LookUpStep),
}

/// A linear step on LWE ciphertexts, or on packed ones.
#[derive(Debug, Clone)]
pub struct LinearStep {
    pub weights: PlannedLinear,
    /// The same as polynomial products, where its only input is an upload and it pays.
    pub packing: Option<Packing>,
}

/// An activation layer by table.
#[derive(Debug, Clone)]
pub struct LookUpStep {
    pub purpose: Purpose,
    pub node: NodeId,
    /// One per channel.
    pub tables: Vec<Table>,
    /// Elements per channel; element i uses table i / this.
    pub elements_per_table: usize,
    /// Standard deviation of the noise on each element's phase, as a fraction of the torus.
    pub sigma: Vec<f64>,
    /// Phase of the grid's integer 1.
    pub unit: u64,
    /// Grid integers of the output's integer 1; even.
    pub output_step: i64,
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
    /// Whether the range lies in the half turn [0, 1/2) or fills the whole turn.
    pub padding_bit: bool,
    /// Integers of the grid that the network was calibrated for.
    pub range: (i64, i64),
    /// Phases of integers, noise included but not the offset, that are read rightly: fractions of a turn.
    pub readable: (f64, f64),
    /// The number that the grid's integer 1 stands for.
    pub scale: f64,
}

/// Seed of the noise in a clear run; each element of each step has its own stream.
#[derive(Debug, Clone, Copy)]
pub struct NoiseSeed(pub u64);

/// The outcome of a clear run.
#[derive(Debug, Clone)]
pub struct ClearRun {
    /// Per download: integers in two's complement, as the client would decode them.
    pub outputs: Vec<Vec<Row<u64>>>,
    /// Of each look-up step and then of each download, by node.
    pub reads: Vec<(NodeId, Reads)>,
    /// Columns in which a value was misread, in order.
    pub misread_columns: Vec<usize>,
}

impl ClearRun {
    /// Returns how many values left their calibrated range.
    pub fn range_overflow_count(&self) -> u64 {
        self.reads.iter().map(|(_, reads)| reads.out_of_range).sum()
    }
}

/// Sees a look-up and the integers of the grid that it is about to read.
pub type BeforeLookUp<'a> = dyn FnMut(&LookUpStep, &[Row<u64>]) + 'a;

impl Program {
    /// Runs the segment on the integers of its uploads, each column one input; with noise where a
    /// seed is given.
    ///
    /// # Panics
    ///
    /// Panics where the number of rows is not that of the uploads.
    pub fn run_clear(&self, uploads: &[Vec<Row<u64>>], noise: Option<NoiseSeed>) -> ClearRun {
        self.observe_clear(uploads, noise, &mut |_, _| {})
    }

    /// As [`Self::run_clear`]; `before_look_up` sees what each look-up is given.
    ///
    /// # Panics
    ///
    /// As [`Self::run_clear`].
    pub fn observe_clear(
        &self,
        uploads: &[Vec<Row<u64>>],
        noise: Option<NoiseSeed>,
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> ClearRun {
        assert_eq!(uploads.len(), self.upload_steps.len(), "uploads");
        let mut values = LiveValues::of_uploads(self.grid(uploads));
        let mut reads = Vec::new();
        let mut misread_columns = Vec::new();
        let mut note = |node, of_step: ColumnReads| {
            reads.push((node, of_step.reads));
            misread_columns.extend(of_step.misread_columns);
        };
        for (index, step) in self.steps.iter().enumerate() {
            let output = match &step.action {
                Action::Linear(linear) => linear.weights.run_clear(&values.read_by(step)),
                Action::LookUp(look_up) => {
                    let mut rows = values.take(step.inputs[0]);
                    before_look_up(look_up, &rows);
                    let noise = noise.map(|seed| (seed, index));
                    note(look_up.node, look_up.run_clear(&mut rows, noise));
                    rows
                }
            };
            values.end_step(step, output);
        }
        let mut outputs = Vec::new();
        for (index, &slot) in self.download_slots.iter().enumerate() {
            let download = &self.interface.downloads[index];
            let mut rows = values.get(slot).clone();
            let noise = noise.map(|seed| (seed, self.steps.len() + index));
            note(download.node, self.decode(download, &mut rows, noise));
            outputs.push(rows);
        }
        misread_columns.sort_unstable();
        misread_columns.dedup();
        ClearRun {
            outputs,
            reads,
            misread_columns,
        }
    }

    /// Returns the uploads' integers on the grid.
    pub fn grid(&self, uploads: &[Vec<Row<u64>>]) -> Vec<Vec<Row<u64>>> {
        let on_grid = |(rows, &step): (&Vec<Row<u64>>, &i64)| -> Vec<Row<u64>> {
            let row = |row: &Row<u64>| row.iter().map(|v| v.wrapping_mul(step as u64)).collect();
            rows.iter().map(row).collect()
        };
        uploads
            .iter()
            .zip(&self.upload_steps)
            .map(on_grid)
            .collect()
    }

    /// Replaces the grid's integers by what the client decodes, and returns what was read.
    fn decode(
        &self,
        download: &DownloadEncoding,
        rows: &mut [Row<u64>],
        noise: Option<(NoiseSeed, usize)>,
    ) -> ColumnReads {
        let grid_step = (download.step / self.unit) as i64;
        let fraction = download.step as f64 / TURN;
        rows.par_iter_mut()
            .enumerate()
            .map(|(element, row)| {
                let (low, high) = download.range[element];
                let range = low.saturating_mul(grid_step)..=high.saturating_mul(grid_step);
                // The phase modulo one turn, with noise where it is asked for.
                let decoded = |value: u64, noise: f64| {
                    let phase = value.wrapping_mul(self.unit);
                    let noise = (noise * download.step as f64) as i64 as u64;
                    download.decode(phase.wrapping_add(noise)) as u64
                };
                let misread = |value: u64, noise: f64| {
                    let integer = value as i64 as f64 / grid_step as f64 + noise;
                    integer.abs() * fraction > 0.5 || download.exact && noise.abs() > 0.5
                };
                let std = download.noise_std[element];
                let noise = noise.map(|(seed, stream)| noise_of(seed, stream, element, std));
                let mut noise = noise.into_iter().flatten();
                let mut reads = ColumnReads::default();
                for (column, value) in row.iter_mut().enumerate() {
                    let noise = noise.next().unwrap_or(0.0);
                    let outside = !range.contains(&(*value as i64));
                    reads.count(column, outside, misread(*value, noise));
                    *value = decoded(*value, noise);
                }
                reads
            })
            .reduce(ColumnReads::default, ColumnReads::plus)
    }

    /// Returns the look-ups in order.
    pub fn look_ups(&self) -> impl Iterator<Item = &LookUpStep> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Linear(_) => None,
            Action::LookUp(look_up) => Some(look_up),
        })
    }

    /// Returns the grid integers of each uploaded element's integer 1, one value after the other.
    pub fn element_steps(&self) -> Vec<i64> {
        self.interface
            .uploads
            .iter()
            .zip(&self.upload_steps)
            .flat_map(|(upload, &step)| std::iter::repeat_n(step, upload.layout.places.len()))
            .collect()
    }

    /// Returns the most bytes of ciphertexts that the server holds at once, where none wait in files.
    pub fn most_ciphertext_bytes(&self) -> u64 {
        let uploads = self.interface.uploads.iter().map(|upload| &upload.layout);
        let packed = uploads.map(|layout| self.parameters.glwe_bytes(layout.lengths.len()));
        let mut bytes = LiveValues::of_uploads(packed);
        let mut most = 0;
        for step in &self.steps {
            for &slot in step.inputs.iter().filter(|_| !step.is_packed()) {
                bytes.put(slot, self.parameters.lwe_bytes(self.element_count(slot)));
            }
            let there: u64 = bytes.iter().map(|(_, bytes)| bytes).sum();
            most = most.max(there + step.further_bytes(&self.parameters));
            bytes.end_step(step, step.output_bytes(&self.parameters));
        }
        most
    }

    /// Returns the elements of what stands in a slot.
    fn element_count(&self, slot: usize) -> usize {
        let uploads = &self.interface.uploads;
        match slot.checked_sub(uploads.len()) {
            None => uploads[slot].layout.places.len(),
            Some(step) => self.steps[step].element_count(),
        }
    }

    /// Returns the look-ups of one inference.
    pub fn bootstrap_count(&self) -> usize {
        self.look_ups().map(|look_up| look_up.sigma.len()).sum()
    }
}

impl LookUpStep {
    /// Returns the table of an element.
    pub fn table(&self, element: usize) -> &Table {
        &self.tables[element / self.elements_per_table]
    }

    /// Returns the output integer for an integer of the grid, without noise.
    pub fn read_integer(&self, element: usize, integer: i64) -> i64 {
        let table = self.table(element);
        let phase = (integer as u64).wrapping_mul(self.unit);
        self.read(table, phase.wrapping_add(table.offset))
    }

    /// Returns by how many integers the largest output exceeds the smallest: as far as twice an output lies
    /// from the centre, for the other half turn gives its mirror image.
    pub fn output_steps(&self) -> u64 {
        let values = self.tables.iter().flat_map(|table| &table.values);
        values.map(|value| value.unsigned_abs()).max().unwrap_or(0)
    }

    /// Returns the output integer that a phase is looked up to.
    pub fn read(&self, table: &Table, phase: u64) -> i64 {
        let size = table.values.len();
        let cell = (phase >> (u64::BITS - 1 - size.ilog2())) as usize;
        let value = match cell.checked_sub(size) {
            None => table.values[cell],
            Some(mirrored) => -table.values[mirrored],
        };
        (value + self.centre) / 2
    }

    /// Replaces the rows by their look-ups on the grid and returns what was read.
    fn run_clear(&self, rows: &mut [Row<u64>], noise: Option<(NoiseSeed, usize)>) -> ColumnReads {
        let fraction = self.unit as f64 / TURN;
        rows.par_iter_mut()
            .enumerate()
            .map(|(element, row)| {
                let table = self.table(element);
                let (low, high) = table.range;
                let readable = table.readable.0..=table.readable.1;
                let noise =
                    noise.map(|(seed, step)| noise_of(seed, step, element, self.sigma[element]));
                let mut noise = noise.into_iter().flatten();
                let mut reads = ColumnReads::default();
                for (column, value) in row.iter_mut().enumerate() {
                    let noise = noise.next().unwrap_or(0.0);
                    let integer = *value as i64;
                    let outside = !(low..=high).contains(&integer);
                    let misread = !readable.contains(&(integer as f64 * fraction + noise));
                    reads.count(column, outside, misread);
                    let phase = value.wrapping_mul(self.unit);
                    let phase = phase.wrapping_add(table.offset).wrapping_add(torus(noise));
                    *value = (self.read(table, phase) * self.output_step) as u64;
                }
                reads
            })
            .reduce(ColumnReads::default, ColumnReads::plus)
    }
}

/// Returns integers of uploads as so many equal columns.
pub fn columns(uploads: &[Vec<i64>], count: usize) -> Vec<Vec<Row<u64>>> {
    let rows = |integers: &Vec<i64>| {
        integers
            .iter()
            .map(|&integer| vec![integer as u64; count].into())
            .collect()
    };
    uploads.iter().map(rows).collect()
}

/// Returns an endless stream of centred Gaussian noise for one element of one step.
fn noise_of(seed: NoiseSeed, step: usize, element: usize, std: f64) -> impl Iterator<Item = f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed.0);
    generator.set_stream(((step as u64) << 40) | element as u64);
    StandardNormal
        .sample_iter(generator)
        .map(move |normal: f64| normal * std)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            purpose: Purpose::Activation,
            node: NodeId::new(0),
            tables: Vec::new(),
            elements_per_table: 1,
            sigma: Vec::new(),
            unit: 2,
            output_step: 2,
            centre: 3,
        };
        // Twice the integers 0, 1, 2, 3 less the centre.
        let table = Table {
            values: vec![-3, -1, 1, 3],
            offset: 0,
            padding_bit: false,
            range: (0, 0),
            readable: (0.0, 0.5),
            scale: 1.0,
        };
        let read: Vec<i64> = (0..8).map(|cell| step.read(&table, cell << 61)).collect();
        assert_eq!(read, [0, 1, 2, 3, 3, 2, 1, 0]);
    }
}
