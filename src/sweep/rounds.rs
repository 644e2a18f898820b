//! A sweep: rounds over all splits, each visit in a worker of its own and kept as soon as it is there.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::core::error::{Error, Result};
use crate::core::statistics::median;
use crate::machine::whole_file;
use crate::model::Model;
use crate::record::environment::Environment;
use crate::record::finished::{Finished, Sample};
use crate::record::history::environments;
use crate::record::learnt::Learnt;
use crate::record::log::{Record, VisitEnd};
use crate::record::results::{self, Description, Tables};
use crate::record::row::Status;
use crate::record::settings::Settings;
use crate::record::stage::{Begin, Stage, StageClock};
use crate::record::visit::Visit;
use crate::report;
use crate::report::plot::draw_results;
use crate::sweep::advance::Advance;
use crate::sweep::copies::learn_undecided;
use crate::sweep::observer::Observer;
use crate::sweep::reference::Reference;
use crate::sweep::results_folder::ResultsFolder;
use crate::sweep::verdict::verdict;
use crate::sweep::watch::{Ended, Limits, Listener, stay, watch};
use crate::sweep::worker::Job;

/// What keeps visits apart.
#[derive(Debug, Clone)]
pub enum Isolation {
    /// A process for each.
    Worker {
        /// The splitbench binary that it runs.
        program: PathBuf,
        limits: Limits,
    },
    /// Nothing: visits run in this process, whose memory then tells little, and what ends one ends all.
    None,
}

impl Isolation {
    /// Returns workers that run this very program.
    ///
    /// # Errors
    ///
    /// [`Error::Worker`] where the system does not tell which that is.
    pub fn workers(limits: Limits) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| Error::Worker(error.to_string()))?;
        Ok(Self::Worker { program, limits })
    }

    /// Makes a visit.
    ///
    /// # Errors
    ///
    /// As [`watch`] and [`stay`].
    fn visit(&self, job: &Job, listener: &mut (dyn Listener + Send)) -> Result<Ended> {
        match self {
            Self::Worker { program, limits } => watch(program, job, *limits, listener),
            Self::None => stay(job, listener),
        }
    }
}

/// Makes every visit that has not ended yet, learns copies, then writes tables and charts.
///
/// # Errors
///
/// [`Error::Interrupted`], [`Error::SplitsFailed`] and [`Error::Mismatch`] after everything was
/// written; [`Error::Write`].
pub fn run(
    mut folder: ResultsFolder,
    settings: &Settings,
    model: &Model,
    isolation: &Isolation,
    observer: &dyn Observer,
) -> Result<Tables> {
    let left = folder.visits_left(settings);
    if !left.is_empty() {
        folder.append(Record::Environment(Environment::probe()))?;
    }
    let description = Description::of(settings, model, environments(folder.records()));
    whole_file::write_json(&folder.path().join(results::ENVIRONMENT), &description)?;
    let outcome = make_visits(settings, left, isolation, observer, &mut folder)
        .and_then(|()| learn_undecided(&mut folder, settings, model, observer));
    // Tables go to the log that they derive from, or nowhere.
    folder.check_place()?;
    let tables = Tables::derive(settings, model, folder.records());
    tables.write(folder.path())?;
    draw_results(&tables.splits, folder.path())?;
    report::write(folder.path())?;
    outcome?;
    verdict(&tables, folder.path())?;
    Ok(tables)
}

/// Makes the visits that are left, one after another.
fn make_visits(
    settings: &Settings,
    left: Vec<(usize, Visit)>,
    isolation: &Isolation,
    observer: &dyn Observer,
    folder: &mut ResultsFolder,
) -> Result<()> {
    let mut reference = None;
    let mut learnt = learnt(folder);
    let mut clock = StageClock::start(Stage::Reference);
    observer.start(&left);
    // Further rounds of what did not end well would end alike.
    let mut broken = HashSet::new();
    for (index, visit) in left {
        if broken.contains(&visit.placement) {
            continue;
        }
        if observer.stop() {
            return Err(Error::Interrupted);
        }
        observer.begin(index, &visit);
        let reference = match &mut reference {
            Some(reference) => reference,
            none => none.insert(Reference::begin()?),
        };
        folder.append(Record::Start(visit.clone()))?;
        clock.begin(Stage::Start);
        let job = job_of(settings, &visit, &learnt);
        let mut listener = VisitListener {
            visit: &visit,
            observer,
            folder,
            clock: &mut clock,
            samples: Vec::new(),
        };
        let ended = isolation.visit(&job, &mut listener)?;
        let samples = listener.samples;
        clock.begin(Stage::Reference);
        observer.stage(&visit, Stage::Reference.into());
        let calibration_s = Some(reference.around_visit());
        clock.begin(Stage::Reference);
        let (status, reason, finished) = conclude(ended, &samples)?;
        let end = VisitEnd {
            visit,
            status,
            reason,
            calibration_s,
            stages: clock.take(),
            finished,
        };
        if let Some(finished) = &end.finished {
            learnt.extend(finished.learnt.clone());
        }
        if status != Status::Ok {
            broken.insert(end.visit.placement.clone());
        }
        observer.end(&end, median_online_s(&samples));
        folder.append(Record::End(end))?;
    }
    Ok(())
}

fn median_online_s(samples: &[Sample]) -> Option<f64> {
    median(samples.iter().map(|sample| sample.row.online_s))
}

/// Returns what a worker needs to know for a visit.
fn job_of(settings: &Settings, visit: &Visit, learnt: &Learnt) -> Job {
    let segments = visit.placement.server_segments();
    let layers: Vec<_> = segments.iter().map(|of| &of.layers).collect();
    Job {
        settings: settings.clone(),
        visit: visit.clone(),
        known: learnt.of_layers(&layers),
    }
}

/// Returns what visits that ended have learnt of server segments.
fn learnt(folder: &ResultsFolder) -> Learnt {
    let mut learnt = Learnt::default();
    for finished in folder.ends().filter_map(|end| end.finished.as_ref()) {
        learnt.extend(finished.learnt.clone());
    }
    learnt
}

/// Keeps what a visit's worker tells, and passes it on.
struct VisitListener<'a> {
    visit: &'a Visit,
    observer: &'a dyn Observer,
    folder: &'a mut ResultsFolder,
    clock: &'a mut StageClock,
    samples: Vec<Sample>,
}

impl Listener for VisitListener<'_> {
    fn sample(&mut self, sample: Sample) -> Result<()> {
        self.folder.append(Record::Sample(sample.clone()))?;
        self.samples.push(sample);
        Ok(())
    }

    fn begin(&mut self, begin: Begin) {
        self.clock.begin(begin.stage);
        self.observer.stage(self.visit, begin);
    }

    fn advance(&mut self, advance: &Advance) {
        self.observer.advance(self.visit, advance);
    }

    fn stop(&self) -> bool {
        self.observer.stop()
    }
}

/// Judges how a visit ended.
///
/// # Errors
///
/// [`Error::Interrupted`] where it was stopped.
fn conclude(
    ended: Ended,
    samples: &[Sample],
) -> Result<(Status, Option<String>, Option<Finished>)> {
    let finished = match ended {
        Ended::Stopped => return Err(Error::Interrupted),
        Ended::Broken { status, reason } => return Ok((status, Some(reason), None)),
        Ended::Finished(finished) => finished.map(|finished| *finished),
    };
    let outside = samples
        .iter()
        .filter(|sample| !sample.row.encrypted_agreement)
        .count();
    if outside == 0 {
        return Ok((Status::Ok, None, finished));
    }
    let total = samples.len();
    let reason = format!("{outside} of {total} inferences outside the error model");
    Ok((Status::Mismatch, Some(reason), finished))
}
