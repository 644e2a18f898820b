//! The exposure of each server segment of a split: closed forms, and the attacks, run.

use serde::{Deserialize, Serialize};

use super::queries::{Kind, Queries};
use crate::attack::{Outcome, chosen, mask};
use crate::compile::{Download, Target};
use crate::ending::Ending;
use crate::error::Result;
use crate::inference::Session;
use crate::model::Model;
use crate::placement::Placement;

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
    let programs = session.programs().iter().zip(&segments).enumerate();
    let exposures = programs.map(|(index, (program, segment))| {
        let queries = Queries::of(model, program);
        let flooding = program
            .interface
            .downloads
            .iter()
            .filter_map(|download| download.flooding);
        let exposure = SegmentExposure {
            layers: (segment.layers.start, segment.layers.end),
            log2_flooding_distance: flooding
                .map(|flooding| flooding.log2_distance)
                .reduce(f64::max),
            queries,
            ..SegmentExposure::default()
        };
        let masks = |session, segment, whole, transcripts: &mut _| {
            mask::attack(session, segment, &uploads[index], whole, transcripts)
        };
        Ok(match exposure.queries.kind {
            Kind::Weightless => exposure,
            Kind::Affine => {
                let alone = Placement::with_server(segment.layers.clone(), model.layer_count());
                let full = Target {
                    download: Download::Full,
                    ending: Ending::default(),
                    ..*target
                };
                let whole = Session::set_up(model, &alone, &full)?;
                SegmentExposure {
                    chosen: chosen::attack(session, index, seed)?,
                    mask: masks(session, index, false, &mut Vec::new())?,
                    mask_full: masks(&whole, 0, true, &mut Vec::new())?,
                    ..exposure
                }
            }
            Kind::ActivationThenAffine | Kind::AffineThenActivation | Kind::Deep => {
                let mut transcripts = Vec::new();
                SegmentExposure {
                    chosen: chosen::attack(session, index, seed)?,
                    mask: masks(session, index, false, &mut transcripts)?,
                    mask_full: masks(session, index, true, &mut transcripts)?,
                    ..exposure
                }
            }
        })
    });
    exposures.collect()
}
