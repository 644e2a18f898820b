//! Hidden units as lines in the spectrum of a sweep: the strongest is read, taken out with all of its
//! harmonics, and the next is looked for in what is left.

use std::collections::HashSet;
use std::f64::consts::TAU;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::signal::{Signal, Spectrum};
use super::turn::{Curve, HARMONICS, Unit};

/// Units after which all are improved.
const POLISHED: usize = 8;
/// How often all are improved in the end.
const LAST_POLISHES: usize = 2;

/// Returns `count` units, the strongest first, for as long as `goes_on`.
pub fn units(
    signal: &mut Signal<'_>,
    curves: &[Curve],
    spectrum: &Spectrum,
    count: usize,
    goes_on: impl Fn() -> bool,
) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    while units.len() < count && goes_on() {
        let taken: HashSet<i64> = units.iter().map(|unit| unit.frequency.abs()).collect();
        let Some(mut unit) = strongest(signal, curves, spectrum, &taken) else {
            break;
        };
        signal.refine(&mut unit, None);
        signal.explain(&unit, 1.0);
        units.push(unit);
        if units.len().is_multiple_of(POLISHED) {
            signal.polish(&mut units);
        }
    }
    for _ in 0..LAST_POLISHES {
        if goes_on() {
            signal.polish(&mut units);
        }
    }
    units
}

/// Returns the unit of the strongest line at a frequency that is not taken.
fn strongest(
    signal: &Signal<'_>,
    curves: &[Curve],
    spectrum: &Spectrum,
    taken: &HashSet<i64>,
) -> Option<Unit> {
    let spectra: Vec<Vec<Complex<f64>>> =
        (signal.rest.par_iter().map(|rest| spectrum.of(rest))).collect();
    let lines = Lines {
        signal,
        spectra: &spectra,
        count: spectrum.count() as i64,
    };
    let free = (1..lines.count / 2).filter(|frequency| !taken.contains(frequency));
    let powers = free.map(|frequency| (lines.power(frequency), frequency));
    let (_, frequency) = powers.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let line: Vec<Complex<f64>> = lines.at(frequency).collect();
    // A column of reals times one complex number: twice its angle is that of the squares.
    let angle = line.iter().map(|z| z * z).sum::<Complex<f64>>().arg() / 2.0;
    let column: Vec<f64> = line
        .iter()
        .map(|z| (z * Complex::from_polar(1.0, -angle)).re)
        .collect();
    let tables = 0..curves.len();
    let candidates = tables.flat_map(|table| [1, -1].map(|sign| (table, sign)));
    let units = candidates.map(|(table, sign)| {
        let fundamental = curves[table].fundamental;
        let turns = (sign as f64 * angle - fundamental.arg()) / TAU;
        let scale = fundamental.norm().max(f64::MIN_POSITIVE);
        Unit {
            table,
            frequency: sign * frequency,
            offset: turns.rem_euclid(1.0),
            column: column.iter().map(|real| real / scale).collect(),
        }
    });
    let missed = units.map(|unit| (lines.miss(&unit, &curves[unit.table]), unit));
    let best = missed.min_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, unit)| unit)
}

/// The spectra of what is left, one for each output.
struct Lines<'a> {
    signal: &'a Signal<'a>,
    spectra: &'a [Vec<Complex<f64>>],
    count: i64,
}

impl Lines<'_> {
    /// Returns the coefficients at a frequency below half of the parts.
    fn at(&self, frequency: i64) -> impl Iterator<Item = Complex<f64>> {
        let gain = self.signal.gain(frequency);
        self.spectra
            .iter()
            .map(move |spectrum| spectrum[frequency as usize] / gain)
    }

    fn power(&self, frequency: i64) -> f64 {
        self.at(frequency).map(|z| z.norm_sqr()).sum()
    }

    /// Returns by how much a unit's harmonics miss what is heard.
    fn miss(&self, unit: &Unit, curve: &Curve) -> f64 {
        let harmonics = HARMONICS.iter().zip(&curve.harmonics);
        let misses = harmonics.map(|(&harmonic, coefficient)| {
            let turned = Complex::from_polar(1.0, TAU * unit.offset * harmonic as f64);
            let frequency = (harmonic * unit.frequency).rem_euclid(self.count);
            let (frequency, expected) = if frequency < self.count / 2 {
                (frequency, coefficient * turned)
            } else {
                (self.count - frequency, (coefficient * turned).conj())
            };
            if frequency == 0 || frequency == self.count / 2 {
                return 0.0;
            }
            let pairs = self.at(frequency).zip(&unit.column);
            pairs
                .map(|(heard, weight)| (heard - expected * weight).norm_sqr())
                .sum()
        });
        misses.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::peel::turn::curves;
    use crate::circuit::analysis::Purpose;
    use crate::circuit::program::{LookUpStep, Table};
    use crate::model::NodeId;

    const PARTS: usize = 1 << 12;

    /// A ramp from the lowest to the highest integer, and one that starts later.
    fn look_up() -> LookUpStep {
        let ramp = |start: usize| {
            let value = |cell: usize| (2 * cell.saturating_sub(start) as i64 / 16).min(30) - 15;
            Table {
                values: (0..256).map(value).collect(),
                offset: 0,
                padding_bit: true,
                range: (0, 0),
                readable: (0.0, 0.5),
                scale: 1.0,
            }
        };
        LookUpStep {
            purpose: Purpose::Activation,
            node: NodeId::new(0),
            tables: vec![ramp(0), ramp(128)],
            elements_per_table: 1,
            sigma: vec![1e-3; 2],
            unit: 1 << 50,
            output_step: 2,
            centre: 15,
        }
    }

    #[test]
    fn units_are_told_apart_though_answers_wrap() {
        let (look_up, spectrum) = (look_up(), Spectrum::new(PARTS));
        let curves = curves(&look_up);
        let unit = |table, frequency, offset, column: [f64; 4]| Unit {
            table,
            frequency,
            offset,
            column: column.to_vec(),
        };
        // A weight of 300 carries an answer half around the turn.
        let hidden = [
            unit(0, 91, 0.3, [300.0, -10.0, 8.0, 40.0]),
            unit(1, -40, 0.7, [20.0, 150.0, -60.0, 0.0]),
            unit(1, 233, 0.1, [2.0, 3.0, 90.0, -200.0]),
        ];
        let mut answers = vec![vec![0.4; PARTS]; 4];
        for unit in &hidden {
            let values = curves[unit.table].along(unit, PARTS);
            for (answers, weight) in answers.iter_mut().zip(&unit.column) {
                for (answer, value) in answers.iter_mut().zip(&values) {
                    *answer += weight * value;
                    *answer -= answer.round();
                }
            }
        }
        let mut signal = Signal::new(answers, &curves);
        let mut found = units(&mut signal, &curves, &spectrum, hidden.len(), || true);
        // Offsets are found to 2^-13 of a turn; a unit that is missed leaves a hundred times as much.
        assert!(signal.level() < 1e-4, "{}", signal.level());
        found.sort_by_key(|unit| unit.frequency.abs());
        let mut hidden = hidden.to_vec();
        hidden.sort_by_key(|unit| unit.frequency.abs());
        for (found, hidden) in found.iter().zip(&hidden) {
            assert_eq!(found.frequency.abs(), hidden.frequency.abs());
            assert_eq!(found.table, hidden.table);
            for (found, weight) in found.column.iter().zip(&hidden.column) {
                assert!(
                    (found.abs() - weight.abs()).abs() < 0.5,
                    "{found} for {weight}"
                );
            }
        }
    }
}
