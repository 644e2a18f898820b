//! What is learnt of server segments, whichever splits they stand in: a segment's program depends on
//! its layers and its parameter set alone.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::NodeId;
use crate::record::deviations::Deviations;
use crate::record::segment_exposure::SegmentExposure;

/// Deviations of one look-up step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LookUpAudit {
    pub node: NodeId,
    /// For the inputs that were measured.
    pub predicted: Deviations,
    pub measured: Deviations,
}

/// Look-ups of a segment, compared with their clear values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentAudit {
    /// Its first layer, and the one behind its last.
    pub layers: (usize, usize),
    pub parameters: String,
    /// None where an inference takes too long.
    pub look_ups: Vec<LookUpAudit>,
}

/// What is learnt of some server segments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// One per segment.
    #[serde(default)]
    pub exposure: Vec<SegmentExposure>,
    /// One per segment; none in earlier logs.
    #[serde(default)]
    pub audits: Vec<SegmentAudit>,
}

impl Learnt {
    /// Returns what is known of a segment under a parameter set; `None` where not all is.
    pub fn about(&self, layers: &Range<usize>, parameters: &str) -> Option<Self> {
        let wanted = (layers.start, layers.end);
        let mut exposures = self.exposure.iter();
        let mut audits = self.audits.iter();
        let exposure = exposures.find(|of| of.layers == wanted && of.parameters == parameters)?;
        let audit = audits.find(|of| of.layers == wanted && of.parameters == parameters)?;
        Some(Self {
            exposure: vec![exposure.clone()],
            audits: vec![audit.clone()],
        })
    }

    /// Returns what is known of segments of those layers, under any set.
    pub fn of_layers(&self, segments: &[&Range<usize>]) -> Self {
        let is_asked = |layers: (usize, usize)| segments.contains(&&(layers.0..layers.1));
        let exposure = self.exposure.iter().filter(|of| is_asked(of.layers));
        let audits = self.audits.iter().filter(|of| is_asked(of.layers));
        Self {
            exposure: exposure.cloned().collect(),
            audits: audits.cloned().collect(),
        }
    }

    /// Adds what is known of segments that are not known yet.
    pub fn extend(&mut self, more: Self) {
        for (exposure, audit) in more.exposure.into_iter().zip(more.audits) {
            let layers = exposure.layers.0..exposure.layers.1;
            if self.about(&layers, &exposure.parameters).is_none() {
                self.exposure.push(exposure);
                self.audits.push(audit);
            }
        }
    }
}
