//! What a sweep will take on this machine, from one quick measurement and arithmetic.

use std::sync::Arc;
use std::time::Instant;

use crate::compile::{Target, compile_placement};
use crate::error::{Error, Result};
use crate::fhe::parameters::ParameterSet;
use crate::model::Model;
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
    let runs = settings.runs(model);
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
        projection.bootstrap_count += inferences_per_split * count;
        projection.seconds += runs.seconds(count, key_s, inference_s);
    }
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
