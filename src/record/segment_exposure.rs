//! What is known of a server segment's exposure: counts of queries, and what attacks recovered.

use serde::{Deserialize, Serialize};

/// What is known of a server segment's exposure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentExposure {
    /// Its first layer, and the one behind its last.
    pub layers: (usize, usize),
    /// The parameter set that it was compiled for; of earlier logs not known.
    #[serde(default)]
    pub parameters: String,
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

/// What an attack on a segment recovered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Fraction of the segment's weights found exactly, as the server's integers, after 1, 10 and all
    /// queries; unknown where the attack was not mounted to its end.
    #[serde(rename = "shares")]
    pub fractions: [Option<f64>; 3],
    /// What `all` stands for.
    pub all_queries: Option<usize>,
    /// Solving, and for chosen inputs the queries too.
    pub seconds: f64,
    pub method: String,
    /// Fraction that was found when the attack was stopped, which is none of those.
    #[serde(default)]
    pub found: Option<f64>,
    /// Why a fraction is unknown.
    pub reason: Option<String>,
}

impl Outcome {
    /// Notes that the attack ended after so many queries, with that fraction found and that word on how
    /// it was checked.
    pub fn end(&mut self, queries: usize, fraction: f64, word: &str) {
        self.all_queries = Some(queries);
        self.method += ", ";
        self.method += word;
        for known in &mut self.fractions {
            *known = known.or(Some(fraction));
        }
    }

    /// Returns the outcome of an attack that was not mounted.
    pub fn untried(reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }
}

/// What stands between upload and download of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No weights.
    #[default]
    Weightless,
    /// Linear layers alone.
    Affine,
    /// A look-up of each uploaded element, of an activation or a gate, then linear layers.
    ActivationThenAffine,
    /// Linear layers, then an activation of each of their outputs.
    AffineThenActivation,
    /// Activations between linear layers, or comparisons.
    Deep,
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

    /// Returns whether chosen inputs solve it, by closed form.
    pub fn is_solvable(self) -> bool {
        matches!(self, Self::Affine | Self::ActivationThenAffine)
    }
}

/// What a count of queries says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Nothing: there is no count.
    #[default]
    Unknown,
    /// So many determine the weights.
    Enough,
    /// So many do, by the masks of unprotected answers.
    Masks,
    /// An attack that was run took so many; its fraction says how far it got.
    Measured,
    /// Fewer do not.
    Least,
    /// However many ordinary inputs do not.
    Never,
}

impl Bound {
    /// Returns the word in the tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Enough => "enough",
            Self::Masks => "masks",
            Self::Measured => "measured",
            Self::Least => "least",
            Self::Never => "never",
        }
    }
}

/// Counts of a server segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queries {
    pub kind: Kind,
    /// Trained numbers, biases included.
    pub weights: usize,
    /// The same times their bits.
    pub weight_bits: usize,
    /// Elements of all downloads.
    pub revealed_activations: usize,
    /// Whether several steps make the map, so that its weights are no trained numbers of one layer.
    pub composed: bool,
    /// d + 1 of the widest output; none where it is not known.
    pub unknowns: Option<usize>,
    /// Answers to one query that share the weights of that output: P.
    pub equations: Option<usize>,
    /// Queries to a client that takes what the network gives it.
    pub honest: Option<usize>,
    pub honest_are: Bound,
    /// Rank of the test images' rows ÷ unknowns.
    pub honest_rank_share: Option<f64>,
    /// Queries to a client that chooses its uploads.
    pub malicious: Option<usize>,
    pub malicious_are: Bound,
    /// Bits of all weights ÷ bits of an answer, unless an attack did with fewer.
    pub information_floor: Option<usize>,
    /// Ordinary inferences that the mask attack needs: fan-in ÷ mask coefficients of an answer.
    pub mask: Option<usize>,
}
