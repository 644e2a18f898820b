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
/// Multiplications of a second that no thread exceeds: of sixteen numbers, twice in each of five billion cycles.
const FASTEST: f64 = 1.6e11;
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
        splits.sort_by_key(|split| split.network.learnt_multiplication_count());
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
        let points = self.points(wanted, done);
        let mut clock = Clock::start(wanted.budget_s, points.iter().map(|(_, _, work)| *work));
        let mut copies = BTreeMap::new();
        let mut queries_before = None;
        for (index, &(split, queries, work)) in points.iter().enumerate() {
            if queries_before.replace(queries) != Some(queries) {
                copies.clear();
            }
            let split = &self.splits[split];
            let point = self.point(
                split,
                (queries, work),
                wanted,
                &clock,
                &mut copies,
                &*listener,
            )?;
            clock.end(work, point.seconds, !point.seeds.is_empty());
            let advance = Advance {
                done: index + 1,
                total: points.len(),
                left_s: clock.rest_s(),
            };
            listener.point(&point, advance)?;
        }
        Ok(())
    }

    /// Returns the points to learn, in order, each with its work: multiplications, each segment's with the first
    /// split that has it.
    fn points(
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
                    let network = &self.pupils[&key].network;
                    // One that is solvable takes no steps.
                    if learnt.insert(key) && !network.is_solvable() {
                        work += effort(network.multiplication_count(), queries);
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
        (queries, work): (usize, f64),
        wanted: &Wanted,
        clock: &Clock,
        copies: &mut BTreeMap<(Key, u64), Copied>,
        listener: &(dyn Listener + Sync),
    ) -> Result<CopyPoint> {
        let budget = &clock.budget;
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
                "not within {}; `splitbench attack` may take longer, as --budget says",
                units::seconds(wanted.budget_s)
            )
        };
        let reason = if weights > MOST_WEIGHTS {
            Some(format!(
                "not mounted: too large, {weights} weights at the server where at most {MOST_WEIGHTS} are learnt"
            ))
        } else if bytes.is_some_and(|bytes| bytes > MOST_LESSON_BYTES) {
            Some("not mounted: too large, its questions and answers take more than 1 GiB".into())
        } else if !clock.has_room_for(work) {
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
        split.prepare(self.ground, stop)?;
        for key in &keys {
            self.pupils[key].ordinary(self.ground, stop)?;
        }
        let missing: Vec<(Key, u64)> = keys
            .iter()
            .flat_map(|key| seeds().map(|seed| (key.clone(), seed)))
            .filter(|of| !copies.contains_key(of))
            .collect();
        let learn = |(key, seed): &(Key, u64)| {
            let pupil = &self.pupils[key];
            let lesson = pupil.lesson(self.ground, queries, *seed, stop)?;
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
            let own = match split.network.is_differentiable() {
                true => Some(split.learn_alone(self.ground, &start, queries, seed, stop)?),
                false => None,
            };
            Some(CopyOutcome {
                seed,
                copy: split.judge(self.ground, &tensors),
                own: own.map(|own| split.judge(self.ground, &own)),
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
    /// Multiplications of the points that are behind, and of all.
    worked: f64,
    work: f64,
    /// Seconds of a multiplication at the best pace so far: what goes with a point and is no work of this kind,
    /// such as running the judged images, must not make others look dear.
    best_s: Option<f64>,
}

impl Clock {
    fn start(budget_s: f64, work: impl Iterator<Item = f64>) -> Self {
        Self {
            budget: Budget::start(budget_s),
            worked: 0.0,
            work: work.sum(),
            best_s: None,
        }
    }

    /// Returns whether work may fit into what is left of the budget.
    fn has_room_for(&self, work: f64) -> bool {
        let fastest_s = 1.0 / (FASTEST * rayon::current_num_threads() as f64);
        let best_s = self.best_s.unwrap_or(fastest_s);
        !self.budget.is_over() && best_s * work <= self.budget.left_s()
    }

    /// A point is behind, which took so many seconds; its pace counts where it was `learnt`.
    fn end(&mut self, work: f64, seconds: f64, learnt: bool) {
        if learnt && work > 0.0 {
            let pace_s = seconds / work;
            self.best_s = Some(self.best_s.map_or(pace_s, |best_s| best_s.min(pace_s)));
        }
        self.worked += work;
    }

    /// Returns the seconds that the rest takes at the pace so far, at most those of the budget that are left.
    fn rest_s(&self) -> f64 {
        let pace_s = self.budget.used_s() / self.worked.max(1.0);
        let rest = (self.work - self.worked).max(0.0);
        (pace_s * rest).min(self.budget.left_s())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cpu_does_within_the_budget_is_not_begun() {
        let mut clock = Clock::start(100.0, [1e9, 1e20].into_iter());
        assert!(!clock.has_room_for(1e20));
        assert!(clock.has_room_for(1e9));
        clock.end(0.0, 50.0, true);
        assert!(clock.has_room_for(1e9));
        // At a second for 1e9, the best pace so far, and then at half of it.
        clock.end(1e9, 1.0, true);
        assert!(clock.has_room_for(9e10) && !clock.has_room_for(1.1e11));
        clock.end(1e9, 0.5, true);
        assert!(clock.has_room_for(1.9e11) && !clock.has_room_for(2.1e11));
        // A dear one, or one that was not learnt, is no reason to skip others.
        clock.end(1e9, 50.0, true);
        clock.end(1e9, 0.0, false);
        // Nor is one without anything to learn.
        clock.end(0.0, 50.0, true);
        assert!(clock.has_room_for(1.9e11) && !clock.has_room_for(2.1e11));
        assert!(!Clock::start(0.0, [].into_iter()).has_room_for(0.0));
    }
}
