//! The shape of a blind rotation, and how much its parts hold.

use super::decomposition;
use super::transform::smallest_size;

/// The shape of a blind rotation.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// k + 1.
    pub glwe_size: usize,
    /// N.
    pub polynomial_size: usize,
    pub base_log: usize,
    pub levels: usize,
}

impl Shape {
    /// Returns whether a step of this shape runs in registers of so many lanes.
    pub fn fits(&self, lanes: usize) -> bool {
        (2..=5).contains(&self.glwe_size)
            && self.polynomial_size >= smallest_size(lanes)
            && self.base_log * self.levels <= decomposition::MOST_BITS
    }

    /// Registers of a polynomial in the Fourier domain, each of real and of imaginary parts.
    pub fn points(&self, lanes: usize) -> usize {
        self.polynomial_size / 2 / lanes
    }

    /// Digit polynomials of an accumulator, which are the rows of a GGSW.
    pub fn rows(&self) -> usize {
        self.levels * self.glwe_size
    }

    /// Coefficients of a GGSW.
    pub fn ggsw_size(&self) -> usize {
        self.rows() * self.glwe_size * self.polynomial_size
    }

    /// Coefficients of a polynomial with its padding, see [`super::cmux::pad`].
    pub fn padded_size(&self, lanes: usize) -> usize {
        self.polynomial_size + lanes
    }
}
