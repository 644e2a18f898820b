//! What the answers of a sweep hold that is not explained yet.
//!
//! An answer is a fraction of a turn, known modulo one. While units that are not known may carry it all
//! around, its differences from one part of the sweep to the next are looked at, which hardly ever reach half a
//! turn; once what is left stays together, it is looked at itself, where the noise is white.

use std::f64::consts::TAU;
use std::sync::Arc;

use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::turn::{Curve, Unit};

/// Length of the mean direction of an answer, 1 where all are the same, from which it counts as staying together.
const TOGETHER: f64 = 0.6;
/// The first and the last change of an offset that is tried, in turns.
const OFFSET_STEPS: (f64, f64) = (1.0 / 64.0, 1.0 / 8192.0);

/// The Fourier transform of sweeps.
#[derive(Clone)]
pub struct Spectrum {
    transform: Arc<dyn Fft<f64>>,
    count: usize,
}

impl Spectrum {
    /// Returns the transform of sweeps of `count` parts.
    pub fn new(count: usize) -> Self {
        Self {
            transform: FftPlanner::new().plan_fft_forward(count),
            count,
        }
    }

    /// Returns the coefficients of the frequencies below half of `count`.
    pub fn of(&self, values: &[f64]) -> Vec<Complex<f64>> {
        let scaled = values.iter().map(|value| value / self.count as f64);
        let mut buffer: Vec<Complex<f64>> = scaled.map(Complex::from).collect();
        self.transform.process(&mut buffer);
        buffer.truncate(self.count / 2);
        buffer
    }

    /// Returns the parts of a sweep.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// The answers of a sweep, less what units explain.
pub struct Signal<'a> {
    curves: &'a [Curve],
    /// `[outputs, parts]`, fractions of a turn, less what is explained, until that is looked at itself.
    answers: Vec<Vec<f64>>,
    /// Whether what is left is looked at itself, and not by its differences.
    is_direct: bool,
    /// `[outputs, parts]`.
    pub rest: Vec<Vec<f64>>,
}

impl<'a> Signal<'a> {
    /// Returns the answers, of which nothing is explained.
    pub fn new(answers: Vec<Vec<f64>>, curves: &'a [Curve]) -> Self {
        let mut signal = Self {
            curves,
            answers,
            is_direct: false,
            rest: Vec::new(),
        };
        signal.settle();
        signal
    }

    /// Returns the mean square of what is left; infinite where answers do not stay together.
    pub fn level(&self) -> f64 {
        if !self.is_direct {
            return f64::INFINITY;
        }
        let squares = self.rest.iter().flatten().map(|rest| rest * rest);
        squares.sum::<f64>() / (self.rest.len() * self.rest[0].len()) as f64
    }

    /// Returns what the spectrum of `rest` is to be divided by at a frequency.
    pub fn gain(&self, frequency: i64) -> Complex<f64> {
        if self.is_direct {
            Complex::from(1.0)
        } else {
            let turns = frequency as f64 / self.rest[0].len() as f64;
            Complex::from_polar(1.0, TAU * turns) - 1.0
        }
    }

    /// Takes a unit out, or puts it back.
    pub fn explain(&mut self, unit: &Unit, by: f64) {
        if self.is_direct {
            let shape = self.shape(unit);
            for (rest, weight) in self.rest.iter_mut().zip(&unit.column) {
                for (rest, value) in rest.iter_mut().zip(&shape) {
                    *rest -= by * weight * value;
                    *rest -= rest.round();
                }
            }
            return;
        }
        let values = self.curves[unit.table].along(unit, self.answers[0].len());
        for (answers, weight) in self.answers.iter_mut().zip(&unit.column) {
            for (answer, value) in answers.iter_mut().zip(&values) {
                *answer -= by * weight * value;
            }
        }
        self.settle();
    }

    /// Works out what is left.
    fn settle(&mut self) {
        let directions: Vec<Complex<f64>> = self.answers.iter().map(|of| direction(of)).collect();
        self.is_direct = directions
            .iter()
            .all(|direction| direction.norm() > TOGETHER);
        let each = self.answers.iter().zip(&directions);
        self.rest = each
            .map(|(answers, direction)| {
                if self.is_direct {
                    around(answers, direction.arg() / TAU)
                } else {
                    differences(answers)
                        .map(|difference| difference - difference.round())
                        .collect()
                }
            })
            .collect();
    }

    /// Returns a unit's values as `rest` holds them.
    fn shape(&self, unit: &Unit) -> Vec<f64> {
        let values = self.curves[unit.table].along(unit, self.rest[0].len());
        if self.is_direct {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            values.into_iter().map(|value| value - mean).collect()
        } else {
            differences(&values).collect()
        }
    }

    /// Fits the column of a unit by least squares, what `before` explains given back, and returns by how
    /// much it explains more than nothing.
    fn fit(&self, unit: &mut Unit, before: Option<&Unit>) -> f64 {
        let shape = self.shape(unit);
        let square = dot(&shape, &shape);
        let before = before.map(|before| (dot(&self.shape(before), &shape), &before.column));
        let products = self.rest.par_iter().enumerate().map(|(output, rest)| {
            let back = before.map_or(0.0, |(overlap, column)| column[output] * overlap);
            dot(rest, &shape) + back
        });
        let products: Vec<f64> = products.collect();
        unit.column = products.iter().map(|product| product / square).collect();
        products
            .iter()
            .map(|product| product * product)
            .sum::<f64>()
            / square
    }

    /// Improves offset and column of a unit, what `before` explains given back.
    pub fn refine(&self, unit: &mut Unit, before: Option<&Unit>) {
        let (mut step, last) = OFFSET_STEPS;
        let mut most = self.fit(unit, before);
        while step > last {
            let mut moved = None;
            for change in [-step, step] {
                let mut other = unit.clone();
                other.offset = (unit.offset + change).rem_euclid(1.0);
                let explained = self.fit(&mut other, before);
                if explained > most {
                    most = explained;
                    moved = Some(other);
                    break;
                }
            }
            match moved {
                Some(other) => *unit = other,
                None => step /= 2.0,
            }
        }
    }

    /// Improves all units that are taken out, each with the others as they are.
    pub fn polish(&mut self, units: &mut [Unit]) {
        for unit in units {
            let mut better = unit.clone();
            self.refine(&mut better, Some(unit));
            self.explain(unit, -1.0);
            self.explain(&better, 1.0);
            *unit = better;
        }
    }
}

/// Returns the mean of answers as points of the circle.
fn direction(answers: &[f64]) -> Complex<f64> {
    let points = answers
        .iter()
        .map(|answer| Complex::from_polar(1.0, TAU * answer));
    points.sum::<Complex<f64>>() / answers.len() as f64
}

/// Returns answers as what they are beside a centre, less their mean.
fn around(answers: &[f64], centre: f64) -> Vec<f64> {
    let beside = answers.iter().map(|answer| answer - centre);
    let beside: Vec<f64> = beside.map(|beside| beside - beside.round()).collect();
    let mean = beside.iter().sum::<f64>() / beside.len() as f64;
    beside.into_iter().map(|beside| beside - mean).collect()
}

/// Returns by how much each value is less than the next, the last than the first.
fn differences(values: &[f64]) -> impl Iterator<Item = f64> {
    let next = values.iter().skip(1).chain(values.first());
    values.iter().zip(next).map(|(value, next)| next - value)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}
