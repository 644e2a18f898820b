//! What a worker does: one visit of a split.
//!
//! In a process of its own it reads a [`Job`] as one line of JSON from its standard input; when that
//! closes, because the parent has died, it ends itself. It answers with one [`Event`] per line on
//! its standard output. `watch` is the other end.

use std::io::{BufRead, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attack::segment::{Mounting, Subject};
use crate::circuit::compile::{Target, compile_placement};
use crate::circuit::program::{NoiseSeed, Program};
use crate::core::error::{Error, Result};
use crate::core::placement::{Party, Placement, SegmentIndex};
use crate::core::security::SECURITY_BITS;
use crate::core::statistics::log2_union;
use crate::machine::memory::{MemoryUse, PeakMemory, SAMPLING_PERIOD};
use crate::machine::process;
use crate::machine::threads;
use crate::model::Model;
use crate::model::output_mode::Added;
use crate::oracle::accuracy::Accuracy;
use crate::oracle::agreement::within_error_model;
use crate::oracle::simulation::{label_of, simulate};
use crate::party::inference::Inference;
use crate::party::server::StepTime;
use crate::party::session::{Session, SetUp};
use crate::record::finished::{Finished, Sample, is_long};
use crate::record::learnt::Learnt;
use crate::record::party_memory::RoleMemories;
use crate::record::row::SampleRow;
use crate::record::settings::Settings;
use crate::record::spill::Spill;
use crate::record::stage::{Begin, Stage};
use crate::record::visit::Visit;
use crate::sweep::advance::{Advance, Watch};
use crate::sweep::role;
use crate::sweep::tallies::{
    bootstrap_count, composed_layers, layer_deviations, layer_times, live_ciphertexts,
    parameter_sets,
};

/// Look-ups of a batch that `activation_s` is measured on.
const ACTIVATION_BATCH: usize = 32;

/// What a worker is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub settings: Settings,
    pub visit: Visit,
    /// What earlier visits learnt of the split's server segments.
    pub known: Learnt,
}

/// What a worker reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Sample(Box<Sample>),
    /// A stage begins.
    Begin(Begin),
    /// How far an inference has come.
    Advance(Advance),
    /// All inferences are done; what else is known of the split comes with its first visit.
    Finished(Option<Box<Finished>>),
    /// The error that ended it.
    Failed(String),
    /// The same, for want of memory.
    OutOfMemory(String),
}

/// The worker's whole life: reads its job, works, reports. Errors are reported too.
///
/// # Errors
///
/// [`Error::Worker`] where the job cannot be read or the report cannot be written.
pub fn run() -> Result<()> {
    process::offer();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Error::Worker(format!("no job: {error}")))?;
    let job: Job =
        serde_json::from_str(&line).map_err(|error| Error::Worker(format!("no job: {error}")))?;
    threads::spawn(|| {
        // Ends when the pipe does, that is, when the parent has gone.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(1);
    })?;
    // Nobody listening ends the worker with its next sample.
    let hear = |event| drop(report(event));
    match measure(&job, &mut report, &hear) {
        Ok(finished) => report(Event::Finished(finished)),
        Err(error) if error.is_memory() => report(Event::OutOfMemory(error.to_string())),
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

/// Hears what a visit is at, from any thread.
pub type Hear<'a> = dyn Fn(Event) + Sync + 'a;

/// Runs the inferences of a visit, hands each sample over, tells `hear` what it is at, and on a first
/// visit returns the rest.
///
/// # Errors
///
/// What reading the model, running inferences and `report` give.
pub fn measure(
    job: &Job,
    report: &mut dyn FnMut(Event) -> Result<()>,
    hear: &Hear<'_>,
) -> Result<Option<Box<Finished>>> {
    let Job {
        settings, visit, ..
    } = job;
    let placement = &visit.placement;
    let begin = |stage: Stage| hear(Event::Begin(stage.into()));
    let memory = PeakMemory::start();
    let model = load_model(settings)?;
    let target = settings.target()?;
    let programs = compile_placement(&model, placement, &target)?;
    begin(Stage::Keys);
    let mut session = Session::of_programs(&model, placement, programs)?;
    session.spill_above(settings.spill_above_bytes);
    begin(Stage::WarmUp);
    let images: Vec<usize> = (0..settings.images).collect();
    let clear = simulate(&model, placement, session.programs(), &images, None).labels();
    // What runs first pays for page faults and cold caches; it is not a sample.
    if !is_long(bootstrap_count(session.programs())) {
        session.warm_up(model.test.image(0))?;
    }
    begin(Stage::Inference);
    let steps = infer_images(job, &model, &session, &clear, report, hear)?;
    let memory = memory.map(PeakMemory::stop);
    if visit.repeat > 0 {
        return Ok(None);
    }
    begin(Stage::LookUpTime);
    let activation_s = session.activation_s(ACTIVATION_BATCH)?;
    let learnt = learn(job, &model, &session, &target, hear)?;
    begin(Stage::Accuracy);
    let set_up = session.set_up;
    let programs = session.into_programs();
    let accuracy_images: Vec<usize> = (0..settings.accuracy_image_count(&model)).collect();
    let accuracy = Accuracy::of(
        &model,
        placement,
        &programs,
        &accuracy_images,
        settings.seed,
    );
    begin(Stage::PartyMemory);
    let roles = party_memory(settings, placement)?;
    let first = FirstVisit {
        settings,
        placement,
        model: &model,
        programs: &programs,
        set_up,
        steps: &steps,
        memory,
        activation_s,
        accuracy: &accuracy,
        roles,
    };
    Ok(Some(Box::new(first.finished(learnt))))
}

/// Loads the model that is swept.
fn load_model(settings: &Settings) -> Result<Model> {
    let model = Model::load(&settings.model)?.with_granularity(settings.granularity);
    if model.digest != settings.model_digest {
        return Err(Error::invalid(
            settings.model.display().to_string(),
            "the model changed while the sweep ran",
        ));
    }
    Ok(model)
}

/// Infers each image, hands its sample over, and returns the steps of the first.
fn infer_images(
    job: &Job,
    model: &Model,
    session: &Session,
    clear_labels: &[usize],
    report: &mut dyn FnMut(Event) -> Result<()>,
    hear: &Hear<'_>,
) -> Result<Vec<StepTime>> {
    let Visit { placement, repeat } = &job.visit;
    let mut first = None;
    let hear_advance = |advance| hear(Event::Advance(advance));
    for (image, &clear_label) in clear_labels.iter().enumerate() {
        let watch = Watch::of(model, session.programs(), &hear_advance);
        let advance = |node, count| watch.advance(node, count);
        let inference = session.infer_telling(model.test.image(image), &advance)?;
        let seed = NoiseSeed(job.settings.seed);
        let sample = Judged {
            repeat: *repeat,
            image,
            clear_label,
        };
        let row = sample.row(model, placement, session.programs(), &inference, seed);
        report(Event::Sample(Box::new(Sample {
            row,
            layers: layer_times(model, &inference.step_times),
        })))?;
        first.get_or_insert(inference.step_times);
    }
    first.ok_or_else(|| Error::Worker("there are no images".into()))
}

/// Returns the memory of each party in a process of its own, unless it is left out.
fn party_memory(settings: &Settings, placement: &Placement) -> Result<Option<RoleMemories>> {
    if settings.skip_party_memory {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| Error::Worker(error.to_string()))?;
    role::measure(&program, settings, placement)
}

/// What a first visit finds of a split, beside what it learns of its server segments.
struct FirstVisit<'a> {
    settings: &'a Settings,
    placement: &'a Placement,
    model: &'a Model,
    programs: &'a [Arc<Program>],
    set_up: SetUp,
    /// Of the first inference.
    steps: &'a [StepTime],
    memory: Option<MemoryUse>,
    activation_s: Option<f64>,
    accuracy: &'a Accuracy,
    roles: Option<RoleMemories>,
}

impl FirstVisit<'_> {
    /// Returns what is kept of it.
    fn finished(self, learnt: Learnt) -> Finished {
        let Self {
            settings,
            placement,
            model,
            programs,
            set_up,
            steps,
            memory,
            accuracy,
            ..
        } = self;
        let encrypted = !programs.is_empty();
        let has_key = set_up.evaluation_key_bytes > 0;
        let spills = steps.iter().map(|step| step.spill);
        Finished {
            key_generation_s: encrypted.then_some(set_up.key_generation_s),
            key_transfer_s: has_key.then_some(set_up.key_transfer_s),
            evaluation_key_bytes: set_up.evaluation_key_bytes,
            packing_key_bytes: set_up.packing_key_bytes,
            rounds: programs.len(),
            bootstrap_count: bootstrap_count(programs),
            start_rss_bytes: memory.map(|memory| memory.start_bytes),
            peak_rss_bytes: memory.map(|memory| memory.peak_bytes),
            rss_sampling_period_s: memory.map(|_| SAMPLING_PERIOD.as_secs_f64()),
            roles: self.roles,
            live_ciphertexts: live_ciphertexts(model, steps),
            composed: composed_layers(model, programs),
            spill: spills.fold(Spill::default(), Spill::plus),
            client_weight_share: model.client_weight_share(placement),
            accuracy_images: settings.accuracy_image_count(model),
            simulated_accuracy: model.is_classifier().then_some(accuracy.simulated),
            noiseless_accuracy: model.is_classifier().then_some(accuracy.noiseless),
            range_overflow_count: accuracy.range_overflow_count,
            noisy_reads: encrypted.then_some(accuracy.noisy_reads),
            no_label_share: answers_label(model, placement, settings)
                .then_some(accuracy.no_label_share),
            log2_p_fail: encrypted.then(|| log2_union(programs.iter().map(|p| p.log2_p_fail))),
            log2_p_fail_lookup: programs
                .iter()
                .filter_map(|program| program.log2_p_fail_lookup)
                .reduce(f64::max),
            security_bits: encrypted.then_some(SECURITY_BITS),
            activation_s: self.activation_s,
            parameter_set: parameter_sets(programs),
            deviations: layer_deviations(model, accuracy, &learnt),
            learnt,
        }
    }
}

/// Returns what is known of each server segment of a visit's session, and learns what is not.
fn learn(
    job: &Job,
    model: &Model,
    session: &Session,
    target: &Target,
    hear: &Hear<'_>,
) -> Result<Learnt> {
    let Job {
        settings,
        visit,
        known,
    } = job;
    let segments = visit.placement.server_segments();
    let mut learnt = Learnt::default();
    for (index, segment) in segments.iter().enumerate() {
        let parameters = session.programs()[index].parameters.to_string();
        if let Some(known) = known.about(&segment.layers, &parameters) {
            learnt.extend(known);
            continue;
        }
        let subject = Subject::new(model, session, SegmentIndex::new(index), segment, target);
        let of_segment = |stage| {
            hear(Event::Begin(Begin {
                stage,
                segment: Some((index + 1, segments.len())),
            }));
        };
        let mounting = Mounting {
            seed: settings.seed,
            budget_s: settings.attack_budget_s,
            hear: &of_segment,
        };
        learnt.extend(Learnt::of(&subject, mounting)?);
    }
    Ok(learnt)
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
        let agrees = programs
            .iter()
            .zip(&inference.exchanges)
            .all(|(program, exchange)| within_error_model(program, exchange, seed));
        let encrypted_label = label_of(inference.logits.iter().copied());
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

/// Returns whether the server returns the label alone.
fn answers_label(model: &Model, placement: &Placement, settings: &Settings) -> bool {
    let is_last_served = placement.parties().last() == Some(&Party::Server);
    is_last_served && settings.output_mode().added(model, model.last()) == Some(Added::Label)
}
