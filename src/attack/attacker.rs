//! A client that asks a server segment what it likes: it may encrypt any integer at all, and the
//! server cannot tell.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::Result;
use crate::program::Program;
use crate::session::Session;

/// The client of a session, and the segment that it attacks.
pub struct Attacker<'a> {
    pub session: &'a Session,
    pub segment: usize,
    pub program: &'a Program,
    pub seed: u64,
}

impl Attacker<'_> {
    /// Returns the answers to integers for all uploads, one value after the other.
    ///
    /// # Errors
    ///
    /// As [`Session::exchange`].
    pub fn ask(&self, integers: &[i64]) -> Result<Vec<i64>> {
        let mut rest = integers;
        let uploads = self.program.interface.uploads.iter().map(|upload| {
            let (own, after) = rest.split_at(upload.layout.places.len());
            rest = after;
            own.to_vec()
        });
        let uploads: Vec<Vec<i64>> = uploads.collect();
        let transcript = self.session.exchange(self.segment, &uploads)?;
        Ok(transcript.integers.concat())
    }

    /// Returns the smallest and the largest integer of each element's encoding.
    pub fn ends(&self) -> (Vec<i64>, Vec<i64>) {
        let uploads = self.program.interface.uploads.iter();
        let ends = uploads.flat_map(|upload| {
            let ends = (upload.quantisation.low, upload.quantisation.high);
            std::iter::repeat_n(ends, upload.layout.places.len())
        });
        ends.unzip()
    }

    /// Returns arbitrary integers of the encoding.
    pub fn arbitrary(&self, stream: u64) -> Vec<i64> {
        let mut generator = self.generator(stream);
        let (low, high) = self.ends();
        let ends = low.into_iter().zip(high);
        ends.map(|(low, high)| generator.random_range(low..=high))
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
        let downloads = self.program.interface.downloads.iter();
        let steps = downloads.flat_map(|download| {
            let step = download.step as f64 / self.program.unit as f64;
            std::iter::repeat_n(step, download.scales.len())
        });
        steps.collect()
    }

    /// Returns the standard deviation of each output's noise, in decoded integers.
    pub fn noise(&self) -> Vec<f64> {
        let downloads = self.program.interface.downloads.iter();
        let noise = downloads.flat_map(|download| match download.exact {
            true => vec![0.0; download.noise_std.len()],
            false => download.noise_std.clone(),
        });
        noise.collect()
    }
}
