//! The best placements without listing all 2^n: shortest paths over layers and crossings.
//!
//! A placement is a path from layer 0 to layer n. A client layer is an edge over one layer; a server
//! segment is an edge over all its layers, crossings included, and the next edge is a client's: the
//! segments are maximal. The server keeps nothing between segments, and the client holds every
//! value that any later layer reads, so that the cost of a segment depends on its two ends alone.
//! A residual skip whose ends lie apart is one more upload or download of the segment that holds one
//! of its ends; no path has to remember the parties of open skips.
//!
//! Times, bytes, money and exposure add up along a path; the peak of a party's memory is the largest
//! of its edges (a bottleneck path). Evaluation keys are neither: segments with the same parameter
//! set share a key, so that a path pays for each set once. A label therefore carries the sets of its
//! path, and one label dominates another only if it stays ahead after paying for the sets that the
//! other has and it has not: whatever edges follow, the sets that they add cost it no more than the
//! other. With that rule, label setting (Martins, *On a multicriteria shortest path problem*,
//! European Journal of Operational Research 16, 1984) is exact for every objective and for fronts.
//!
//! A front of many criteria can be as large as 2^n itself. [`FrontRequest::tolerance`] bounds it: labels
//! within a factor of (1 + tolerance)^(1/edges) of another are dropped, and each point of the true
//! front then has one returned that is larger by a factor of at most 1 + tolerance in each criterion
//! (Warburton, *Approximation of Pareto optima in multiple-objective, shortest-path problems*,
//! Operations Research 35, 1987).

use std::ops::Range;
use std::rc::Rc;

use super::scenario::Modelled;
use crate::core::error::Result;
use crate::core::objective::Objective;
use crate::core::pareto::{front_of, lexicographic};
use crate::core::placement::{Party, Pins, Placement};

/// What a piece of a placement costs; nothing is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    pub time_s: f64,
    pub bytes: f64,
    pub money: f64,
    pub exposure: f64,
    /// Bytes of evaluation keys that the server holds at rest.
    pub key_memory: f64,
    /// Peak at the client: the largest of all pieces.
    pub client_memory: f64,
    /// Peak at the server beside its keys: the largest of all pieces.
    pub server_memory: f64,
}

/// A server segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentCost {
    /// Without its keys.
    pub cost: Cost,
    /// The keys that it needs, each paid for once in a placement.
    pub keys: Vec<usize>,
}

/// Knows what pieces of a placement cost.
pub trait Oracle {
    /// Returns the placeable layers, and which of them only a client can run.
    fn pins(&self) -> Pins;

    /// Returns what any placement costs.
    fn fixed(&self) -> Cost;

    /// Returns what a layer costs at the client.
    fn client(&self, layer: usize) -> Cost;

    /// Returns what a run of layers costs as a server segment; `None` where it cannot be one.
    ///
    /// # Errors
    ///
    /// What finding out gives.
    fn server(&self, layers: Range<usize>) -> Result<Option<SegmentCost>>;

    /// Returns what a key costs once.
    fn key(&self, key: usize) -> Cost;
}

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrontRequest {
    /// All to be small.
    pub objectives: Vec<Objective>,
    /// The most that each of these may be.
    pub limits: Vec<(Objective, f64)>,
    /// By how much of itself each criterion of a returned point may lie above the true front.
    pub tolerance: f64,
}

/// A placement and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    pub placement: Placement,
    pub cost: Cost,
}

/// Returns the placement within the limits that makes an objective least; `None` where there is
/// none.
///
/// # Errors
///
/// What the oracle gives.
pub fn optimum(
    oracle: &dyn Oracle,
    objective: Objective,
    limits: &[(Objective, f64)],
) -> Result<Option<Solution>> {
    let request = FrontRequest {
        objectives: vec![objective],
        limits: limits.to_vec(),
        tolerance: 0.0,
    };
    Ok(front(oracle, &request)?.into_iter().next())
}

/// Returns the Pareto front of the objectives within the limits, by rising first objective; of
/// placements with equal values, one.
///
/// # Errors
///
/// What the oracle gives.
pub fn front(oracle: &dyn Oracle, request: &FrontRequest) -> Result<Vec<Solution>> {
    let mut paths = Paths::new(oracle, request);
    for end in 1..=oracle.pins().layer_count() {
        paths.arrive(end)?;
    }
    let mut ends: Vec<Solution> = paths
        .ends()
        .map(|index| paths.solution(index))
        .filter(|solution| request.allows(&solution.cost))
        .collect();
    let point = |solution: &Solution| -> Vec<f64> {
        let value = |&objective| solution.cost.value(objective);
        request.objectives.iter().map(value).collect()
    };
    ends.sort_by(|a, b| lexicographic(&point(a), &point(b)));
    ends.dedup_by(|b, a| point(a) == point(b));
    let points: Vec<Vec<f64>> = ends.iter().map(point).collect();
    let kept = front_of(&points);
    Ok(kept.into_iter().map(|index| ends[index].clone()).collect())
}

/// Returns the placements in which one layer changes party.
pub fn neighbours(placement: &Placement) -> impl Iterator<Item = Placement> + '_ {
    let pins = placement.pins();
    let free = (0..pins.layer_count()).filter(|&layer| !pins.contains(layer));
    free.map(|layer| {
        let mut parties = placement.parties().to_vec();
        parties[layer] = match parties[layer] {
            Party::Client => Party::Server,
            Party::Server => Party::Client,
        };
        Placement::of(parties, pins)
    })
}

/// Returns what a placement costs; `None` where a segment of it cannot be one.
///
/// # Errors
///
/// What the oracle gives.
pub fn cost_of(oracle: &dyn Oracle, placement: &Placement) -> Result<Option<Cost>> {
    let mut label = Label::start(oracle);
    for segment in placement.segments() {
        match segment.party {
            Party::Client => {
                for layer in segment.layers {
                    label = label.with(oracle.client(layer), layer + 1, Party::Client);
                }
            }
            Party::Server => {
                let end = segment.layers.end;
                let Some(segment) = oracle.server(segment.layers)? else {
                    return Ok(None);
                };
                label = label.with_segment(oracle, &segment, end);
            }
        }
    }
    Ok(Some(label.cost))
}

impl Cost {
    /// Returns the time, bytes and money of a piece in a scenario; no exposure and no memory.
    pub fn of(modelled: &Modelled) -> Self {
        Self {
            time_s: modelled.time_s,
            bytes: modelled.bytes,
            money: modelled.money_per_1000,
            ..Self::default()
        }
    }

    /// Returns an objective's value.
    pub fn value(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Time => self.time_s,
            Objective::Bytes => self.bytes,
            Objective::Money => self.money,
            Objective::Exposure => self.exposure,
            Objective::ClientMemory => self.client_memory,
            Objective::ServerMemory => self.key_memory + self.server_memory,
        }
    }

    /// Returns the cost of both pieces together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            time_s: self.time_s + other.time_s,
            bytes: self.bytes + other.bytes,
            money: self.money + other.money,
            exposure: self.exposure + other.exposure,
            key_memory: self.key_memory + other.key_memory,
            client_memory: self.client_memory.max(other.client_memory),
            server_memory: self.server_memory.max(other.server_memory),
        }
    }

    /// Returns whether no part of it that counts for an objective is larger than a factor times
    /// that of another.
    fn is_within(&self, other: &Self, objective: Objective, factor: f64) -> bool {
        match objective {
            Objective::ServerMemory => {
                self.key_memory <= other.key_memory * factor
                    && self.server_memory <= other.server_memory * factor
            }
            objective => self.value(objective) <= other.value(objective) * factor,
        }
    }
}

impl FrontRequest {
    fn allows(&self, cost: &Cost) -> bool {
        self.limits
            .iter()
            .all(|&(objective, most)| cost.value(objective) <= most)
    }

    /// Returns the objectives, and those that only have a limit.
    fn counted(&self) -> Vec<Objective> {
        let limited = self.limits.iter().map(|&(objective, _)| objective);
        let mut counted: Vec<Objective> = self.objectives.iter().copied().chain(limited).collect();
        counted.sort_unstable();
        counted.dedup();
        counted
    }
}

/// A path from the first layer to `end`.
#[derive(Debug, Clone)]
struct Label {
    cost: Cost,
    /// The keys of its segments, in order.
    keys: Rc<[usize]>,
    end: usize,
    /// Who runs its last edge.
    party: Party,
    /// The label that it prolongs.
    before: Option<usize>,
}

impl Label {
    fn start(oracle: &dyn Oracle) -> Self {
        Self {
            cost: oracle.fixed(),
            keys: Rc::new([]),
            end: 0,
            party: Party::Client,
            before: None,
        }
    }

    fn with(&self, cost: Cost, end: usize, party: Party) -> Self {
        Self {
            cost: self.cost.plus(&cost),
            end,
            party,
            ..self.clone()
        }
    }

    fn behind(self, before: usize) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    fn with_segment(&self, oracle: &dyn Oracle, segment: &SegmentCost, end: usize) -> Self {
        let mut label = self.with(segment.cost, end, Party::Server);
        let missing = missing_keys(&self.keys, &segment.keys);
        if !missing.is_empty() {
            for &key in &missing {
                label.cost = label.cost.plus(&oracle.key(key));
            }
            let mut keys: Vec<usize> = self.keys.iter().copied().chain(missing).collect();
            keys.sort_unstable();
            label.keys = keys.into();
        }
        label
    }
}

/// Returns the wanted keys that are not held, each once.
fn missing_keys(held: &[usize], wanted: &[usize]) -> Vec<usize> {
    let mut missing: Vec<usize> = wanted
        .iter()
        .copied()
        .filter(|key| !held.contains(key))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// All labels that nothing dominates, by the layer that they end before.
struct Paths<'a> {
    oracle: &'a dyn Oracle,
    pins: Pins,
    request: &'a FrontRequest,
    counted: Vec<Objective>,
    /// By how much an edge may lose against the best.
    factor: f64,
    labels: Vec<Label>,
    settled: Vec<Vec<usize>>,
}

impl<'a> Paths<'a> {
    fn new(oracle: &'a dyn Oracle, request: &'a FrontRequest) -> Self {
        let pins = oracle.pins();
        let edges = pins.layer_count().max(1) as f64;
        Self {
            oracle,
            pins,
            request,
            counted: request.counted(),
            factor: (1.0 + request.tolerance).powf(1.0 / edges),
            labels: vec![Label::start(oracle)],
            settled: vec![vec![0]],
        }
    }

    /// Settles the paths that end before layer `end`, those of all earlier ends being settled.
    fn arrive(&mut self, end: usize) -> Result<()> {
        let mut arrived = Vec::new();
        let client = self.oracle.client(end - 1);
        for &index in &self.settled[end - 1] {
            let label = self.labels[index].with(client, end, Party::Client);
            arrived.push(label.behind(index));
        }
        for begin in self.first_begin(end)..end {
            // A segment that follows another is one segment with it.
            let follows = |&&index: &&usize| self.labels[index].party == Party::Client;
            let mut begins = self.settled[begin].iter().filter(follows).peekable();
            if begins.peek().is_none() {
                continue;
            }
            let Some(segment) = self.oracle.server(begin..end)? else {
                continue;
            };
            for &index in begins {
                let label = self.labels[index].with_segment(self.oracle, &segment, end);
                arrived.push(label.behind(index));
            }
        }
        arrived.retain(|label| self.request.allows(&label.cost));
        self.settle(arrived);
        Ok(())
    }

    /// Returns the first layer at which a server segment that ends before layer `end` can begin.
    fn first_begin(&self, end: usize) -> usize {
        let pinned = (0..end).rev().find(|&layer| self.pins.contains(layer));
        pinned.map_or(0, |layer| layer + 1)
    }

    /// Keeps those labels that no other one of them dominates.
    fn settle(&mut self, mut arrived: Vec<Label>) {
        // What dominates tends to come first, so that most are dropped early.
        arrived.sort_by(|a, b| {
            let first = self.request.objectives.first().copied();
            let value = |label: &Label| first.map_or(0.0, |objective| label.cost.value(objective));
            value(a).total_cmp(&value(b))
        });
        let mut kept: Vec<Label> = Vec::new();
        for label in arrived {
            if kept.iter().rev().any(|other| self.covers(other, &label)) {
                continue;
            }
            // With a tolerance, dropping what others were dropped for could lose too much.
            if self.factor == 1.0 {
                kept.retain(|other| !self.covers(&label, other));
            }
            kept.push(label);
        }
        let first = self.labels.len();
        self.labels.append(&mut kept);
        self.settled.push((first..self.labels.len()).collect());
    }

    /// Returns whether whatever follows both labels leaves the first no worse than the second.
    fn covers(&self, label: &Label, other: &Label) -> bool {
        // Behind a client's layer a segment can begin; behind a segment it cannot.
        if label.party == Party::Server && other.party == Party::Client {
            return false;
        }
        let mut cost = label.cost;
        if label.keys != other.keys {
            for key in missing_keys(&label.keys, &other.keys) {
                cost = cost.plus(&self.oracle.key(key));
            }
        }
        self.counted
            .iter()
            .all(|&objective| cost.is_within(&other.cost, objective, self.factor))
    }

    fn ends(&self) -> impl Iterator<Item = usize> + '_ {
        self.settled.last().into_iter().flatten().copied()
    }

    fn solution(&self, index: usize) -> Solution {
        let mut parties = Vec::new();
        let mut label = &self.labels[index];
        let cost = label.cost;
        while let Some(before) = label.before {
            let before = &self.labels[before];
            parties.extend(std::iter::repeat_n(label.party, label.end - before.end));
            label = before;
        }
        parties.reverse();
        Solution {
            placement: Placement::of(parties, &self.pins),
            cost,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
