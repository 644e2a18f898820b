//! Links between client and server: what measured bytes and rounds would take on them. Modelled,
//! never measured.

/// A link with bandwidths and a round-trip time, without loss, contention or slow start.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub name: String,
    pub up_bits_per_s: f64,
    pub down_bits_per_s: f64,
    pub round_trip_s: f64,
}

impl Network {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_bits_over_bandwidth_and_one_round_trip_a_round() {
        let [_, _, _, mobile] = Network::profiles();
        let seconds = mobile.transfer_s(1_500_000, 5_000_000, 2);
        assert!((seconds - (1.0 + 1.0 + 0.12)).abs() < 1e-9, "{seconds}");
        assert_eq!(mobile.transfer_s(0, 0, 0), 0.0);
    }
}
