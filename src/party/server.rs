//! The server: its programs in the clear, its inputs encrypted.
//!
//! It must never hold a secret key: naming the type here fails the lint.
#![deny(clippy::disallowed_types)]

mod slots;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use crate::circuit::interface::{DownloadEncoding, Form};
use crate::circuit::key_kind::KeyKind;
use crate::circuit::packing::Packing;
use crate::circuit::program::{Action, LinearStep, LookUpStep, Program, Step};
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::core::placement::SegmentIndex;
use crate::fhe::bootstrap::look_up;
use crate::fhe::cipher::{self, SeededCiphertexts};
use crate::fhe::keys::{EvaluationKey, SeededEvaluationKey};
use crate::fhe::pack::{PackingDecomposition, PackingKey, SeededPackingKey};
use crate::fhe::packed::PackedWeights;
use crate::fhe::parameters::ParameterSet;
use crate::fhe::zero::PublicZeros;
use crate::model::NodeId;
use crate::party::ciphertext::{GlweCiphertext, LweCiphertext, add_to_body, with_bodies};
use crate::party::wire::{self, Expected};
use crate::record::spill::Spill;
use slots::{Ciphertexts, Slots};

/// The party that owns the model.
pub struct Server {
    segments: Vec<PreparedSegment>,
    keys: Vec<EvaluationKey>,
    packing_keys: Vec<PackingKey>,
    zeros: Vec<PublicZeros>,
    /// Bytes of ciphertexts above which those that wait spill to files.
    spill_above: Option<u64>,
}

/// A program with what its steps need on the torus.
struct PreparedSegment {
    program: Arc<Program>,
    prepared: Vec<Prepared>,
}

/// What a step needs besides its program.
enum Prepared {
    /// A linear step on LWE ciphertexts needs nothing.
    Lwe,
    /// The weights of a linear step on packed ciphertexts.
    Packed(PackedWeights),
    /// The tables of a look-up.
    Tables(Vec<Vec<u64>>),
}

/// Sees the index of a look-up among a program's steps, the step, and the ciphertexts that it is
/// about to read.
pub type BeforeLookUp<'a> = dyn FnMut(usize, &LookUpStep, &[LweCiphertext]) -> Result<()> + 'a;

/// Hears a look-up's node and how many more of its elements are done.
pub type OnLookUps<'a> = dyn Fn(NodeId, usize) + Sync + 'a;

/// How much of a segment is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// Of each look-up step so many elements at most; the others stay as they are, so that answers
    /// mean nothing.
    Batch(usize),
}

impl Extent {
    /// Returns how many of a look-up step's elements are run.
    fn of(self, elements: usize) -> usize {
        match self {
            Self::Whole => elements,
            Self::Batch(most) => most.min(elements),
        }
    }
}

/// The ciphertexts of each download.
pub type Answers = Vec<Vec<Row<u64>>>;

/// Seconds that the server spent in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTime {
    pub node: NodeId,
    pub seconds: f64,
    /// Bytes of all ciphertexts in memory during the step, its inputs and output among them.
    pub live_bytes: u64,
    /// What waiting in files has cost in the step.
    pub spill: Spill,
}

impl Server {
    /// Returns a server of those programs, without keys.
    pub fn new(programs: &[Arc<Program>]) -> Self {
        let segments = programs.iter().map(|program| PreparedSegment {
            prepared: program
                .steps
                .iter()
                .map(|step| prepare(step, &program.parameters))
                .collect(),
            program: Arc::clone(program),
        });
        Self {
            segments: segments.collect(),
            keys: Vec::new(),
            packing_keys: Vec::new(),
            zeros: Vec::new(),
            spill_above: None,
        }
    }

    /// Lets ciphertexts that wait for a later step spill to a file, where a step would bring more
    /// than so many bytes of ciphertexts into memory. Input and output of a step always stay.
    pub fn spill_above(&mut self, bytes: Option<u64>) {
        self.spill_above = bytes;
    }

    /// Receives a key of the client.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the bytes do not conform to its kind.
    pub fn receive(&mut self, kind: &KeyKind, bytes: &[u8]) -> Result<()> {
        match kind {
            KeyKind::Evaluation(parameters) => {
                let seeded = SeededEvaluationKey::from_bytes(bytes, parameters)?;
                self.keys.push(EvaluationKey::expand(seeded, *parameters));
            }
            KeyKind::Packing(parameters, packing) => {
                let seeded = SeededPackingKey::from_bytes(bytes, parameters, *packing)?;
                self.packing_keys
                    .push(PackingKey::expand(seeded, *parameters, *packing));
            }
            KeyKind::Zeros(parameters) => {
                let seeded = wire::read_upload(bytes, &Expected::of_zeros(parameters))?;
                self.zeros.push(PublicZeros::expand(&seeded, *parameters));
            }
        }
        Ok(())
    }

    /// Returns the evaluation key of a parameter set.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where none was received.
    pub fn key(&self, parameters: &ParameterSet) -> Result<&EvaluationKey> {
        let missing = || {
            Error::Message(format!(
                "the server has received no evaluation key for {parameters}"
            ))
        };
        let mut keys = self.keys.iter();
        keys.find(|key| key.parameters() == parameters)
            .ok_or_else(missing)
    }

    /// Runs a segment on its uploads, or so much of it, and returns the ciphertexts of each download
    /// with the time of each step.
    ///
    /// # Errors
    ///
    /// [`Error::Message`] where the segment needs an evaluation key and none was received;
    /// [`Error::Write`] and [`Error::Read`] where ciphertexts cannot wait in a file.
    pub fn run(
        &self,
        segment: SegmentIndex,
        uploads: &[SeededCiphertexts],
        extent: Extent,
        advance: &OnLookUps<'_>,
    ) -> Result<(Answers, Vec<StepTime>)> {
        let parameters = &self.segments[segment.index()].program.parameters;
        let expand = |upload| cipher::expand(parameters, upload);
        let uploads = uploads.iter().map(expand).collect();
        self.run_steps(segment, uploads, extent, &mut |_, _, _| Ok(()), advance)
    }

    /// Runs a segment on the GLWE ciphertexts of its uploads, and shows each look-up to
    /// `before_look_up`.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and what `before_look_up` returns.
    pub fn observe(
        &self,
        segment: SegmentIndex,
        uploads: Vec<Vec<GlweCiphertext>>,
        before_look_up: &mut BeforeLookUp<'_>,
    ) -> Result<(Answers, Vec<StepTime>)> {
        let extent = Extent::Whole;
        self.run_steps(segment, uploads, extent, before_look_up, &|_, _| ())
    }

    fn run_steps(
        &self,
        segment: SegmentIndex,
        uploads: Vec<Vec<GlweCiphertext>>,
        extent: Extent,
        before_look_up: &mut BeforeLookUp<'_>,
        advance: &OnLookUps<'_>,
    ) -> Result<(Answers, Vec<StepTime>)> {
        let PreparedSegment { program, prepared } = &self.segments[segment.index()];
        let parameters = &program.parameters;
        let mut slots = Slots::new(program, uploads, self.spill_above);
        let mut times = Vec::with_capacity(program.steps.len());
        for (index, (step, prepared)) in program.steps.iter().zip(prepared).enumerate() {
            let start = Instant::now();
            slots.make_room(index)?;
            for &input in step.inputs.iter().filter(|_| !step.is_packed()) {
                slots.unpack(input)?;
            }
            let spill = slots.take_spill();
            let live_bytes = slots.live_bytes() + step.further_bytes(parameters);
            let output = match (&step.action, prepared) {
                (Action::Linear(linear), Prepared::Packed(weights)) => {
                    run_packed(linear, weights, program, slots.take(step.inputs[0]))
                }
                (Action::Linear(linear), _) => {
                    Ciphertexts::Lwe(run_linear(linear, slots.inputs(step), program.unit))
                }
                (Action::LookUp(look_up), Prepared::Tables(tables)) => {
                    let mut rows = shifted(look_up, slots.take(step.inputs[0]));
                    before_look_up(index, look_up, &rows)?;
                    let key = self.key(parameters)?;
                    let count = extent.of(rows.len());
                    run_look_up(look_up, tables, key, &mut rows[..count], advance);
                    Ciphertexts::Lwe(rows)
                }
                (Action::LookUp(_), _) => unreachable!("look-ups are prepared with tables"),
            };
            times.push(StepTime {
                node: step.node,
                seconds: start.elapsed().as_secs_f64(),
                live_bytes,
                spill,
            });
            slots.end_step(step, output);
        }
        let answers = self.answers(program, &mut slots)?;
        if let Some(last) = times.last_mut() {
            last.spill = last.spill.plus(slots.take_spill());
        }
        Ok((answers, times))
    }

    /// Brings the values that leave into the form that travels.
    fn answers(&self, program: &Program, slots: &mut Slots<'_>) -> Result<Answers> {
        let downloads = program.interface.downloads.iter();
        downloads
            .zip(&program.download_slots)
            .map(|(download, &slot)| {
                slots.read_back(slot)?;
                let ciphertexts = slots.take(slot);
                self.answer(download, &program.parameters, ciphertexts)
            })
            .collect()
    }

    /// Brings a value's ciphertexts into the form that travels.
    fn answer(
        &self,
        download: &DownloadEncoding,
        parameters: &ParameterSet,
        ciphertexts: Ciphertexts<'_>,
    ) -> Result<Vec<Row<u64>>> {
        let zeros = match &download.flooding {
            Some(flooding) => Some((self.zeros(parameters)?, flooding.std)),
            None => None,
        };
        let mut packed = match (ciphertexts, download.packing) {
            (ciphertexts, Some(packing)) => {
                let rows = ciphertexts.into_lwe(parameters);
                self.packing_key(parameters, packing)?.pack(&rows)
            }
            (Ciphertexts::Packed(rows, _), None) if download.form != Form::Lwe => rows,
            (ciphertexts, None) => {
                let mut rows = ciphertexts.into_lwe(parameters);
                if let Some((zeros, std)) = zeros {
                    zeros.hide(&mut rows, std);
                }
                return Ok(rows);
            }
        };
        if let Some((zeros, std)) = zeros {
            zeros.hide_packed(&mut packed, std);
        }
        let Form::Glwe(elements) = &download.form else {
            unreachable!("packed answers have GLWE form");
        };
        let rows = packed.iter().zip(elements);
        let mask = parameters.big_dimension();
        Ok(rows
            .map(|(row, elements)| with_bodies(row, mask, elements))
            .collect())
    }

    fn zeros(&self, parameters: &ParameterSet) -> Result<&PublicZeros> {
        let missing = || Error::Message("the server has received no encryptions of zero".into());
        let mut zeros = self.zeros.iter();
        zeros
            .find(|zeros| zeros.parameters() == parameters)
            .ok_or_else(missing)
    }

    fn packing_key(
        &self,
        parameters: &ParameterSet,
        packing: PackingDecomposition,
    ) -> Result<&PackingKey> {
        let missing = || Error::Message("the server has received no packing key".into());
        self.packing_keys
            .iter()
            .find(|key| key.serves(parameters, packing))
            .ok_or_else(missing)
    }
}

fn run_packed<'a>(
    linear: &'a LinearStep,
    weights: &PackedWeights,
    program: &Program,
    ciphertexts: Ciphertexts<'_>,
) -> Ciphertexts<'a> {
    let (Ciphertexts::Packed(input, _), Some(Packing { outputs, .. })) =
        (ciphertexts, &linear.packing)
    else {
        unreachable!("only steps that read an upload alone are packed");
    };
    let mut products = weights.multiply(&program.parameters, &input);
    let body = program.parameters.big_dimension();
    for (place, &bias) in outputs.iter().zip(&linear.weights.bias) {
        let row = &mut products[place.ciphertext as usize];
        let coefficient = &mut row[body + place.coefficient as usize];
        *coefficient = coefficient.wrapping_add((bias as u64).wrapping_mul(program.unit));
    }
    Ciphertexts::Packed(products, outputs)
}

fn run_linear(
    linear: &LinearStep,
    inputs: Vec<Cow<'_, [LweCiphertext]>>,
    unit: u64,
) -> Vec<LweCiphertext> {
    let mut rows = linear.weights.apply(inputs);
    for (row, &bias) in rows.iter_mut().zip(&linear.weights.bias) {
        add_to_body(row, (bias as u64).wrapping_mul(unit));
    }
    rows
}

/// Returns what a look-up reads: what the step before it made, with the offsets of its tables added.
fn shifted(look_up: &LookUpStep, ciphertexts: Ciphertexts<'_>) -> Vec<LweCiphertext> {
    let Ciphertexts::Lwe(mut rows) = ciphertexts else {
        unreachable!("a look-up reads what the step before it made");
    };
    for (element, row) in rows.iter_mut().enumerate() {
        add_to_body(row, look_up.table(element).offset);
    }
    rows
}

fn run_look_up(
    step: &LookUpStep,
    tables: &[Vec<u64>],
    key: &EvaluationKey,
    rows: &mut [LweCiphertext],
    advance: &OnLookUps<'_>,
) {
    let table = |element: usize| &tables[element / step.elements_per_table][..];
    advance(step.node, 0);
    look_up(key, rows, table, &|count| advance(step.node, count));
    let centre = (step.centre as u64).wrapping_mul(half_output(step));
    for row in rows {
        add_to_body(row, centre);
    }
}

/// Returns the phase of half an output integer: table values count in halves.
fn half_output(step: &LookUpStep) -> u64 {
    (step.output_step as u64 / 2).wrapping_mul(step.unit)
}

/// Returns what a step needs on the torus.
fn prepare(step: &Step, parameters: &ParameterSet) -> Prepared {
    match &step.action {
        Action::Linear(LinearStep { packing: None, .. }) => Prepared::Lwe,
        Action::Linear(LinearStep {
            packing: Some(packing),
            ..
        }) => Prepared::Packed(PackedWeights::new(parameters, &packing.products)),
        Action::LookUp(step) => {
            let on_torus = |&value: &i64| (value as u64).wrapping_mul(half_output(step));
            let values = step.tables.iter().map(|table| &table.values);
            Prepared::Tables(values.map(|of| of.iter().map(on_torus).collect()).collect())
        }
    }
}
