//! A client that asks a server segment what it likes: it may encrypt any integer at all, and the
//! server cannot tell.
//!
//! Most of what it asks is answered by the segment's program in the clear, with noise of the real
//! server's spread: without noise program and ciphertexts agree bit for bit, so that an attack learns
//! from one what it would learn from the other, in a thousandth of the time. Whether they do here is
//! asked of the real server, in a few messages.

use std::cell::Cell;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::budget::Budget;
use crate::circuit::program::{NoiseSeed, Program, columns};
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::core::placement::SegmentIndex;
use crate::oracle::agreement::within_error_model;
use crate::party::inference::Exchange;
use crate::party::session::Session;

/// Look-ups of a message up to which the real server is asked: some ten seconds on two cores.
const MOST_CONFIRMING: usize = 2000;
/// Messages that must all be answered as the simulation says where the first one was not: noise may
/// carry one value over the edge of a table.
const SECOND_LOOKS: usize = 2;
/// Marks the streams that noise is drawn from.
const NOISE: u64 = 1 << 63;

/// The client of a session, and the segment that it attacks.
pub struct Attacker<'a> {
    pub program: &'a Program,
    pub budget: Budget,
    session: &'a Session,
    segment: SegmentIndex,
    seed: u64,
    /// How many questions were asked: each has noise of its own.
    asked: Cell<u64>,
    /// What of the budget others have used.
    begun_s: f64,
}

impl<'a> Attacker<'a> {
    /// Returns a client that has asked nothing.
    pub fn new(session: &'a Session, segment: SegmentIndex, seed: u64, budget: Budget) -> Self {
        Self {
            program: &session.programs()[segment.index()],
            budget,
            session,
            segment,
            seed,
            asked: Cell::new(0),
            begun_s: budget.used_s(),
        }
    }

    /// Returns the seconds that the attack has taken.
    pub fn used_s(&self) -> f64 {
        self.budget.used_s() - self.begun_s
    }

    /// Returns the simulated answers to integers for all uploads, one value after the other.
    pub fn ask(&self, integers: &[i64]) -> Vec<i64> {
        let noise = self.generator(NOISE | self.asked.get()).random();
        self.asked.set(self.asked.get() + 1);
        let question = columns(&self.uploads(integers), 1);
        let answers = self.program.run_clear(&question, Some(NoiseSeed(noise)));
        let rows = answers.outputs.into_iter().flatten();
        rows.map(|row| row[0] as i64).collect()
    }

    /// Returns the simulated answers to many questions, `[elements, questions]` of the only upload, as
    /// `[elements, questions]` of the only download.
    pub fn ask_columns(&self, questions: Vec<Row<u64>>) -> Vec<Row<u64>> {
        let noise = self.generator(NOISE | self.asked.get()).random();
        self.asked.set(self.asked.get() + 1);
        let answers = self.program.run_clear(&[questions], Some(NoiseSeed(noise)));
        answers.outputs.into_iter().flatten().collect()
    }

    /// Returns whether the real server answers questions as the simulated one does, in words for the
    /// method; `None` where it does not. The `question` of a number from zero is any of the attack's.
    ///
    /// # Errors
    ///
    /// As [`Session::exchange`].
    pub fn confirmation(
        &self,
        question: impl Fn(usize) -> Vec<i64>,
    ) -> Result<Option<&'static str>> {
        if self.program.bootstrap_count() > MOST_CONFIRMING {
            return Ok(Some("simulated"));
        }
        let agrees = |index: usize| self.agrees(&question(index));
        let is_alike = agrees(0)?
            || (1..=SECOND_LOOKS).try_fold(true, |all, index| Ok(all && agrees(index)?))?;
        Ok(is_alike.then_some("confirmed"))
    }

    fn agrees(&self, integers: &[i64]) -> Result<bool> {
        let uploaded = self.uploads(integers);
        let transcript = self.session.exchange(self.segment, &uploaded)?;
        let exchange = Exchange {
            uploaded,
            downloaded: transcript.integers,
        };
        Ok(within_error_model(
            self.program,
            &exchange,
            NoiseSeed(self.seed),
        ))
    }

    /// Returns integers by upload.
    fn uploads(&self, integers: &[i64]) -> Vec<Vec<i64>> {
        let mut rest = integers;
        let uploads = self.program.interface.uploads.iter().map(|upload| {
            let (own, after) = rest.split_at(upload.layout.places.len());
            rest = after;
            own.to_vec()
        });
        uploads.collect()
    }

    /// Returns the smallest and the largest integer of each element's encoding.
    pub fn ends(&self) -> (Vec<i64>, Vec<i64>) {
        let ends = self.program.interface.uploads.iter().flat_map(|upload| {
            let ends = (upload.quantisation.low, upload.quantisation.high);
            std::iter::repeat_n(ends, upload.layout.places.len())
        });
        ends.unzip()
    }

    /// Returns arbitrary integers of the encoding.
    pub fn arbitrary(&self, stream: u64) -> Vec<i64> {
        let mut generator = self.generator(stream);
        let (low, high) = self.ends();
        low.into_iter()
            .zip(high)
            .map(|(low, high)| generator.random_range(low..=high))
            .collect()
    }

    /// Returns a generator of its own for each stream.
    pub fn generator(&self, stream: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(stream);
        generator
    }

    /// Returns the grid integers of the decoded integer 1 of each output.
    pub fn download_steps(&self) -> Vec<f64> {
        self.program
            .interface
            .downloads
            .iter()
            .flat_map(|download| {
                let step = download.step as f64 / self.program.unit as f64;
                std::iter::repeat_n(step, download.scales.len())
            })
            .collect()
    }

    /// Returns the standard deviation of each output's noise, in decoded integers.
    pub fn noise(&self) -> Vec<f64> {
        self.program
            .interface
            .downloads
            .iter()
            .flat_map(|download| {
                if download.exact {
                    vec![0.0; download.noise_std.len()]
                } else {
                    download.noise_std.clone()
                }
            })
            .collect()
    }
}
