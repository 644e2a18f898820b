//! What of a split's exposure follows from its layers alone, whether it was run or not: what the client
//! is handed, and the segments that any client can solve.

use crate::core::placement::{Party, Placement, Segment};
use crate::model::layer::Operation;
use crate::model::output_mode::OutputMode;
use crate::model::{Layer, Model, Node, NodeId};

/// What closed forms say of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    /// The fraction of all weights that the client ends up with, at least.
    pub least: f64,
    /// Whether that is all of it: no segment with weights is left that attacks would have to tell of.
    pub is_all: bool,
}

impl Closed {
    /// Returns what closed forms say of a placement whose server segments end that way; `None` of a
    /// network without weights.
    pub fn of(model: &Model, placement: &Placement, output_mode: OutputMode) -> Option<Self> {
        let handed_over = model.client_weight_share(placement)?;
        let segments = placement.server_segments();
        let is_weighty = |segment: &&Segment| {
            let layers = &model.layers[segment.layers.clone()];
            layers.iter().any(|layer| layer.parameter_count > 0)
        };
        let is_all = segments
            .iter()
            .filter(is_weighty)
            .all(|segment| is_solvable(model, segment, output_mode));
        let solved: f64 = segments
            .iter()
            .map(|segment| solved_fraction(model, segment, output_mode))
            .sum();
        Some(Self {
            // Everything is exactly one, however its parts round.
            least: if is_all { 1.0 } else { handed_over + solved },
            is_all,
        })
    }
}

/// Returns the fraction of all weights that closed forms solve in a server segment that ends that way.
pub fn solved_fraction(model: &Model, segment: &Segment, output_mode: OutputMode) -> f64 {
    let count = |layers: &[Layer]| -> usize { layers.iter().map(|l| l.parameter_count).sum() };
    if is_solvable(model, segment, output_mode) {
        let solved = count(&model.layers[segment.layers.clone()]);
        solved as f64 / count(&model.layers).max(1) as f64
    } else {
        0.0
    }
}

/// Returns whether a few chosen inputs solve a segment: it is linear, or one linear layer behind one
/// activation of what is uploaded, and nothing is looked up before its answers leave. A gate in front changes
/// nothing: answers are as linear in what passes it, and inputs within the encoding do. Of these
/// [`crate::record::segment_exposure::Kind::is_solvable`] is true too; of several linear layers behind an activation it
/// may be, where their map is not too large to find.
pub fn is_solvable(model: &Model, segment: &Segment, output_mode: OutputMode) -> bool {
    let nodes = model.nodes_of(segment);
    let made = model.nodes_read_outside(&nodes);
    if made
        .iter()
        .any(|&node| output_mode.added(model, node).is_some())
    {
        return false;
    }
    let is_linear =
        |node: &Node| matches!(node.operation, Operation::Linear(_) | Operation::Add(_));
    let first = NodeId::new(nodes.start);
    let rest = &model.nodes[nodes.start + 1..nodes.end];
    if is_linear(model.node(first)) {
        return rest.iter().all(is_linear);
    }
    let leads = matches!(model.node(first).operation, Operation::Activation(_));
    // What is uploaded passes through the activation and nowhere else.
    let uploads = model.values_read(&nodes);
    let passes_by = |node: &Node| node.inputs.iter().any(|value| uploads.contains(value));
    let leaves = made.contains(&first);
    let is_one_map = match rest {
        [only] => matches!(only.operation, Operation::Linear(_)) && !passes_by(only),
        _ => false,
    };
    leads && uploads.len() == 1 && !leaves && is_one_map
}

/// Returns the fraction of all bits of trained numbers that lie in the client's layers; `None` for a
/// network without any.
pub fn client_bits_share(model: &Model, placement: &Placement) -> Option<f64> {
    let bits = |party: Option<Party>| -> usize {
        model
            .layers
            .iter()
            .zip(placement.parties())
            .filter(|(_, of)| party.is_none_or(|party| party == **of))
            .flat_map(|(layer, _)| &model.nodes[layer.nodes.clone()])
            .map(trained_bits)
            .sum()
    };
    match bits(None) {
        0 => None,
        total => Some(bits(Some(Party::Client)) as f64 / total as f64),
    }
}

/// Returns the bits of a node's trained numbers, all of the size of its integer weights.
pub fn trained_bits(node: &Node) -> usize {
    match &node.operation {
        Operation::Linear(linear) => node.parameter_count * linear.weight_bits as usize,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn linear_segments_count_whole_and_others_not_at_all() {
        let model = Model::load(Path::new("digits-cnn")).expect("embedded");
        let closed = |text: &str| {
            let placement = text.parse().expect("letters");
            Closed::of(&model, &placement, OutputMode::default()).expect("weights")
        };
        let handed_over = |text: &str| {
            let placement: Placement = text.parse().expect("letters");
            model.client_weight_share(&placement).expect("weights")
        };
        for text in ["CCCCC", "CCCCS", "SCSCS", "CCCSS"] {
            let all = Closed {
                least: 1.0,
                is_all: true,
            };
            assert_eq!(closed(text), all, "{text}");
        }
        // conv1 is solved beside the dense layer that is handed over; relu1 and conv2 with relu2 are not.
        let open = closed("SCSSC");
        assert!(!open.is_all && open.least > handed_over("SCSSC"));
        assert_eq!(closed("SSSSS").least, 0.0);
    }
}
