//! Which party runs each layer: parties, placements, their segments and crossings.
//!
//! A placement of n layers is printed as n letters, first layer first: `CSSC` runs layers 2 and 3
//! on the server, and `CSSc` says of layer 4 that nobody else can run it: it is *pinned* to the
//! client. Letters and not bits, because spreadsheets read `0011` as eleven.

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

/// Which placeable layers are pinned to the client, first layer first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Pins(Vec<bool>);

/// The party of each placeable layer, first layer first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Placement {
    parties: Vec<Party>,
    pins: Pins,
}

/// A maximal run of consecutive layers on one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub party: Party,
    /// Indices of its layers.
    pub layers: Range<usize>,
}

#[cfg(test)]
impl Segment {
    /// Returns the segment of all layers, on the server.
    pub fn whole(layer_count: usize) -> Self {
        Self {
            party: Party::Server,
            layers: 0..layer_count,
        }
    }
}

impl Pins {
    /// Returns the pins of layers that are pinned where `is_pinned` says so.
    pub fn new(is_pinned: Vec<bool>) -> Self {
        Self(is_pinned)
    }

    /// Returns so many layers without a pin.
    pub fn none(layer_count: usize) -> Self {
        Self(vec![false; layer_count])
    }

    /// Returns the number of layers.
    pub fn layer_count(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of layers that either party can run; there are 2 to that many placements.
    pub fn free_count(&self) -> usize {
        self.0.iter().filter(|&&is_pinned| !is_pinned).count()
    }

    /// Returns whether a layer is pinned.
    pub fn contains(&self, layer: usize) -> bool {
        self.0[layer]
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
    /// The most layers without a pin for which placements are enumerated.
    pub const MOST_ENUMERATED_LAYERS: usize = 24;

    /// Returns all 2^n placements of n layers without a pin, from all-client to as many on the server as
    /// can be, in the order of the strings.
    ///
    /// # Panics
    ///
    /// Panics above [`Self::MOST_ENUMERATED_LAYERS`].
    pub fn all(pins: &Pins) -> impl Iterator<Item = Self> + use<> {
        let free: Vec<usize> = (0..pins.layer_count())
            .filter(|&layer| !pins.contains(layer))
            .collect();
        assert!(
            free.len() <= Self::MOST_ENUMERATED_LAYERS,
            "2^{} placements",
            free.len()
        );
        let pins = pins.clone();
        (0..1u32 << free.len()).map(move |bits| {
            let mut parties = vec![Party::Client; pins.layer_count()];
            for (place, &layer) in free.iter().rev().enumerate() {
                if bits >> place & 1 == 1 {
                    parties[layer] = Party::Server;
                }
            }
            Self::of(parties, &pins)
        })
    }

    /// Returns the placement of all layers on one party, those with a pin aside.
    pub fn uniform(party: Party, pins: &Pins) -> Self {
        Self::of(vec![party; pins.layer_count()], pins)
    }

    /// Returns the placement with those parties, layers with a pin on the client.
    ///
    /// # Panics
    ///
    /// Panics where the numbers of layers differ.
    pub fn of(mut parties: Vec<Party>, pins: &Pins) -> Self {
        assert_eq!(parties.len(), pins.layer_count(), "layers");
        for (party, is_pinned) in parties.iter_mut().zip(&pins.0) {
            if *is_pinned {
                *party = Party::Client;
            }
        }
        let pins = pins.clone();
        Self { parties, pins }
    }

    /// Returns the placement with those layers alone on the server.
    pub fn with_server(layers: Range<usize>, pins: &Pins) -> Self {
        let party = |layer| {
            if layers.contains(&layer) {
                Party::Server
            } else {
                Party::Client
            }
        };
        Self::of((0..pins.layer_count()).map(party).collect(), pins)
    }

    /// Returns the party of each layer.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Returns which layers are pinned to the client.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Returns the segments in layer order; together they cover every layer once.
    pub fn segments(&self) -> Vec<Segment> {
        let mut start = 0;
        self.parties
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
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |(party, is_pinned): (&Party, &bool)| match party {
            Party::Client if *is_pinned => 'c',
            Party::Client => 'C',
            Party::Server => 'S',
        };
        let letters: String = self.parties.iter().zip(&self.pins.0).map(letter).collect();
        formatter.pad(&letters)
    }
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let seats: Result<Vec<(Party, bool)>, Error> = text
            .chars()
            .map(|letter| match letter {
                'C' => Ok((Party::Client, false)),
                'c' => Ok((Party::Client, true)),
                'S' => Ok((Party::Server, false)),
                other => Err(Error::Usage(format!(
                    "placement {text:?} holds {other:?}: use only C (client), S (server), and c for \
                     layers that are pinned to the client"
                ))),
            })
            .collect();
        let (parties, pins): (Vec<Party>, Vec<bool>) = seats?.into_iter().unzip();
        if parties.is_empty() {
            return Err(Error::Usage("a placement needs at least one letter".into()));
        }
        let pins = Pins(pins);
        Ok(Self { parties, pins })
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
        let all: Vec<String> = Placement::all(&Pins::none(2)).map(String::from).collect();
        assert_eq!(all, ["CC", "CS", "SC", "SS"]);
        assert_eq!(Placement::all(&Pins::none(5)).count(), 32);
    }

    #[test]
    fn pinned_layers_stay_on_the_client() {
        let pins = Pins::new(vec![true, false, true, false]);
        assert_eq!((pins.layer_count(), pins.free_count()), (4, 2));
        let all: Vec<String> = Placement::all(&pins).map(String::from).collect();
        assert_eq!(all, ["cCcC", "cCcS", "cScC", "cScS"]);
        let most = Placement::uniform(Party::Server, &pins);
        assert_eq!(most, placement("cScS"));
        assert_eq!(most.server_segments().len(), 2);
        assert_eq!(Placement::with_server(1..2, &pins).to_string(), "cScC");
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
        fn segments_cover_every_layer_once(letters in "[CcS]{1,20}") {
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
