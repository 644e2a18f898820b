//! How many weights one answer tells a client that chooses its inputs, by the room between noise and
//! the whole turn.
//!
//! Weights of b bits, raised at once by powers of 2^b, stand in one answer as the digits of a number
//! (Kronecker's substitution). What one decoded answer tells apart are R = log2(turn ÷ floor) bits, where
//! the floor is the largest of 2zσ, the phase of an uploaded 1 and that of a decoded 1; one bit more
//! than the digits' keeps their sum within half a turn at either side.

use super::affine::Affine;
use crate::circuit::analysis::UPLOAD_BITS;
use crate::circuit::program::Program;

/// Standard deviations by which an answer may miss: z.
pub const NOISE_QUANTILE: f64 = 6.0;
/// Bits that are allowed for an entry of a composed map.
const COMPOSED_BITS: u32 = 16;
/// log2 of a turn in phases.
const LOG2_TURN: f64 = 64.0;

/// How a client raises elements of a linear segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// b.
    pub bits: u32,
    /// c: weights that one answer tells; none where noise hides even one.
    pub weights: usize,
    /// Uploaded integer of the lowest digit.
    pub lowest: i64,
    /// Times that each answer is asked for: one, unless noise hides even one weight.
    pub repeats: f64,
}

impl Capacity {
    /// Returns the capacity of answers that are affine in what is uploaded, at the worst of them.
    pub fn of(program: &Program, affine: &Affine<'_>) -> Self {
        let bits = weight_bits(affine);
        let upload_steps = program.interface.uploads.iter().map(|upload| upload.step);
        let upload = upload_steps.max().unwrap_or(1) as f64;
        let downloads = program.interface.downloads.iter().map(|download| {
            let step = download.step as f64;
            let noise = download.noise_std.iter().copied().fold(0.0, f64::max);
            (2.0 * NOISE_QUANTILE * noise * step).max(step)
        });
        let floor = downloads.fold(upload, f64::max);
        let lowest = (floor / upload).ceil();
        let room = LOG2_TURN - (lowest * upload).log2();
        let weights = ((room - 1.0) / f64::from(bits)).floor().max(0.0) as usize;
        let most = if affine.composed { 1 } else { weights };
        // (2^b · floor ÷ turn)²: averaged over r queries, noise is √r times smaller, and then a weight
        // of b bits has room.
        let repeats = (f64::from(bits) - room).exp2().powi(2).ceil();
        Self {
            bits,
            weights: weights.min(most),
            lowest: lowest as i64,
            repeats: if weights == 0 { repeats.max(1.0) } else { 1.0 },
        }
    }

    /// Returns the queries for a plan of that many, the one that raises nothing included.
    pub fn queries(&self, plan: usize) -> usize {
        match self.weights {
            0 => (self.repeats * (plan + 1) as f64) as usize,
            weights => plan.div_ceil(weights) + 1,
        }
    }
}

/// Returns the bits that a client allows a weight of the map: those of the widest, where a row needs
/// more than others have.
pub fn weight_bits(affine: &Affine<'_>) -> u32 {
    let largest = affine
        .map
        .blocks
        .iter()
        .flat_map(|block| block.weights.iter())
        .map(|&weight| (weight as i64).unsigned_abs())
        .max();
    let widest = 1 + u64::BITS - largest.unwrap_or(0).leading_zeros();
    widest.max(if affine.composed {
        COMPOSED_BITS
    } else {
        UPLOAD_BITS
    })
}

/// Returns how often each query has to be asked where look-ups stand first: 2zσ ÷ g, where g is what
/// the look-ups' swing, on the grid, makes of a weight of 1.
pub fn look_up_repeats(program: &Program, swing: i64) -> f64 {
    let gain = swing as f64 * program.unit as f64;
    let downloads = program.interface.downloads.iter().map(|download| {
        let noise = download.noise_std.iter().copied().fold(0.0, f64::max);
        2.0 * NOISE_QUANTILE * noise * download.step as f64 / gain
    });
    // A difference of two answers has twice the variance.
    (2.0 * downloads.fold(0.0, f64::max).powi(2))
        .ceil()
        .max(1.0)
}
