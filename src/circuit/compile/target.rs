//! What programs are compiled for.

use crate::circuit::analysis::{DEFAULT_LOG2_P_FAIL_LOOKUP, DEFAULT_STEP_NOISE, NoiseBound};
use crate::circuit::select::Precision;
use crate::core::placement::Segment;
use crate::fhe::parameters::ParameterSet;
use crate::model::output_mode::OutputMode;
use crate::record::cost_model::CostModel;
use crate::record::download::Download;
use crate::record::step_noise::SegmentFraction;

/// What a placement is compiled for.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub parameters: Choice,
    /// log2 of the failure probability that no single look-up may exceed.
    pub log2_p_fail_lookup: f64,
    pub download: Download,
    pub output_mode: OutputMode,
    /// Segments whose look-ups may have other noise than `parameters` says.
    pub own_step_noise: Vec<SegmentFraction>,
}

impl Target {
    /// Returns what a sweep compiles for unless its settings say otherwise.
    pub fn usual() -> Self {
        Self::cheapest(DEFAULT_STEP_NOISE)
    }

    /// Returns what a sweep compiles for that says nothing else but how much noise look-ups may have.
    pub fn cheapest(step_noise: f64) -> Self {
        let precision = Precision::StepNoise(step_noise);
        Self {
            parameters: Choice::Cheapest(precision, CostModel::default()),
            log2_p_fail_lookup: DEFAULT_LOG2_P_FAIL_LOOKUP,
            download: Download::Plain,
            output_mode: OutputMode::default(),
            own_step_noise: Vec::new(),
        }
    }

    /// Returns the target of one segment.
    pub(super) fn of(&self, segment: &Segment) -> Self {
        let own = self
            .own_step_noise
            .iter()
            .find(|own| own.layers == segment.layers);
        let parameters = match (self.parameters, own) {
            (Choice::Cheapest(Precision::StepNoise(_), cost), Some(own)) => {
                Choice::Cheapest(Precision::StepNoise(own.fraction), cost)
            }
            (parameters, _) => parameters,
        };
        Self {
            parameters,
            own_step_noise: Vec::new(),
            ..*self
        }
    }

    /// Returns how precise look-ups must be, where that decides on the set.
    pub(super) fn precision(&self) -> Option<Precision> {
        match self.parameters {
            Choice::Cheapest(precision, _) => Some(precision),
            Choice::Fixed(_) => None,
        }
    }

    /// Returns what holds of the noise of look-ups before a set is chosen; of a fixed set nothing
    /// does, and its bound is where to begin.
    pub(super) fn noise_bound(&self) -> NoiseBound {
        let step_noise = match self.parameters {
            Choice::Cheapest(Precision::StepNoise(limit), _) => limit,
            Choice::Cheapest(Precision::Exact, _) => 0.0,
            Choice::Fixed(_) => DEFAULT_STEP_NOISE,
        };
        NoiseBound {
            step_noise,
            log2_p_fail_lookup: self.log2_p_fail_lookup,
        }
    }
}

/// Which parameter set a segment gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The cheapest that is precise enough.
    Cheapest(Precision, CostModel),
    Fixed(ParameterSet),
}
