//! How stored pixel values become the network's real inputs.

use std::str::FromStr;

use crate::core::error::{Error, Result};

/// Which axis of a stored image runs slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageLayout {
    /// Channels, rows, columns: as PyTorch stores images.
    #[default]
    Chw,
    /// Rows, columns, channels: as TensorFlow and picture files store them.
    Hwc,
}

impl FromStr for ImageLayout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "chw" | "nchw" => Ok(Self::Chw),
            "hwc" | "nhwc" => Ok(Self::Hwc),
            _ => Err(Error::Usage(format!("--layout {text}: give chw or hwc"))),
        }
    }
}

/// `real = (value / divisor - mean) / std`, per channel or for all; plus the layout of the stored
/// images.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessing {
    /// 255 brings bytes to 0..=1.
    pub divisor: f64,
    /// One number for all channels, or one per channel.
    pub mean: Vec<f64>,
    /// One number for all channels, or one per channel; positive.
    pub std: Vec<f64>,
    /// How the stored images lie.
    pub layout: ImageLayout,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self {
            divisor: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
            layout: ImageLayout::Chw,
        }
    }
}

impl Preprocessing {
    /// Returns the preprocessing that command-line values describe; what is left out changes
    /// nothing.
    ///
    /// `scale` is what the pixels are multiplied by, `1/255` or `0.00392`; `mean` and `std` are
    /// numbers with commas between them; `layout` is `chw` or `hwc`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with the option and what to give.
    ///
    /// # Example
    ///
    /// ```
    /// use splitbench::import::data::Preprocessing;
    ///
    /// let bytes = Preprocessing::parse(Some("1/255"), Some("0.5"), Some("0.5"), None)?;
    /// assert_eq!(bytes.divisor, 255.0);
    /// # Ok::<(), splitbench::Error>(())
    /// ```
    pub fn parse(
        scale: Option<&str>,
        mean: Option<&str>,
        std: Option<&str>,
        layout: Option<&str>,
    ) -> Result<Self> {
        let default = Self::default();
        let parsed = Self {
            divisor: scale.map_or(Ok(default.divisor), divisor)?,
            mean: mean.map_or(Ok(default.mean), |text| numbers("--mean", text))?,
            std: std.map_or(Ok(default.std), |text| numbers("--std", text))?,
            layout: layout.map_or(Ok(default.layout), str::parse)?,
        };
        parsed.check()?;
        Ok(parsed)
    }

    /// Refuses numbers that no preprocessing has.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with the option and what to give.
    pub fn check(&self) -> Result<()> {
        let positive = |number: &f64| number.is_finite() && *number > 0.0;
        let refuse = |message: &str| Err(Error::Usage(message.into()));
        if !positive(&self.divisor) {
            return refuse("--scale: give a finite number above 0, as in 1/255");
        }
        if self.mean.is_empty() || !self.mean.iter().all(|number| number.is_finite()) {
            return refuse("--mean: give finite numbers, as in 0.485,0.456,0.406");
        }
        if self.std.is_empty() || !self.std.iter().all(positive) {
            return refuse("--std: give finite numbers above 0, as in 0.229,0.224,0.225");
        }
        let (means, stds) = (self.mean.len(), self.std.len());
        if means != stds && means != 1 && stds != 1 {
            return Err(Error::Usage(format!(
                "--mean has {means} numbers and --std has {stds}: give one, or one per channel"
            )));
        }
        Ok(())
    }

    /// Returns scale and offset per channel, so that `real = scale * value + offset`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where mean or std have neither one number nor one per channel, or are so
    /// extreme that scale or offset cannot be represented.
    pub fn scale_and_offset(&self, channels: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        self.check()?;
        for (option, numbers) in [("--mean", &self.mean), ("--std", &self.std)] {
            if numbers.len() != 1 && numbers.len() != channels {
                return Err(Error::Usage(format!(
                    "{option} has {} numbers, the network's input has {channels} channel(s): \
                     give one number, or one per channel",
                    numbers.len()
                )));
            }
        }
        let of = |numbers: &[f64], channel: usize| numbers[channel % numbers.len()];
        let scale: Vec<f64> = (0..channels)
            .map(|channel| 1.0 / (self.divisor * of(&self.std, channel)))
            .collect();
        let offset: Vec<f64> = (0..channels)
            .map(|channel| -of(&self.mean, channel) / of(&self.std, channel))
            .collect();
        let usable = |scale: &f64, offset: &f64| scale.is_normal() && offset.is_finite();
        if !scale.iter().zip(&offset).all(|(s, o)| usable(s, o)) {
            return Err(Error::Usage(
                "--scale, --mean and --std together leave the range of numbers: \
                 give values closer to 1"
                    .into(),
            ));
        }
        Ok((scale, offset))
    }
}

/// Returns the divisor of a scale: 255 of `1/255`, 2 of `0.5`.
fn divisor(scale: &str) -> Result<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let divisor = match scale.split_once('/') {
        Some((above, below)) => number(below).zip(number(above)).map(|(b, a)| b / a),
        None => number(scale).map(f64::recip),
    };
    match divisor {
        Some(divisor) if divisor.is_finite() && divisor > 0.0 => Ok(divisor),
        _ => Err(Error::Usage(format!(
            "--scale {scale}: give a number above 0 or a fraction, as in 1/255"
        ))),
    }
}

/// Returns numbers with commas between them.
fn numbers(option: &str, text: &str) -> Result<Vec<f64>> {
    text.split(',')
        .map(|number| number.trim().parse().ok())
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Error::Usage(format!(
                "{option} {text}: give numbers with commas between them, as in 0.5,0.4,0.3"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_changes_nothing() {
        let parsed = Preprocessing::parse(None, None, None, None).unwrap();
        assert_eq!(parsed, Preprocessing::default());
        let (scale, offset) = parsed.scale_and_offset(2).unwrap();
        assert_eq!((scale, offset), (vec![1.0; 2], vec![0.0; 2]));
    }

    #[test]
    fn scales_are_fractions_or_factors() {
        let table = [
            ("1/255", 255.0),
            (" 1 / 256 ", 256.0),
            ("0.5", 2.0),
            ("2/3", 1.5),
        ];
        for (text, expected) in table {
            let parsed = Preprocessing::parse(Some(text), None, None, None).unwrap();
            assert_eq!(parsed.divisor, expected, "{text}");
        }
    }

    #[test]
    fn means_and_deviations_are_one_number_or_one_per_channel() {
        let parsed =
            Preprocessing::parse(Some("1/100"), Some("0.5, 1,-2"), Some("0.25"), Some("HWC"));
        let parsed = parsed.unwrap();
        assert_eq!(parsed.layout, ImageLayout::Hwc);
        let (scale, offset) = parsed.scale_and_offset(3).unwrap();
        assert_eq!(scale, [0.04; 3]);
        assert_eq!(offset, [-2.0, -4.0, 8.0]);
        let message = parsed.scale_and_offset(1).unwrap_err().to_string();
        assert!(message.contains("--mean has 3 numbers"), "{message}");
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let table = [
            ([Some("1/0"), None, None, None], "--scale 1/0"),
            ([Some("0"), None, None, None], "--scale 0"),
            ([Some("-1"), None, None, None], "--scale -1"),
            ([Some("nan"), None, None, None], "--scale nan"),
            ([Some("1/2/3"), None, None, None], "--scale 1/2/3"),
            ([None, Some(""), None, None], "--mean"),
            ([None, Some("1,,2"), None, None], "--mean 1,,2"),
            ([None, Some("inf"), None, None], "--mean: give finite"),
            ([None, None, Some("1,0"), None], "--std: give finite"),
            ([None, None, Some("-1"), None], "--std: give finite"),
            ([None, Some("1,2"), Some("1,2,3"), None], "--std has 3"),
            ([None, None, None, Some("cwh")], "--layout cwh"),
        ];
        for ([scale, mean, std, layout], expected) in table {
            let refused = Preprocessing::parse(scale, mean, std, layout).unwrap_err();
            let message = refused.to_string();
            assert!(matches!(refused, Error::Usage(_)), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        let extreme = Preprocessing::parse(Some("1e-300"), None, Some("1e300"), None).unwrap();
        assert!(extreme.scale_and_offset(1).is_err());
    }
}
