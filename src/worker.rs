//! What a worker does: one visit of a split.
//!
//! In a process of its own it reads a [`Job`] as one line of JSON from its standard input; when that
//! closes, because the parent has died, it ends itself. It answers with one [`Event`] per line on
//! its standard output. `watch` is the other end.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::agreement::within_error_model;
use crate::audit::audit;
use crate::deviation::Deviations;
use crate::ending::Added;
use crate::error::{Error, Result};
use crate::exposure::segment::{SegmentExposure, expose};
use crate::fhe::noise::log2_sum;
use crate::fhe::parameters::SECURITY_BITS;
use crate::inference::{Inference, Session};
use crate::memory::{PeakMemory, SAMPLING_PERIOD};
use crate::model::Model;
use crate::placement::{Party, Placement};
use crate::program::{NoiseSeed, Program};
use crate::role::{self, RoleMemories};
use crate::row::SampleRow;
use crate::server::StepTime;
use crate::settings::Settings;
use crate::simulation::{arg_max, simulate};
use crate::statistics::median;
use crate::visit::Visit;

/// Noise seeds that the simulated accuracy is the mean of, at most.
const MOST_NOISE_SEEDS: u64 = 10;
/// Simulated inferences from which fewer seeds are enough.
const ENOUGH_INFERENCES: u64 = 4000;
/// Look-ups of a batch that `activation_s` is measured on.
const ACTIVATION_BATCH: usize = 64;
/// Batches that `activation_s` is the median of.
const ACTIVATION_BATCHES: usize = 3;
/// What a worker is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub settings: Settings,
    pub visit: Visit,
}

/// What a worker reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Sample(Box<Sample>),
    /// All inferences are done; what else is known of the split comes with its first visit.
    Finished(Option<Box<Finished>>),
    /// The error that ended it.
    Failed(String),
}

/// One timed inference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub row: SampleRow,
    /// Index of each server layer and the seconds that it took.
    pub layers: Vec<(usize, f64)>,
}

/// What is known of a split after its first visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub key_generation_s: Option<f64>,
    pub key_transfer_s: Option<f64>,
    pub evaluation_key_bytes: u64,
    pub packing_key_bytes: u64,
    pub rounds: usize,
    pub bootstrap_count: usize,
    pub start_rss_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    pub rss_sampling_period_s: Option<f64>,
    /// Each party in a process of its own; `None` where this system has no exact measure.
    pub roles: Option<RoleMemories>,
    /// Per server layer: its index, and the most bytes of ciphertexts that lived in one of its steps.
    pub live_ciphertexts: Vec<(usize, u64)>,
    pub client_weight_share: Option<f64>,
    pub simulated_accuracy: f64,
    pub noiseless_accuracy: f64,
    pub range_overflow_count: u64,
    /// Share of simulated answers that do not mark exactly one class; `None` for logits.
    #[serde(default)]
    pub no_label_share: Option<f64>,
    pub log2_p_fail: Option<f64>,
    pub log2_p_fail_lookup: Option<f64>,
    pub security_bits: Option<u32>,
    pub activation_s: Option<f64>,
    /// The distinct sets of the server segments, joined by `+`.
    pub parameter_set: String,
    /// One per activation layer on the server.
    pub deviations: Vec<LayerDeviations>,
    /// One per server segment.
    #[serde(default)]
    pub exposure: Vec<SegmentExposure>,
}

/// Step deviations of an activation layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerDeviations {
    /// Index of the layer in the model.
    pub layer: usize,
    /// Over the test set.
    pub predicted: Deviations,
    /// On the first image, with real keys.
    pub measured: Deviations,
}

/// The worker's whole life: reads its job, works, reports. Errors are reported too.
///
/// # Errors
///
/// [`Error::Worker`] where the job cannot be read or the report cannot be written.
pub fn run() -> Result<()> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Error::Worker(format!("no job: {error}")))?;
    let job: Job =
        serde_json::from_str(&line).map_err(|error| Error::Worker(format!("no job: {error}")))?;
    thread::spawn(|| {
        // Ends when the pipe does, that is, when the parent has gone.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    });
    match measure(&job, &mut report) {
        Ok(finished) => report(Event::Finished(finished)),
        Err(error) => report(Event::Failed(error.to_string())),
    }
}

fn report(event: Event) -> Result<()> {
    let mut line = serde_json::to_string(&event)
        .map_err(|error| Error::Worker(format!("unwritable event: {error}")))?;
    line.push('\n');
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| Error::Worker(format!("no one listens: {error}")))
}

/// Runs the inferences of a visit, hands each sample over, and on a first visit returns the rest.
///
/// # Errors
///
/// What reading the model, running inferences and `report` give.
pub fn measure(
    job: &Job,
    report: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Option<Box<Finished>>> {
    let Job { settings, visit } = job;
    let Visit { placement, repeat } = visit;
    let memory = PeakMemory::start();
    let model = Model::load(&settings.model)?.with_granularity(settings.granularity);
    if model.digest != settings.model_digest {
        return Err(Error::invalid(
            settings.model.display().to_string(),
            "the model changed while the sweep ran",
        ));
    }
    let session = Session::set_up(&model, placement, &settings.target()?)?;
    let images: Vec<usize> = (0..settings.images).collect();
    let clear = simulate(&model, placement, session.programs(), &images, None).labels();
    // The first inference pays for page faults and cold caches; it is not a sample.
    // Its uploads are what the audit looks at.
    let warm_up = session.infer(model.test.image(0))?;
    for &image in &images {
        let inference = session.infer(model.test.image(image))?;
        let seed = NoiseSeed(settings.seed);
        let sample = Judged {
            repeat: *repeat,
            image,
            clear_label: clear[image],
        };
        let row = sample.row(&model, placement, session.programs(), &inference, seed);
        report(Event::Sample(Box::new(Sample {
            row,
            layers: layer_times(&model, &inference.step_times),
        })))?;
    }
    let memory = memory.map(PeakMemory::stop);
    if *repeat > 0 {
        return Ok(None);
    }
    let live_ciphertexts = live_ciphertexts(&model, &warm_up.step_times);
    let uploads: Vec<_> = warm_up.exchanges.into_iter().map(|e| e.uploaded).collect();
    let audits = audit(&session, &uploads)?;
    let batches = (0..ACTIVATION_BATCHES).map(|_| session.activation_s(ACTIVATION_BATCH));
    let batches: Vec<Option<f64>> = batches.collect::<Result<_>>()?;
    let target = settings.target()?;
    let exposure = expose(
        &model,
        placement,
        &session,
        &target,
        &uploads,
        settings.seed,
    )?;
    let set_up = session.set_up;
    let programs = session.into_programs();
    let accuracy = Accuracy::of(&model, placement, &programs, settings.seed);
    let mut deviations: BTreeMap<usize, LayerDeviations> = BTreeMap::new();
    for (&(node, predicted), audit) in accuracy.deviations.iter().zip(audits) {
        let layer = model.layer_of(node);
        let of_layer = deviations.entry(layer).or_insert(LayerDeviations {
            layer,
            ..LayerDeviations::default()
        });
        of_layer.predicted = of_layer.predicted.plus(predicted);
        of_layer.measured = of_layer.measured.plus(audit.measured);
    }
    let encrypted = !programs.is_empty();
    let program = std::env::current_exe().map_err(|error| Error::Worker(error.to_string()))?;
    let roles = role::measure(&program, settings, placement)?;
    let has_key = set_up.evaluation_key_bytes > 0;
    Ok(Some(Box::new(Finished {
        key_generation_s: encrypted.then_some(set_up.key_generation_s),
        key_transfer_s: has_key.then_some(set_up.key_transfer_s),
        evaluation_key_bytes: set_up.evaluation_key_bytes,
        packing_key_bytes: set_up.packing_key_bytes,
        rounds: programs.len(),
        bootstrap_count: programs.iter().map(|p| p.bootstrap_count()).sum(),
        start_rss_bytes: memory.map(|memory| memory.start_bytes),
        peak_rss_bytes: memory.map(|memory| memory.peak_bytes),
        rss_sampling_period_s: memory.map(|_| SAMPLING_PERIOD.as_secs_f64()),
        roles,
        live_ciphertexts,
        client_weight_share: model.client_weight_share(placement),
        simulated_accuracy: accuracy.simulated,
        noiseless_accuracy: accuracy.noiseless,
        range_overflow_count: accuracy.range_overflow_count,
        no_label_share: answers_label(&model, placement, settings)
            .then_some(accuracy.no_label_share),
        log2_p_fail: encrypted.then(|| log2_sum(programs.iter().map(|p| p.log2_p_fail))),
        log2_p_fail_lookup: programs
            .iter()
            .filter_map(|program| program.log2_p_fail_lookup)
            .reduce(f64::max),
        security_bits: encrypted.then_some(SECURITY_BITS),
        activation_s: median(batches.into_iter().flatten()),
        parameter_set: parameter_sets(&programs),
        deviations: deviations.into_values().collect(),
        exposure,
    })))
}

/// Returns the seconds of each layer, in order.
fn layer_times(model: &Model, steps: &[StepTime]) -> Vec<(usize, f64)> {
    let mut layers: BTreeMap<usize, f64> = BTreeMap::new();
    for time in steps {
        *layers.entry(model.layer_of(time.node)).or_default() += time.seconds;
    }
    layers.into_iter().collect()
}

/// Returns the most bytes of live ciphertexts in each layer, in order.
fn live_ciphertexts(model: &Model, steps: &[StepTime]) -> Vec<(usize, u64)> {
    let mut layers: BTreeMap<usize, u64> = BTreeMap::new();
    for step in steps {
        let most = layers.entry(model.layer_of(step.node)).or_default();
        *most = (*most).max(step.live_bytes);
    }
    layers.into_iter().collect()
}

/// Returns the distinct parameter sets of programs, joined by `+`.
fn parameter_sets(programs: &[Arc<Program>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for program in programs {
        let name = program.parameters.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join("+")
}

/// Which inference a sample is, and the label that the clear simulation gives it.
struct Judged {
    repeat: usize,
    image: usize,
    clear_label: usize,
}

impl Judged {
    fn row(
        &self,
        model: &Model,
        placement: &Placement,
        programs: &[Arc<Program>],
        inference: &Inference,
        seed: NoiseSeed,
    ) -> SampleRow {
        let mut exchanges = programs.iter().zip(&inference.exchanges);
        let agrees =
            exchanges.all(|(program, exchange)| within_error_model(program, exchange, seed));
        let encrypted_label = arg_max(inference.logits.iter().copied());
        let times = inference.times;
        SampleRow {
            model: model.name.clone(),
            placement: placement.to_string(),
            repeat: self.repeat,
            image_index: self.image,
            true_label: model.test.label(self.image),
            clear_label: self.clear_label,
            encrypted_label,
            label_agreement: encrypted_label == self.clear_label,
            encrypted_agreement: agrees,
            online_s: times.online_s,
            client_compute_s: times.client_compute_s,
            encrypt_s: times.encrypt_s,
            serialise_s: times.serialise_s,
            server_compute_s: times.server_compute_s,
            deserialise_s: times.deserialise_s,
            decrypt_s: times.decrypt_s,
            upload_bytes: inference.upload_bytes,
            download_bytes: inference.download_bytes,
            calibration_s: None,
            environment: None,
        }
    }
}

/// Returns how many noise seeds the accuracy over so many test images is the mean of.
fn noise_seeds(image_count: usize) -> u64 {
    (ENOUGH_INFERENCES / image_count as u64).clamp(1, MOST_NOISE_SEEDS)
}

/// Returns whether the server returns the label alone.
fn answers_label(model: &Model, placement: &Placement, settings: &Settings) -> bool {
    let is_last_served = placement.parties().last() == Some(&Party::Server);
    is_last_served && settings.ending().added(model, model.nodes.len()) == Some(Added::Label)
}

/// Accuracy of a placement over the whole test set.
struct Accuracy {
    simulated: f64,
    noiseless: f64,
    range_overflow_count: u64,
    /// Where the answers are labels.
    no_label_share: f64,
    deviations: Vec<(usize, Deviations)>,
}

impl Accuracy {
    fn of(model: &Model, placement: &Placement, programs: &[Arc<Program>], seed: u64) -> Self {
        let all: Vec<usize> = (0..model.test.len()).collect();
        let noiseless = simulate(model, placement, programs, &all, None);
        let seeds = noise_seeds(all.len());
        let noisy = (0..seeds).map(|index| {
            let noise = NoiseSeed(seed.wrapping_mul(MOST_NOISE_SEEDS).wrapping_add(index));
            let simulation = simulate(model, placement, programs, &all, Some(noise));
            let no_label = simulation.no_label_count() as f64 / all.len() as f64;
            (simulation.accuracy(model, &all), no_label)
        });
        let sums = noisy.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            simulated: sums.0 / seeds as f64,
            no_label_share: sums.1 / seeds as f64,
            noiseless: noiseless.accuracy(model, &all),
            range_overflow_count: noiseless.range_overflow_count,
            deviations: noiseless.deviations,
        }
    }
}
