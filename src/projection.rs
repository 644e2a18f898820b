//! What a sweep will take on this machine, from one quick measurement and arithmetic.

use std::sync::Arc;
use std::time::Instant;

use crate::compile::{Target, compile_placement};
use crate::error::{Error, Result};
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
use crate::overhead::{Further, PER_SPLIT_S, PER_VISIT_S};
use crate::placement::Placement;
use crate::program::{Program, key_parameters};
use crate::session::Session;
use crate::settings::Settings;

/// Look-ups that the quick measurement runs.
const PROBE_BATCH: usize = 64;
/// Placements whose memory is projected, the heaviest among them: compiling thousands of a large
/// network takes longer than their look-ups' answer is worth.
const COMPILED_PLACEMENTS: usize = 16;
/// Resident bytes of a worker before any key: code, model, test images, thread stacks.
const BASE_BYTES: u64 = 20 << 20;

/// The cost of a sweep, projected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    pub inference_count: usize,
    pub bootstrap_count: usize,
    pub seconds: f64,
    /// Of the worst split.
    pub peak_bytes: u64,
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
    let (key_s, activation_s) = measured.unwrap_or_default();
    let mut projection = Projection {
        inference_count: settings.placements.len() * inferences_per_split,
        bootstrap_count: 0,
        seconds: 0.0,
        peak_bytes: 0,
    };
    for placement in &settings.placements {
        let count = bootstraps(placement);
        let inference_s = count as f64 * activation_s;
        let key_s = if count > 0 { key_s } else { 0.0 };
        let further = Further::of(count);
        let visit_s =
            PER_VISIT_S + key_s + (settings.images + further.per_visit) as f64 * inference_s;
        let first = further.first - usize::from(settings.skip_party_memory);
        let first_s = PER_SPLIT_S + key_s + first as f64 * inference_s;
        projection.bootstrap_count += inferences_per_split * count;
        projection.seconds += settings.repeats as f64 * visit_s + first_s;
    }
    for placement in sampled(&settings.placements, &bootstraps) {
        if stop() {
            return Err(Error::Interrupted);
        }
        if let Some(programs) = carried(compile_placement(model, placement, &target))? {
            let bytes = peak_bytes(model, &programs);
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

/// Returns the seconds of key generation and transfer, and those per look-up.
fn measure(model: &Model, placement: &Placement, target: &Target) -> Result<(f64, f64)> {
    let start = Instant::now();
    let session = Session::set_up(model, placement, target)?;
    let key_s = start.elapsed().as_secs_f64();
    Ok((
        key_s,
        session.activation_s(PROBE_BATCH)?.unwrap_or_default(),
    ))
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

/// Returns the projected peak of a split: the evaluation keys while the last is expanded, or at
/// rest with the ciphertexts of the widest layer's input and output.
pub fn peak_bytes(model: &Model, programs: &[Arc<Program>]) -> u64 {
    let mut at_rest = 0;
    let mut expanding = 0;
    for parameters in key_parameters(programs) {
        let (bootstrap, keyswitch) = key_parts(&parameters);
        // Packing holds the standard key of eight bytes an element, its rounded copy of four and
        // the packed one of three; then comes the bootstrap key in both domains.
        expanding = (15 * keyswitch).max(3 * keyswitch + 2 * bootstrap);
        at_rest += key_bytes_at_rest(&parameters);
    }
    let ciphertexts = programs.iter().flat_map(|program| {
        let nodes = program.nodes.clone().map(|node| {
            let read = model.nodes[node].inputs.iter();
            let read: usize = read.map(|&value| model.element_count(value)).sum();
            read + model.element_count(node + 1)
        });
        // Comparisons of logits are more than the logits.
        let look_ups = program.look_ups().map(|look_up| look_up.sigma.len());
        let elements = nodes.chain(look_ups);
        elements.map(|elements| 8 * program.parameters.big_size() * elements)
    });
    let working = ciphertexts.max().unwrap_or(0);
    BASE_BYTES + expanding.max(at_rest + working) as u64
}
