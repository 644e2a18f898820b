//! The cost model of a look-up: what it takes on a core, from operation counts and two figures of
//! the machine.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fhe::parameters::ParameterSet;
use crate::file::{self, MOST_TEXT_BYTES};
use crate::text::from_json;

/// Core-nanoseconds of the two parts of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// Per floating-point operation of a blind rotation, counted from transforms, products and conversions.
    pub rotation_ns: f64,
    /// Per multiplication of a keyswitch.
    pub keyswitch_ns: f64,
}

/// What `splitbench calibrate` writes of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// [`CostModel::rotation_ns`].
    pub rotation_ns: f64,
    /// [`CostModel::keyswitch_ns`].
    pub keyswitch_ns: f64,
    /// Seconds of a fixed client's phases, for comparing one client device with another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_s: Option<f64>,
}

impl Figures {
    /// Reads the figures that `splitbench calibrate` wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Invalid`] that names the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = file::read_text(path, MOST_TEXT_BYTES)?;
        let invalid = |reason: String| Error::invalid(path.display().to_string(), reason);
        let figures: Self = from_json(text.as_bytes())
            .map_err(|error| invalid(format!("no calibration: {error}")))?;
        let plausible = |ns: f64| (1e-6..1e6).contains(&ns);
        if !plausible(figures.rotation_ns) || !plausible(figures.keyswitch_ns) {
            let reason = "figures must lie between 10^-6 and 10^6 nanoseconds";
            return Err(invalid(reason.into()));
        }
        if !figures.client_s.is_none_or(|s| (1e-9..1e6).contains(&s)) {
            let reason = "client_s must lie between 10^-9 and 10^6 seconds";
            return Err(invalid(reason.into()));
        }
        Ok(figures)
    }

    /// Returns how many times slower the client of this file is than that of another.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] that names the file without a client's figure.
    pub fn client_slowdown(client: &Path, host: &Path) -> Result<f64> {
        let seconds = |path: &Path| {
            Self::read(path)?.client_s.ok_or_else(|| {
                let reason = "it holds no client_s: write it anew with `splitbench calibrate`";
                Error::invalid(path.display().to_string(), reason)
            })
        };
        Ok(seconds(client)? / seconds(host)?)
    }
}

impl Default for CostModel {
    /// Measured on one core of an AMD EPYC of family 26 (Zen 5) by `splitbench calibrate`.
    fn default() -> Self {
        Self {
            rotation_ns: 0.0149,
            keyswitch_ns: 0.0088,
        }
    }
}

impl CostModel {
    /// Reads the figures of look-ups that `splitbench calibrate` wrote.
    ///
    /// # Errors
    ///
    /// As [`Figures::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let figures = Figures::read(path)?;
        Ok(Self {
            rotation_ns: figures.rotation_ns,
            keyswitch_ns: figures.keyswitch_ns,
        })
    }

    /// Returns the model that gives those measured core-seconds of a look-up, of which so many
    /// were its keyswitch, under a parameter set.
    pub fn fitted(parameters: &ParameterSet, look_up_core_s: f64, keyswitch_core_s: f64) -> Self {
        let steps = parameters.literal().lwe_dimension as f64;
        let rotation_s = (look_up_core_s - keyswitch_core_s).max(0.0);
        Self {
            rotation_ns: 1e9 * rotation_s / (steps * rotation_operations(parameters)),
            keyswitch_ns: 1e9 * keyswitch_core_s / keyswitch_multiplications(parameters),
        }
    }

    /// Returns the model with four significant digits, more than a measurement gives and few enough
    /// to come back from text unchanged.
    pub fn rounded(&self) -> Self {
        let round = |value: f64| format!("{value:.3e}").parse().unwrap_or(value);
        Self {
            rotation_ns: round(self.rotation_ns),
            keyswitch_ns: round(self.keyswitch_ns),
        }
    }

    /// Returns the modelled core-seconds of a look-up.
    pub fn look_up_core_s(&self, parameters: &ParameterSet) -> f64 {
        let steps = parameters.literal().lwe_dimension as f64;
        1e-9 * (steps * rotation_operations(parameters) * self.rotation_ns
            + keyswitch_multiplications(parameters) * self.keyswitch_ns)
    }
}

/// Returns the floating-point operations of one step of a blind rotation: (k+1)·levels forward
/// and k+1 backward transforms of N/2 points at 5·log2 operations a point, (k+1)²·levels products
/// of 8, and 12 a coefficient for rotation, decomposition and conversion.
fn rotation_operations(parameters: &ParameterSet) -> f64 {
    let literal = parameters.literal();
    let points = literal.polynomial_size as f64 / 2.0;
    let polynomials = literal.glwe_dimension as f64 + 1.0;
    let levels = literal.bootstrap_levels as f64;
    let transforms = 5.0 * points * points.log2() * polynomials * (levels + 1.0);
    let products = 8.0 * points * levels * polynomials.powi(2);
    transforms + products + 24.0 * points * polynomials
}

fn keyswitch_multiplications(parameters: &ParameterSet) -> f64 {
    let literal = parameters.literal();
    let rows = parameters.big_dimension() * literal.keyswitch_levels;
    rows as f64 * (literal.lwe_dimension + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_model_gives_back_what_it_was_fitted_to() {
        let parameters = ParameterSet::fast().expect("secure");
        let model = CostModel::fitted(&parameters, 3e-3, 2e-4);
        assert!((model.look_up_core_s(&parameters) - 3e-3).abs() < 1e-12);
    }

    #[test]
    fn calibrations_are_checked() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("calibration.json");
        let write = |text: &str| {
            std::fs::write(&path, text).expect("written");
            CostModel::read(&path)
        };
        let good = write(r#"{"rotation_ns": 0.02, "keyswitch_ns": 0.01}"#);
        assert_eq!(good.expect("valid").keyswitch_ns, 0.01);
        for bad in [
            "",
            "{}",
            r#"{"rotation_ns": -1, "keyswitch_ns": 0.01}"#,
            "[1e999]",
            r#"{"rotation_ns": 0.02, "keyswitch_ns": 0.01, "client_s": 0}"#,
        ] {
            let error = write(bad).expect_err(bad).to_string();
            assert!(error.contains("calibration.json"), "{error}");
        }
    }

    #[test]
    fn a_client_is_as_many_times_slower_as_its_file_says() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, client: &str| {
            let path = folder.path().join(name);
            let text = format!(r#"{{"rotation_ns": 0.02, "keyswitch_ns": 0.01{client}}}"#);
            std::fs::write(&path, text).expect("written");
            path
        };
        let phone = write("phone.json", r#", "client_s": 0.008"#);
        let host = write("host.json", r#", "client_s": 0.001"#);
        let old = write("old.json", "");
        let slowdown = Figures::client_slowdown(&phone, &host).expect("both know");
        assert!((slowdown - 8.0).abs() < 1e-12);
        let error = Figures::client_slowdown(&phone, &old).expect_err("old");
        assert!(error.to_string().contains("old.json"), "{error}");
    }
}
