//! Closed forms: how many queries it takes to solve a server segment for its weights.
//!
//! An affine map of d inputs has d + 1 unknowns for each output, its bias among them, and each answer
//! is one equation; d + 1 chosen inputs, or as many that are in general position, determine it
//! (Tramèr, Zhang, Juels, Reiter and Ristenpart, USENIX Security 2016, section 4.1, there for
//! logistic regression, whose confidences invert to an affine map). A convolution answers at P
//! positions at once with the same weights: ⌈(d + 1) / P⌉. With activations behind, an answer is at
//! most one such equation and holds no more than its bits, so that the number is a lower bound.

use serde::{Deserialize, Serialize};

use crate::attack::affine::Affine;
use crate::layer::Operation;
use crate::model::{Model, Node};
use crate::placement::{Party, Placement};
use crate::program::{Action, Program};

/// What stands between upload and download of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No weights.
    #[default]
    Weightless,
    /// Linear layers alone.
    Affine,
    /// An activation of each uploaded element, then linear layers.
    ActivationThenAffine,
    /// Linear layers, then an activation of each of their outputs.
    AffineThenActivation,
    /// Activations between linear layers, or comparisons.
    Deep,
}

/// Counts of a server segment, known before any attack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queries {
    pub kind: Kind,
    /// Trained numbers, biases included.
    pub weights: usize,
    /// The same times their bits.
    pub weight_bits: usize,
    /// Elements of all downloads.
    pub revealed_activations: usize,
    /// d + 1 of the widest output; none where the segment is deep.
    pub unknowns: Option<usize>,
    /// Answers to one query that share the weights of that output: P.
    pub equations: Option<usize>,
    /// Queries to a client that takes what the network gives it.
    pub honest: Option<usize>,
    /// Queries to a client that chooses its uploads.
    pub malicious: Option<usize>,
    /// Whether so many queries are enough; otherwise fewer are not.
    pub enough: bool,
    /// Bits of all weights ÷ bits of an answer.
    pub information_floor: Option<usize>,
    /// Ordinary inferences that the mask attack needs: fan-in ÷ mask coefficients of an answer.
    pub mask: Option<usize>,
}

impl Kind {
    /// Returns the word in the tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Weightless => "weightless",
            Self::Affine => "affine",
            Self::ActivationThenAffine => "activation_then_affine",
            Self::AffineThenActivation => "affine_then_activation",
            Self::Deep => "deep",
        }
    }
}

impl Queries {
    /// Returns the counts of a compiled segment.
    pub fn of(model: &Model, program: &Program) -> Self {
        let nodes = &model.nodes[program.nodes.clone()];
        let weights = nodes.iter().map(|node| node.parameter_count).sum();
        let weight_bits = nodes.iter().map(weight_bits).sum();
        let downloads = program.interface.downloads.iter();
        let revealed_activations = downloads.map(|download| download.scales.len()).sum();
        let known = Self {
            weights,
            weight_bits,
            revealed_activations,
            ..Self::default()
        };
        if weights == 0 {
            return known;
        }
        let affine = Affine::of(program);
        let kind = match &affine {
            Some(affine) if affine.leading.is_some() => Kind::ActivationThenAffine,
            Some(_) => Kind::Affine,
            None if ends_alone(program) => Kind::AffineThenActivation,
            None => Kind::Deep,
        };
        let floor = (weight_bits as f64 / answer_bits(program)).ceil() as usize;
        let widest = match kind {
            Kind::Affine | Kind::ActivationThenAffine => affine.map(|affine| widest(&affine)),
            Kind::AffineThenActivation => widest_linear(nodes),
            Kind::Weightless | Kind::Deep => None,
        };
        let counted = widest.map(|(fan_in, positions)| (fan_in + 1).div_ceil(positions));
        let enough = matches!(kind, Kind::Affine | Kind::ActivationThenAffine);
        let queries = match enough {
            true => counted,
            false => Some(counted.unwrap_or(1).max(floor)),
        };
        Self {
            kind,
            unknowns: widest.map(|(fan_in, _)| fan_in + 1),
            equations: widest.map(|(_, positions)| positions),
            honest: queries,
            malicious: queries,
            enough,
            information_floor: Some(floor),
            mask: widest
                .filter(|_| kind == Kind::Affine)
                .map(|(fan_in, _)| fan_in.div_ceil(program.parameters.big_dimension())),
            ..known
        }
    }
}

/// Returns the share of all bits of trained numbers that lie in the client's layers; `None` for a
/// network without any.
pub fn client_bits_share(model: &Model, placement: &Placement) -> Option<f64> {
    let bits = |party: Option<Party>| -> usize {
        let layers = model.layers.iter().zip(placement.parties());
        let layers = layers.filter(|(_, of)| party.is_none_or(|party| party == **of));
        let nodes = layers.flat_map(|(layer, _)| &model.nodes[layer.nodes.clone()]);
        nodes.map(weight_bits).sum()
    };
    match bits(None) {
        0 => None,
        total => Some(bits(Some(Party::Client)) as f64 / total as f64),
    }
}

/// Returns the bits of a node's trained numbers, all of the size of its integer weights.
pub fn weight_bits(node: &Node) -> usize {
    match &node.operation {
        Operation::Linear(linear) => node.parameter_count * linear.weight_bits as usize,
        _ => 0,
    }
}

/// Returns the bits that one answer can hold: log2 of the integers in each element's range.
fn answer_bits(program: &Program) -> f64 {
    let downloads = program.interface.downloads.iter();
    let ranges = downloads.flat_map(|download| &download.range);
    let bits = ranges.map(|(low, high)| ((high - low).max(1) as f64 + 1.0).log2());
    bits.sum::<f64>().max(1.0)
}

/// Returns whether all look-ups are last: none reads what another gave, and nothing reads theirs.
fn ends_alone(program: &Program) -> bool {
    let uploads = program.interface.uploads.len();
    let steps = program.steps.iter().enumerate();
    let mut look_ups = steps.filter(|(_, step)| matches!(step.action, Action::LookUp(_)));
    look_ups.all(|(index, _)| {
        let mut later = program.steps[index + 1..].iter();
        !later.any(|step| step.inputs.contains(&(uploads + index)))
    })
}

/// Returns the largest fan-in of an output, and how many outputs share its weights.
fn widest(affine: &Affine<'_>) -> (usize, usize) {
    let rows = affine.rows();
    let fan_in = rows.iter().map(|row| row.inputs.len()).max().unwrap_or(0);
    let firsts = rows
        .iter()
        .filter(|row| row.new.iter().all(|new| *new))
        .count();
    (fan_in, (affine.map.output_count / firsts.max(1)).max(1))
}

/// As [`widest`], of the linear layers before an activation, where there is one alone.
fn widest_linear(nodes: &[Node]) -> Option<(usize, usize)> {
    let mut linear = nodes.iter().filter_map(|node| match &node.operation {
        Operation::Linear(linear) => Some(linear),
        _ => None,
    });
    let (first, None) = (linear.next()?, linear.next()) else {
        return None;
    };
    let matrices: std::collections::HashSet<*const f32> = first
        .map
        .blocks
        .iter()
        .map(|block| block.weights.as_ptr())
        .collect();
    let fan_in = first
        .map
        .blocks
        .iter()
        .map(|block| block.inputs.len())
        .max()?;
    Some((
        fan_in,
        first.map.blocks.len().div_ceil(matrices.len()).max(1),
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::compile::{Choice, Download, Target, compile_placement};
    use crate::ending::Ending;
    use crate::fhe::parameters::ParameterSet;

    fn queries(placement: &str) -> Vec<Queries> {
        let model = Model::load(Path::new("digits-cnn")).expect("embedded");
        let target = Target {
            parameters: Choice::Fixed(ParameterSet::accurate().expect("secure")),
            log2_p_fail_lookup: -64.0,
            download: Download::Plain,
            ending: Ending::default(),
        };
        let placement = placement.parse().expect("letters");
        let programs = compile_placement(&model, &placement, &target).expect("compiles");
        programs
            .iter()
            .map(|program| Queries::of(&model, program))
            .collect()
    }

    #[test]
    fn affine_segments_take_as_many_queries_as_their_unknowns() {
        let found = queries("SCSCS");
        let counts: Vec<_> = found
            .iter()
            .map(|queries| {
                (
                    queries.kind,
                    queries.unknowns,
                    queries.equations,
                    queries.malicious,
                )
            })
            .collect();
        // 3 x 3 taps at 6 x 6 positions; 8 channels of them at 2 x 2; 64 inputs.
        let expected = [
            (Kind::Affine, Some(10), Some(36), Some(1)),
            (Kind::Affine, Some(73), Some(4), Some(19)),
            (Kind::Affine, Some(65), Some(1), Some(65)),
        ];
        assert_eq!(counts, expected);
        assert!(
            found
                .iter()
                .all(|queries| queries.enough && queries.mask == Some(1))
        );
    }

    #[test]
    fn activations_behind_leave_a_lower_bound() {
        let found = queries("SSCSS");
        let [first, second] = found.as_slice() else {
            panic!("two segments")
        };
        assert_eq!(
            (first.kind, first.enough),
            (Kind::AffineThenActivation, false)
        );
        assert_eq!(
            (second.kind, second.malicious),
            (Kind::ActivationThenAffine, Some(65))
        );
        // 288 answers of 4 bits against 80 numbers of 8 bits.
        assert_eq!(first.information_floor, Some(1));
        assert_eq!(queries("SSSSS")[0].kind, Kind::Deep);
        assert_eq!(queries("CSCCC")[0].kind, Kind::Weightless);
    }
}
