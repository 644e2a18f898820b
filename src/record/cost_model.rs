//! What the cost model of a look-up takes from a machine, and how fast a client of it is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::core::error::{Error, Result};
use crate::core::simd;
use crate::core::text::from_json;
use crate::machine::file::{self, MOST_TEXT_BYTES};

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
            .map_err(|error| invalid(format!("no machine calibration: {error}")))?;
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
    /// Returns what parameter sets are chosen by unless a machine's own figures are given: one model,
    /// so that the machines of a sweep choose alike.
    fn default() -> Self {
        Self::of(simd::Path::Avx512)
    }
}

impl CostModel {
    /// Returns what a path takes, measured by `splitbench calibrate`: AVX-512 on an AMD EPYC of
    /// family 26 (Zen 5), the others on one of family 25 (Zen 4). NEON was not measured; it is taken
    /// for the portable path.
    pub fn of(path: simd::Path) -> Self {
        let (rotation_ns, keyswitch_ns) = match path {
            simd::Path::Avx512 => (0.0149, 0.0088),
            simd::Path::Avx2 => (0.0307, 0.0272),
            simd::Path::Scalar | simd::Path::Neon => (0.0898, 0.153),
        };
        Self {
            rotation_ns,
            keyswitch_ns,
        }
    }

    /// Returns the model for times on this machine: its own figures where they were given, else those of
    /// the path at hand.
    ///
    /// Sets are chosen by the same model everywhere, because a set is the same for all who hold keys of it.
    /// Little is lost: by the figures of AVX2 the search finds the same sets for the three built-in
    /// networks as by those of AVX-512.
    pub fn here(self) -> Self {
        if self == Self::default() {
            Self::of(simd::path())
        } else {
            self
        }
    }

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

    /// Returns the model with four significant digits, more than a measurement gives and few enough
    /// to come back from text unchanged.
    pub fn rounded(&self) -> Self {
        let round = |value: f64| format!("{value:.3e}").parse().unwrap_or(value);
        Self {
            rotation_ns: round(self.rotation_ns),
            keyswitch_ns: round(self.keyswitch_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
