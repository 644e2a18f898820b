//! Peak resident memory per split: bars from zero.

use super::axis::Axis;
use super::listing::Listing;
use super::page::{Heading, Key, empty_page};
use super::palette::BLUE;
use super::scene::{Area, Scene};
use super::sheet::{Sheet, widest_figure};
use crate::core::units;
use crate::record::row::SplitRow;

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    let listing = Listing::new(rows, |row| row.peak_rss_bytes.map(|bytes| bytes as f64));
    let heading = Heading::new(
        rows,
        "peak memory",
        "Peak resident memory of one run, smallest first",
        vec![Key::SERVER_LETTER],
    );
    let figures = || listing.drawn.iter().filter_map(|row| row.peak_rss_bytes);
    let Some(largest_bytes) = figures().max() else {
        return empty_page(&heading, rows, &listing.footnotes);
    };

    let mut sheet = Sheet::new(&heading, &listing);
    let density = sheet.density;
    let figure_room = widest_figure(density, figures().map(units::bytes)) + 8.0;
    let free = |panel: &Area| Area {
        right: panel.right - figure_room,
        ..*panel
    };
    let (unit_bytes, unit) = units::byte_unit(largest_bytes as f64);
    let axis = Axis::linear(0.0, largest_bytes as f64, unit_bytes, sheet.room(free));
    let title = format!("peak resident memory ({unit})");

    sheet.draw_axis(&axis, free, &title);
    for column in &sheet.columns {
        for &(row, y) in &column.lines {
            let bytes = row.peak_rss_bytes.unwrap_or_default();
            let panel = free(&column.panel);
            let end = axis.x(&panel, bytes as f64);
            let half = density.half_bar();
            sheet.scene.bar(
                Area {
                    left: panel.left,
                    top: y - half,
                    right: end,
                    bottom: y + half,
                },
                BLUE,
            );
            Sheet::figure(
                &mut sheet.scene,
                density,
                &units::bytes(bytes),
                end + 5.0,
                y,
            );
        }
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{row, sweep};

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn splits_without_a_figure_say_so() {
        let known = SplitRow {
            peak_rss_bytes: Some(3 << 29),
            ..row("CS", "ok")
        };
        let scene = chart(&[row("SC", "ok"), known]);
        assert!(scene.says("no data") && scene.says("1.50 GiB") && scene.says("(GiB)"));
        assert!(chart(&[row("SC", "ok")]).says("no finished splits"));
    }
}
