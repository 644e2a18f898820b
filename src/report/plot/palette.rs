//! Colours that stay apart for colour-blind readers (Okabe and Ito, <https://jfly.uni-koeln.de/color/>).

use plotters::style::RGBColor;

/// Text and lines that carry meaning.
pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
/// Text that explains, ticks, rows without a figure.
pub(crate) const GREY: RGBColor = RGBColor(110, 110, 110);
/// Frames of panels.
pub(crate) const PALE: RGBColor = RGBColor(190, 190, 190);
/// Grid lines.
pub(crate) const FAINT: RGBColor = RGBColor(228, 228, 228);
/// Paper.
pub(crate) const WHITE: RGBColor = RGBColor(255, 255, 255);
/// The client.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Encryption, upload.
pub(crate) const SKY: RGBColor = RGBColor(86, 180, 233);
/// Decryption.
pub(crate) const GREEN: RGBColor = RGBColor(0, 158, 115);
/// The server.
pub(crate) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
/// The wire, keys.
pub(crate) const PURPLE: RGBColor = RGBColor(204, 121, 167);

/// Returns the colour `fraction` of the way from `from` to `to`, `fraction` in `0..=1`.
pub(crate) fn blend(from: RGBColor, to: RGBColor, fraction: f64) -> RGBColor {
    let channel = |from: u8, to: u8| {
        (f64::from(from) + fraction * (f64::from(to) - f64::from(from))).round() as u8
    };
    RGBColor(
        channel(from.0, to.0),
        channel(from.1, to.1),
        channel(from.2, to.2),
    )
}

/// Returns the colour thinned with white: `strength` 1 keeps it, 0 is white.
pub(crate) fn tint(colour: RGBColor, strength: f64) -> RGBColor {
    blend(WHITE, colour, strength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blends_start_and_end_at_their_colours() {
        assert_eq!(blend(BLUE, VERMILLION, 0.0), BLUE);
        assert_eq!(blend(BLUE, VERMILLION, 1.0), VERMILLION);
        assert_eq!(
            blend(RGBColor(0, 0, 0), RGBColor(200, 100, 50), 0.5),
            RGBColor(100, 50, 25)
        );
        assert_eq!(tint(BLUE, 0.0), WHITE);
    }
}
