//! Responses: chosen inputs against look-ups that stand last, an activation or the identity of
//! `--protect bootstrap`.
//!
//! A look-up is a table over the whole turn, and nothing keeps a client within the part of it that the
//! network was calibrated for: it encrypts any phase it likes. An element of uniformly random phase x
//! meets a weight w and a bias b in the table's value at b + w·x, which depends on w like a random code;
//! a dozen answers leave one likely weight among a thousand. Elements that do not meet in an output
//! are asked about together, and asked again while a weight they show is not settled.
//!
//! Assumed known: the tables, with the calibrated ranges behind them; the grid's unit and all steps;
//! the architecture. Assumed of the weights: no more than
//! [`super::likelihood::MOST_WEIGHT`] at either side of zero.

use std::collections::BTreeMap;

use rand::Rng;
use rayon::prelude::*;

use super::QUERIES;
use super::affine::LookedUp;
use super::attacker::Attacker;
use super::likelihood::{Channel, Heard, Read};
use super::milestone::mark;
use super::plan::{MOST_PLANNING, Query, fill, first_of_shared, fraction_found, plan, plan_cost};
use crate::core::error::Result;
use crate::core::linear_map::{Block, PADDING};
use crate::core::units::percent;
use crate::record::segment_exposure::Outcome;

/// Queries of nothing but zeros: what the bias alone answers.
const EMPTY_QUERIES: usize = 2;
/// Answers to a weight before it is first solved for, and those after which it is given up.
const LEAST_ANSWERS: usize = 8;
const MOST_ANSWERS: usize = 400;
/// Random phases are so many uploaded integers wide: many turns.
const WIDEST: i64 = 1 << 40;

/// Weights of one row that all positions share, by the first block that has them.
type Row = (usize, usize);

/// Mounts the attack on a segment; `ordinary` are the uploaded integers of an ordinary inference.
///
/// # Errors
///
/// As [`crate::party::session::Session::exchange`].
pub fn solve(attacker: &Attacker<'_>, target: &LookedUp<'_>, ordinary: &[i64]) -> Result<Outcome> {
    let budget = attacker.budget;
    let map = &target.affine.map;
    if plan_cost(&map.blocks) > MOST_PLANNING {
        return Ok(Outcome::untried("the map is too large to plan for".into()));
    }
    let mut plan = plan(&map.blocks, map.input_count);
    fill(&mut plan, &map.blocks, map.input_count);
    let mut listener = Listener::new(attacker, target, ordinary);
    let mut outcome = Outcome {
        method: "response".into(),
        ..Outcome::default()
    };
    for _ in 0..EMPTY_QUERIES {
        listener.ask(&Query::default(), &mut outcome);
    }
    let open = listener.ask_until_settled(&plan, &mut outcome);
    let (fraction, used) = (listener.fraction(), listener.used);
    let confirmation = if open.is_empty() {
        attacker
            .confirmation(|index| listener.phases_of(&plan[index % plan.len()], used + index))?
    } else {
        None
    };
    if let Some(word) = confirmation {
        outcome.end(used, fraction, word);
    } else {
        let stopped = match (open.is_empty(), budget.is_over()) {
            (true, _) => "the server answers otherwise than its simulation".into(),
            (false, true) => budget.reason(),
            (false, false) => {
                format!("{MOST_ANSWERS} answers to a weight and more do not settle the others")
            }
        };
        let found = percent(fraction);
        outcome.found = Some(fraction);
        outcome.fractions = [None; 3];
        outcome.reason = Some(format!(
            "{found} found by {used} queries, not all of it settled: {stopped}"
        ));
    }
    outcome.seconds = attacker.used_s();
    Ok(outcome)
}

/// What was asked, heard and found.
struct Listener<'a> {
    attacker: &'a Attacker<'a>,
    blocks: &'a [Block<u64>],
    first: Vec<usize>,
    /// Phase of each uploaded element's integer 1.
    phases: Vec<u64>,
    channels: BTreeMap<Row, Channel<'a>>,
    found: BTreeMap<Row, Vec<Read>>,
    used: usize,
}

impl<'a> Listener<'a> {
    fn new(attacker: &'a Attacker<'a>, target: &'a LookedUp<'a>, ordinary: &[i64]) -> Self {
        let blocks = &target.affine.map.blocks;
        let first = first_of_shared(blocks);
        let unit = attacker.program.unit;
        let steps = attacker.program.element_steps();
        let phases: Vec<u64> = steps
            .iter()
            .map(|&step| (step as u64).wrapping_mul(unit))
            .collect();
        let mut channels: BTreeMap<Row, Channel<'a>> = BTreeMap::new();
        for (index, block) in blocks.iter().enumerate() {
            for (row, &output) in block.outputs.iter().enumerate() {
                let (look_up, element) = target.look_up(output as usize);
                let channel = channels
                    .entry((first[index], row))
                    .or_insert_with(|| Channel::new(look_up, element, block.inputs.len(), unit));
                let inputs = block.inputs.iter().map(|&input| match input {
                    PADDING => 0,
                    input => phases[input as usize].wrapping_mul(ordinary[input as usize] as u64),
                });
                channel.ordinary.push(inputs.collect());
            }
        }
        Self {
            attacker,
            blocks,
            first,
            phases,
            channels,
            found: BTreeMap::new(),
            used: 0,
        }
    }

    /// Asks the queries of a plan again and again, and returns those that show a weight which is not
    /// settled in the end.
    fn ask_until_settled<'p>(
        &mut self,
        plan: &'p [Query],
        outcome: &mut Outcome,
    ) -> Vec<&'p Query> {
        let budget = self.attacker.budget;
        let rounds = LEAST_ANSWERS.div_ceil(self.least_shown(plan));
        let mut open: Vec<&Query> = plan.iter().collect();
        let mut asked = 0;
        while !open.is_empty() && asked < MOST_ANSWERS && !budget.is_over() {
            let more = if asked == 0 {
                rounds
            } else {
                rounds.div_ceil(2)
            };
            let queries = open
                .iter()
                .flat_map(|query| std::iter::repeat_n(query, more));
            for query in queries.take_while(|_| !budget.is_over()) {
                self.ask(query, outcome);
            }
            asked += more * LEAST_ANSWERS.div_ceil(rounds);
            self.solve();
            open.retain(|query| !self.settles(query));
        }
        open
    }

    /// Returns at how many positions, at least, a weight is shown by a query of the plan.
    fn least_shown(&self, plan: &[Query]) -> usize {
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for shown in plan.iter().flat_map(|query| &query.shown) {
            *counts
                .entry((self.first[shown.block], shown.tap))
                .or_default() += 1;
        }
        counts.into_values().min().unwrap_or(1)
    }

    /// Returns integers that raise the elements of a query to random phases, others for each number.
    fn phases_of(&self, query: &Query, number: usize) -> Vec<i64> {
        let mut generator = self.attacker.generator(number as u64);
        let mut integers = vec![0; self.phases.len()];
        for &element in &query.raised {
            integers[element as usize] = generator.random_range(-WIDEST..=WIDEST);
        }
        integers
    }

    /// Asks a query with random phases, and notes what each weight that it shows answered.
    fn ask(&mut self, query: &Query, outcome: &mut Outcome) {
        if QUERIES.contains(&self.used) {
            self.solve();
            mark(outcome, self.used, || self.fraction());
        }
        let integers = self.phases_of(query, self.used);
        let answer = self.attacker.ask(&integers);
        self.used += 1;
        if query.raised.is_empty() {
            for (index, block) in self.blocks.iter().enumerate() {
                for (row, &output) in block.outputs.iter().enumerate() {
                    if let Some(channel) = self.channels.get_mut(&(self.first[index], row)) {
                        channel.empty.push(answer[output as usize]);
                    }
                }
            }
        }
        for shown in &query.shown {
            let block = &self.blocks[shown.block];
            let element = block.inputs[shown.tap] as usize;
            let phase = self.phases[element].wrapping_mul(integers[element] as u64);
            for (row, &output) in block.outputs.iter().enumerate() {
                let heard = Heard {
                    phase,
                    answer: answer[output as usize],
                };
                if let Some(channel) = self.channels.get_mut(&(self.first[shown.block], row)) {
                    channel.heard[shown.tap].push(heard);
                }
            }
        }
    }

    /// Solves for all weights from what was heard.
    fn solve(&mut self) {
        let budget = self.attacker.budget;
        let channels: Vec<(&Row, &Channel<'_>)> = self.channels.iter().collect();
        let found = channels
            .into_par_iter()
            .filter(|_| !budget.is_over())
            .map(|(row, channel)| (*row, channel.solve()));
        self.found.extend(found.collect::<Vec<_>>());
    }

    /// Returns whether all weights that a query shows stand out.
    fn settles(&self, query: &Query) -> bool {
        query.shown.iter().all(|shown| {
            let rows = 0..self.blocks[shown.block].outputs.len();
            rows.into_iter().all(|row| {
                let found = self.found.get(&(self.first[shown.block], row));
                found.is_some_and(|found| found[shown.tap].is_settled)
            })
        })
    }

    /// Returns the fraction of the weights that were found rightly.
    fn fraction(&self) -> f64 {
        fraction_found(self.blocks, &self.first, |block, row, tap| {
            let found = self.found.get(&(block, row));
            found.map(|found| found[tap].weight)
        })
    }
}
