//! The course of a sweep as its log tells it: which record may follow which.
//!
//! Settings come first, once. A visit begins, behind an environment, with a `Start` of a placement and
//! a round of the settings that has not ended for good; its samples name it and its images in order;
//! its `End` names it, and fits the samples. A visit that breaks off has no end: the sweep that goes on
//! writes its own environment first. Copies that were learnt of a split stand anywhere behind the settings.

use std::collections::{HashMap, HashSet};

use super::record::{Record, VisitEnd};
use crate::core::placement::Placement;
use crate::record::finished::{Finished, Sample};
use crate::record::row::Status;
use crate::record::settings::Settings;
use crate::record::visit::Visit;

/// Where a log has got to.
#[derive(Debug, Clone, Default)]
pub struct Course {
    plan: Option<Plan>,
    has_environment: bool,
    open: Option<Open>,
    ended: HashMap<Visit, Status>,
}

/// What the settings ask for.
#[derive(Debug, Clone)]
struct Plan {
    placements: HashSet<Placement>,
    images: usize,
    repeats: usize,
}

/// A visit that has begun and not ended.
#[derive(Debug, Clone)]
struct Open {
    visit: Visit,
    samples: usize,
    /// Samples outside the error model.
    outside: usize,
}

type Taken = Result<(), String>;

impl Course {
    /// Returns the visit that has begun and not ended.
    pub fn open_visit(&self) -> Option<&Visit> {
        self.open.as_ref().map(|open| &open.visit)
    }

    /// Returns whether a visit has ended.
    pub fn has_ended(&self, visit: &Visit) -> bool {
        self.ended.contains_key(visit)
    }

    /// Takes the next record, or says why it cannot come next.
    pub fn take(&mut self, record: &Record) -> Taken {
        match (record, &self.plan) {
            (Record::Settings(settings), None) => {
                self.plan = Some(Plan::of(settings));
                Ok(())
            }
            (Record::Settings(_), Some(_)) => {
                Err("the settings stand in the first line alone".into())
            }
            (_, None) => Err("the first line must hold the settings".into()),
            (Record::Environment(_), Some(_)) => {
                (self.has_environment, self.open) = (true, None);
                Ok(())
            }
            (Record::Copy(point), Some(plan)) => plan.check_placement(&point.placement),
            (Record::Replay(_), Some(_)) => Ok(()),
            (Record::Start(visit), Some(plan)) => {
                plan.check(visit)?;
                self.start(visit)
            }
            (Record::Sample(sample), Some(plan)) => {
                let open = self.open.as_mut().ok_or("a sample outside of any visit")?;
                open.sample(sample, plan.images)
            }
            (Record::End(end), Some(plan)) => {
                let open = self.open.as_ref().ok_or("an end outside of any visit")?;
                open.end(end, plan.images)?;
                self.open = None;
                self.ended.insert(end.visit.clone(), end.status);
                Ok(())
            }
        }
    }

    fn start(&mut self, visit: &Visit) -> Taken {
        if !self.has_environment {
            return Err(format!("{visit} begins before an environment is named"));
        }
        if let Some(open) = self.open_visit() {
            return Err(format!("{visit} begins before {open} has ended"));
        }
        if let Some(status) = self.ended.get(visit)
            && !status.may_pass()
        {
            let status = status.word();
            return Err(format!("{visit} begins, but has ended before, {status}"));
        }
        self.open = Some(Open {
            visit: visit.clone(),
            samples: 0,
            outside: 0,
        });
        Ok(())
    }
}

impl Plan {
    fn of(settings: &Settings) -> Self {
        Self {
            placements: settings.placements.iter().cloned().collect(),
            images: settings.images,
            repeats: settings.repeats,
        }
    }

    fn check_placement(&self, placement: &Placement) -> Taken {
        if self.placements.contains(placement) {
            return Ok(());
        }
        Err(format!(
            "copies of {placement}, no placement in the settings"
        ))
    }

    fn check(&self, visit: &Visit) -> Taken {
        if !self.placements.contains(&visit.placement) {
            return Err(format!("{visit} is of no placement in the settings"));
        }
        if visit.repeat >= self.repeats {
            return Err(format!("{visit} begins, but repeats are {}", self.repeats));
        }
        Ok(())
    }
}

impl Open {
    fn sample(&mut self, sample: &Sample, images: usize) -> Taken {
        let (row, visit) = (&sample.row, &self.visit);
        if row.placement != visit.placement.to_string() || row.repeat != visit.repeat {
            let (placement, repeat) = (&row.placement, row.repeat);
            return Err(format!(
                "a sample of {placement:?} (repeat {repeat}) in the visit of {visit}"
            ));
        }
        if row.image_index != self.samples || self.samples == images {
            return Err(format!(
                "a sample of image {} of {visit} behind {} of {images} samples",
                row.image_index, self.samples
            ));
        }
        let layers = sample.layers.iter().map(|&(layer, _)| layer);
        check_layers(layers, &self.visit)?;
        self.samples += 1;
        self.outside += usize::from(!row.encrypted_agreement);
        Ok(())
    }

    fn end(&self, end: &VisitEnd, images: usize) -> Taken {
        let (visit, word) = (&self.visit, end.status.word());
        if end.visit != *visit {
            return Err(format!("the end of {} in the visit of {visit}", end.visit));
        }
        let is_measured = match end.status {
            Status::Ok | Status::Mismatch => true,
            Status::Failed | Status::Timeout | Status::Oom => false,
            Status::Partial | Status::Skipped => {
                return Err(format!("no visit ends as {word}, as {visit} does"));
            }
        };
        if is_measured && self.samples != images {
            return Err(format!(
                "{visit} ended as {word} with {} of {images} samples",
                self.samples
            ));
        }
        if is_measured && (end.status == Status::Ok) != (self.outside == 0) {
            return Err(format!(
                "{visit} ended as {word} with {} samples outside the error model",
                self.outside
            ));
        }
        let is_told = is_measured && visit.repeat == 0;
        match (&end.finished, is_told) {
            (Some(finished), true) => check_finished(finished, visit),
            (None, false) => Ok(()),
            (Some(_), false) => Err(format!("{visit} ended as {word}, but tells of its split")),
            (None, true) => Err(format!(
                "{visit} ended as {word}, but tells nothing of its split"
            )),
        }
    }
}

/// Refuses layers beyond the last one of the visit's placement.
fn check_layers(layers: impl IntoIterator<Item = usize>, visit: &Visit) -> Taken {
    let count = visit.placement.parties().len();
    match layers.into_iter().find(|&layer| layer >= count) {
        None => Ok(()),
        Some(layer) => Err(format!("layer {layer} of {visit}, which has {count}")),
    }
}

fn check_finished(finished: &Finished, visit: &Visit) -> Taken {
    let live = finished.live_ciphertexts.iter().map(|&(layer, _)| layer);
    let composed = finished
        .composed
        .iter()
        .flat_map(|(into, others)| others.iter().chain([into]).copied());
    let deviations = finished.deviations.iter().map(|of| of.layer);
    check_layers(live.chain(composed).chain(deviations), visit)?;
    let learnt = &finished.learnt;
    let audits = learnt.audits.iter().map(|audit| audit.layers);
    let exposed = learnt.exposure.iter().map(|segment| segment.layers);
    for (first, behind) in exposed.chain(audits) {
        if first >= behind {
            return Err(format!("a segment of {visit} from {first} to {behind}"));
        }
        check_layers([behind - 1], visit)?;
    }
    Ok(())
}
