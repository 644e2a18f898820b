//! The weights on both sides of a look-up, read from answers behind the second.
//!
//! A segment of a linear map, a look-up of each of its outputs, and a linear map gives along a line of
//! inputs x₀ + t·d, the t-th part of a turn, the answers Σᵢ Vᵢ·Tᵢ(bᵢ + t·Wᵢd): each hidden unit i turns through its
//! table Wᵢd times. The spectrum of such a sweep has a line at |Wᵢd| for each unit, of the shape of its column Vᵢ,
//! whose harmonics tell the table, which the client knows, and the sign. The strongest unit is read and taken out whole, harmonics
//! and all, until none is left (as CLEAN does with stars: Högbom 1974). A sweep along d + eⱼ moves each line by Wᵢⱼ. Noise is averaged
//! over the parts of a sweep, and smooths the tables by a known Gaussian.
//!
//! That a network of piecewise linear functions can be taken apart by where its units turn is due to
//! Carlini, Jagielski and Mironov (*Cryptanalytic extraction of neural network models*, Crypto 2020), for hard labels and
//! further layers to later work (arXiv 2506.17047). Here tables and their wrapping do the work: a client can encrypt any phase,
//! and walk each unit through its table as often as it likes. Derived here.
//!
//! What stops it: units whose lines meet, or drown in noise; more hidden units than lines; more layers
//! behind; a single output, whose columns tell units apart by their size alone. What it does not find is not thereby safe.

mod lines;
mod recovered;
mod shift;
mod sign;
mod signal;
mod sweep;
mod turn;

use rand::Rng;
use rayon::prelude::*;

use self::lines::units;
use self::recovered::Recovered;
use self::shift::{Means, Placed};
use self::sign::{Signs, signs};
use self::signal::{Signal, Spectrum};
use self::sweep::Sweeps;
use self::turn::{Curve, Unit, curves};
use super::attacker::Attacker;
use super::milestone::mark;
use super::plan::{MOST_PLANNING, Query, plan, plan_cost};
use super::staircase::Staircases;
use crate::core::error::Result;
use crate::core::units::percent;
use crate::record::segment_exposure::Outcome;

/// Questions of a sweep: lines at up to half of it.
const PARTS: usize = 1 << 14;
/// The most hidden units: of 8192 lines so many are hardly ever one.
const MOST_HIDDEN: usize = 512;
/// The most answers: sweeps that are read together take 2 MiB of memory for each.
const MOST_OUTPUTS: usize = 256;
/// Directions that are tried, until units explain all but noise of one.
const DIRECTIONS: u64 = 6;
/// Largest step of a direction, for so many weights to a unit at most: lines are to lie far apart, and below
/// half of the parts.
const STEPS: [(usize, i64); 3] = [(128, 3), (256, 2), (usize::MAX, 1)];
/// Sweeps that are asked before they are read, all at once.
const READ_TOGETHER: usize = 8;
/// How much more than the noise that is expected counts as noise.
const NOISE_FACTOR: f64 = 1.3;
/// Logarithm of a likelihood ratio that decides.
const SURE: f64 = 30.0;
/// How often what a query raises is added to the direction, one after the other where too much is left.
const TIMES: [i64; 4] = [1, -1, 2, -2];
/// How much more may be left of another sweep: a mean square, and a factor on that of the one that units
/// were found in.
const LEFT_OVER: (f64, f64) = (1e-6, 2.0);

/// Mounts the attack on a segment; `ordinary` are the uploaded integers of an ordinary inference, `others`
/// those of further ones.
///
/// # Errors
///
/// As [`crate::party::session::Session::exchange`].
pub fn solve(
    attacker: &Attacker<'_>,
    target: &Staircases<'_>,
    ordinary: &[i64],
    others: &[Vec<i64>],
) -> Result<Outcome> {
    if target.hidden_count() > MOST_HIDDEN {
        let reason = format!("more than {MOST_HIDDEN} hidden units");
        return Ok(Outcome::untried(reason));
    }
    if target.second.output_count > MOST_OUTPUTS {
        return Ok(Outcome::untried(format!(
            "more than {MOST_OUTPUTS} answers"
        )));
    }
    if plan_cost(&target.first.blocks) > MOST_PLANNING {
        return Ok(Outcome::untried("the map is too large to plan for".into()));
    }
    match Sweeps::new(attacker, PARTS) {
        None => Ok(Outcome::untried(
            "phases of uploads are too coarse to sweep".into(),
        )),
        Some(sweeps) => Peel::new(attacker, target, sweeps, (ordinary, others)).solve(),
    }
}

/// The attack while it runs.
struct Peel<'a> {
    attacker: &'a Attacker<'a>,
    target: &'a Staircases<'a>,
    sweeps: Sweeps<'a>,
    /// The input that sweeps go through, and others.
    ordinary: &'a [i64],
    others: &'a [Vec<i64>],
    plan: Vec<Query>,
    curves: Vec<Curve>,
    spectrum: Spectrum,
}

/// What a sweep told of all units.
struct Seen {
    direction: Vec<i64>,
    units: Vec<Unit>,
    /// Mean square of what is left.
    energy: f64,
}

impl<'a> Peel<'a> {
    fn new(
        attacker: &'a Attacker<'a>,
        target: &'a Staircases<'a>,
        sweeps: Sweeps<'a>,
        (ordinary, others): (&'a [i64], &'a [Vec<i64>]),
    ) -> Self {
        Self {
            ordinary,
            others,
            attacker,
            target,
            spectrum: Spectrum::new(sweeps.count()),
            sweeps,
            plan: plan(&target.first.blocks, target.first.input_count),
            curves: curves(target.look_up),
        }
    }

    fn solve(&self) -> Result<Outcome> {
        let mut outcome = Outcome {
            method: "peel".into(),
            ..Outcome::default()
        };
        // Neither a question nor ten are a sweep.
        for queries in super::QUERIES {
            mark(&mut outcome, queries, || 0.0);
        }
        let Some(seen) = self.best_direction() else {
            let reason = self.attacker.budget.reason();
            return Ok(self.stopped(outcome, 0.0, &reason));
        };
        if seen.energy > self.noise(&seen) {
            let reason = "lines of several units meet, or drown in noise";
            return Ok(self.stopped(outcome, 0.0, reason));
        }
        let shifts = self.shifts(&seen);
        let signs = self.signs(&seen);
        let recovered = Recovered::new(&seen.units, &shifts, &signs);
        let fraction = recovered.fraction(self.target, &self.plan);
        if self.attacker.budget.is_over() {
            let reason = self.attacker.budget.reason();
            return Ok(self.stopped(outcome, fraction, &reason));
        }
        let (direction, explains) = self.explains_another(&seen, &shifts);
        if !explains {
            let reason = "what was found does not explain answers to other questions";
            return Ok(self.stopped(outcome, fraction, reason));
        }
        let question = |index: usize| self.sweeps.question(self.ordinary, &direction, 1 + index);
        let Some(word) = self.attacker.confirmation(question)? else {
            let reason = "the server answers otherwise than its simulation";
            return Ok(self.stopped(outcome, fraction, reason));
        };
        outcome.end(self.sweeps.asked(), fraction, word);
        outcome.seconds = self.attacker.used_s();
        Ok(outcome)
    }

    /// Returns the outcome of an attack that found a fraction and is not sure of it.
    fn stopped(&self, outcome: Outcome, fraction: f64, reason: &str) -> Outcome {
        let queries = self.sweeps.asked();
        Outcome {
            found: Some(fraction),
            fractions: [None; 3],
            reason: Some(format!(
                "{} found by {queries} queries, not all of it settled: {reason}",
                percent(fraction)
            )),
            seconds: self.attacker.used_s(),
            ..outcome
        }
    }

    /// Returns what the first direction tells that units explain but for noise, else the one of which they
    /// explain most; `None` where the time does not do for one.
    fn best_direction(&self) -> Option<Seen> {
        let mut best: Option<Seen> = None;
        for index in 0..DIRECTIONS {
            let is_done = best
                .as_ref()
                .is_some_and(|seen| seen.energy <= self.noise(seen));
            if is_done || self.attacker.budget.is_over() {
                break;
            }
            let seen = self.seen(self.direction(index));
            if best.as_ref().is_none_or(|best| seen.energy < best.energy) {
                best = Some(seen);
            }
        }
        best.filter(|seen| !seen.units.is_empty())
    }

    /// Returns what a direction tells.
    fn seen(&self, direction: Vec<i64>) -> Seen {
        let goes_on = || !self.attacker.budget.is_over();
        let mut signal = self.signal(self.ordinary, &direction);
        let count = self.target.hidden_count();
        let mut units = units(&mut signal, &self.curves, &self.spectrum, count, goes_on);
        let strength =
            |unit: &Unit| square(&unit.column) * self.curves[unit.table].fundamental.norm_sqr();
        units.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        Seen {
            direction,
            units,
            energy: signal.level(),
        }
    }

    /// Returns the most that noise leaves of a sweep.
    fn noise(&self, seen: &Seen) -> f64 {
        let outputs = self.target.second.output_count as f64;
        let of_unit = |unit: &Unit| square(&unit.column) * self.curves[unit.table].noise;
        let of_tables = seen.units.iter().map(of_unit).sum::<f64>() / outputs;
        let of_answers = square(&self.attacker.noise()) / outputs * self.sweeps.fraction().powi(2);
        let (least, _) = LEFT_OVER;
        least + NOISE_FACTOR * (of_tables + of_answers)
    }

    /// Returns random steps for all inputs.
    fn direction(&self, index: u64) -> Vec<i64> {
        let widest = self
            .target
            .first
            .blocks
            .iter()
            .map(|block| block.inputs.len())
            .max();
        let fits = STEPS
            .iter()
            .find(|(weights, _)| widest.unwrap_or(0) <= *weights);
        let largest = fits.map_or(1, |(_, step)| *step);
        let mut generator = self.attacker.generator(index);
        let inputs = 0..self.target.first.input_count;
        inputs
            .map(|_| generator.random_range(-largest..=largest))
            .collect()
    }

    /// Returns by how much each query of the plan moves each unit, `[units, queries]`, for as many
    /// queries as there is time for.
    fn shifts(&self, seen: &Seen) -> Vec<Vec<i64>> {
        let mut shifts_of = vec![Vec::new(); seen.units.len()];
        for queries in self.plan.chunks(READ_TOGETHER) {
            if self.attacker.budget.is_over() {
                break;
            }
            let mut best: Vec<Option<(Placed, i64)>> = queries.iter().map(|_| None).collect();
            for times in TIMES {
                let open = |best: &Option<(Placed, i64)>| {
                    let least = best.as_ref().map(|(placed, _)| placed.energy);
                    least.is_none_or(|energy| !is_explained(energy, seen.energy))
                };
                let signals: Vec<(&mut Option<(Placed, i64)>, Signal<'_>)> = (best.iter_mut())
                    .zip(queries)
                    .filter(|(best, _)| open(best))
                    .map(|(best, query)| {
                        let direction = along(&seen.direction, [query], times);
                        (best, self.signal(self.ordinary, &direction))
                    })
                    .collect();
                let means = self.means();
                signals.into_par_iter().for_each(|(best, signal)| {
                    let placed = means.moved(signal, &seen.units, times);
                    let least = best.as_ref().map_or(f64::INFINITY, |(best, _)| best.energy);
                    if best.is_none() || placed.energy < least {
                        *best = Some((placed, times));
                    }
                });
            }
            for (placed, times) in best.into_iter().flatten() {
                let moved = placed.units.iter().zip(&seen.units);
                for (shifts, (moved, unit)) in shifts_of.iter_mut().zip(moved) {
                    shifts.push((moved.frequency - unit.frequency) / times);
                }
            }
        }
        shifts_of
    }

    /// Returns the likeliest signs of each unit's weights, from as many ordinary inputs as it takes, or as there
    /// are.
    fn signs(&self, seen: &Seen) -> Vec<Signs> {
        let mut offsets: Vec<Vec<f64>> = seen.units.iter().map(|unit| vec![unit.offset]).collect();
        let signs_by = |offsets: &[Vec<f64>]| -> Vec<(Signs, bool)> {
            let units = seen.units.iter().zip(offsets);
            units
                .map(|(unit, offsets)| {
                    let curve = &self.curves[unit.table];
                    let differs = square(&unit.column) * curve.asymmetry() * PARTS as f64;
                    let tells_mirrors = differs > 2.0 * SURE * seen.energy;
                    signs(unit, offsets, self.target.look_up, curve, tells_mirrors)
                })
                .collect()
        };
        for inputs in self.others.chunks(READ_TOGETHER) {
            let is_dead = |unit: &Unit| unit.column.iter().all(|weight| weight.abs() < 0.5);
            let mut decided = signs_by(&offsets).into_iter().zip(&seen.units);
            let all_decided = decided.all(|((_, is_sure), unit)| is_sure || is_dead(unit));
            if all_decided || self.attacker.budget.is_over() {
                break;
            }
            let signals = inputs.iter().map(|from| self.signal(from, &seen.direction));
            let signals: Vec<Signal<'_>> = signals.collect();
            let means = self.means();
            let begun: Vec<Placed> = signals
                .into_par_iter()
                .map(|signal| means.begun(signal, &seen.units))
                .collect();
            for placed in begun.iter().filter(|placed| placed.energy.is_finite()) {
                let units = offsets.iter_mut().zip(&placed.units);
                units.for_each(|(offsets, unit)| offsets.push(unit.offset));
            }
        }
        let signs = signs_by(&offsets).into_iter();
        signs.map(|(signs, _)| signs).collect()
    }

    fn means(&self) -> Means<'_> {
        Means {
            curves: &self.curves,
            spectrum: &self.spectrum,
        }
    }

    fn signal(&self, from: &[i64], direction: &[i64]) -> Signal<'_> {
        Signal::new(self.sweeps.ask(from, direction), &self.curves)
    }

    /// Returns a direction of several queries at once, and whether what was found explains the answers along
    /// it as well as those that it was found from.
    fn explains_another(&self, seen: &Seen, shifts: &[Vec<i64>]) -> (Vec<i64>, bool) {
        let mut generator = self.attacker.generator(DIRECTIONS);
        let is_chosen: Vec<bool> = self.plan.iter().map(|_| generator.random()).collect();
        let chosen = self.plan.iter().zip(&is_chosen).filter(|(_, is)| **is);
        let direction = along(&seen.direction, chosen.map(|(query, _)| query), 1);
        let mut signal = self.signal(self.ordinary, &direction);
        for (unit, shifts) in seen.units.iter().zip(shifts) {
            let pairs = shifts.iter().zip(&is_chosen).filter(|(_, is)| **is);
            let moved = Unit {
                frequency: unit.frequency + pairs.map(|(shift, _)| shift).sum::<i64>(),
                ..unit.clone()
            };
            signal.explain(&moved, 1.0);
        }
        let explains = is_explained(signal.level(), seen.energy);
        (direction, explains)
    }
}

fn square(numbers: &[f64]) -> f64 {
    numbers.iter().map(|number| number * number).sum()
}

/// Returns whether what is left of a sweep is noise, by what is left of the one that units were found in.
fn is_explained(energy: f64, of_first: f64) -> bool {
    let (least, factor) = LEFT_OVER;
    energy <= least + factor * of_first
}

/// Returns a direction with what queries raise added so many times.
fn along<'q>(
    direction: &[i64],
    queries: impl IntoIterator<Item = &'q Query>,
    times: i64,
) -> Vec<i64> {
    let mut direction = direction.to_vec();
    for &input in queries.into_iter().flat_map(|query| &query.raised) {
        direction[input as usize] += times;
    }
    direction
}
