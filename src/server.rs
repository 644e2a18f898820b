//! The server: its programs in the clear, its inputs encrypted.
//!
//! It must never hold a secret key: naming the type here fails the lint.
#![deny(clippy::disallowed_types)]

use std::time::Instant;

use crate::error::{Error, Result};
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher::{self, SeededPhases};
use crate::fhe::keys::{EvaluationKey, SeededEvaluationKey};
use crate::fhe::parameters::ParameterSet;
use crate::linear_map::Row;
use crate::program::{LinearStep, LookUpStep, Program, Step};

/// The party that owns the model.
pub struct Server {
    parameters: ParameterSet,
    segments: Vec<Segment>,
    key: Option<EvaluationKey>,
}

/// A program with the tables of each of its look-ups on the torus; none for linear steps.
struct Segment {
    program: Program,
    tables: Vec<Vec<Vec<u64>>>,
}

/// Seconds that the server spent in a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerTime {
    /// Index of the layer in the model.
    pub layer: usize,
    pub seconds: f64,
}

impl Server {
    /// Returns a server of those programs, without a key.
    pub fn new(programs: Vec<Program>, parameters: ParameterSet) -> Self {
        let segments = programs.into_iter().map(|program| Segment {
            tables: program.steps.iter().map(torus_tables).collect(),
            program,
        });
        Self {
            parameters,
            segments: segments.collect(),
            key: None,
        }
    }

    /// Receives the client's evaluation key.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the bytes do not conform to the parameter set.
    pub fn receive_key(&mut self, bytes: &[u8]) -> Result<()> {
        let seeded = SeededEvaluationKey::from_bytes(bytes, &self.parameters)?;
        self.key = Some(EvaluationKey::expand(seeded, self.parameters));
        Ok(())
    }

    /// Returns the evaluation key, if one was received.
    pub fn key(&self) -> Option<&EvaluationKey> {
        self.key.as_ref()
    }

    /// Returns the ciphertexts that a segment starts from.
    pub fn expand(&self, upload: &SeededPhases) -> Vec<Row<u64>> {
        cipher::expand(&self.parameters, upload)
    }

    /// Runs a segment on its input ciphertexts and returns its output ciphertexts with the time
    /// of each layer.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the segment needs an evaluation key and none was received.
    pub fn run(
        &self,
        segment: usize,
        input: Vec<Row<u64>>,
    ) -> Result<(Vec<Row<u64>>, Vec<LayerTime>)> {
        let Segment { program, tables } = &self.segments[segment];
        let mut rows = input;
        let mut times = Vec::with_capacity(program.steps.len());
        for (step, tables) in program.steps.iter().zip(tables) {
            let start = Instant::now();
            match step {
                Step::Linear(linear) => rows = run_linear(linear, &rows),
                Step::LookUp(step) => run_look_up(step, tables, self.required_key()?, &mut rows),
            }
            times.push(LayerTime {
                layer: step.layer(),
                seconds: start.elapsed().as_secs_f64(),
            });
        }
        Ok((rows, times))
    }

    fn required_key(&self) -> Result<&EvaluationKey> {
        let missing = || Error::Message("the server has received no evaluation key".into());
        self.key.as_ref().ok_or_else(missing)
    }
}

fn run_linear(linear: &LinearStep, input: &[Row<u64>]) -> Vec<Row<u64>> {
    let mut rows = linear.map.apply(input);
    for (row, &bias) in rows.iter_mut().zip(&linear.bias) {
        add_to_body(row, (bias as u64).wrapping_mul(linear.step));
    }
    rows
}

fn run_look_up(step: &LookUpStep, tables: &[Vec<u64>], key: &EvaluationKey, rows: &mut [Row<u64>]) {
    for (element, row) in rows.iter_mut().enumerate() {
        add_to_body(row, step.table(element).offset);
    }
    look_up(key, rows, |element| {
        &tables[element / step.elements_per_table]
    });
    let centre = (step.centre as u64).wrapping_mul(step.output_step / 2);
    for row in rows {
        add_to_body(row, centre);
    }
}

/// Adds a clear phase to a ciphertext.
fn add_to_body(row: &mut Row<u64>, phase: u64) {
    if let Some(body) = row.last_mut() {
        *body = body.wrapping_add(phase);
    }
}

/// Returns the phases that each table of a look-up holds: half an output step for each unit of
/// its values, which count in halves.
fn torus_tables(step: &Step) -> Vec<Vec<u64>> {
    match step {
        Step::Linear(_) => Vec::new(),
        Step::LookUp(step) => {
            let on_torus = |&value: &i64| (value as u64).wrapping_mul(step.output_step / 2);
            let tables = step.tables.iter();
            tables
                .map(|table| table.values.iter().map(on_torus).collect())
                .collect()
        }
    }
}
