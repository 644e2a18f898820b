//! Questions along a line: an input, and a direction added to it all around the turn.

use std::cell::Cell;

use crate::attack::attacker::Attacker;
use crate::core::linear_map::Row;
use crate::core::torus::TURN;

/// Asks along lines.
pub struct Sweeps<'a> {
    attacker: &'a Attacker<'a>,
    /// The uploaded integer whose phase is a part of the turn.
    part: u64,
    count: usize,
    /// Questions so far.
    asked: Cell<usize>,
}

impl<'a> Sweeps<'a> {
    /// Returns questions at `count` equal parts of the turn, a power of two; `None` where the client's
    /// integers have no such phases.
    ///
    /// An integer n has the phase n·s modulo a turn, where s is odd times a power of two. The odd part has an
    /// inverse modulo 2^64, so that every multiple of that power is the phase of some n: steps as fine as
    /// one likes, far below those of the encoding.
    pub fn new(attacker: &'a Attacker<'a>, count: usize) -> Option<Self> {
        let step = *attacker.program.upload_steps.first()? as u64;
        let phase = step.wrapping_mul(attacker.program.unit);
        let wanted = u64::BITS - count.ilog2();
        let shift = wanted.checked_sub(phase.trailing_zeros())?;
        let part = inverse(phase >> phase.trailing_zeros()) << shift;
        Some(Self {
            attacker,
            part,
            count,
            asked: Cell::new(0),
        })
    }

    /// Returns the questions of a sweep through the integers `from`, `[inputs, parts]`.
    fn questions(&self, from: &[i64], direction: &[i64]) -> Vec<Row<u64>> {
        let inputs = from.iter().zip(direction);
        inputs
            .map(|(&integer, &step)| {
                let step = self.part.wrapping_mul(step as u64);
                let at = |part: u64| (integer as u64).wrapping_add(step.wrapping_mul(part));
                (0..self.count as u64).map(at).collect()
            })
            .collect()
    }

    /// Returns the answers of a sweep as fractions of a turn, `[outputs, parts]`.
    pub fn ask(&self, from: &[i64], direction: &[i64]) -> Vec<Vec<f64>> {
        self.asked.set(self.asked.get() + self.count);
        let answers = self.attacker.ask_columns(self.questions(from, direction));
        let fraction = self.fraction();
        let row = |row: Row<u64>| row.iter().map(|&v| v as i64 as f64 * fraction).collect();
        answers.into_iter().map(row).collect()
    }

    /// Returns the integers of one question of a sweep.
    pub fn question(&self, from: &[i64], direction: &[i64], part: usize) -> Vec<i64> {
        let questions = self.questions(from, direction).into_iter();
        questions.map(|row| row[part % self.count] as i64).collect()
    }

    /// Returns the fraction of a turn that an answer's integer 1 is.
    pub fn fraction(&self) -> f64 {
        self.attacker.program.interface.downloads[0].step as f64 / TURN
    }

    /// Returns how many questions were asked.
    pub fn asked(&self) -> usize {
        self.asked.get()
    }

    /// Returns the questions of a sweep.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Returns the inverse of an odd number modulo 2^64, by Newton's iteration: each doubles the bits that
/// are right, of which an odd number's own three are.
fn inverse(odd: u64) -> u64 {
    (0..5).fold(odd, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_of_odd_numbers_are_found() {
        for odd in [1, 3, 273_566 / 2, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1, "{odd}");
        }
    }
}
