//! Online time against peak memory: every split a dot, the front marked and labelled.

use super::axis::{Axis, Room};
use super::listing::{Listing, figure};
use super::page::{Heading, PAGE_WIDTH, draw_footnotes, empty_page};
use super::scatter::{
    AXIS_EM, Point, all_given_note, dominance, draw_colour_key, draw_labels, draw_points,
    draw_time_axis, ends, layer_colour, most_server_layers, page_height, panel_below, place_labels,
    server_layers, time_axis, unplaced_note,
};
use super::scene::{Area, Scene};
use crate::choose::dominance::{Dominance, criteria};
use crate::core::units;
use crate::record::row::SplitRow;

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

    let panel = panel_below(&heading, 1);
    let time = time_axis(figures.iter().map(|&(online_s, _)| online_s), &panel);
    let (memory, unit) = memory_axis(figures.iter().map(|&(_, bytes)| bytes), &panel);
    let most_layers = most_server_layers(&listing.drawn);
    let points: Vec<Point> = listing
        .drawn
        .iter()
        .zip(&figures)
        .map(|(&row, &(online_s, bytes))| Point {
            row,
            at: (time.x(&panel, online_s), memory.y(&panel, bytes)),
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
    draw_time_axis(&mut scene, &panel, &time);
    let title = format!("peak resident memory ({unit})");
    memory.draw_left(&mut scene, &panel, &title, AXIS_EM);
    draw_points(&mut scene, &points, &front);
    draw_labels(&mut scene, &labelled, &placed);
    draw_footnotes(&mut scene, &footnotes);
    scene
}

/// Both figures; a time of zero has no place on a logarithmic axis.
fn time_and_memory(row: &SplitRow) -> Option<(f64, f64)> {
    let online_s = figure(row.online_s_median).filter(|&online_s| online_s > 0.0)?;
    Some((online_s, row.peak_rss_bytes? as f64))
}

/// The axis of memory, and its unit.
fn memory_axis(bytes: impl Iterator<Item = f64>, panel: &Area) -> (Axis, &'static str) {
    let (smallest, largest) = ends(bytes);
    let (unit_bytes, unit) = units::byte_unit(largest);
    // Zero belongs on the axis unless all figures lie far from it.
    let low = if smallest > 0.6 * largest {
        (smallest - 0.5 * (largest - smallest)) * 0.99
    } else {
        0.0
    };
    let high = largest + 0.06 * (largest - low);
    let axis = Axis::linear(low, high, unit_bytes, Room::left_of(panel, AXIS_EM));
    (axis, unit)
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
