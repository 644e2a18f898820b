//! The two embedded faces: their names, their registration, the width of a text.
//!
//! The faces are subsets of DejaVu Sans and DejaVu Sans Mono; their licence lies beside them in
//! `assets/fonts`. No font of the system is read. An SVG names the faces and fallbacks of about
//! the same width, because the reader's viewer sets its text.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use crate::core::foreign::shown;

/// A typeface of the charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Titles, axes, figures.
    Sans,
    /// Placements, whose letters then stand below each other.
    Mono,
}

impl Face {
    /// The family as CSS, which is also the name that the face is registered under.
    pub(crate) const fn family(self) -> &'static str {
        match self {
            Face::Sans => "DejaVu Sans, Verdana, sans-serif",
            Face::Mono => "DejaVu Sans Mono, Menlo, Consolas, monospace",
        }
    }

    const fn bytes(self) -> &'static [u8] {
        match self {
            Face::Sans => include_bytes!("../../../assets/fonts/DejaVuSans.ttf"),
            Face::Mono => include_bytes!("../../../assets/fonts/DejaVuSansMono.ttf"),
        }
    }
}

/// The size that plotters counts per em: ascender 0.928 and descender 0.236 of both faces.
pub(crate) const PLOTTERS_SIZE_PER_EM: f64 = 1.164;
/// The height of capitals and digits per em.
pub(crate) const CAPITAL_PER_EM: f64 = 0.729;
/// The advance of every glyph of the monospaced face per em.
pub(crate) const MONO_ADVANCE_PER_EM: f64 = 0.602;
/// Texts are measured at this size, for plotters rounds widths to whole pixels.
const MEASURED_EM: f64 = 1000.0;

/// Registers both faces with plotters, once per process; returns the reason where it could not.
pub(crate) fn register() -> Result<(), String> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    REGISTERED
        .get_or_init(|| {
            for face in [Face::Sans, Face::Mono] {
                register_font(face.family(), FontStyle::Normal, face.bytes())
                    .map_err(|_| format!("the embedded font {} is not readable", face.family()))?;
            }
            Ok(())
        })
        .clone()
}

/// Returns the width of a text set at `em`, as it is shown.
///
/// Without registered faces, where no chart is drawn either, the width is a generous guess.
pub(crate) fn width(text: &str, face: Face, em: f64) -> f64 {
    let text = shown(text);
    let guess = text.chars().count() as f64 * em * 0.7;
    if register().is_err() {
        return guess;
    }
    let font = FontDesc::new(
        FontFamily::Name(face.family()),
        MEASURED_EM * PLOTTERS_SIZE_PER_EM,
        FontStyle::Normal,
    );
    font.box_size(&text)
        .map_or(guess, |(width, _)| f64::from(width) * em / MEASURED_EM)
}

/// Returns the text, shortened with `…` where it is wider than `room`.
pub(crate) fn fit(text: &str, face: Face, em: f64, room: f64) -> String {
    if width(text, face, em) <= room {
        return text.to_owned();
    }
    // More letters have no room: the narrowest take a quarter of an em. A name may be of any length.
    let most = (4.0 * room / em).max(0.0) as usize;
    let mut kept: Vec<char> = text.chars().take(most).collect();
    while kept.pop().is_some() {
        let shortened: String = kept.iter().chain(&['…']).collect();
        if width(&shortened, face, em) <= room {
            return shortened;
        }
    }
    String::new()
}

/// Returns the text in lines that are no wider than `room`, broken at spaces.
pub(crate) fn wrap(text: &str, face: Face, em: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), face, em) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, face, em, room)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_are_readable() {
        assert_eq!(register(), Ok(()));
    }

    #[test]
    fn monospaced_letters_have_the_stated_advance() {
        let measured = width("CSSCC", Face::Mono, 10.0);
        assert!(
            (measured - 5.0 * 10.0 * MONO_ADVANCE_PER_EM).abs() < 0.1,
            "{measured}"
        );
    }

    #[test]
    fn fonts_hold_every_character_that_charts_print() {
        // A missing glyph has the width of the box that stands in for it.
        let missing = width("\u{4e00}", Face::Sans, 100.0);
        for character in "µ·×–−…→≤≥±²".chars() {
            let found = width(&character.to_string(), Face::Sans, 100.0);
            assert!((found - missing).abs() > 0.01, "{character}");
        }
    }

    #[test]
    fn fitting_shortens_only_what_is_too_wide() {
        assert_eq!(fit("CSSC", Face::Mono, 10.0, 100.0), "CSSC");
        let short = fit("CSSCCSSCCSSC", Face::Mono, 10.0, 40.0);
        assert_eq!(short, "CSSCC…");
        assert_eq!(fit("CSSC", Face::Mono, 10.0, 1.0), "");
        let long = fit(&"i\u{1b}".repeat(100_000), Face::Sans, 10.0, 100.0);
        assert!(
            long.starts_with("i\u{1b}i") && long.ends_with('…'),
            "{long}"
        );
        assert!(width(&long, Face::Sans, 10.0) <= 100.0);
    }

    #[test]
    fn wrapping_keeps_every_word_in_order() {
        let text = "12 splits are not drawn: 8 failed, 3 timeout, 1 oom";
        let lines = wrap(text, Face::Sans, 10.0, 100.0);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), text);
        assert!(
            lines
                .iter()
                .all(|line| width(line, Face::Sans, 10.0) <= 100.0)
        );
    }
}
