//! The exposure of each server segment of a split: closed forms, and the attacks, run.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::ordinary::ranks;
use crate::attack::budget::Budget;
use crate::attack::{chosen, mask};
use crate::circuit::compile::Target;
use crate::circuit::program::Program;
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::core::placement::{Placement, Segment, SegmentIndex};
use crate::model::Model;
use crate::model::output_mode::OutputMode;
use crate::oracle::simulation::observe_uploads;
use crate::party::session::{Session, Transcript};
use crate::record::download::Download;
use crate::record::exposure::total_distance;
use crate::record::segment_exposure::{Kind, Outcome, Queries, SegmentExposure};
use crate::record::stage::Stage;

/// Further ordinary inferences that attacks may look at.
const OTHERS: usize = 48;

/// A server segment of a session, with what an ordinary inference uploads to it.
pub struct Subject<'a> {
    pub model: &'a Model,
    pub session: &'a Session,
    /// Which of the session's segments it is.
    pub index: SegmentIndex,
    pub layers: Range<usize>,
    pub target: &'a Target,
    pub ordinary: Vec<Vec<i64>>,
    /// What further inferences upload, all uploads in a row.
    pub others: Vec<Vec<i64>>,
}

/// How attacks are mounted.
#[derive(Clone, Copy)]
pub struct Mounting<'a> {
    pub seed: u64,
    /// Seconds that all attacks on a segment may take; `None` where none is to be mounted.
    pub budget_s: Option<f64>,
    /// Hears which attack begins.
    pub hear: &'a dyn Fn(Stage),
}

impl<'a> Subject<'a> {
    /// Returns a segment of a session; an ordinary inference is that of the first test image, with
    /// the layers before at the client, so that it is the same whatever placement the session has.
    pub fn new(
        model: &'a Model,
        session: &'a Session,
        index: SegmentIndex,
        segment: &Segment,
        target: &'a Target,
    ) -> Self {
        let mut subject = Self {
            model,
            session,
            index,
            layers: segment.layers.clone(),
            target,
            ordinary: Vec::new(),
            others: Vec::new(),
        };
        let (alone, program) = (subject.alone(), subject.program().clone());
        let images: Vec<usize> = (0..model.test.len().min(1 + OTHERS)).collect();
        observe_uploads(model, &alone, &[program], &images, &mut |_, uploads| {
            let of_image = |image: usize| -> Vec<Vec<i64>> {
                let integers =
                    |rows: &Vec<Row<u64>>| rows.iter().map(|row| row[image] as i64).collect();
                uploads.iter().map(integers).collect()
            };
            subject.ordinary = of_image(0);
            subject.others = images[1..]
                .iter()
                .map(|&image| of_image(image).concat())
                .collect();
            ControlFlow::Break(())
        });
        subject
    }

    /// Returns the placement that gives the server this segment alone.
    fn alone(&self) -> Placement {
        Placement::with_server(self.layers.clone(), &self.model.pins())
    }

    /// Returns its program.
    pub fn program(&self) -> &'a Arc<Program> {
        &self.session.programs()[self.index.index()]
    }

    /// Mounts the attacks; `transcripts` are ordinary exchanges with it, if there were any.
    ///
    /// # Errors
    ///
    /// What compiling and running segments give.
    pub fn expose(
        &self,
        mounting: Mounting<'_>,
        transcripts: Vec<Transcript>,
    ) -> Result<SegmentExposure> {
        let (model, program) = (self.model, self.program());
        (mounting.hear)(Stage::Ranks);
        let queries = Queries::of(model, program);
        let solvable = |_| queries.kind.is_solvable();
        let alone = [program.clone()];
        let rank = ranks(model, &self.alone(), &alone, solvable).remove(0);
        let downloads = program.interface.downloads.iter();
        let flooding = downloads.filter_map(|download| download.flooding);
        let exposure = SegmentExposure {
            layers: (self.layers.start, self.layers.end),
            parameters: program.parameters.to_string(),
            log2_flooding_distance: total_distance(flooding.map(|flooding| flooding.log2_distance)),
            queries: queries.with_rank(rank),
            ..SegmentExposure::default()
        };
        let exposure = match (exposure.queries.kind, mounting.budget_s) {
            (Kind::Weightless, _) => exposure,
            (_, None) => {
                let untried = || Outcome::untried("attacks were left out".into());
                SegmentExposure {
                    chosen: untried(),
                    mask: untried(),
                    mask_full: untried(),
                    ..exposure
                }
            }
            (_, Some(seconds)) => {
                let budget = Budget::start(seconds);
                self.attacked(exposure, mounting, budget, transcripts)?
            }
        };
        Ok(exposure.settled())
    }

    /// Mounts the attacks, those first that take the least time.
    fn attacked(
        &self,
        exposure: SegmentExposure,
        mounting: Mounting<'_>,
        budget: Budget,
        mut transcripts: Vec<Transcript>,
    ) -> Result<SegmentExposure> {
        let Self { session, index, .. } = *self;
        let masks = |session, index, whole, transcripts: &mut _| {
            (mounting.hear)(Stage::Masks);
            mask::attack(session, index, &self.ordinary, whole, transcripts, budget)
        };
        let chosen = || {
            (mounting.hear)(Stage::ChosenInputs);
            let (ordinary, others) = (&self.ordinary, &self.others);
            chosen::attack(session, index, mounting.seed, ordinary, others, budget)
        };
        if exposure.queries.kind != Kind::Affine {
            return Ok(SegmentExposure {
                mask: masks(session, index, false, &mut transcripts)?,
                mask_full: masks(session, index, true, &mut transcripts)?,
                chosen: chosen()?,
                ..exposure
            });
        }
        let full = Target {
            download: Download::Full,
            output_mode: OutputMode::default(),
            ..self.target.clone()
        };
        let whole = Session::set_up(self.model, &self.alone(), &full)?;
        Ok(SegmentExposure {
            chosen: chosen()?,
            mask_full: masks(&whole, SegmentIndex::FIRST, true, &mut Vec::new())?,
            mask: masks(session, index, false, &mut transcripts)?,
            ..exposure
        })
    }
}

impl SegmentExposure {
    /// Returns the exposure with counts that the attacks corrected, and words for what fractions count.
    fn settled(mut self) -> Self {
        self.queries = self.queries.with_attacks(&self.chosen, &self.mask);
        for outcome in [&mut self.chosen, &mut self.mask, &mut self.mask_full] {
            if self.queries.composed && !outcome.method.is_empty() {
                outcome.method += ", entries of the composed map";
            }
        }
        self
    }
}
