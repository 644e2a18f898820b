//! Links between client and server: what measured bytes and rounds would take on them. Modelled,
//! never measured.

use std::fmt;
use std::str::FromStr;

use crate::core::error::Error;
use crate::core::units;

/// A link with bandwidths and a round-trip time, without loss, contention or slow start.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub name: String,
    pub up_bits_per_s: f64,
    pub down_bits_per_s: f64,
    pub round_trip_s: f64,
}

impl Link {
    /// Returns the profiles that have a name: LAN 3 Gbit/s 0.3 ms, WAN 400 Mbit/s 40 ms, slow
    /// 100 Mbit/s 80 ms, 4G 12 Mbit/s up 40 down 60 ms.
    pub fn profiles() -> [Self; 4] {
        let profile = |name: &str, up_mbit: f64, down_mbit: f64, round_trip_ms: f64| Self {
            name: name.into(),
            up_bits_per_s: up_mbit * 1e6,
            down_bits_per_s: down_mbit * 1e6,
            round_trip_s: round_trip_ms / 1e3,
        };
        [
            profile("lan", 3000.0, 3000.0, 0.3),
            profile("wan", 400.0, 400.0, 40.0),
            profile("slow", 100.0, 100.0, 80.0),
            profile("4g", 12.0, 40.0, 60.0),
        ]
    }

    /// Returns `8 up / up_bits_per_s + 8 down / down_bits_per_s + rounds · round_trip_s`.
    pub fn transfer_s(&self, upload_bytes: u64, download_bytes: u64, rounds: usize) -> f64 {
        8.0 * upload_bytes as f64 / self.up_bits_per_s
            + 8.0 * download_bytes as f64 / self.down_bits_per_s
            + rounds as f64 * self.round_trip_s
    }

    /// Reads `400mbit/40ms`, or `12mbit/40mbit/60ms` with up and down apart.
    fn of_figures(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (up, down, round_trip) = match parts[..] {
            [both, round_trip] => (both, both, round_trip),
            [up, down, round_trip] => (up, down, round_trip),
            _ => return None,
        };
        Some(Self {
            name: text.into(),
            up_bits_per_s: units::parse_bits_per_second(up)?,
            down_bits_per_s: units::parse_bits_per_second(down)?,
            round_trip_s: units::parse_seconds(round_trip)?,
        })
    }
}

impl FromStr for Link {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut profiles = Self::profiles().into_iter();
        let named = profiles.find(|profile| profile.name.eq_ignore_ascii_case(text));
        named.or_else(|| Self::of_figures(text)).ok_or_else(|| {
            let names = Self::profiles().map(|profile| profile.name).join(", ");
            Error::Usage(format!(
                "{text:?} is no network: give {names}, bandwidth and round-trip time such as \
                 400mbit/40ms, or up, down and round trip such as 12mbit/40mbit/60ms"
            ))
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = units::bits_per_second;
        let (up, down) = (self.up_bits_per_s, self.down_bits_per_s);
        write!(formatter, "{} ({} up", self.name, bits(up))?;
        write!(formatter, ", {} down, ", bits(down))?;
        write!(
            formatter,
            "{} round trip)",
            units::seconds_tick(self.round_trip_s)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_transfer_is_bits_over_bandwidth_and_one_round_trip_a_round() {
        let [_, _, _, mobile] = Link::profiles();
        let seconds = mobile.transfer_s(1_500_000, 5_000_000, 2);
        assert!((seconds - (1.0 + 1.0 + 0.12)).abs() < 1e-9, "{seconds}");
        assert_eq!(mobile.transfer_s(0, 0, 0), 0.0);
    }

    #[test]
    fn networks_are_named_or_given_in_figures() {
        let parse = |text: &str| text.parse::<Link>().expect(text);
        assert_eq!(parse("WAN"), Link::profiles()[1]);
        let mobile = parse("12mbit/40mbit/60ms");
        assert_eq!(
            mobile.to_string(),
            "12mbit/40mbit/60ms (12 Mbit/s up, 40 Mbit/s down, 60 ms round trip)"
        );
        let both = parse("1.5gbit/0ms");
        assert_eq!((both.up_bits_per_s, both.down_bits_per_s), (1.5e9, 1.5e9));
        assert_eq!(both.round_trip_s, 0.0);
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_hint() {
        for text in [
            "",
            "wlan",
            "400mbit",
            "400/40",
            "0mbit/1ms",
            "-1mbit/1ms",
            "1mbit/-1ms",
            "nanmbit/1ms",
            "infgbit/1ms",
            "1mbit/2mbit/3mbit/1ms",
            "1mbit/1ms/1ms",
        ] {
            let error = text.parse::<Link>().expect_err(text).to_string();
            assert!(error.contains("12mbit/40mbit/60ms"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = text.parse::<Link>();
        }
    }
}
