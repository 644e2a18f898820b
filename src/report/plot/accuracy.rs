//! Accuracy per split: with the noise of encryption as a dot, without it as a ring.

use super::axis::Axis;
use super::listing::{Listing, figure};
use super::page::{Heading, Key, empty_page};
use super::palette::{GREY, PALE, VERMILLION};
use super::scene::{Area, Marker, Scene};
use super::sheet::{Sheet, widest_figure};
use crate::core::units;
use crate::record::row::SplitRow;

/// The axis spans at least this fraction, so that equal accuracies do not look far apart.
const SPAN_AT_LEAST: f64 = 0.01;

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    let listing = Listing::new(rows, |row| {
        figure(row.simulated_accuracy).map(|fraction| -fraction)
    });
    let heading = heading(rows);
    if listing.drawn.is_empty() {
        return empty_page(&heading, rows, &listing.footnotes);
    }

    let mut sheet = Sheet::new(&heading, &listing);
    let density = sheet.density;
    let simulated = || {
        listing
            .drawn
            .iter()
            .filter_map(|row| row.simulated_accuracy)
    };
    let figure_room = widest_figure(density, simulated().map(units::percent)) + 14.0;
    let free = |panel: &Area| Area {
        left: panel.left + 6.0,
        right: panel.right - figure_room,
        ..*panel
    };
    let (low, high) = span(&listing.drawn);
    let axis = Axis::linear(low, high, 0.01, sheet.room(free));

    sheet.draw_axis(&axis, free, "accuracy (%)");
    sheet.draw_guides(free);
    for column in &sheet.columns {
        let panel = free(&column.panel);
        for &(row, y) in &column.lines {
            let fraction = row.simulated_accuracy.unwrap_or_default();
            let x = axis.x(&panel, fraction);
            if let Some(noiseless) = figure(row.noiseless_accuracy) {
                let noiseless_x = axis.x(&panel, noiseless);
                sheet.scene.line((x, y), (noiseless_x, y), 1.4, PALE);
                sheet
                    .scene
                    .marker(Marker::Ring, (noiseless_x, y), density.radius() + 1.2, GREY);
            }
            sheet
                .scene
                .marker(Marker::Dot, (x, y), density.radius() - 0.6, VERMILLION);
            Sheet::figure(
                &mut sheet.scene,
                density,
                &units::percent(fraction),
                panel.right + 12.0,
                y,
            );
        }
    }
    sheet.finish()
}

fn heading(rows: &[SplitRow]) -> Heading {
    let legend = vec![
        Key {
            label: "simulated, with the noise of encryption",
            marker: Marker::Dot,
            colour: VERMILLION,
        },
        Key {
            label: "without noise",
            marker: Marker::Ring,
            colour: GREY,
        },
        Key::SERVER_LETTER,
    ];
    let subtitle = "Fraction of correct answers, best first; the axis is zoomed to the figures";
    Heading::new(rows, "accuracy", subtitle, legend)
}

/// The fractions that the axis covers: all figures, some white space, within 0 and 1.
fn span(rows: &[&SplitRow]) -> (f64, f64) {
    let fractions = rows.iter().flat_map(|row| {
        [
            figure(row.simulated_accuracy),
            figure(row.noiseless_accuracy),
        ]
    });
    let (low, high) = fractions.flatten().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(low, high), fraction| (low.min(fraction), high.max(fraction)),
    );
    let pad = ((high - low) * 0.06).max((SPAN_AT_LEAST - (high - low)) / 2.0);
    ((low - pad).max(0.0), (high + pad).min(high.max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{row, sweep};

    fn with_fractions(simulated: f64, noiseless: Option<f64>) -> SplitRow {
        SplitRow {
            simulated_accuracy: Some(simulated),
            noiseless_accuracy: noiseless,
            ..row("CS", "ok")
        }
    }

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn best_is_first() {
        let rows = [with_fractions(0.91, None), with_fractions(0.97, None)];
        let scene = chart(&rows);
        let texts = scene.texts();
        let y = |words: &str| {
            texts
                .iter()
                .find(|text| text.text == words)
                .map(|text| text.at.1)
        };
        assert!(y("97.0 %") < y("91.0 %"));
    }

    #[test]
    fn axis_covers_both_figures_and_stays_a_fraction() {
        let rows = [
            with_fractions(0.95, Some(0.999)),
            with_fractions(0.96, None),
        ];
        let (low, high) = span(&rows.iter().collect::<Vec<_>>());
        assert!(
            low < 0.95 && low > 0.9 && (0.999..=1.0).contains(&high),
            "{low} {high}"
        );
        let same = [with_fractions(0.5, Some(0.5))];
        let (low, high) = span(&same.iter().collect::<Vec<_>>());
        assert!((high - low - SPAN_AT_LEAST).abs() < 1e-12);
        let full = [with_fractions(1.0, Some(1.0))];
        assert_eq!(span(&full.iter().collect::<Vec<_>>()), (0.995, 1.0));
    }

    #[test]
    fn a_missing_ring_leaves_the_dot() {
        let scene = chart(&[with_fractions(0.9, None)]);
        assert!(scene.says("90.0 %"));
    }
}
