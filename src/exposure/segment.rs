//! The exposure of each server segment of a split: closed forms, and the attacks, run.

use serde::{Deserialize, Serialize};

use super::Knowledge;
use super::ordinary::ranks;
use super::queries::{Kind, Queries};
use crate::attack::{Outcome, chosen, mask};
use crate::compile::{Download, Target};
use crate::ending::Ending;
use crate::error::Result;
use crate::fhe::noise::log2_union;
use crate::model::Model;
use crate::placement::Placement;
use crate::session::Session;

/// What is known of a server segment's exposure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentExposure {
    /// Its first layer, and the one behind its last.
    pub layers: (usize, usize),
    pub queries: Queries,
    /// Chosen inputs.
    pub chosen: Outcome,
    /// Masks of the answers as they travel.
    pub mask: Outcome,
    /// Masks of unprotected answers that travel whole, from exact linear layers.
    pub mask_full: Outcome,
    /// log2 of the statistical distance that flooding leaves; none without.
    pub log2_flooding_distance: Option<f64>,
}

/// Mounts the attacks on every server segment of a session; `uploads` are the integers of an ordinary
/// inference.
///
/// # Errors
///
/// What compiling and running segments give.
pub fn expose(
    model: &Model,
    placement: &Placement,
    session: &Session,
    target: &Target,
    uploads: &[Vec<Vec<i64>>],
    seed: u64,
) -> Result<Vec<SegmentExposure>> {
    let segments = placement.server_segments();
    let programs = session.programs();
    let queries: Vec<Queries> = programs.iter().map(|p| Queries::of(model, p)).collect();
    let solvable = |index: usize| queries[index].kind.is_solvable();
    let ranks = ranks(model, placement, programs, solvable);
    let queries = queries.into_iter().zip(ranks);
    let queries = queries.map(|(queries, rank)| queries.with_rank(rank));
    let programs = programs.iter().zip(&segments).zip(queries).enumerate();
    let exposures = programs.map(|(index, ((program, segment), queries))| {
        let flooding = program
            .interface
            .downloads
            .iter()
            .filter_map(|download| download.flooding);
        let exposure = SegmentExposure {
            layers: (segment.layers.start, segment.layers.end),
            log2_flooding_distance: total_distance(flooding.map(|flooding| flooding.log2_distance)),
            queries,
            ..SegmentExposure::default()
        };
        let masks = |session, segment, whole, transcripts: &mut _| {
            mask::attack(session, segment, &uploads[index], whole, transcripts)
        };
        let exposure = match exposure.queries.kind {
            Kind::Weightless => exposure,
            Kind::Affine => {
                let alone = Placement::with_server(segment.layers.clone(), model.layer_count());
                let full = Target {
                    download: Download::Full,
                    ending: Ending::default(),
                    ..target.clone()
                };
                let whole = Session::set_up(model, &alone, &full)?;
                SegmentExposure {
                    chosen: chosen::attack(session, index, seed, &uploads[index])?,
                    mask: masks(session, index, false, &mut Vec::new())?,
                    mask_full: masks(&whole, 0, true, &mut Vec::new())?,
                    ..exposure
                }
            }
            Kind::ActivationThenAffine | Kind::AffineThenActivation | Kind::Deep => {
                let mut transcripts = Vec::new();
                SegmentExposure {
                    chosen: chosen::attack(session, index, seed, &uploads[index])?,
                    mask: masks(session, index, false, &mut transcripts)?,
                    mask_full: masks(session, index, true, &mut transcripts)?,
                    ..exposure
                }
            }
        };
        Ok(exposure.settled())
    });
    exposures.collect()
}

/// Returns log2 of the sum of statistical distances, which is no more than one; none of none.
pub fn total_distance(log2_distances: impl Iterator<Item = f64>) -> Option<f64> {
    let mut distances = log2_distances.peekable();
    distances.peek()?;
    Some(log2_union(distances))
}

impl SegmentExposure {
    /// Returns the exposure with counts that the attacks corrected, and words for what shares count.
    fn settled(mut self) -> Self {
        self.queries = self.queries.with_attacks(&self.chosen, &self.mask);
        for outcome in [&mut self.chosen, &mut self.mask, &mut self.mask_full] {
            if self.queries.composed && !outcome.method.is_empty() {
                outcome.method += ", entries of the composed map";
            }
        }
        self
    }

    /// Returns the share of its weights that a client can have: all of them where a closed form says
    /// so; otherwise what attacks recovered, where one recovered all or none was left unfinished.
    pub fn share(&self) -> Option<f64> {
        let recovered = [self.chosen.shares[2], self.mask.shares[2]];
        let most = recovered.into_iter().flatten().reduce(f64::max);
        match self.queries.kind {
            kind if kind.is_solvable() => Some(1.0),
            // Masks behind a look-up are the client's no longer: that attack is a negative test.
            _ if self.chosen.shares[2].is_some() => most,
            _ => most.filter(|share| *share == 1.0),
        }
    }

    /// Returns the share of its weights that a client has at least: also what attacks had found when they
    /// were stopped.
    pub fn least_share(&self) -> f64 {
        let attacks = [&self.chosen, &self.mask];
        let found = attacks.into_iter().flat_map(|of| [of.shares[2], of.found]);
        let found = found.flatten().fold(0.0, f64::max);
        self.share().unwrap_or(0.0).max(found)
    }

    /// Returns what stands behind its share.
    pub fn knowledge(&self) -> Knowledge {
        match self.share() {
            _ if self.queries.kind.is_solvable() => Knowledge::ClosedForm,
            Some(_) => Knowledge::AttackEnded,
            None if self.chosen.found.is_some() => Knowledge::AttackStopped,
            None => Knowledge::NotMounted,
        }
    }
}
