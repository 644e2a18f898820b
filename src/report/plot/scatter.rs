//! What charts of splits as dots over their online time share: the panel, the colours, the front with its
//! labels, the notes.

use std::collections::HashMap;

use plotters::style::RGBColor;

use super::axis::{Axis, Base, Room};
use super::font::{self, Face};
use super::labels::{self, Placed};
use super::page::{Heading, MARGIN, PAGE_WIDTH, draw_placement, footnote_height, placement_width};
use super::palette::{BLUE, GREY, INK, VERMILLION, blend, tint};
use super::scene::{Align, Area, Marker, Scene, Shape, Text};
use crate::choose::dominance::{Dominance, dominances};
use crate::core::units;
use crate::record::row::SplitRow;

/// Size of what stands at axes and in keys.
pub(crate) const AXIS_EM: f64 = 11.0;
/// Height of a line of a key.
pub(crate) const KEY_PITCH: f64 = 18.0;

/// Height of the panel.
const PANEL_HEIGHT: f64 = 500.0;
/// Room for the vertical axis.
const LEFT_AXIS: f64 = 72.0;
const LABEL_EM: f64 = 11.5;
/// The widest label, so that long placements do not fill the panel.
const LABEL_WIDTH_AT_MOST: f64 = 180.0;

/// A split in the panel.
pub(crate) struct Point<'a> {
    pub(crate) row: &'a SplitRow,
    pub(crate) at: (f64, f64),
    pub(crate) colour: RGBColor,
}

/// Returns the panel below a heading and so many lines of keys.
pub(crate) fn panel_below(heading: &Heading, key_lines: usize) -> Area {
    let top = heading.height() + 16.0 + key_lines as f64 * KEY_PITCH;
    Area {
        left: MARGIN + LEFT_AXIS,
        top,
        right: PAGE_WIDTH - MARGIN - 12.0,
        bottom: top + PANEL_HEIGHT,
    }
}

/// Returns the height of a page that ends with these notes.
pub(crate) fn page_height(panel: &Area, footnotes: &[String]) -> f64 {
    let notes_gap = if footnotes.is_empty() { 0.0 } else { 8.0 };
    let height = panel.bottom + 44.0 + notes_gap + footnote_height(footnotes) + MARGIN * 0.7;
    height.ceil()
}

/// Returns the points that stand each of the wanted ways among all rows.
pub(crate) fn dominance<'a, 'b>(
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

/// Returns how many layers the server runs.
pub(crate) fn server_layers(row: &SplitRow) -> usize {
    row.placement.matches('S').count()
}

/// Returns the most layers that the server runs in any split.
pub(crate) fn most_server_layers(rows: &[&SplitRow]) -> usize {
    rows.iter().map(|row| server_layers(row)).max().unwrap_or(0)
}

/// Returns a colour from the client's to the server's.
pub(crate) fn layer_colour(layers: usize, most: usize) -> RGBColor {
    blend(BLUE, VERMILLION, layers as f64 / most.max(1) as f64)
}

/// Returns the axis of online times, all above zero.
pub(crate) fn time_axis(times_s: impl Iterator<Item = f64>, panel: &Area) -> Axis {
    let (fastest_s, slowest_s) = ends(times_s);
    let room = Room::below(panel, AXIS_EM);
    Axis::logarithmic(
        fastest_s,
        slowest_s,
        Base::Decimal,
        room,
        units::seconds_tick,
    )
}

/// Draws the axis of online times.
pub(crate) fn draw_time_axis(scene: &mut Scene, panel: &Area, time: &Axis) {
    let title = "online time, median, logarithmic";
    time.draw_below(scene, panel, title, AXIS_EM, false);
}

/// Returns the least and the most of figures, none of them below zero.
pub(crate) fn ends(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    figures.fold((f64::INFINITY, 0.0), |(low, high), figure| {
        (low.min(figure), high.max(figure))
    })
}

/// Draws which colour means how many layers on the server.
pub(crate) fn draw_colour_key(scene: &mut Scene, y: f64, most: usize) {
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
pub(crate) fn draw_points(scene: &mut Scene, points: &[Point], front: &[&Point]) {
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

/// Returns a place for the label of each of these points, where there is one.
pub(crate) fn place_labels(
    labelled: &[&Point],
    points: &[Point],
    panel: &Area,
) -> Vec<Option<Placed>> {
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

/// Draws the labels that have a place.
pub(crate) fn draw_labels(scene: &mut Scene, labelled: &[&Point], placed: &[Option<Placed>]) {
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
pub(crate) fn unplaced_note(labelled: &[&Point], placed: &[Option<Placed>]) -> Option<String> {
    let names: Vec<&str> = labelled
        .iter()
        .zip(placed)
        .filter(|(_, placed)| placed.is_none())
        .map(|(point, _)| point.row.placement.as_str())
        .collect();
    (!names.is_empty()).then(|| format!("On the front without a label: {}.", names.join(", ")))
}

/// Says what the splits are drawn for that give the whole model away.
pub(crate) fn all_given_note(giving_all: &[&Point]) -> Option<String> {
    (!giving_all.is_empty()).then(|| {
        "Splits that are known to give the whole model away are drawn for comparison; they are on no front."
            .to_owned()
    })
}
