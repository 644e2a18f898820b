//! The values of a segment while it runs: ciphertexts in memory, and some in a file.

use std::borrow::Cow;
use std::time::Instant;

use rayon::prelude::*;

use crate::circuit::interface::UploadEncoding;
use crate::circuit::packing::Place;
use crate::circuit::program::{Program, Step};
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::fhe::packed::extract;
use crate::fhe::parameters::ParameterSet;
use crate::party::spilled::Spilled;
use crate::record::spill::Spill;

/// The ciphertexts of a value.
pub enum Ciphertexts<'a> {
    /// GLWE ciphertexts, and where the elements lie in them.
    Packed(Vec<Row<u64>>, &'a [Place]),
    /// One LWE ciphertext per element.
    Lwe(Vec<Row<u64>>),
    /// The same, in a file.
    Spilled(Spilled),
}

impl Ciphertexts<'_> {
    fn is_spilled(&self) -> bool {
        matches!(self, Self::Spilled(_))
    }

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
    pub fn into_lwe(self, parameters: &ParameterSet) -> Vec<Row<u64>> {
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
}

/// The values by slot: uploads, then the outputs of steps.
pub struct Slots<'a> {
    program: &'a Program,
    values: Vec<Option<Ciphertexts<'a>>>,
    /// Bytes in memory above which values that wait spill to files.
    limit: Option<u64>,
    spill: Spill,
}

impl<'a> Slots<'a> {
    /// Returns the slots of a program whose uploads have arrived.
    pub fn new(program: &'a Program, uploads: Vec<Vec<Row<u64>>>, limit: Option<u64>) -> Self {
        let encodings = program.interface.uploads.iter();
        let packed = |(rows, encoding): (_, &'a UploadEncoding)| {
            Some(Ciphertexts::Packed(rows, &encoding.layout.places))
        };
        Self {
            program,
            values: uploads.into_iter().zip(encodings).map(packed).collect(),
            limit,
            spill: Spill::default(),
        }
    }

    /// Takes a value out.
    pub fn take(&mut self, slot: usize) -> Option<Ciphertexts<'a>> {
        self.values[slot].take()
    }

    /// Adds the output of the next step.
    pub fn push(&mut self, output: Ciphertexts<'a>) {
        self.values.push(Some(output));
    }

    /// Brings a value into memory as LWE ciphertexts, where it is not.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn unpack(&mut self, slot: usize) -> Result<()> {
        self.read_back(slot)?;
        if let Some(ciphertexts) = self.values[slot].take() {
            let rows = ciphertexts.into_lwe(&self.program.parameters);
            self.values[slot] = Some(Ciphertexts::Lwe(rows));
        }
        Ok(())
    }

    /// Brings a value back into memory, where it waits in a file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn read_back(&mut self, slot: usize) -> Result<()> {
        let value = &mut self.values[slot];
        if let Some(Ciphertexts::Spilled(spilled)) = value.take_if(|value| value.is_spilled()) {
            let start = Instant::now();
            let rows = spilled.read().map_err(|source| Error::Read {
                path: std::env::temp_dir(),
                source,
            })?;
            self.spill.seconds += start.elapsed().as_secs_f64();
            *value = Some(Ciphertexts::Lwe(rows));
        }
        Ok(())
    }

    /// Returns the LWE ciphertexts that a step reads, unpacked before; for its own use those that
    /// nothing reads after it.
    pub fn inputs(&mut self, step: &Step) -> Vec<Cow<'_, [Row<u64>]>> {
        let take = |(input, &slot)| {
            if step.may_change(input) {
                self.take(slot)
            } else {
                None
            }
        };
        let taken: Vec<Option<Ciphertexts<'a>>> =
            step.inputs.iter().enumerate().map(take).collect();
        let inputs = step.inputs.iter().zip(taken);
        inputs
            .map(|(&slot, taken)| match (taken, &self.values[slot]) {
                (Some(Ciphertexts::Lwe(rows)), _) => Cow::Owned(rows),
                (None, Some(Ciphertexts::Lwe(rows))) => Cow::Borrowed(&rows[..]),
                _ => unreachable!("a step reads values that are there, unpacked"),
            })
            .collect()
    }

    /// Returns the bytes of all values in memory.
    pub fn live_bytes(&self) -> u64 {
        self.values.iter().flatten().map(Ciphertexts::bytes).sum()
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
        if let Some(Ciphertexts::Lwe(rows)) = self.values[slot].take() {
            let start = Instant::now();
            let spilled = Spilled::write(rows).map_err(|source| Error::Write {
                path: std::env::temp_dir(),
                source,
            })?;
            self.spill.bytes += spilled.bytes();
            self.spill.seconds += start.elapsed().as_secs_f64();
            self.values[slot] = Some(Ciphertexts::Spilled(spilled));
        }
        Ok(())
    }

    /// Returns the bytes that a step brings into memory: its output, what it reads from files, and
    /// what it unpacks.
    fn coming_bytes(&self, step: usize) -> u64 {
        let step = &self.program.steps[step];
        let parameters = &self.program.parameters;
        let read = step.inputs.iter().map(|&slot| match &self.values[slot] {
            Some(Ciphertexts::Spilled(spilled)) => spilled.bytes(),
            Some(Ciphertexts::Packed(_, places)) if !step.is_packed() => {
                parameters.lwe_bytes(places.len())
            }
            _ => 0,
        });
        read.sum::<u64>() + step.further_bytes(parameters)
    }

    /// Returns the value in memory that a step does not read and that waits longest.
    fn longest_waiting(&self, step: usize) -> Option<usize> {
        let is_waiting = |slot: &usize| {
            matches!(self.values[*slot], Some(Ciphertexts::Lwe(_)))
                && !self.program.steps[step].inputs.contains(slot)
        };
        let next_read = |slot: &usize| {
            self.program.steps[step..]
                .iter()
                .position(|step| step.inputs.contains(slot))
        };
        let waiting = (0..self.values.len()).filter(is_waiting);
        // A download that no step reads waits longest of all.
        waiting.max_by_key(|slot| next_read(slot).unwrap_or(usize::MAX))
    }
}
