//! The bits of activations, as a person asks for them.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::core::error::{Error, Result};

/// Fewest and most bits of an activation.
pub const FEWEST: u32 = 1;
pub const MOST: u32 = 8;
/// Bits of activations where nothing else is said.
pub const DEFAULT_BITS: u32 = 4;
/// Bits of weights where nothing else is said.
pub const DEFAULT_WEIGHT_BITS: u32 = 5;

/// What `--bits` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bits {
    /// The fewest that keep the accuracy.
    Auto,
    Given {
        /// For all that are not named.
        others: Option<u32>,
        named: BTreeMap<String, u32>,
    },
}

impl Bits {
    /// Returns the bits asked for an activation.
    pub fn of(&self, name: &str) -> Option<u32> {
        match self {
            Self::Auto => None,
            Self::Given { others, named } => named.get(name).copied().or(*others),
        }
    }

    /// Returns the names that bits are asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::Auto => None,
            Self::Given { named, .. } => Some(named),
        };
        named.into_iter().flatten().map(|(name, _)| name.as_str())
    }
}

impl FromStr for Bits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unusable = |part: &str| {
            Error::Usage(format!(
                "--bits {part:?}: give auto, a number from {FEWEST} to {MOST}, or layers such as \
                 4,relu1=3"
            ))
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (mut others, mut named) = (None, BTreeMap::new());
        for part in text.split(',') {
            let (name, number) = part.split_once('=').unwrap_or(("", part));
            let bits: u32 = number.trim().parse().map_err(|_| unusable(part))?;
            if !(FEWEST..=MOST).contains(&bits) {
                return Err(unusable(part));
            }
            match name.trim() {
                "" => others = Some(bits),
                name => drop(named.insert(name.to_owned(), bits)),
            }
        }
        Ok(Self::Given { others, named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_as_written() {
        let bits = |text: &str| text.parse::<Bits>();
        assert_eq!(bits("auto").expect("auto"), Bits::Auto);
        assert_eq!(bits("4").expect("number").of("relu1"), Some(4));
        let mixed = bits("4,relu1=3").expect("list");
        assert_eq!((mixed.of("relu1"), mixed.of("relu2")), (Some(3), Some(4)));
        assert_eq!(mixed.names().collect::<Vec<_>>(), ["relu1"]);
        for bad in ["", "0", "9", "four", "relu1=", "4,,3"] {
            assert!(bits(bad).is_err(), "{bad}");
        }
    }
}
