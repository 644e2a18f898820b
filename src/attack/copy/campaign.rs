//! Copies of all splits of a network: numbers of queries from few to many, splits from cheap to dear, within a
//! budget of time. What does not fit is unknown, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::ground::Ground;
use super::pupil::{Copied, PACE, Pupil, images};
use super::split::Split;
use super::start::Start;
use crate::attack::budget::Budget;
use crate::circuit::compile::PlacementCompiler;
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::placement::{Placement, Segment};
use crate::core::units;
use crate::record::copy::{CopyOutcome, CopyPoint};

/// Trained numbers in a split's server segments, at most.
const MOST_WEIGHTS: usize = 1_000_000;
/// Bytes of the questions and answers of one lesson, at most.
const MOST_LESSON_BYTES: usize = 1 << 30;
/// Products of a layer for each sample: of its outputs, and of the gradients of its weights and its input.
const PASSES: f64 = 3.0;

/// What is to be learnt.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In ascending order.
    pub queries: Vec<usize>,
    pub seeds: usize,
    /// The first seed.
    pub seed: u64,
    pub budget_s: f64,
}

/// Who hears of a campaign, and may stop it.
pub trait Listener {
    /// Takes a point of a split's curve.
    ///
    /// # Errors
    ///
    /// Whatever keeping it meets.
    fn point(&mut self, point: &CopyPoint, advance: Advance) -> Result<()>;

    /// Returns whether a person wants to stop; asked from any thread.
    fn stop(&self) -> bool;
}

/// How far a campaign has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advance {
    pub done: usize,
    pub total: usize,
    /// Seconds that the rest takes at the pace so far, at most those of the budget that are left.
    pub left_s: f64,
}

/// A segment that splits share: its layers and its parameter set.
type Key = (usize, usize, String);

/// A campaign over splits.
pub struct Campaign<'a> {
    ground: &'a Ground,
    splits: Vec<Split>,
    pupils: BTreeMap<Key, Pupil>,
}

impl<'a> Campaign<'a> {
    /// Prepares the splits that have a server segment.
    ///
    /// # Errors
    ///
    /// What compiling gives; [`Error::Unsupported`] where the outputs are no classes.
    pub fn new(ground: &'a Ground, placements: &[Placement]) -> Result<Self> {
        if !ground.model.is_classifier() {
            return Err(Error::Unsupported {
                place: ground.model.name.clone(),
                reason: "its outputs are no classes, so that no labels can agree".into(),
            });
        }
        let compiler = PlacementCompiler::new(&ground.model, ground.target.clone());
        let (mut splits, mut pupils) = (Vec::new(), BTreeMap::new());
        for placement in placements {
            let segments = placement.server_segments();
            if segments.is_empty() {
                continue;
            }
            let programs = compiler.compile(placement)?;
            for (segment, program) in segments.iter().zip(&programs) {
                let pupil = pupils.entry(key(segment, program));
                pupil.or_insert_with(|| Pupil::new(ground, segment, program));
            }
            splits.push(Split::new(ground, placement, programs));
        }
        splits.sort_by_key(|split| split.network.multiplication_count());
        Ok(Self {
            ground,
            splits,
            pupils,
        })
    }

    /// Returns the segments' pupils.
    pub fn pupils(&self) -> impl Iterator<Item = &Pupil> {
        self.pupils.values()
    }

    /// Learns every point that is not `done`.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] where the listener says so, and what it gives.
    pub fn run(
        &self,
        wanted: &Wanted,
        done: &dyn Fn(&Placement, usize) -> bool,
        listener: &mut (dyn Listener + Sync),
    ) -> Result<()> {
        let clock = Clock {
            budget: Budget::start(wanted.budget_s),
            work: self.work(wanted, done),
        };
        let (mut advance_done, mut worked) = (0, 0.0);
        let total = clock.work.len();
        let mut copies = BTreeMap::new();
        let mut queries_before = None;
        for (index, queries, work) in &clock.work {
            if queries_before.replace(*queries) != Some(*queries) {
                copies.clear();
            }
            let split = &self.splits[*index];
            let left = clock.left(advance_done, worked);
            let point = self.point(
                split,
                *queries,
                wanted,
                (&clock.budget, left),
                &mut copies,
                &*listener,
            )?;
            advance_done += 1;
            worked += work;
            let left_s = clock.left(advance_done, worked).rest_s;
            listener.point(
                &point,
                Advance {
                    done: advance_done,
                    total,
                    left_s,
                },
            )?;
        }
        Ok(())
    }

    /// Returns the points to learn, in order, each with its work: multiplications, each segment's with the first
    /// split that has it.
    fn work(
        &self,
        wanted: &Wanted,
        done: &dyn Fn(&Placement, usize) -> bool,
    ) -> Vec<(usize, usize, f64)> {
        let mut points = Vec::new();
        for &queries in &wanted.queries {
            let mut learnt: BTreeSet<Key> = BTreeSet::new();
            for (index, split) in self.splits.iter().enumerate() {
                if done(&split.placement, queries) {
                    continue;
                }
                let own = images(self.ground.asked.test.len(), queries, 0).len();
                let mut work = effort(split.network.learnt_multiplication_count(), own);
                for key in keys(split) {
                    let multiplications = self.pupils[&key].network.multiplication_count();
                    if learnt.insert(key) {
                        work += effort(multiplications, queries);
                    }
                }
                points.push((index, queries, work * wanted.seeds as f64));
            }
        }
        points
    }

    /// Learns a point, and what is missing of the copies of its segments.
    fn point(
        &self,
        split: &Split,
        queries: usize,
        wanted: &Wanted,
        (budget, left): (&Budget, Left),
        copies: &mut BTreeMap<(Key, u64), Copied>,
        listener: &(dyn Listener + Sync),
    ) -> Result<CopyPoint> {
        let begun_s = budget.used_s();
        let weights = split.network.learnt_count();
        let stop = || budget.is_over() || listener.stop();
        let bytes = keys(split)
            .iter()
            .map(|key| self.pupils[key].lesson_bytes(queries))
            .max();
        let mut seeds = Vec::new();
        let over = || {
            format!(
                "not within the {} of --budget",
                units::seconds(wanted.budget_s)
            )
        };
        let reason = if weights > MOST_WEIGHTS {
            Some(format!(
                "not mounted: too large, {weights} weights at the server where at most {MOST_WEIGHTS} are learnt"
            ))
        } else if bytes.is_some_and(|bytes| bytes > MOST_LESSON_BYTES) {
            Some("not mounted: too large, its questions and answers take more than 1 GiB".into())
        } else if budget.is_over() || left.next_s.is_some_and(|next| next > budget.left_s()) {
            Some(over())
        } else {
            let found = self.outcomes(split, queries, wanted, copies, &stop);
            if listener.stop() {
                return Err(Error::Interrupted);
            }
            match found {
                Some(outcomes) => {
                    seeds = outcomes;
                    None
                }
                None => Some(over()),
            }
        };
        Ok(CopyPoint {
            placement: split.placement.clone(),
            queries,
            ceiling: (!seeds.is_empty()).then(|| split.ceiling(self.ground)),
            seeds,
            weights,
            ordinary: images(self.ground.asked.test.len(), queries, 0).len(),
            judged: self.ground.model.test.len(),
            seconds: budget.used_s() - begun_s,
            reason,
        })
    }

    /// Returns what is learnt with each seed; `None` where `stop` says so before the end.
    fn outcomes(
        &self,
        split: &Split,
        queries: usize,
        wanted: &Wanted,
        copies: &mut BTreeMap<(Key, u64), Copied>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<CopyOutcome>> {
        let seeds = || (0..wanted.seeds as u64).map(|index| wanted.seed.wrapping_add(index));
        let keys = keys(split);
        // Here, on one thread: what is found once must not wait for itself on a pool that runs other jobs meanwhile.
        split.ceiling(self.ground);
        keys.iter()
            .for_each(|key| self.pupils[key].prepare(self.ground));
        let missing: Vec<(Key, u64)> = keys
            .iter()
            .flat_map(|key| seeds().map(|seed| (key.clone(), seed)))
            .filter(|of| !copies.contains_key(of))
            .collect();
        let learn = |(key, seed): &(Key, u64)| {
            let pupil = &self.pupils[key];
            let lesson = pupil.lesson(self.ground, queries, *seed);
            let start = pupil.start(self.ground, &lesson, *seed);
            pupil.learn(start, &lesson, *seed, stop)
        };
        let learnt: Vec<Option<Copied>> = missing.par_iter().map(learn).collect();
        for (of, copied) in missing.into_iter().zip(learnt) {
            copies.insert(of, copied?);
        }
        let copies = &*copies;
        let seeds: Vec<u64> = seeds().collect();
        let outcome = |&seed: &u64| {
            let copied = keys.iter().map(|key| &copies[&(key.clone(), seed)]);
            let start = Start::joined(copied.clone().map(|copied| &copied.start));
            let tensors: Vec<_> = copied.flat_map(|copied| copied.tensors.clone()).collect();
            let own = split.learn_alone(self.ground, &start, queries, seed, stop)?;
            Some(CopyOutcome {
                seed,
                copy: split.judge(self.ground, &tensors),
                own: split.judge(self.ground, &own),
            })
        };
        seeds.par_iter().map(outcome).collect()
    }
}

fn key(segment: &Segment, program: &Arc<Program>) -> Key {
    let layers = &segment.layers;
    (layers.start, layers.end, program.parameters.to_string())
}

/// Returns the segments of a split, in order.
fn keys(split: &Split) -> Vec<Key> {
    let segments = split.placement.server_segments();
    let keys = segments.iter().zip(&split.programs);
    keys.map(|(segment, program)| key(segment, program))
        .collect()
}

/// Returns the multiplications of learning from so many samples.
fn effort(multiplications: usize, samples: usize) -> f64 {
    PASSES * (multiplications * PACE.steps * PACE.batch.min(samples)) as f64
}

/// The time of a campaign.
struct Clock {
    budget: Budget,
    /// Points to learn: which split, how many queries, multiplications.
    work: Vec<(usize, usize, f64)>,
}

/// What is left of a campaign, at the pace so far.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Seconds of the next point; none before there is a pace.
    next_s: Option<f64>,
    rest_s: f64,
}

impl Clock {
    fn left(&self, done: usize, worked: f64) -> Left {
        let rest = &self.work[done..];
        let pace = (worked > 0.0).then(|| self.budget.used_s() / worked);
        let sum: f64 = rest.iter().map(|(_, _, work)| work).sum();
        Left {
            next_s: pace.and_then(|pace| rest.first().map(|(_, _, work)| pace * work)),
            rest_s: pace
                .map_or(f64::INFINITY, |pace| pace * sum)
                .min(self.budget.left_s()),
        }
    }
}
