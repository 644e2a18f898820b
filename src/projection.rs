//! What a sweep will take on this machine, from one quick measurement and arithmetic.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::compile::{Target, compile_placement};
use crate::error::{Error, Result};
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::overhead::{Runs, Speed};
use crate::placement::Placement;
use crate::program::{Program, key_parameters};
use crate::session::Session;
use crate::settings::Settings;
use crate::visit::Visit;

/// Look-ups that the quick measurement runs.
const PROBE_BATCH: usize = 32;
/// Placements whose memory is projected, the heaviest among them: compiling thousands of a large
/// network takes longer than their look-ups' answer is worth.
const COMPILED_PLACEMENTS: usize = 16;
/// Resident bytes of a worker before any key: code, model, test images, thread stacks.
const BASE_BYTES: u64 = 20 << 20;

/// The cost of a sweep, projected.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    pub inference_count: usize,
    pub bootstrap_count: usize,
    /// Of the worst split.
    pub peak_bytes: u64,
    pub expected: Expected,
}

/// What visits are expected to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    speed: Speed,
    runs: Runs,
    /// Look-ups of each placement's inference.
    look_ups: HashMap<Placement, usize>,
    /// Seconds of studying each server segment.
    study_s: HashMap<Range<usize>, f64>,
}

impl Expected {
    /// Returns what is expected of the placements of a sweep on a machine of that speed.
    pub fn of(settings: &Settings, model: &Model, speed: Speed) -> Self {
        let ending = settings.ending();
        let count = |placement: &Placement| ending.bootstrap_count(model, placement);
        let placements = settings.placements.iter();
        let segments = placements.clone().flat_map(Placement::server_segments);
        let mut study_s = HashMap::new();
        for segment in segments {
            study_s.entry(segment.layers).or_insert_with_key(|layers| {
                let alone = Placement::with_server(layers.clone(), model.layer_count());
                speed.study_s(count(&alone))
            });
        }
        Self {
            speed,
            runs: settings.runs(model),
            look_ups: placements
                .map(|placement| (placement.clone(), count(placement)))
                .collect(),
            study_s,
        }
    }

    /// Returns the expected seconds of visits that are made in that order: the first to reach a server
    /// segment also studies it.
    pub fn seconds<'a>(&self, visits: impl IntoIterator<Item = &'a Visit>) -> Vec<f64> {
        let mut left = self.study_s.clone();
        let seconds = visits.into_iter().map(|visit| {
            let count = self.look_ups.get(&visit.placement).copied().unwrap_or(0);
            let inference_s = count as f64 * self.speed.look_up_s;
            let runs = &self.runs;
            let visit_s = runs.visit_s(visit.repeat, count, inference_s, &self.speed);
            let segments = visit.placement.server_segments();
            let studies = segments.iter().filter_map(|of| left.remove(&of.layers));
            visit_s + studies.sum::<f64>()
        });
        seconds.collect()
    }
}

/// Measures keys and look-ups once if any split needs them, and projects the whole sweep.
///
/// # Errors
///
/// [`Error::Interrupted`] where `stop` says so. Placements that no parameter set can carry are passed
/// over: their rows will tell.
pub fn project(settings: &Settings, model: &Model, stop: &dyn Fn() -> bool) -> Result<Projection> {
    let target = settings.target()?;
    let inferences_per_split = settings.images * settings.repeats;
    let ending = settings.ending();
    let bootstraps = |placement: &Placement| ending.bootstrap_count(model, placement);
    let probes = settings
        .placements
        .iter()
        .filter(|placement| bootstraps(placement) > 0);
    let mut measured = None;
    for placement in probes.take(COMPILED_PLACEMENTS) {
        if stop() {
            return Err(Error::Interrupted);
        }
        measured = carried(measure(model, placement, &target))?;
        if measured.is_some() {
            break;
        }
    }
    let bootstrap_counts = settings.placements.iter().map(bootstraps);
    let mut projection = Projection {
        inference_count: settings.placements.len() * inferences_per_split,
        bootstrap_count: inferences_per_split * bootstrap_counts.sum::<usize>(),
        peak_bytes: 0,
        expected: Expected::of(settings, model, measured.unwrap_or_default()),
    };
    for placement in sampled(&settings.placements, &bootstraps) {
        if stop() {
            return Err(Error::Interrupted);
        }
        if let Some(programs) = carried(compile_placement(model, placement, &target))? {
            let bytes = peak_bytes(&programs);
            projection.peak_bytes = projection.peak_bytes.max(bytes);
        }
    }
    Ok(projection)
}

/// Returns `None` where no parameter set carries a placement.
fn carried<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Parameters(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the placement with the most bootstraps and some of the others, evenly spaced.
fn sampled<'a>(
    placements: &'a [Placement],
    bootstraps: &dyn Fn(&Placement) -> usize,
) -> impl Iterator<Item = &'a Placement> {
    let heaviest = placements
        .iter()
        .max_by_key(|placement| bootstraps(placement));
    let step = placements.len().div_ceil(COMPILED_PLACEMENTS).max(1);
    heaviest.into_iter().chain(placements.iter().step_by(step))
}

/// Measures keys and look-ups.
fn measure(model: &Model, placement: &Placement, target: &Target) -> Result<Speed> {
    let start = Instant::now();
    let session = Session::set_up(model, placement, target)?;
    let key_s = start.elapsed().as_secs_f64();
    let look_up_s = session.activation_s(PROBE_BATCH)?.unwrap_or_default();
    Ok(Speed { key_s, look_up_s })
}

/// Returns the resident bytes of an expanded evaluation key.
pub fn key_bytes_at_rest(parameters: &ParameterSet) -> usize {
    let (bootstrap, keyswitch) = key_parts(parameters);
    3 * keyswitch + bootstrap
}

/// Returns the bytes of the transformed bootstrap key, and the elements of the keyswitch key.
fn key_parts(parameters: &ParameterSet) -> (usize, usize) {
    let literal = parameters.literal();
    let polynomials = (literal.glwe_dimension + 1).pow(2) * literal.bootstrap_levels;
    let bootstrap = 8 * literal.lwe_dimension * polynomials * literal.polynomial_size;
    let keyswitch =
        parameters.big_dimension() * literal.keyswitch_levels * (literal.lwe_dimension + 1);
    (bootstrap, keyswitch)
}

/// Returns the projected peak of a split: that of a process and of what its server holds.
pub fn peak_bytes(programs: &[Arc<Program>]) -> u64 {
    BASE_BYTES + held_bytes(programs)
}

/// Returns what a server holds at its peak: evaluation keys, each expanded beside those before it at
/// rest, or all of them at rest with the most ciphertexts that it holds at once.
pub fn held_bytes(programs: &[Arc<Program>]) -> u64 {
    let (mut at_rest, mut expanding) = (0, 0);
    for parameters in key_parameters(programs) {
        let (bootstrap, keyswitch) = key_parts(&parameters);
        // Packing holds the standard key of eight bytes an element, its rounded copy of four and
        // the packed one of three; then comes the bootstrap key in both domains.
        let this = (15 * keyswitch).max(3 * keyswitch + 2 * bootstrap);
        expanding = expanding.max(at_rest + this);
        at_rest += key_bytes_at_rest(&parameters);
    }
    let ciphertexts = programs.iter().map(|p| p.most_ciphertext_bytes());
    let working = ciphertexts.max().unwrap_or(0);
    (expanding as u64).max(at_rest as u64 + working)
}
