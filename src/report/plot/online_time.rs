//! Online time per split: phases stacked on a linear axis, totals as dots on a logarithmic one.
//!
//! Lengths of stacked bars add up on a linear axis only, and splits that differ by orders of
//! magnitude can be told apart on a logarithmic one only; so the chart has both.

use plotters::style::RGBColor;

use super::axis::{Axis, Base};
use super::listing::{Listing, figure};
use super::page::{Heading, Key, empty_page};
use super::palette::{BLUE, GREEN, INK, PALE, PURPLE, SKY, VERMILLION};
use super::scene::{Area, Marker, Scene};
use super::sheet::{Sheet, widest_figure};
use crate::core::units;
use crate::record::row::SplitRow;

/// The linear panel's fraction of a column.
const LINEAR_FRACTION: f64 = 0.62;
/// White space between the two panels.
const PANEL_GAP: f64 = 16.0;
/// Phases are said not to add up from this fraction of the total on.
const REST_FROM: f64 = 0.005;

/// The two axes and where a column has their panels.
struct Axes {
    linear: Axis,
    linear_title: String,
    /// `None` where no time is above zero.
    log: Option<Axis>,
    /// Room for figures at the ends of bars.
    figure_room: f64,
}

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    let mut listing = Listing::new(rows, |row| figure(row.online_s_median));
    let has_rest = listing.drawn.iter().any(|row| rest_s(row) > 0.0);
    let heading = heading(rows, has_rest);
    if listing.drawn.is_empty() {
        return empty_page(&heading, rows, &listing.footnotes);
    }
    listing.footnotes.push(
        "Bars stack the median of each phase; these need not add up to the median of the total, which the \
         printed figure and the dot show."
            .to_owned(),
    );

    let mut sheet = Sheet::new(&heading, &listing);
    let axes = Axes::new(&listing.drawn, &sheet);
    sheet.draw_axis(
        &axes.linear,
        |panel| axes.linear_panel(panel),
        &axes.linear_title,
    );
    if let Some(log) = &axes.log {
        let title = if sheet.density.is_roomy() {
            "total, logarithmic"
        } else {
            "logarithmic"
        };
        sheet.draw_axis(log, log_panel, title);
    }
    sheet.draw_guides(log_panel);
    let density = sheet.density;
    for column in &sheet.columns {
        let linear_panel = axes.linear_panel(&column.panel);
        let log_panel = log_panel(&column.panel);
        for &(row, y) in &column.lines {
            let end = draw_stack(
                &mut sheet.scene,
                &axes.linear,
                &linear_panel,
                row,
                y,
                density.half_bar(),
            );
            let total_s = row.online_s_median.unwrap_or_default();
            Sheet::figure(
                &mut sheet.scene,
                density,
                &units::seconds(total_s),
                end + 5.0,
                y,
            );
            if let Some(log) = axes.log.as_ref().filter(|_| total_s > 0.0) {
                let x = log.x(&log_panel, total_s);
                sheet
                    .scene
                    .marker(Marker::Dot, (x, y), density.radius(), INK);
            }
        }
    }
    sheet.finish()
}

impl Axes {
    /// Returns axes that cover all totals and all stacks.
    fn new(rows: &[&SplitRow], sheet: &Sheet) -> Self {
        let totals_s: Vec<f64> = rows.iter().filter_map(|row| row.online_s_median).collect();
        let slowest_s = totals_s.iter().copied().fold(0.0, f64::max);
        let fastest_s = totals_s
            .iter()
            .copied()
            .filter(|&total_s| total_s > 0.0)
            .fold(slowest_s, f64::min);
        let longest_s = rows
            .iter()
            .map(|row| stacked_s(row))
            .fold(slowest_s, f64::max);
        let figure_room = widest_figure(
            sheet.density,
            totals_s.iter().map(|&total_s| units::seconds(total_s)),
        ) + 8.0;

        let (unit_s, unit) = units::time_unit(longest_s);
        let linear_room = sheet.room(|panel| linear_panel(panel, figure_room));
        let linear = Axis::linear(0.0, longest_s, unit_s, linear_room);
        let log = (slowest_s > 0.0).then(|| {
            let room = sheet.room(log_panel);
            Axis::logarithmic(
                fastest_s,
                slowest_s,
                Base::Decimal,
                room,
                units::seconds_tick,
            )
        });
        let linear_title = if sheet.density.is_roomy() {
            format!("online time by phase ({unit}), linear")
        } else {
            format!("{unit}, linear")
        };
        Axes {
            linear,
            linear_title,
            log,
            figure_room,
        }
    }

    fn linear_panel(&self, panel: &Area) -> Area {
        linear_panel(panel, self.figure_room)
    }
}

fn heading(rows: &[SplitRow], has_rest: bool) -> Heading {
    let bar = |label, colour| Key {
        label,
        marker: Marker::Bar,
        colour,
    };
    let mut legend: Vec<Key> = PHASES
        .iter()
        .map(|&(label, colour, _)| bar(label, colour))
        .collect();
    if has_rest {
        legend.push(bar("not attributed", PALE));
    }
    legend.extend([
        Key {
            label: "total",
            marker: Marker::Dot,
            colour: INK,
        },
        Key::SERVER_LETTER,
    ]);
    Heading::new(
        rows,
        "online time",
        "Median time of one inference, fastest split first",
        legend,
    )
}

/// The phases in the order of an inference: name, colour, time.
type Phase = (&'static str, RGBColor, fn(&SplitRow) -> Option<f64>);
const PHASES: [Phase; 5] = [
    ("client compute", BLUE, |row| row.client_compute_s_median),
    ("encrypt", SKY, |row| row.encrypt_s_median),
    ("serialise, deserialise", PURPLE, wire_s),
    ("server compute", VERMILLION, |row| {
        row.server_compute_s_median
    }),
    ("decrypt", GREEN, |row| row.decrypt_s_median),
];

/// Both directions of serialisation; a missing one counts as unknown, not as zero.
fn wire_s(row: &SplitRow) -> Option<f64> {
    match (row.serialise_s_median, row.deserialise_s_median) {
        (Some(there), Some(back)) => Some(there + back),
        (there, back) => there.or(back),
    }
}

fn phases_s(row: &SplitRow) -> f64 {
    PHASES
        .iter()
        .filter_map(|(_, _, phase_s)| figure(phase_s(row)))
        .sum()
}

/// The part of the total that no phase explains, 0 where it is negligible.
fn rest_s(row: &SplitRow) -> f64 {
    let total_s = row.online_s_median.unwrap_or_default();
    let rest_s = total_s - phases_s(row);
    if rest_s > REST_FROM * total_s {
        rest_s
    } else {
        0.0
    }
}

fn stacked_s(row: &SplitRow) -> f64 {
    phases_s(row) + rest_s(row)
}

/// The left part of a column; it leaves room for figures at the ends of its bars.
fn linear_panel(panel: &Area, figure_room: f64) -> Area {
    Area {
        right: panel.left + panel.width() * LINEAR_FRACTION - figure_room,
        ..*panel
    }
}

/// The right part of a column.
fn log_panel(panel: &Area) -> Area {
    Area {
        left: panel.left + panel.width() * LINEAR_FRACTION + PANEL_GAP,
        right: panel.right - 8.0,
        ..*panel
    }
}

/// Draws the phases of a split end to end and returns where the last one ends.
fn draw_stack(
    scene: &mut Scene,
    axis: &Axis,
    panel: &Area,
    row: &SplitRow,
    y: f64,
    half: f64,
) -> f64 {
    let phases = PHASES
        .iter()
        .filter_map(|&(_, colour, phase_s)| Some((figure(phase_s(row))?, colour)));
    let mut start_s = 0.0;
    for (phase_s, colour) in phases.chain([(rest_s(row), PALE)]) {
        let (left, right) = (axis.x(panel, start_s), axis.x(panel, start_s + phase_s));
        if right > left {
            scene.bar(
                Area {
                    left,
                    top: y - half,
                    right,
                    bottom: y + half,
                },
                colour,
            );
        }
        start_s += phase_s;
    }
    axis.x(panel, start_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{finished, row, sweep};
    use crate::report::plot::scene::Shape;

    fn bars(scene: &Scene, wanted: RGBColor) -> Vec<Area> {
        let bars = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Bar { area, colour } if *colour == wanted => Some(*area),
            _ => None,
        });
        bars.collect()
    }

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn bar_lengths_are_proportional_to_times() {
        let timed = |placement, server_s| SplitRow {
            online_s_median: Some(server_s),
            server_compute_s_median: Some(server_s),
            ..row(placement, "ok")
        };
        let scene = chart(&[timed("SC", 1.0), timed("SS", 3.0)]);
        let lengths: Vec<f64> = bars(&scene, VERMILLION)
            .iter()
            .map(|bar| bar.width())
            .filter(|&width| width > 20.0)
            .collect();
        assert_eq!(lengths.len(), 2);
        assert!((lengths[1] / lengths[0] - 3.0).abs() < 1e-9, "{lengths:?}");
    }

    #[test]
    fn time_that_no_phase_explains_is_shown() {
        let bare = SplitRow {
            online_s_median: Some(1.0),
            ..row("CS", "ok")
        };
        assert!(chart(std::slice::from_ref(&bare)).says("not attributed"));
        assert!(!chart(&[finished("CS")]).says("not attributed"));
        assert_eq!(
            rest_s(&SplitRow {
                encrypt_s_median: Some(0.25),
                ..bare
            }),
            0.75
        );
    }

    #[test]
    fn figures_stand_beside_the_bars_and_status_words_instead_of_them() {
        let slow = SplitRow {
            online_s_median: Some(1.24),
            ..finished("SS")
        };
        let scene = chart(&[slow, row("SC", "oom")]);
        assert!(scene.says("1.24 s") && scene.says("oom"));
    }

    #[test]
    fn a_time_of_zero_has_no_dot_and_does_not_panic() {
        let zero = SplitRow {
            online_s_median: Some(0.0),
            ..row("CC", "ok")
        };
        assert!(chart(&[zero]).says("0 s"));
    }
}
