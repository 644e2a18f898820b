//! Shards: a sweep in parts that run apart, on several machines say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::error::Error;
use crate::core::placement::Placement;

/// The `index`-th of `count` parts of a sweep, counted from one; printed as `1/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Returns the placements of this shard: of all in the order of their strings, every
    /// `count`-th from the `index`-th on.
    pub fn take(self, placements: &[Placement]) -> Vec<Placement> {
        let mut sorted = placements.to_vec();
        sorted.sort_by_cached_key(Placement::to_string);
        sorted
            .into_iter()
            .skip(self.index - 1)
            .step_by(self.count)
            .collect()
    }

    /// Returns the name of the shard's results folder: `shard-1-of-3`.
    pub fn folder_name(self) -> String {
        format!("shard-{}-of-{}", self.index, self.count)
    }

    /// Returns the shard whose results folder has this name.
    pub fn of_folder_name(name: &str) -> Option<Self> {
        let (index, count) = name.strip_prefix("shard-")?.split_once("-of-")?;
        format!("{index}/{count}").parse().ok()
    }

    /// Returns which of the parts it is, from one.
    pub fn index(self) -> usize {
        self.index
    }

    /// Returns how many parts the sweep has.
    pub fn count(self) -> usize {
        self.count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some((index.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
        });
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(Error::Usage(format!(
                "{text:?} is no shard: give i/n, for instance 1/3 for the first of three"
            ))),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::placement::Pins;
    use proptest::prelude::*;

    #[test]
    fn shards_are_counted_from_one() {
        let shard: Shard = "2/3".parse().expect("a shard");
        assert_eq!(shard.folder_name(), "shard-2-of-3");
        assert_eq!(Shard::of_folder_name("shard-2-of-3"), Some(shard));
        for text in ["0/3", "4/3", "1/0", "1", "a/b", "1/2/3", "-1/2", ""] {
            let error = text.parse::<Shard>().expect_err(text).to_string();
            assert!(error.contains("give i/n"), "{error}");
        }
    }

    #[test]
    fn every_third_of_the_sorted_placements_is_taken() {
        let mut placements: Vec<Placement> = Placement::all(&Pins::none(3)).collect();
        placements.reverse();
        let shard: Shard = "2/3".parse().expect("a shard");
        let taken: Vec<String> = shard
            .take(&placements)
            .into_iter()
            .map(String::from)
            .collect();
        assert_eq!(taken, ["CCS", "SCC", "SSS"]);
    }

    proptest! {
        #[test]
        fn shards_cover_every_placement_once(layers in 1_usize..7, count in 1_usize..20) {
            let placements: Vec<Placement> = Placement::all(&Pins::none(layers)).collect();
            let shards = (1..=count).map(|index| Shard { index, count });
            let mut taken: Vec<Placement> = shards.flat_map(|s| s.take(&placements)).collect();
            taken.sort_by_cached_key(Placement::to_string);
            prop_assert_eq!(taken, placements);
        }
    }
}
