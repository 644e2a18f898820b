//! Online time against how far copies agree with the server: every split a dot, below it what the same images
//! teach without the server, the front marked and labelled.

use plotters::style::RGBColor;

use super::axis::{Axis, Room};
use super::font::{self, Face};
use super::listing::{Listing, figure};
use super::page::{Heading, MARGIN, PAGE_WIDTH, draw_footnotes, empty_page};
use super::palette::{GREY, INK, PALE, tint};
use super::scatter::{
    AXIS_EM, KEY_PITCH, Point, all_given_note, dominance, draw_colour_key, draw_labels,
    draw_points, draw_time_axis, ends, layer_colour, most_server_layers, page_height, panel_below,
    place_labels, server_layers, time_axis, unplaced_note,
};
use super::scene::{Align, Area, Scene, Text};
use crate::choose::dominance::{Dominance, criteria};
use crate::core::units;
use crate::record::copy::{Agreement, WHOLE_MODEL};
use crate::record::row::SplitRow;

/// Half the width of the mark of what images teach without the server.
const HALF_MARK: f64 = 4.5;
/// Dashes of the line from which on a copy counts as the whole model, and the gaps between them.
const DASH: f64 = 6.0;
/// A thin [`SKY`](super::palette::SKY), behind all else.
const CEILING: RGBColor = RGBColor(221, 240, 251);
/// Up to here splits of unknown copies are drawn as lines and named.
const LINES_UP_TO: usize = 24;
/// Up to here what images teach is joined to its dot; of more splits the lines would hide all else.
const JOINED_UP_TO: usize = 64;

/// A split in the panel.
struct Figures<'a> {
    row: &'a SplitRow,
    online_s: f64,
    copies: Agreement,
}

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    // The page has no lines, so all splits are drawn however many they are.
    let listing = Listing::unlimited(rows, time_s);
    let heading = heading(rows);
    let drawn = || listing.drawn.iter().copied();
    let figures: Vec<Figures> = drawn().filter_map(known).collect();
    if figures.is_empty() {
        return empty_page(&heading, rows, &listing.footnotes);
    }

    let open: Vec<&SplitRow> = drawn().filter(|row| row.copies.is_none()).collect();
    let panel = panel_below(&heading, 2);
    let time = time_axis(drawn().filter_map(time_s), &panel);
    let agreement = agreement_axis(figures.iter().map(|figures| &figures.copies), &panel);
    let most_layers = most_server_layers(&listing.drawn);
    let points = points(&figures, most_layers, |online_s, copy| {
        (time.x(&panel, online_s), agreement.y(&panel, copy))
    });
    let [front, giving_all] = dominance(rows, &points, [Dominance::Front, Dominance::GivesAllAway]);
    let without_server = giving_all
        .iter()
        .filter(|point| server_layers(point.row) == 0);
    let labelled: Vec<&Point> = front.iter().chain(without_server).copied().collect();
    let placed = place_labels(&labelled, &points, &panel);

    let mut footnotes = listing.footnotes;
    footnotes.extend(open_note(&open));
    footnotes.extend(unplaced_note(&labelled[..front.len()], &placed));
    footnotes.extend(all_given_note(&giving_all));
    let mut scene = Scene::new(PAGE_WIDTH, page_height(&panel, &footnotes));
    heading.draw(&mut scene);
    let key_y = heading.height() + 8.0;
    draw_colour_key(&mut scene, key_y, most_layers);
    draw_mark_key(&mut scene, key_y + KEY_PITCH);
    draw_ceiling(&mut scene, &panel, &agreement, &figures);
    draw_time_axis(&mut scene, &panel, &time);
    agreement.draw_left(&mut scene, &panel, &title(&figures), AXIS_EM);
    draw_dashes(
        &mut scene,
        (panel.left, panel.right),
        agreement.y(&panel, WHOLE_MODEL),
    );
    draw_open(&mut scene, &panel, &time, &agreement, &open);
    draw_own(&mut scene, &panel, &agreement, &points, &figures);
    draw_points(&mut scene, &points, &front);
    draw_labels(&mut scene, &labelled, &placed);
    draw_footnotes(&mut scene, &footnotes);
    scene
}

fn points<'a>(
    figures: &[Figures<'a>],
    most_layers: usize,
    at: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<Point<'a>> {
    let point = |figures: &Figures<'a>| Point {
        row: figures.row,
        at: at(figures.online_s, figures.copies.copy),
        colour: layer_colour(server_layers(figures.row), most_layers),
    };
    figures.iter().map(point).collect()
}

fn heading(rows: &[SplitRow]) -> Heading {
    let subtitle = format!(
        "Down and to the left is better; ringed is the front, which no split beats at once in {}",
        units::listed(&criteria(rows))
    );
    Heading::new(rows, "time and copies", &subtitle, Vec::new())
}

/// The title of the axis, which says after how many queries.
fn title(figures: &[Figures<'_>]) -> String {
    let queries = figures.first().map_or(0, |figures| figures.copies.queries);
    let queries = units::grouped(queries);
    format!("labels of copies after {queries} queries that are the server's (%)")
}

/// Both figures of a split where they are known.
fn known(row: &SplitRow) -> Option<Figures<'_>> {
    Some(Figures {
        row,
        online_s: time_s(row)?,
        copies: row.copies?,
    })
}

/// A time of zero has no place on a logarithmic axis.
fn time_s(row: &SplitRow) -> Option<f64> {
    figure(row.online_s_median).filter(|&online_s| online_s > 0.0)
}

/// The axis down from all labels to a little below the least figure.
fn agreement_axis<'a>(copies: impl Iterator<Item = &'a Agreement>, panel: &Area) -> Axis {
    let figures = copies.flat_map(|copies| [Some(copies.copy), copies.own, copies.ceiling]);
    let (least, _) = ends(figures.flatten());
    // Never so near that a single image looks like much.
    let low = (least - 0.08 * (1.0 - least)).clamp(0.0, 0.95);
    let high = 1.0 + 0.03 * (1.0 - low);
    Axis::linear(low, high, 0.01, Room::left_of(panel, AXIS_EM))
}

/// Draws what the marks mean.
fn draw_mark_key(scene: &mut Scene, y: f64) {
    let mut x = MARGIN;
    let mut entry = |mark: fn(&mut Scene, f64, f64), words: &str| {
        mark(scene, x, y);
        x += 22.0;
        scene.text(Text::new(words, (x, y), AXIS_EM, Align::Left, INK).centred_at(y));
        x += font::width(words, Face::Sans, AXIS_EM) + 22.0;
    };
    entry(
        |scene, x, y| draw_mark(scene, (x + 8.0, y)),
        "what the same images teach without the server",
    );
    entry(
        |scene, x, y| scene.bar(band((x, x + 16.0), (y - 5.0, y + 5.0)), CEILING),
        "the server itself, with its noise",
    );
    let most = units::decimal(100.0 * WHOLE_MODEL, 0);
    entry(
        |scene, x, y| draw_dashes(scene, (x, x + 16.0), y),
        &format!("{most} %, from which on a copy counts as the whole model"),
    );
}

fn band((left, right): (f64, f64), (top, bottom): (f64, f64)) -> Area {
    Area {
        left,
        top,
        right,
        bottom,
    }
}

/// Draws the mark of what images teach without the server.
fn draw_mark(scene: &mut Scene, (x, y): (f64, f64)) {
    scene.line((x - HALF_MARK, y), (x + HALF_MARK, y), 1.6, GREY);
}

fn draw_dashes(scene: &mut Scene, (left, right): (f64, f64), y: f64) {
    let count = ((right - left) / (2.0 * DASH)).ceil() as usize;
    for dash in 0..count {
        let start = left + 2.0 * DASH * dash as f64;
        scene.line((start, y), ((start + DASH).min(right), y), 0.9, GREY);
    }
}

/// Draws between which agreements the server itself lies, split by split.
fn draw_ceiling(scene: &mut Scene, panel: &Area, agreement: &Axis, figures: &[Figures<'_>]) {
    let (least, most) = ends(figures.iter().filter_map(|figures| figures.copies.ceiling));
    if least <= most {
        // A band of no height would not be seen.
        let (top, bottom) = (agreement.y(panel, most), agreement.y(panel, least));
        scene.bar(
            band((panel.left, panel.right), (top - 1.0, bottom + 1.0)),
            CEILING,
        );
    }
}

/// Draws a line over all that they may agree in for each split whose copies are not known.
fn draw_open(scene: &mut Scene, panel: &Area, time: &Axis, agreement: &Axis, open: &[&SplitRow]) {
    if open.len() > LINES_UP_TO {
        return;
    }
    for online_s in open.iter().copied().filter_map(time_s) {
        let x = time.x(panel, online_s);
        let top = agreement.y(panel, 1.0);
        scene.line((x, top), (x, panel.bottom), 1.2, PALE);
        scene.line((x - HALF_MARK, top), (x + HALF_MARK, top), 1.2, PALE);
    }
}

/// Draws for each point what the same images teach without the server.
fn draw_own(
    scene: &mut Scene,
    panel: &Area,
    agreement: &Axis,
    points: &[Point],
    figures: &[Figures<'_>],
) {
    for (point, figures) in points.iter().zip(figures) {
        let Some(own) = figures.copies.own else {
            continue;
        };
        let y = agreement.y(panel, own);
        let (x, copy_y) = point.at;
        if points.len() <= JOINED_UP_TO {
            scene.line((x, copy_y), (x, y), 0.7, tint(point.colour, 0.35));
        }
        draw_mark(scene, (x, y));
    }
}

/// Says of which splits the copies are not known.
fn open_note(open: &[&SplitRow]) -> Option<String> {
    let names: Vec<&str> = open.iter().map(|row| row.placement.as_str()).collect();
    match names.len() {
        0 => None,
        1..=LINES_UP_TO => Some(format!(
            "Copies are not known of {}: a line stands for all that they may agree in.",
            units::listed(&names)
        )),
        count => Some(format!(
            "Copies are not known of {count} splits, which are not drawn."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{copied, finished, sweep};
    use crate::report::plot::palette::SKY;

    fn copied_sweep(layers: u32) -> Vec<SplitRow> {
        sweep(layers).into_iter().map(copied).collect()
    }

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&copied_sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn the_page_says_after_how_many_queries_and_what_the_marks_mean() {
        let scene = chart(&copied_sweep(3));
        for words in ["after 1,000 queries", "without the server", "99 %", "CCC"] {
            assert!(scene.says(words), "{words}");
        }
    }

    #[test]
    fn splits_of_unknown_copies_are_named_and_many_are_counted() {
        let mut rows = copied_sweep(3);
        rows[7].copies = None;
        assert!(chart(&rows).says("Copies are not known of SSS"));
        let mut rows = copied_sweep(6);
        rows[2..].iter_mut().for_each(|row| row.copies = None);
        let scene = chart(&rows);
        assert!(scene.says("Copies are not known of 56 splits"));
        scene.assert_texts_are_apart();
    }

    #[test]
    fn the_ceiling_is_a_thin_sky() {
        assert_eq!(CEILING, tint(SKY, 0.2));
    }

    #[test]
    fn without_copies_there_is_nothing_to_draw() {
        assert!(chart(&[finished("CS")]).says("no finished splits with this figure"));
    }
}
