//! Which party runs each layer: parties, placements, their segments and crossings.
//!
//! A placement of n layers is printed as n letters, first layer first: `CSSC` runs layers 2 and 3
//! on the server. Letters and not bits, because spreadsheets read `0011` as eleven.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::error::Error;

/// Who runs a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// Runs its layers in the clear, in float32; holds the secret key.
    Client,
    /// Runs its layers on encrypted activations; holds the evaluation key.
    Server,
}

/// The party of each placeable layer, first layer first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Placement(Vec<Party>);

/// A maximal run of consecutive layers on one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub party: Party,
    /// Indices of its layers.
    pub layers: Range<usize>,
}

impl Segment {
    /// Returns the segment of all layers, on the server.
    pub fn whole(layer_count: usize) -> Self {
        Self {
            party: Party::Server,
            layers: 0..layer_count,
        }
    }
}

/// The index of a server segment among those of its placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentIndex(usize);

impl SegmentIndex {
    /// The first server segment.
    pub const FIRST: Self = Self(0);

    /// Returns the index of the server segment with so many before it.
    pub fn new(before: usize) -> Self {
        Self(before)
    }

    /// Returns how many server segments are before it.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A boundary where an activation changes party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// Client to server; `before` is the index of the layer that reads the activation.
    Upload { before: usize },
    /// Server to client; `after` is the index of the layer that made the activation.
    Download { after: usize },
}

impl Placement {
    /// The most layers for which placements are enumerated.
    pub const MOST_ENUMERATED_LAYERS: usize = 24;

    /// Returns all 2^n placements of `layer_count` layers, from all-client to all-server, in
    /// the order of the strings.
    ///
    /// # Panics
    ///
    /// Panics above [`Self::MOST_ENUMERATED_LAYERS`].
    pub fn all(layer_count: usize) -> impl Iterator<Item = Self> {
        assert!(
            layer_count <= Self::MOST_ENUMERATED_LAYERS,
            "2^{layer_count} placements"
        );
        (0..1u32 << layer_count).map(move |bits| {
            let party = |layer: usize| match bits >> (layer_count - 1 - layer) & 1 {
                0 => Party::Client,
                _ => Party::Server,
            };
            Self((0..layer_count).map(party).collect())
        })
    }

    /// Returns the placement of all layers on one party.
    pub fn uniform(party: Party, layer_count: usize) -> Self {
        Self(vec![party; layer_count])
    }

    /// Returns the placement with those parties.
    pub fn of(parties: Vec<Party>) -> Self {
        Self(parties)
    }

    /// Returns the placement with those layers alone on the server.
    pub fn with_server(layers: Range<usize>, layer_count: usize) -> Self {
        let party = |layer| {
            if layers.contains(&layer) {
                Party::Server
            } else {
                Party::Client
            }
        };
        Self((0..layer_count).map(party).collect())
    }

    /// Returns the party of each layer.
    pub fn parties(&self) -> &[Party] {
        &self.0
    }

    /// Returns the segments in layer order; together they cover every layer once.
    pub fn segments(&self) -> Vec<Segment> {
        let mut start = 0;
        self.0
            .chunk_by(|left, right| left == right)
            .map(|run| {
                let layers = start..start + run.len();
                start = layers.end;
                Segment {
                    party: run[0],
                    layers,
                }
            })
            .collect()
    }

    /// Returns the segments that the server runs; each is one round trip.
    pub fn server_segments(&self) -> Vec<Segment> {
        let mut segments = self.segments();
        segments.retain(|segment| segment.party == Party::Server);
        segments
    }

    /// Returns the crossings in order. The input starts and the output ends at the client.
    pub fn crossings(&self) -> Vec<Crossing> {
        self.server_segments()
            .iter()
            .flat_map(|segment| {
                [
                    Crossing::Upload {
                        before: segment.layers.start,
                    },
                    Crossing::Download {
                        after: segment.layers.end - 1,
                    },
                ]
            })
            .collect()
    }

    /// Checks that the placement has one letter per placeable layer.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] that names both lengths.
    pub fn check_length(&self, layer_count: usize, model: &str) -> Result<(), Error> {
        if self.0.len() == layer_count {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "placement {self} has {} letters, but {model} has {layer_count} placeable layers: \
             give one letter per layer",
            self.0.len()
        )))
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String = self
            .0
            .iter()
            .map(|party| match party {
                Party::Client => 'C',
                Party::Server => 'S',
            })
            .collect();
        formatter.pad(&letters)
    }
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parties: Result<Vec<Party>, Error> = text
            .chars()
            .map(|letter| match letter {
                'C' => Ok(Party::Client),
                'S' => Ok(Party::Server),
                other => Err(Error::Usage(format!(
                    "placement {text:?} holds {other:?}: use only C (client) and S (server)"
                ))),
            })
            .collect();
        let parties = parties?;
        if parties.is_empty() {
            return Err(Error::Usage("a placement needs at least one letter".into()));
        }
        Ok(Self(parties))
    }
}

impl TryFrom<String> for Placement {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Placement> for String {
    fn from(placement: Placement) -> Self {
        placement.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn placement(text: &str) -> Placement {
        text.parse().expect("letters")
    }

    #[test]
    fn all_placements_come_in_string_order() {
        let all: Vec<String> = Placement::all(2).map(String::from).collect();
        assert_eq!(all, ["CC", "CS", "SC", "SS"]);
        assert_eq!(Placement::all(5).count(), 32);
    }

    #[test]
    fn other_letters_are_named_in_the_error() {
        let error = "CXS".parse::<Placement>().expect_err("X").to_string();
        assert!(error.contains("'X'"), "{error}");
        assert!("".parse::<Placement>().is_err());
    }

    #[test]
    fn crossings_of_a_round_trip_in_the_middle() {
        let expected = [
            Crossing::Upload { before: 1 },
            Crossing::Download { after: 2 },
        ];
        assert_eq!(placement("CSSC").crossings(), expected);
        assert!(placement("CCC").crossings().is_empty());
    }

    proptest! {
        #[test]
        fn segments_cover_every_layer_once(letters in "[CS]{1,20}") {
            let placement = placement(&letters);
            let segments = placement.segments();
            let covered: Vec<usize> = segments.iter().flat_map(|s| s.layers.clone()).collect();
            prop_assert_eq!(covered, (0..letters.len()).collect::<Vec<_>>());
            prop_assert!(segments.windows(2).all(|pair| pair[0].party != pair[1].party));
            prop_assert_eq!(placement.crossings().len(), 2 * placement.server_segments().len());
            prop_assert_eq!(placement.to_string(), letters);
        }
    }
}
