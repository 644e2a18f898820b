//! Known units in other sweeps: how far their lines move along another direction, which are their weights on
//! what was added to it, and where they begin through another input.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::signal::{Signal, Spectrum};
use super::turn::{Curve, Unit};
use crate::attack::likelihood::MOST_WEIGHT;

/// The most times that all units are placed, each with the others as they are: where lines move, and
/// where they only begin elsewhere.
const ROUNDS: [usize; 2] = [4, 2];

/// The tables, and the transform of sweeps.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    pub curves: &'a [Curve],
    pub spectrum: &'a Spectrum,
}

/// Where units are in a sweep, and what they leave of it.
pub struct Placed {
    pub units: Vec<Unit>,
    /// [`Signal::level`] of what is left.
    pub energy: f64,
}

impl Means<'_> {
    /// Returns units, in the order of their strength, at the frequencies where their lines are in a sweep
    /// along another direction, at most [`MOST_WEIGHT`] times `step` away.
    pub fn moved(self, signal: Signal<'_>, units: &[Unit], step: i64) -> Placed {
        self.placed(signal, units, ROUNDS[0], &|signal, unit| {
            let line = self.line(signal, unit);
            let expected = self.expected(unit);
            let likeness = |frequency: i64| {
                let coefficient = line.at(signal, frequency);
                coefficient.map_or(f64::NEG_INFINITY, |z| (z * expected.conj()).re)
            };
            let shifts = (-MOST_WEIGHT..=MOST_WEIGHT).map(|shift| unit.frequency + step * shift);
            let likeliest = shifts.max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)));
            Unit {
                frequency: likeliest.unwrap_or(unit.frequency),
                ..unit.clone()
            }
        })
    }

    /// Returns units where they begin in a sweep along the same direction through another input.
    pub fn begun(self, signal: Signal<'_>, units: &[Unit]) -> Placed {
        self.placed(signal, units, ROUNDS[1], &|signal, unit| {
            let heard = self.line(signal, unit).at(signal, unit.frequency);
            let turns = heard.map_or(0.0, |z| (z * self.expected(unit).conj()).arg() / TAU);
            Unit {
                offset: (unit.offset + turns).rem_euclid(1.0),
                ..unit.clone()
            }
        })
    }

    /// Places unit by unit in what the others leave, until none changes.
    fn placed(
        self,
        mut signal: Signal<'_>,
        units: &[Unit],
        rounds: usize,
        place: &dyn Fn(&Signal<'_>, &Unit) -> Unit,
    ) -> Placed {
        let mut placed: Vec<Option<Unit>> = vec![None; units.len()];
        for _ in 0..rounds {
            let mut is_same = true;
            for (unit, before) in units.iter().zip(&mut placed) {
                if let Some(before) = before {
                    signal.explain(before, -1.0);
                }
                let found = place(&signal, unit);
                signal.explain(&found, 1.0);
                is_same &= before.as_ref() == Some(&found);
                *before = Some(found);
            }
            if is_same {
                break;
            }
        }
        Placed {
            units: placed.into_iter().flatten().collect(),
            energy: signal.level(),
        }
    }

    /// Returns the coefficient of a unit's line, for a column of ones.
    fn expected(self, unit: &Unit) -> Complex<f64> {
        self.curves[unit.table].fundamental * Complex::from_polar(1.0, TAU * unit.offset)
    }

    /// Returns what is left, each output by the unit's weight in it.
    fn line(self, signal: &Signal<'_>, unit: &Unit) -> Line {
        let parts = 0..self.spectrum.count();
        let mixed: Vec<f64> = parts
            .map(|part| {
                let outputs = signal.rest.iter().zip(&unit.column);
                outputs.map(|(rest, weight)| rest[part] * weight).sum()
            })
            .collect();
        Line(self.spectrum.of(&mixed))
    }
}

/// The spectrum of a mixture of outputs.
struct Line(Vec<Complex<f64>>);

impl Line {
    /// Returns the coefficient at a frequency of either sign; none at zero, nor beyond half of the parts.
    fn at(&self, signal: &Signal<'_>, frequency: i64) -> Option<Complex<f64>> {
        let index = frequency.unsigned_abs() as usize;
        let heard = self.0.get(index).filter(|_| index > 0)?;
        let coefficient = heard / signal.gain(index as i64);
        Some(if frequency < 0 {
            coefficient.conj()
        } else {
            coefficient
        })
    }
}
