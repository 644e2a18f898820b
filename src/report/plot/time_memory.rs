//! Online time against peak memory: every split a dot, the front marked and labelled.

use std::collections::HashMap;

use plotters::style::RGBColor;

use super::axis::{Axis, Base, Room};
use super::font::{self, Face};
use super::labels::{self, Placed};
use super::listing::{Listing, figure};
use super::page::{
    Heading, MARGIN, PAGE_WIDTH, draw_footnotes, draw_placement, empty_page, footnote_height,
    placement_width,
};
use super::palette::{BLUE, GREY, INK, VERMILLION, blend, tint};
use super::scene::{Align, Area, Marker, Scene, Shape, Text};
use crate::choose::dominance::{Dominance, criteria, dominances};
use crate::core::units;
use crate::record::row::SplitRow;

/// Height of the panel.
const PANEL_HEIGHT: f64 = 500.0;
/// Room for the vertical axis.
const LEFT_AXIS: f64 = 72.0;
const AXIS_EM: f64 = 11.0;
const LABEL_EM: f64 = 11.5;
/// The widest label, so that long placements do not fill the panel.
const LABEL_WIDTH_AT_MOST: f64 = 180.0;

/// A split in the panel.
struct Point<'a> {
    row: &'a SplitRow,
    at: (f64, f64),
    colour: RGBColor,
}

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    // The page has no lines, so all splits are drawn however many they are.
    let both = |row: &SplitRow| time_and_memory(row).map(|(online_s, _)| online_s);
    let listing = Listing::unlimited(rows, both);
    let subtitle = format!(
        "Down and to the left is better; ringed is the front, which no split beats at once in {}",
        units::listed(&criteria(rows))
    );
    let heading = Heading::new(rows, "time and memory", &subtitle, Vec::new());
    let figures: Vec<(f64, f64)> = listing
        .drawn
        .iter()
        .filter_map(|row| time_and_memory(row))
        .collect();
    if figures.is_empty() {
        return empty_page(&heading, rows, &listing.footnotes);
    }

    let panel = panel_below(&heading);
    let (time, memory) = axes(&figures, &panel);
    let most_layers = listing
        .drawn
        .iter()
        .map(|row| server_layers(row))
        .max()
        .unwrap_or(0);
    let points: Vec<Point> = listing
        .drawn
        .iter()
        .zip(&figures)
        .map(|(&row, &(online_s, bytes))| Point {
            row,
            at: (time.x(&panel, online_s), memory.0.y(&panel, bytes)),
            colour: layer_colour(server_layers(row), most_layers),
        })
        .collect();
    let [front, giving_all] = dominance(rows, &points, [Dominance::Front, Dominance::GivesAllAway]);
    let without_server = giving_all
        .iter()
        .filter(|point| server_layers(point.row) == 0);
    let labelled: Vec<&Point> = front.iter().chain(without_server).copied().collect();
    let placed = place_labels(&labelled, &points, &panel);

    let mut footnotes = listing.footnotes;
    footnotes.extend(unplaced_note(&labelled[..front.len()], &placed));
    footnotes.extend(all_given_note(&giving_all));
    let mut scene = Scene::new(PAGE_WIDTH, page_height(&panel, &footnotes));
    heading.draw(&mut scene);
    draw_colour_key(&mut scene, heading.height() + 8.0, most_layers);
    draw_axes(&mut scene, &panel, &time, &memory);
    draw_points(&mut scene, &points, &front);
    draw_labels(&mut scene, &labelled, &placed);
    draw_footnotes(&mut scene, &footnotes);
    scene
}

fn panel_below(heading: &Heading) -> Area {
    let top = heading.height() + 34.0;
    Area {
        left: MARGIN + LEFT_AXIS,
        top,
        right: PAGE_WIDTH - MARGIN - 12.0,
        bottom: top + PANEL_HEIGHT,
    }
}

fn page_height(panel: &Area, footnotes: &[String]) -> f64 {
    let notes_gap = if footnotes.is_empty() { 0.0 } else { 8.0 };
    let height = panel.bottom + 44.0 + notes_gap + footnote_height(footnotes) + MARGIN * 0.7;
    height.ceil()
}

/// Returns the points that stand each of the wanted ways among all rows.
fn dominance<'a, 'b>(
    rows: &[SplitRow],
    points: &'a [Point<'b>],
    wanted: [Dominance; 2],
) -> [Vec<&'a Point<'b>>; 2] {
    let dominance_of: HashMap<*const SplitRow, Dominance> = rows
        .iter()
        .map(std::ptr::from_ref)
        .zip(dominances(rows))
        .collect();
    wanted.map(|wanted| {
        let stands = |point: &&Point| dominance_of[&std::ptr::from_ref(point.row)] == wanted;
        points.iter().filter(stands).collect()
    })
}

/// Both figures; a time of zero has no place on a logarithmic axis.
fn time_and_memory(row: &SplitRow) -> Option<(f64, f64)> {
    let online_s = figure(row.online_s_median).filter(|&online_s| online_s > 0.0)?;
    Some((online_s, row.peak_rss_bytes? as f64))
}

fn server_layers(row: &SplitRow) -> usize {
    row.placement.matches('S').count()
}

/// From the client's colour to the server's.
fn layer_colour(layers: usize, most: usize) -> RGBColor {
    blend(BLUE, VERMILLION, layers as f64 / most.max(1) as f64)
}

/// The axis of time, and the axis of memory with its unit.
fn axes(figures: &[(f64, f64)], panel: &Area) -> (Axis, (Axis, &'static str)) {
    let range = |values: &dyn Fn(&(f64, f64)) -> f64| {
        figures
            .iter()
            .map(values)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            })
    };
    let (fastest_s, slowest_s) = range(&|&(online_s, _)| online_s);
    let time = Axis::logarithmic(
        fastest_s,
        slowest_s,
        Base::Decimal,
        Room::below(panel, AXIS_EM),
        units::seconds_tick,
    );
    let (smallest, largest) = range(&|&(_, bytes)| bytes);
    let (unit_bytes, unit) = units::byte_unit(largest);
    // Zero belongs on the axis unless all figures lie far from it.
    let low = if smallest > 0.6 * largest {
        (smallest - 0.5 * (largest - smallest)) * 0.99
    } else {
        0.0
    };
    let high = largest + 0.06 * (largest - low);
    let memory = Axis::linear(low, high, unit_bytes, Room::left_of(panel, AXIS_EM));
    (time, (memory, unit))
}

fn draw_axes(scene: &mut Scene, panel: &Area, time: &Axis, memory: &(Axis, &str)) {
    time.draw_below(
        scene,
        panel,
        "online time, median, logarithmic",
        AXIS_EM,
        false,
    );
    let (axis, unit) = memory;
    axis.draw_left(
        scene,
        panel,
        &format!("peak resident memory ({unit})"),
        AXIS_EM,
    );
}

/// Draws which colour means how many layers on the server.
fn draw_colour_key(scene: &mut Scene, y: f64, most: usize) {
    let words = "layers on the server:";
    scene.text(Text::new(words, (MARGIN, y), AXIS_EM, Align::Left, GREY).centred_at(y));
    let mut x = MARGIN + font::width(words, Face::Sans, AXIS_EM) + 18.0;
    // Long models skip counts rather than fill the page.
    for layers in (0..=most).step_by(most / 12 + 1) {
        scene.marker(Marker::Dot, (x, y), 5.0, layer_colour(layers, most));
        let count = layers.to_string();
        x += 10.0;
        scene.text(Text::new(&count, (x, y), AXIS_EM, Align::Left, INK).centred_at(y));
        x += font::width(&count, Face::Sans, AXIS_EM) + 18.0;
    }
    scene.marker(Marker::Ring, (x + 4.0, y), 6.0, INK);
    let words = "front";
    scene.text(Text::new(words, (x + 16.0, y), AXIS_EM, Align::Left, INK).centred_at(y));
}

/// Draws the muted points, then those of the front.
fn draw_points(scene: &mut Scene, points: &[Point], front: &[&Point]) {
    for point in points {
        let (centre, radius) = (point.at, 3.4);
        scene.shapes.push(Shape::Disc {
            centre,
            radius,
            colour: tint(point.colour, 0.35),
        });
        scene.ring(centre, radius, 0.8, tint(point.colour, 0.8));
    }
    for point in front {
        scene.marker(Marker::Dot, point.at, 5.4, point.colour);
        scene.ring(point.at, 6.0, 2.0, INK);
    }
}

fn place_labels(labelled: &[&Point], points: &[Point], panel: &Area) -> Vec<Option<Placed>> {
    let at: Vec<(f64, f64)> = labelled.iter().map(|point| point.at).collect();
    let sizes: Vec<(f64, f64)> = labelled
        .iter()
        .map(|point| (placement_width(&label(point), LABEL_EM), LABEL_EM * 1.1))
        .collect();
    let avoided: Vec<(f64, f64)> = points.iter().map(|point| point.at).collect();
    let frame = Area {
        left: panel.left + 3.0,
        top: panel.top - 12.0,
        right: panel.right + 12.0,
        bottom: panel.bottom - 3.0,
    };
    labels::place(&at, &sizes, &avoided, frame)
}

fn label(point: &Point) -> String {
    font::fit(
        &point.row.placement,
        Face::Mono,
        LABEL_EM,
        LABEL_WIDTH_AT_MOST,
    )
}

fn draw_labels(scene: &mut Scene, labelled: &[&Point], placed: &[Option<Placed>]) {
    for (point, placed) in labelled.iter().zip(placed) {
        let Some(Placed { area, leader }) = placed else {
            continue;
        };
        if let Some((from, to)) = leader {
            scene.line(*from, *to, 0.7, GREY);
        }
        scene.bar(*area, tint(INK, 0.0));
        draw_placement(
            scene,
            &label(point),
            area.left,
            (area.top + area.bottom) / 2.0,
            LABEL_EM,
            INK,
        );
    }
}

/// Names the splits on the front that found no room for a label.
fn unplaced_note(labelled: &[&Point], placed: &[Option<Placed>]) -> Option<String> {
    let names: Vec<&str> = labelled
        .iter()
        .zip(placed)
        .filter(|(_, placed)| placed.is_none())
        .map(|(point, _)| point.row.placement.as_str())
        .collect();
    (!names.is_empty()).then(|| format!("On the front without a label: {}.", names.join(", ")))
}

/// Says what the splits are drawn for that give the whole model away.
fn all_given_note(giving_all: &[&Point]) -> Option<String> {
    (!giving_all.is_empty()).then(|| {
        "Splits that are known to give the whole model away are drawn for comparison; they are on no front."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{finished, sweep};

    fn at(placement: &str, online_s: f64, mebibytes: u64) -> SplitRow {
        SplitRow {
            online_s_median: Some(online_s),
            peak_rss_bytes: Some(mebibytes << 20),
            client_peak_rss_bytes: Some(mebibytes << 20),
            upload_bytes: Some(1000),
            download_bytes: Some(1000),
            evaluation_key_bytes: Some(0),
            ..finished(placement)
        }
    }

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn only_the_front_and_the_split_without_server_are_labelled() {
        let scene = chart(&[
            at("CC", 0.1, 90),
            at("CS", 1.0, 400),
            at("SC", 2.0, 950),
            at("SS", 3.0, 100),
        ]);
        let labelled = ["CC", "CS", "SC", "SS"].map(|placement| scene.says(placement));
        assert_eq!(labelled, [true, true, false, true]);
        scene.assert_texts_are_apart();
    }

    #[test]
    fn a_crowded_front_is_labelled_or_listed_in_full() {
        let rows: Vec<SplitRow> = (0..60)
            .map(|index| {
                at(
                    &format!("{index:08b}").replace('0', "C").replace('1', "S"),
                    1.0 + 0.001 * f64::from(index),
                    900 - index as u64,
                )
            })
            .collect();
        let scene = chart(&rows);
        scene.assert_texts_are_apart();
        let all = rows.iter().all(|row| scene.says(&row.placement));
        assert!(all);
    }

    #[test]
    fn one_figure_is_not_enough_for_a_point() {
        let rows = [
            SplitRow {
                peak_rss_bytes: None,
                ..finished("CS")
            },
            SplitRow {
                online_s_median: Some(0.0),
                ..finished("CC")
            },
        ];
        assert!(chart(&rows).says("no finished splits"));
    }
}
