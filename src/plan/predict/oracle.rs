//! The solver's costs of a model's pieces, from its compiled segments and fitted unit costs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::counter::Counter;
use super::fit::{Fit, Work};
use super::work::{Done, Figure, add_key, count};
use crate::choose::scenario::{Measured, Scenario};
use crate::choose::solver::{Cost, Oracle, SegmentCost};
use crate::circuit::key_kind::key_parameters;
use crate::circuit::program::Program;
use crate::core::error::{Error, Result};
use crate::core::placement::{Party, Pins, Placement};
use crate::fhe::parameters::ParameterSet;
use crate::plan::memory_need::key_bytes_at_rest;
use crate::record::exposure::closed::solved_fraction;

/// Prices pieces when they are asked for: each run of layers is compiled once, alone, and gets the
/// parameter set that suits it alone.
///
/// A placement whose segments share one set for the sake of its key takes a few percent more for its
/// look-ups, by the rule of that choice, and less memory. Client layers are priced as in a process
/// that encrypts nothing, segments by whether they need an evaluation key.
pub struct FittedOracle<'a> {
    counter: &'a Counter<'a>,
    fit: &'a Fit,
    scenario: &'a Scenario,
    /// At the client, by layer.
    clients: Vec<Cost>,
    fixed: Cost,
    segments: RefCell<BTreeMap<(usize, usize), Option<SegmentCost>>>,
    sets: RefCell<Vec<ParameterSet>>,
}

impl<'a> FittedOracle<'a> {
    /// Returns the oracle of a model in a scenario.
    pub fn new(counter: &'a Counter<'a>, fit: &'a Fit, scenario: &'a Scenario) -> Self {
        let mut oracle = Self {
            counter,
            fit,
            scenario,
            clients: Vec::new(),
            fixed: Cost::default(),
            segments: RefCell::default(),
            sets: RefCell::default(),
        };
        oracle.price_client();
        oracle
    }

    /// Prices each client layer as what everything at the client takes with it and without it.
    fn price_client(&mut self) {
        let model = self.counter.model();
        let pins = model.pins();
        let of = |placement: &Placement| self.count(placement, &[]);
        let nothing = of(&Placement::uniform(Party::Server, &pins));
        let compute = |done: &Done| self.seconds(done, |figure| *figure == Figure::ClientCompute);
        let fixed_s = self.seconds(&nothing, |figure| !is_memory(figure));
        let begin_s = compute(&nothing);
        let memory = self.figure(&nothing, Figure::ClientMemory);
        let clients = (0..pins.layer_count())
            .map(|layer| {
                let mut parties = vec![Party::Server; pins.layer_count()];
                parties[layer] = Party::Client;
                let placement = Placement::of(parties, &pins);
                let done = of(&placement);
                Cost {
                    exposure: model.client_weight_share(&placement).unwrap_or(0.0),
                    client_memory: self.figure(&done, Figure::ClientMemory),
                    ..self.priced_client(compute(&done) - begin_s)
                }
            })
            .collect();
        self.fixed = Cost {
            client_memory: memory,
            ..self.priced_client(fixed_s)
        };
        self.clients = clients;
    }

    fn priced_client(&self, seconds: f64) -> Cost {
        let client_compute_s = seconds.max(0.0);
        Cost::of(&self.scenario.of(&Measured {
            online_s: client_compute_s,
            client_compute_s,
            ..Measured::default()
        }))
    }

    fn count(&self, placement: &Placement, programs: &[Arc<Program>]) -> Done {
        let Counter { cost, threads, .. } = self.counter;
        count(self.counter.model(), placement, programs, cost, *threads)
    }

    fn seconds(&self, done: &Done, counts: impl Fn(&Figure) -> bool) -> f64 {
        let work = done.work.iter().filter(|(figure, _)| counts(figure));
        work.map(|(_, work): (_, &Work)| self.fit.predict(work))
            .sum()
    }

    fn figure(&self, done: &Done, figure: Figure) -> f64 {
        done.work
            .get(&figure)
            .map_or(0.0, |work| self.fit.predict(work))
    }

    /// Returns the segment of a run of layers, compiled alone.
    fn compile(&self, layers: Range<usize>) -> Result<Option<SegmentCost>> {
        let compiler = &self.counter.compiler;
        let placement = Placement::with_server(layers, &compiler.model().pins());
        let programs = match compiler.compile(&placement) {
            Ok(programs) => programs,
            Err(Error::Parameters(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let sets = key_parameters(&programs);
        let done = self.count(&placement, &programs);
        let cost = self.segment_cost(&placement, &done, &sets);
        Ok(Some(SegmentCost {
            cost,
            keys: sets.into_iter().map(|set| self.key_index(set)).collect(),
        }))
    }

    /// Returns what a placement of one segment takes for it, beside its keys.
    fn segment_cost(&self, placement: &Placement, done: &Done, sets: &[ParameterSet]) -> Cost {
        let of = |figure: Figure| self.figure(done, figure);
        let at_rest: usize = sets.iter().map(key_bytes_at_rest).sum();
        let segments = placement.server_segments();
        let (model, target) = (self.counter.model(), self.counter.target());
        let solved = segments
            .iter()
            .map(|segment| solved_fraction(model, segment, target.output_mode));
        Cost {
            exposure: solved.sum(),
            client_memory: of(Figure::ClientMemory),
            server_memory: (of(Figure::ServerMemory) - at_rest as f64).max(0.0),
            ..Cost::of(&self.scenario.of(&Measured {
                online_s: self.seconds(done, is_of_segment),
                encrypt_s: of(Figure::Encrypt),
                decrypt_s: of(Figure::Decrypt),
                serialise_s: of(Figure::Serialise),
                deserialise_s: of(Figure::Deserialise),
                upload_bytes: done.upload_bytes,
                download_bytes: done.download_bytes,
                // Packing keys depend on the segment's answers: each is paid for with its segment.
                evaluation_key_bytes: done.evaluation_key_bytes - sets_bytes(sets),
                rounds: 1,
                ..Measured::default()
            }))
        }
    }

    /// Returns the number of a set's key, the next one where it has none.
    fn key_index(&self, set: ParameterSet) -> usize {
        let mut known = self.sets.borrow_mut();
        let found = known.iter().position(|other| *other == set);
        found.unwrap_or_else(|| {
            known.push(set);
            known.len() - 1
        })
    }
}

fn sets_bytes(sets: &[ParameterSet]) -> u64 {
    sets.iter().map(ParameterSet::evaluation_key_bytes).sum()
}

fn is_memory(figure: &Figure) -> bool {
    matches!(figure, Figure::ClientMemory | Figure::ServerMemory)
}

/// Returns whether a figure is seconds of a segment's inference, at either party.
fn is_of_segment(figure: &Figure) -> bool {
    !is_memory(figure)
        && !matches!(
            figure,
            Figure::ClientCompute | Figure::Between | Figure::KeyGeneration | Figure::KeyTransfer
        )
}

impl Oracle for FittedOracle<'_> {
    fn pins(&self) -> Pins {
        self.counter.model().pins()
    }

    fn fixed(&self) -> Cost {
        self.fixed
    }

    fn client(&self, layer: usize) -> Cost {
        self.clients[layer]
    }

    fn server(&self, layers: Range<usize>) -> Result<Option<SegmentCost>> {
        let ends = (layers.start, layers.end);
        if let Some(segment) = self.segments.borrow().get(&ends) {
            return Ok(segment.clone());
        }
        let segment = self.compile(layers)?;
        self.segments.borrow_mut().insert(ends, segment.clone());
        Ok(segment)
    }

    fn key(&self, key: usize) -> Cost {
        let parameters = self.sets.borrow()[key];
        let mut made = Work::default();
        let mut moved = Work::default();
        let bytes = add_key(&mut made, &mut moved, &parameters);
        Cost {
            key_memory: key_bytes_at_rest(&parameters) as f64,
            ..Cost::of(&self.scenario.of(&Measured {
                key_generation_s: self.fit.predict(&made),
                key_transfer_s: self.fit.predict(&moved),
                evaluation_key_bytes: bytes,
                ..Measured::default()
            }))
        }
    }
}
