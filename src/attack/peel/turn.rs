//! Look-up tables as functions on the turn.

use rustfft::num_complex::Complex;
use std::f64::consts::TAU;

use crate::circuit::program::LookUpStep;
use crate::core::torus::{TURN, torus};

/// Harmonics of a table that tell it from others; the even ones vanish, because tables are negacyclic.
pub const HARMONICS: [i64; 5] = [3, 5, 7, 9, 11];
/// Standard deviations of the noise that smooth a table.
const REACH: f64 = 5.0;

/// A hidden unit as it is seen along a direction of inputs: `column · table(offset + frequency · t)` at
/// the t-th part of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Which of the tables.
    pub table: usize,
    /// Turns of the unit's phase in a turn of the inputs: its weights times the direction.
    pub frequency: i64,
    /// Where in the table it begins, in turns.
    pub offset: f64,
    /// What each answer adds of it.
    pub column: Vec<f64>,
}

/// A table, as the fraction of a turn that one weight adds to an answer, expected over the noise.
pub struct Curve {
    /// By cell, `[2N]`, a power of two.
    cells: Vec<f64>,
    /// The mean square of what noise adds.
    pub noise: f64,
    /// The coefficient of the fundamental.
    pub fundamental: Complex<f64>,
    /// Those of [`HARMONICS`].
    pub harmonics: [Complex<f64>; HARMONICS.len()],
}

/// Returns the curve of each of a look-up's tables.
pub fn curves(look_up: &LookUpStep) -> Vec<Curve> {
    let tables = look_up.tables.iter().enumerate();
    tables
        .map(|(index, table)| {
            let count = 2 * table.values.len();
            let value = |cell: usize| {
                let phase = (cell as u64) << (u64::BITS - count.ilog2());
                let integer = look_up.read(table, phase) * look_up.output_step;
                integer as f64 * look_up.unit as f64 / TURN
            };
            let exact: Vec<f64> = (0..count).map(value).collect();
            let sigma = look_up.sigma[index * look_up.elements_per_table];
            Curve::new(&exact, sigma * count as f64)
        })
        .collect()
}

/// Returns the mean of what is read where Gaussian noise of so many cells is added first.
fn smoothed(cells: &[f64], sigma: f64) -> Vec<f64> {
    let reach = (REACH * sigma).ceil() as i64;
    let weight = |step: i64| (-(step as f64 / sigma.max(f64::MIN_POSITIVE)).powi(2) / 2.0).exp();
    let weights: Vec<f64> = (-reach..=reach).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let mean = |cell: i64| {
        let around = (-reach..=reach).zip(&weights);
        let sum: f64 = around
            .map(|(step, weight)| {
                weight * cells[(cell + step).rem_euclid(cells.len() as i64) as usize]
            })
            .sum();
        sum / total
    };
    (0..cells.len() as i64).map(mean).collect()
}

impl Curve {
    /// Returns the curve of what is read without noise, where noise of so many cells is added.
    fn new(exact: &[f64], sigma: f64) -> Self {
        let cells = smoothed(exact, sigma);
        let squares: Vec<f64> = exact.iter().map(|value| value * value).collect();
        let pairs = smoothed(&squares, sigma).into_iter().zip(&cells);
        let noise = pairs
            .map(|(square, mean)| square - mean * mean)
            .sum::<f64>()
            / cells.len() as f64;
        let coefficient = |harmonic: i64| -> Complex<f64> {
            let angle =
                |cell: usize| -TAU * harmonic as f64 * (cell as f64 + 0.5) / cells.len() as f64;
            let terms = cells.iter().enumerate();
            terms
                .map(|(cell, value)| Complex::from_polar(value / cells.len() as f64, angle(cell)))
                .sum()
        };
        Self {
            noise,
            fundamental: coefficient(1),
            harmonics: HARMONICS.map(coefficient),
            cells,
        }
    }

    /// Returns the mean square by which the curve differs from itself walked through backwards, where their
    /// fundamentals are the same.
    pub fn asymmetry(&self) -> f64 {
        let angle = self.fundamental.arg();
        let pairs = HARMONICS.iter().zip(&self.harmonics);
        // A harmonic and its mirror image differ by twice what is imaginary beside the fundamental.
        let imaginary = pairs.map(|(&harmonic, coefficient)| {
            let turned = coefficient * Complex::from_polar(1.0, -angle * harmonic as f64);
            turned.im.powi(2)
        });
        8.0 * imaginary.sum::<f64>()
    }

    /// Returns the values that a unit of this table reads at `count` equal parts of a turn, a power of two.
    pub fn along(&self, unit: &Unit, count: usize) -> Vec<f64> {
        let (start, step) = (
            torus(unit.offset),
            (unit.frequency as u64).wrapping_mul(1 << (u64::BITS - count.ilog2())),
        );
        let shift = u64::BITS - self.cells.len().ilog2();
        let phase = |part: u64| start.wrapping_add(step.wrapping_mul(part));
        let parts = 0..count as u64;
        parts
            .map(|part| self.cells[(phase(part) >> shift) as usize])
            .collect()
    }
}
