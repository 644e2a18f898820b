//! Chosen inputs: a client that deviates from the network's activations, and uploads integers of its
//! own choice.
//!
//! The first query raises nothing; each further one raises some elements, such that no two of them
//! meet in one output. The difference of the answers at an output is then one weight times a known
//! number. A convolution shows many weights at a time, at positions far apart. Where an answer has
//! room for several weights, as many such queries are asked at once, raised by powers of 2^b, and
//! read as digits. Look-ups that stand first do not protect: they are known functions of chosen
//! integers, one element each, and what noise they add is averaged away. A last query with arbitrary
//! integers tells whether the answers are those of the map that was found, and a real one whether the
//! server answers so.

use rand::Rng;

use super::affine::{Affine, LookedUp};
use super::attacker::Attacker;
use super::budget::Budget;
use super::capacity::{Capacity, NOISE_QUANTILE};
use super::found::Found;
use super::milestone::mark;
use super::peel;
use super::plan::{MOST_PLANNING, Query, plan, plan_cost};
use super::response;
use super::staircase::Staircases;
use crate::circuit::analysis::Purpose;
use crate::core::error::Result;
use crate::core::linear_map::PADDING;
use crate::core::placement::SegmentIndex;
use crate::core::torus::TURN;
use crate::core::units;
use crate::party::session::Session;
use crate::record::segment_exposure::Outcome;

/// Queries that tell how far look-ups in front scatter answers.
const SCATTER_QUERIES: usize = 64;
/// Standard deviations of a weight's estimate that must fit half a unit before queries end.
const WEIGHT_QUANTILE: f64 = 4.0;
/// Draws the query that checks what was found.
const STREAM: u64 = 2;

/// Mounts the attack on a segment; `ordinary` are the integers of an ordinary inference, `others` those of
/// further ones, all uploads in a row.
///
/// # Errors
///
/// As [`Session::exchange`].
pub fn attack(
    session: &Session,
    segment: SegmentIndex,
    seed: u64,
    ordinary: &[Vec<i64>],
    others: &[Vec<i64>],
    budget: Budget,
) -> Result<Outcome> {
    let attacker = Attacker::new(session, segment, seed, budget);
    let program = attacker.program;
    if let Some(affine) = Affine::of(program) {
        return Impulses::new(&attacker, &affine).solve();
    }
    if let Some(looked_up) = LookedUp::of(program) {
        return response::solve(&attacker, &looked_up, &ordinary.concat());
    }
    if let Some(staircases) = Staircases::of(program) {
        return peel::solve(&attacker, &staircases, &ordinary.concat(), others);
    }
    let is_read =
        program.bootstrap_count() == 0 || LookedUp::stands_last(program) || Affine::is_led(program);
    let reason = if is_read {
        "the map is too large to write out"
    } else if program.look_ups().any(|of| of.purpose == Purpose::Gate) {
        "no attack here reads a look-up of a linear layer behind a gate"
    } else {
        "no attack here reads more than one look-up with linear layers around it"
    };
    Ok(Outcome::untried(reason.into()))
}

/// The attack on an affine map.
struct Impulses<'a> {
    attacker: &'a Attacker<'a>,
    affine: &'a Affine<'a>,
    capacity: Capacity,
    /// Integers where nothing is raised, and where everything is, by one digit.
    low: Vec<i64>,
    high: Vec<i64>,
    /// Standard deviation of each answer, in decoded integers.
    noise: Vec<f64>,
    /// Queries that told it.
    scattered: usize,
}

impl<'a> Impulses<'a> {
    fn new(attacker: &'a Attacker<'a>, affine: &'a Affine<'a>) -> Self {
        let capacity = Capacity::of(attacker.program, affine);
        let (low, high) = attacker.ends();
        let (low, high) = match &affine.leading {
            Some(leading) => leading.extremes(attacker.program),
            None => (low, high),
        };
        let mut impulses = Self {
            attacker,
            affine,
            capacity,
            low,
            high,
            noise: attacker.noise(),
            scattered: 0,
        };
        if affine.leading.is_some() {
            impulses.scatter();
        }
        if impulses.digits() > 1 {
            let lows = impulses.low.iter();
            impulses.high = lows.map(|low| low + capacity.lowest).collect();
        }
        impulses
    }

    /// Asks how far answers scatter where nothing is raised: a look-up in front that reads a value near an edge of
    /// its table moves all answers behind it by a whole step now and then.
    fn scatter(&mut self) {
        let asked = (0..SCATTER_QUERIES).map(|_| self.attacker.ask(&self.low));
        let asked: Vec<Vec<i64>> = asked.collect();
        for (output, noise) in self.noise.iter_mut().enumerate() {
            let answers = || asked.iter().map(|answers| answers[output] as f64);
            let mean = answers().sum::<f64>() / SCATTER_QUERIES as f64;
            let squares = answers().map(|answer| (answer - mean).powi(2));
            let scatter = (squares.sum::<f64>() / (SCATTER_QUERIES - 1) as f64).sqrt();
            *noise = noise.max(scatter);
        }
        self.scattered = SCATTER_QUERIES;
    }

    /// Returns how many weights each answer is to tell.
    fn digits(&self) -> usize {
        match &self.affine.leading {
            None => self.capacity.weights.max(1),
            Some(_) => 1,
        }
    }

    fn solve(&self) -> Result<Outcome> {
        let budget = self.attacker.budget;
        let map = &self.affine.map;
        if plan_cost(&map.blocks) > MOST_PLANNING {
            return Ok(Outcome::untried("the map is too large to plan for".into()));
        }
        let plan = plan(&map.blocks, map.input_count);
        let digits = self.digits();
        let rounds: Vec<&[Query]> = plan.chunks(digits).collect();
        let mut outcome = Outcome {
            method: if digits > 1 {
                format!("impulses, {digits} weights an answer")
            } else {
                "impulses".into()
            },
            ..Outcome::default()
        };
        let gains = self.gains(&self.low, &self.high);
        let mut found = Found::new(self.affine);
        let mut used = self.scattered;
        let (base, stopped) = 'passes: loop {
            let base = self.attacker.ask(&self.low);
            used += 1;
            for round in &rounds {
                if budget.is_over() {
                    break 'passes (base, Some(budget.reason()));
                }
                mark(&mut outcome, used, || found.fraction());
                let answer = self.attacker.ask(&self.raised(round));
                used += 1;
                self.read(&mut found, round, &base, &answer, &gains);
            }
            mark(&mut outcome, used, || found.fraction());
            match self.too_long(&found, used) {
                None if !self.is_sure(&found) => {}
                reason => break (base, reason),
            }
        };
        let fraction = found.fraction();
        let confirmation = match &stopped {
            None if self.predicts(&found, &base) => {
                self.attacker.confirmation(|index| match index {
                    0 => self.arbitrary(),
                    index => self.raised(rounds[index % rounds.len()]),
                })?
            }
            _ => None,
        };
        if let Some(word) = confirmation {
            outcome.end(used, fraction, word);
        } else {
            outcome.fractions = [None; 3];
            outcome.found = stopped.is_some().then_some(fraction);
            outcome.reason = Some(stopped.unwrap_or_else(|| {
                format!("the map found by {used} queries does not predict answers")
            }));
        }
        outcome.seconds = self.attacker.used_s();
        Ok(outcome)
    }

    /// Returns why noise is not averaged away within the budget, where queries in the number so far
    /// tell that it would not be.
    fn too_long(&self, found: &Found<'_>, used: usize) -> Option<String> {
        let budget = self.attacker.budget;
        // Noise falls with the root of the number of queries.
        let more = self.uncertainty(found).powi(2) - 1.0;
        let left_s = more * self.attacker.used_s();
        (more > 0.0 && left_s > budget.left_s()).then(|| {
            let queries = used as f64 * (1.0 + more);
            let left = units::seconds(left_s);
            format!("about {queries:.1e} queries would average the noise away, in {left} more")
        })
    }

    /// Returns the integers of a round: its queries' elements raised by powers of 2^b.
    fn raised(&self, round: &[Query]) -> Vec<i64> {
        let mut integers = self.low.clone();
        for (digit, query) in round.iter().enumerate() {
            for &element in &query.raised {
                let element = element as usize;
                let by = self.high[element] - self.low[element];
                integers[element] += by << (self.capacity.bits as usize * digit);
            }
        }
        integers
    }

    /// Reads the weights that a round shows.
    fn read(
        &self,
        found: &mut Found<'_>,
        round: &[Query],
        base: &[i64],
        answer: &[i64],
        gains: &[i64],
    ) {
        let steps = self.attacker.download_steps();
        let difference = |output: usize| {
            self.within_a_turn((answer[output] - base[output]) as f64 * steps[output])
        };
        let blocks = &self.affine.map.blocks;
        let mut rest: Vec<f64> = (0..base.len()).map(difference).collect();
        for (digit, query) in round.iter().enumerate() {
            for shown in &query.shown {
                let block = &blocks[shown.block];
                let gain = gains[block.inputs[shown.tap] as usize] as f64;
                for (row, &output) in block.outputs.iter().enumerate() {
                    let rest = &mut rest[output as usize];
                    let own = if digit + 1 == round.len() {
                        *rest
                    } else {
                        lowest_digit((*rest / gain).round() as i64, self.capacity.bits) * gain
                    };
                    found.add(*shown, row, own, gain);
                    *rest -= own;
                }
            }
            // What a query did not touch has a digit of zero.
            let base = f64::from(1u32 << self.capacity.bits);
            rest.iter_mut().for_each(|rest| *rest /= base);
        }
    }

    /// Returns the difference nearest to zero that is the same modulo a turn, in integers of the grid.
    fn within_a_turn(&self, difference: f64) -> f64 {
        let turn = TURN / self.attacker.program.unit as f64;
        difference - (difference / turn).round() * turn
    }

    /// Returns whether noise leaves every weight that was shown a whole number.
    fn is_sure(&self, found: &Found<'_>) -> bool {
        self.uncertainty(found) < 1.0
    }

    /// Returns by how much noise may move a weight that was shown, in halves of a unit.
    fn uncertainty(&self, found: &Found<'_>) -> f64 {
        let steps = self.attacker.download_steps();
        let noises = self.noise.iter().zip(steps);
        let noise = noises.map(|(noise, step)| noise * step).fold(0.0, f64::max);
        // A difference of two answers has twice the variance.
        WEIGHT_QUANTILE * noise * (2.0 / found.least_squares()).sqrt() / 0.5
    }

    /// Returns arbitrary integers of the encoding; behind look-ups either end of each element, where noise moves
    /// them least.
    fn arbitrary(&self) -> Vec<i64> {
        if self.affine.leading.is_none() {
            return self.attacker.arbitrary(STREAM);
        }
        let mut generator = self.attacker.generator(STREAM);
        let ends = self.low.iter().zip(&self.high);
        ends.map(|(&low, &high)| if generator.random() { high } else { low })
            .collect()
    }

    /// Returns whether the found map predicts the answer to an arbitrary query.
    fn predicts(&self, found: &Found<'_>, base: &[i64]) -> bool {
        let query = self.arbitrary();
        let answer = self.attacker.ask(&query);
        let gains = self.gains(&self.low, &query);
        let (noise, steps) = (&self.noise, self.attacker.download_steps());
        self.affine
            .map
            .blocks
            .iter()
            .enumerate()
            .flat_map(|(index, block)| {
                let weights: Vec<Option<i64>> = found.weights_of(index).collect();
                let rows = weights.chunks_exact(block.inputs.len());
                let predict = |(row, &output): (&[Option<i64>], &u32)| {
                    let sum: i128 = row
                        .iter()
                        .zip(&block.inputs)
                        .filter(|(_, input)| **input != PADDING)
                        .map(|(weight, &input)| {
                            i128::from(weight.unwrap_or(0)) * i128::from(gains[input as usize])
                        })
                        .sum();
                    let output = output as usize;
                    (output, base[output] as f64 + sum as f64 / steps[output])
                };
                let predicted: Vec<(usize, f64)> = rows.zip(&block.outputs).map(predict).collect();
                predicted
            })
            .all(|(output, expected)| {
                let room = 2.0 * NOISE_QUANTILE * noise[output] + 1.5;
                let miss = (expected - answer[output] as f64) * steps[output];
                self.within_a_turn(miss).abs() <= room * steps[output]
            })
    }

    /// Returns by how many integers of the grid the weights' inputs grow between two queries.
    fn gains(&self, from: &[i64], to: &[i64]) -> Vec<i64> {
        let steps = self.attacker.program.element_steps();
        let read = |integers: &[i64]| -> Vec<i64> {
            let grid: Vec<i64> = integers.iter().zip(&steps).map(|(v, s)| v * s).collect();
            match &self.affine.leading {
                None => grid,
                Some(leading) => leading.mean(&grid),
            }
        };
        let (from, to) = (read(from), read(to));
        to.iter().zip(from).map(|(to, from)| to - from).collect()
    }
}

/// Returns the digit of a number to the base 2^bits that lies around zero.
fn lowest_digit(number: i64, bits: u32) -> f64 {
    let half = 1 << (bits - 1);
    ((number + half).rem_euclid(2 * half) - half) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_lie_around_zero() {
        for (number, digit) in [
            (0, 0.0),
            (127, 127.0),
            (128, -128.0),
            (-1, -1.0),
            (300, 44.0),
        ] {
            assert_eq!(lowest_digit(number, 8), digit, "{number}");
        }
    }
}
