//! The options that describe the world splits are compared in.

use std::path::PathBuf;

use clap::Args;

use crate::choose::scenario::{Prices, Scenario};
use crate::core::error::{Error, Result};
use crate::core::link::Link;
use crate::record::cost_model::Figures;

/// What a person says of network, client and prices.
#[derive(Debug, Args)]
pub struct ScenarioArguments {
    /// lan, wan, slow, 4g, or figures such as 100mbit/80ms or 12mbit/40mbit/60ms (up, down, round
    /// trip) [default: no network, as measured]
    #[arg(long, value_name = "NETWORK")]
    network: Option<Link>,
    /// How many times slower the client is than the machine that was measured [default: 1]
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    client_slowdown: Option<f64>,
    /// Instead of a factor: figures that `splitbench calibrate` wrote on the client's device
    #[arg(long, value_name = "FILE", conflicts_with = "client_slowdown")]
    client_calibration: Option<PathBuf>,
    /// With it: those of the machine that was measured
    #[arg(long, value_name = "FILE", requires = "client_calibration")]
    host_calibration: Option<PathBuf>,
    /// Price of the server machine for an hour, in any currency
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price_server_hour: Option<f64>,
    /// Price of 10^9 bytes of traffic, in the same
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price_gb: Option<f64>,
    /// Inferences that share one exchange of keys [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    inferences: Option<u64>,
}

impl ScenarioArguments {
    /// Returns the scenario.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where one of two machine calibrations is missing; what reading them gives.
    pub fn scenario(&self) -> Result<Scenario> {
        let client_slowdown = match (&self.client_calibration, &self.host_calibration) {
            (Some(client), Some(host)) => Figures::client_slowdown(client, host)?,
            (Some(_), None) => {
                let reason = "--client-calibration needs --host-calibration beside it: the figures \
                              of the machine that was measured";
                return Err(Error::Usage(reason.into()));
            }
            _ => self.client_slowdown.unwrap_or(1.0),
        };
        let default = Scenario::default();
        Ok(Scenario {
            network: self.network.clone(),
            client_slowdown,
            prices: Prices {
                server_hour: self.price_server_hour.unwrap_or(0.0),
                gigabyte: self.price_gb.unwrap_or(0.0),
            },
            inferences: self.inferences.unwrap_or(default.inferences),
        })
    }
}

fn factor(text: &str) -> std::result::Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|factor| (1e-3..=1e6).contains(factor))
        .ok_or_else(|| "give a factor between 0.001 and a million, such as 8".into())
}

fn price(text: &str) -> std::result::Result<f64, String> {
    let price: Option<f64> = text.parse().ok();
    price
        .filter(|price| (0.0..=1e9).contains(price))
        .ok_or_else(|| "give a price between 0 and 10^9, such as 0.35".into())
}
