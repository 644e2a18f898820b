//! What an analysis ends as, a server segment in integers: what is uploaded, the steps, what is downloaded.

use std::ops::Range;

use super::gain::Gain;
use super::planned_look_up::PlannedLookUp;
use crate::circuit::schedule::Step;
use crate::core::linear_map::LinearMap;
use crate::model::layer::Geometry;
use crate::model::quantise::Quantisation;
use crate::model::{NodeId, ValueId};

/// A server segment in integers.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Indices of its nodes in the model.
    pub nodes: Range<usize>,
    pub uploads: Vec<PlannedUpload>,
    pub steps: Vec<PlannedStep>,
    pub downloads: Vec<PlannedDownload>,
}

/// A value that the client sends.
#[derive(Debug, Clone)]
pub struct PlannedUpload {
    pub value: ValueId,
    pub quantisation: Quantisation,
    /// Grid integers of the integer 1.
    pub step: i64,
}

/// One step of the server.
pub type PlannedStep = Step<PlannedAction>;

/// What a step does.
#[derive(Debug, Clone)]
pub enum PlannedAction {
    Linear(PlannedLinear),
    LookUp(PlannedLookUp),
}

/// `output = Σ terms · inputs + bias`, on the grid.
#[derive(Debug, Clone)]
pub struct PlannedLinear {
    pub terms: Vec<Term>,
    pub bias: Vec<i64>,
    /// That of its only term.
    pub geometry: Geometry,
}

/// Integer weights on one input.
#[derive(Debug, Clone)]
pub enum Term {
    Matrix(LinearMap<u64>),
    /// One factor for each element.
    Scale(Vec<i64>),
}

/// A value that the client gets.
#[derive(Debug, Clone)]
pub struct PlannedDownload {
    /// The node whose value it is.
    pub node: NodeId,
    pub slot: usize,
    /// Grid integers of the integer 1 that the client decodes.
    pub step: i64,
    /// Per element: `real = scale · integer`.
    pub scales: Vec<f64>,
    /// Per element: integers that it is made for.
    pub range: Vec<(i64, i64)>,
    pub gains: Vec<Gain>,
    /// Whether all values are multiples of the step.
    pub aligned: bool,
}

impl Analysis {
    /// Returns the look-ups with the number of their elements.
    pub fn look_ups(&self) -> impl Iterator<Item = &PlannedLookUp> {
        self.steps.iter().filter_map(|step| match &step.action {
            PlannedAction::LookUp(look_up) => Some(look_up),
            PlannedAction::Linear(_) => None,
        })
    }

    /// Returns the names of the layers that are looked up.
    pub fn look_up_names(&self) -> String {
        let mut names: Vec<&str> = self
            .look_ups()
            .map(|look_up| look_up.name.as_str())
            .collect();
        names.dedup();
        names.join(", ")
    }

    /// Returns the look-ups of one inference.
    pub fn look_up_count(&self) -> usize {
        self.look_ups().map(|look_up| look_up.gains.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::analysis::analyst::fixture::{analysis, looked_up};

    #[test]
    fn look_ups_are_counted_by_element_and_named_once() {
        let named = |name: &str, count| PlannedLookUp {
            name: name.into(),
            ..looked_up(count, 2)
        };
        let look_ups = [named("pool", 4), named("pool", 2), named("relu", 3)];
        let steps = look_ups.map(|look_up| (vec![0], PlannedAction::LookUp(look_up)));
        let analysis = analysis(&[4], steps.into());
        assert_eq!(analysis.look_up_names(), "pool, relu");
        assert_eq!(analysis.look_up_count(), 4 + 2 + 3);
    }
}
