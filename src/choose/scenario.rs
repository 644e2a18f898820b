//! What a measured split would cost in the world: on a network, with another client, at a price.
//! Modelled from measured times and bytes, never measured.

use std::fmt;

use crate::core::link::Link;
use crate::core::units;
use crate::record::row::SplitRow;

/// Bytes of a gigabyte, as traffic is sold.
const GIGABYTE: f64 = 1e9;

/// The world that splits are to be compared in.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// None: client and server share a machine, as measured.
    pub network: Option<Link>,
    /// How many times slower the client is than the machine that was measured.
    pub client_slowdown: f64,
    pub prices: Prices,
    /// Inferences that share one exchange of keys.
    pub inferences: u64,
}

/// What a person pays, in a currency of their own; zero where it is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    /// Per hour of the whole server machine.
    pub server_hour: f64,
    /// Per 10^9 bytes, in either direction.
    pub gigabyte: f64,
}

/// What one inference of a split costs in a scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Modelled {
    /// The client's phases, slowed down: layers, encryption, decryption and its part of the
    /// messages' writing and reading.
    pub client_s: f64,
    /// The server's phases, as measured.
    pub server_s: f64,
    /// Messages on the network.
    pub transfer_s: f64,
    /// One inference's part of making, sending and expanding the keys.
    pub key_s: f64,
    /// All of these.
    pub time_s: f64,
    /// Upload, download and one inference's part of the evaluation keys.
    pub bytes: f64,
    /// Of 1,000 inferences: server time, the keys' expansion included, and traffic.
    pub money_per_1000: f64,
}

/// What a scenario is computed from; measured, or predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    pub online_s: f64,
    pub client_compute_s: f64,
    pub encrypt_s: f64,
    pub decrypt_s: f64,
    /// Writing messages, at both parties.
    pub serialise_s: f64,
    /// Reading messages, at both parties.
    pub deserialise_s: f64,
    pub key_generation_s: f64,
    pub key_transfer_s: f64,
    pub upload_bytes: u64,
    pub download_bytes: u64,
    pub evaluation_key_bytes: u64,
    pub rounds: usize,
}

impl Default for Scenario {
    /// The machine that was measured, as it was measured, with keys over a thousand inferences.
    fn default() -> Self {
        Self {
            network: None,
            client_slowdown: 1.0,
            prices: Prices::default(),
            inferences: 1000,
        }
    }
}

impl Scenario {
    /// Returns what an inference of a row's split costs; `None` where it was not measured.
    pub fn of_row(&self, row: &SplitRow) -> Option<Modelled> {
        Measured::of_row(row).map(|measured| self.of(&measured))
    }

    /// Returns what an inference costs.
    ///
    /// Writing and reading messages is measured at both parties together: of writing, the client's
    /// part is that of the upload in all bytes, of reading that of the download.
    pub fn of(&self, measured: &Measured) -> Modelled {
        let (up, down) = (measured.upload_bytes as f64, measured.download_bytes as f64);
        let upload_fraction = if up + down > 0.0 {
            up / (up + down)
        } else {
            0.0
        };
        let client_s = measured.client_compute_s
            + measured.encrypt_s
            + measured.decrypt_s
            + measured.serialise_s * upload_fraction
            + measured.deserialise_s * (1.0 - upload_fraction);
        let server_s = (measured.online_s - client_s).max(0.0);
        let client_s = client_s * self.client_slowdown;
        let inferences = self.inferences.max(1) as f64;
        let key_bytes = measured.evaluation_key_bytes;
        let over = |up, down, rounds| match &self.network {
            Some(network) => network.transfer_s(up, down, rounds),
            None => 0.0,
        };
        let transfer_s = over(
            measured.upload_bytes,
            measured.download_bytes,
            measured.rounds,
        );
        let key_rounds = usize::from(key_bytes > 0);
        let key_s = measured.key_generation_s * self.client_slowdown
            + measured.key_transfer_s
            + over(key_bytes, 0, key_rounds);
        let bytes = up + down + key_bytes as f64 / inferences;
        let busy_s = server_s + measured.key_transfer_s / inferences;
        let money =
            busy_s / 3600.0 * self.prices.server_hour + bytes / GIGABYTE * self.prices.gigabyte;
        Modelled {
            client_s,
            server_s,
            transfer_s,
            key_s: key_s / inferences,
            time_s: client_s + server_s + transfer_s + key_s / inferences,
            bytes,
            money_per_1000: 1000.0 * money,
        }
    }
}

impl Measured {
    /// Returns what a row measured; `None` where it has no times.
    pub fn of_row(row: &SplitRow) -> Option<Self> {
        Some(Self {
            online_s: row.online_s_median?,
            client_compute_s: row.client_compute_s_median?,
            encrypt_s: row.encrypt_s_median?,
            decrypt_s: row.decrypt_s_median?,
            serialise_s: row.serialise_s_median?,
            deserialise_s: row.deserialise_s_median?,
            // Empty where nothing is encrypted, or where no key is sent.
            key_generation_s: row.key_generation_s.unwrap_or(0.0),
            key_transfer_s: row.key_transfer_s.unwrap_or(0.0),
            upload_bytes: row.upload_bytes?,
            download_bytes: row.download_bytes?,
            evaluation_key_bytes: row.evaluation_key_bytes?,
            rounds: row.rounds?,
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.network {
            Some(network) => write!(formatter, "network {network}")?,
            None => write!(formatter, "no network")?,
        }
        if self.client_slowdown == 1.0 {
            write!(formatter, ", client as measured")?;
        } else {
            let factor = units::decimal(self.client_slowdown, 2);
            write!(formatter, ", client {factor} times slower than measured")?;
        }
        write!(formatter, ", keys over {} inferences", self.inferences)?;
        if self.prices != Prices::default() {
            let Prices {
                server_hour,
                gigabyte,
            } = self.prices;
            write!(
                formatter,
                ", {server_hour} an hour of server, {gigabyte} a GB"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            online_s: 2.0,
            client_compute_s: 0.2,
            encrypt_s: 0.1,
            decrypt_s: 0.1,
            serialise_s: 0.4,
            deserialise_s: 0.4,
            key_generation_s: 10.0,
            key_transfer_s: 5.0,
            upload_bytes: 1_000_000,
            download_bytes: 3_000_000,
            evaluation_key_bytes: 100_000_000,
            rounds: 2,
        }
    }

    #[test]
    fn as_measured_the_parties_add_up_to_the_online_time() {
        let of = Scenario::default().of(&measured());
        // 0.4 + 0.4·¼ + 0.4·¾ at the client, the rest at the server.
        assert!((of.client_s - 0.8).abs() < 1e-12, "{of:?}");
        assert!((of.server_s - 1.2).abs() < 1e-12, "{of:?}");
        assert_eq!(of.transfer_s, 0.0);
        assert!((of.key_s - 0.015).abs() < 1e-12, "{of:?}");
        assert!((of.time_s - 2.015).abs() < 1e-12, "{of:?}");
        assert_eq!(of.bytes, 4_100_000.0);
        assert_eq!(of.money_per_1000, 0.0);
    }

    #[test]
    fn network_slow_client_and_prices_match_a_hand_worked_case() {
        let scenario = Scenario {
            network: Some("8mbit/24mbit/100ms".parse().expect("network")),
            client_slowdown: 8.0,
            prices: Prices {
                server_hour: 3.6,
                gigabyte: 0.1,
            },
            inferences: 10,
        };
        let of = scenario.of(&measured());
        assert!((of.client_s - 6.4).abs() < 1e-12, "{of:?}");
        assert!((of.transfer_s - 2.2).abs() < 1e-12, "{of:?}");
        // (80 s at the client, 5 s at the server, 100 s and a round trip on the link) / 10
        assert!((of.key_s - 18.51).abs() < 1e-9, "{of:?}");
        assert!((of.time_s - 28.31).abs() < 1e-9, "{of:?}");
        // 1.7 s at 0.001 each and 14 MB at 0.1 a GB, a thousand times.
        assert!((of.money_per_1000 - (1.7 + 1.4)).abs() < 1e-9, "{of:?}");
    }

    #[test]
    fn rows_without_times_have_no_cost() {
        assert_eq!(Scenario::default().of_row(&SplitRow::default()), None);
    }
}
