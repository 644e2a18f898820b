//! The values of a segment while it runs: ciphertexts in memory, and some in a file.

use std::borrow::Cow;
use std::time::Instant;

use rayon::prelude::*;

use crate::circuit::interface::UploadEncoding;
use crate::circuit::packing::Place;
use crate::circuit::program::{Program, Step};
use crate::circuit::schedule::LiveValues;
use crate::core::error::{Error, Result};
use crate::fhe::packed::extract;
use crate::fhe::parameters::ParameterSet;
use crate::party::ciphertext::{GlweCiphertext, LweCiphertext};
use crate::party::spilled::Spilled;
use crate::record::spill::Spill;

/// The ciphertexts of a value.
pub enum Ciphertexts<'a> {
    /// GLWE ciphertexts, and where the elements lie in them.
    Packed(Vec<GlweCiphertext>, &'a [Place]),
    /// One LWE ciphertext per element.
    Lwe(Vec<LweCiphertext>),
    /// The same, in a file.
    Spilled(Spilled),
}

impl Ciphertexts<'_> {
    /// Returns the bytes in memory.
    fn bytes(&self) -> u64 {
        match self {
            Self::Packed(rows, _) | Self::Lwe(rows) => {
                rows.iter().map(|row| size_of_val(&row[..]) as u64).sum()
            }
            Self::Spilled(_) => 0,
        }
    }

    /// Returns one LWE ciphertext per element of a value in memory.
    pub fn into_lwe(self, parameters: &ParameterSet) -> Vec<LweCiphertext> {
        match self {
            Self::Lwe(rows) => rows,
            Self::Packed(ciphertexts, places) => places
                .par_iter()
                .map(|place| {
                    let ciphertext = &ciphertexts[place.ciphertext as usize];
                    extract(parameters, ciphertext, place.coefficient as usize)
                })
                .collect(),
            Self::Spilled(_) => unreachable!("what waits in a file is read back first"),
        }
    }

    /// Returns the LWE ciphertexts of an unpacked value in memory.
    fn as_lwe(&self) -> &[LweCiphertext] {
        match self {
            Self::Lwe(rows) => rows,
            Self::Packed(..) | Self::Spilled(_) => unreachable!("a step's inputs are unpacked"),
        }
    }
}

/// The values by slot: uploads, then the outputs of steps.
pub struct Slots<'a> {
    program: &'a Program,
    values: LiveValues<Ciphertexts<'a>>,
    /// Bytes in memory above which values that wait spill to files.
    limit: Option<u64>,
    spill: Spill,
}

impl<'a> Slots<'a> {
    /// Returns the slots of a program whose uploads have arrived.
    pub fn new(
        program: &'a Program,
        uploads: Vec<Vec<GlweCiphertext>>,
        limit: Option<u64>,
    ) -> Self {
        let encodings = program.interface.uploads.iter();
        let packed = |(rows, encoding): (_, &'a UploadEncoding)| {
            Ciphertexts::Packed(rows, &encoding.layout.places)
        };
        Self {
            program,
            values: LiveValues::of_uploads(uploads.into_iter().zip(encodings).map(packed)),
            limit,
            spill: Spill::default(),
        }
    }

    /// Takes a value out.
    pub fn take(&mut self, slot: usize) -> Ciphertexts<'a> {
        self.values.take(slot)
    }

    /// Adds the output of the next step, and drops what nothing reads any more.
    pub fn end_step(&mut self, step: &Step, output: Ciphertexts<'a>) {
        self.values.end_step(step, output);
    }

    /// Brings a value into memory as LWE ciphertexts, where it is not.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn unpack(&mut self, slot: usize) -> Result<()> {
        self.read_back(slot)?;
        let rows = self.take(slot).into_lwe(&self.program.parameters);
        self.values.put(slot, Ciphertexts::Lwe(rows));
        Ok(())
    }

    /// Brings a value back into memory, where it waits in a file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn read_back(&mut self, slot: usize) -> Result<()> {
        let in_memory = match self.take(slot) {
            Ciphertexts::Spilled(spilled) => {
                let start = Instant::now();
                let rows = spilled.read().map_err(|source| Error::Read {
                    path: std::env::temp_dir(),
                    source,
                })?;
                self.spill.seconds += start.elapsed().as_secs_f64();
                Ciphertexts::Lwe(rows)
            }
            ciphertexts => ciphertexts,
        };
        self.values.put(slot, in_memory);
        Ok(())
    }

    /// Returns the LWE ciphertexts that a step reads, unpacked before; for its own use those that
    /// nothing reads after it.
    pub fn inputs(&mut self, step: &Step) -> Vec<Cow<'_, [LweCiphertext]>> {
        let take = |(input, &slot)| step.may_change(input).then(|| self.take(slot));
        let taken: Vec<Option<Ciphertexts<'a>>> =
            step.inputs.iter().enumerate().map(take).collect();
        let inputs = step.inputs.iter().zip(taken);
        inputs
            .map(|(&slot, taken)| match taken {
                Some(own) => Cow::Owned(own.into_lwe(&self.program.parameters)),
                None => Cow::Borrowed(self.values.get(slot).as_lwe()),
            })
            .collect()
    }

    /// Returns the bytes of all values in memory.
    pub fn live_bytes(&self) -> u64 {
        self.values.iter().map(|(_, value)| value.bytes()).sum()
    }

    /// Returns what waiting in files has cost since it was asked last.
    pub fn take_spill(&mut self) -> Spill {
        std::mem::take(&mut self.spill)
    }

    /// Makes room for a step's inputs and output below the limit: of the values that it does not
    /// read, those that wait longest go to files.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] where a file cannot be written.
    pub fn make_room(&mut self, step: usize) -> Result<()> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let coming = self.coming_bytes(step);
        while self.live_bytes() + coming > limit {
            let Some(slot) = self.longest_waiting(step) else {
                break;
            };
            self.spill(slot)?;
        }
        Ok(())
    }

    fn spill(&mut self, slot: usize) -> Result<()> {
        let Ciphertexts::Lwe(rows) = self.take(slot) else {
            unreachable!("only LWE ciphertexts wait in files");
        };
        let start = Instant::now();
        let spilled = Spilled::write(rows).map_err(|source| Error::Write {
            path: std::env::temp_dir(),
            source,
        })?;
        self.spill.bytes += spilled.bytes();
        self.spill.seconds += start.elapsed().as_secs_f64();
        self.values.put(slot, Ciphertexts::Spilled(spilled));
        Ok(())
    }

    /// Returns the bytes that a step brings into memory: its output, what it reads from files, and
    /// what it unpacks.
    fn coming_bytes(&self, step: usize) -> u64 {
        let step = &self.program.steps[step];
        let parameters = &self.program.parameters;
        let read = step.inputs.iter().map(|&slot| match self.values.get(slot) {
            Ciphertexts::Spilled(spilled) => spilled.bytes(),
            Ciphertexts::Packed(_, places) if !step.is_packed() => {
                parameters.lwe_bytes(places.len())
            }
            Ciphertexts::Packed(..) | Ciphertexts::Lwe(_) => 0,
        });
        read.sum::<u64>() + step.further_bytes(parameters)
    }

    /// Returns the value in memory that a step does not read and that waits longest.
    fn longest_waiting(&self, step: usize) -> Option<usize> {
        let waiting = |(slot, value): (usize, &Ciphertexts<'_>)| {
            let is_read = self.program.steps[step].inputs.contains(&slot);
            (matches!(value, Ciphertexts::Lwe(_)) && !is_read).then_some(slot)
        };
        let next_read = |slot: &usize| {
            self.program.steps[step..]
                .iter()
                .position(|step| step.inputs.contains(slot))
        };
        let waiting = self.values.iter().filter_map(waiting);
        // A download that no step reads waits longest of all.
        waiting.max_by_key(|slot| next_read(slot).unwrap_or(usize::MAX))
    }
}
