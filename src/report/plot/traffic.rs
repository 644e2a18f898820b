//! Bytes per split: upload, download and evaluation key as markers on a logarithmic axis.
//!
//! A logarithmic axis has no zero; figures of zero stand in a gutter at its left, and a split
//! that sends nothing says so.

use plotters::style::RGBColor;

use super::axis::{Axis, Base, Room};
use super::font::{self, Face};
use super::listing::Listing;
use super::page::{Heading, Key, empty_page};
use super::palette::{BLUE, FAINT, GREY, PURPLE, VERMILLION};
use super::scene::{Align, Area, Marker, Scene, Text};
use super::sheet::{Density, FIGURE_SIZE, Sheet, widest_figure, write_over_grid};
use crate::core::units;
use crate::record::row::SplitRow;

/// Width of the gutter for figures of zero, and where in it they stand.
const GUTTER: f64 = 30.0;
const ZERO_AT: f64 = 6.0;

/// One of the three figures of a split.
struct Series {
    label: &'static str,
    /// The heading of its column in the table.
    head: &'static str,
    marker: Marker,
    colour: RGBColor,
    /// How far above the line its marker stands, in radii: equal figures do not cover each other.
    lift: f64,
    bytes: fn(&SplitRow) -> Option<u64>,
}

static SERIES: [Series; 3] = [
    Series {
        label: "upload",
        head: "upload",
        marker: Marker::TriangleUp,
        colour: BLUE,
        lift: 0.35,
        bytes: |row| row.upload_bytes,
    },
    Series {
        label: "download",
        head: "download",
        marker: Marker::TriangleDown,
        colour: VERMILLION,
        lift: -0.35,
        bytes: |row| row.download_bytes,
    },
    Series {
        label: "evaluation key",
        head: "key",
        marker: Marker::Square,
        colour: PURPLE,
        lift: 0.0,
        bytes: |row| row.evaluation_key_bytes,
    },
];

/// Returns the chart.
pub(crate) fn chart(rows: &[SplitRow]) -> Scene {
    let listing = Listing::new(rows, |row| traffic_bytes(row).map(|bytes| bytes as f64));
    let heading = heading(rows);
    if listing.drawn.is_empty() {
        return empty_page(&heading, rows, &listing.footnotes);
    }

    let mut sheet = Sheet::new(&heading, &listing);
    let density = sheet.density;
    let table = Table::new(density, &listing.drawn);
    let free = |panel: &Area| Area {
        left: panel.left + GUTTER,
        right: panel.right - 10.0 - table.width(),
        ..*panel
    };
    let axis = axis(&listing.drawn, sheet.room(free));
    let has_zeros = all_bytes(&listing.drawn).any(|bytes| bytes == 0);
    let title = if density.is_roomy() {
        "bytes, logarithmic"
    } else {
        "logarithmic"
    };
    if let Some(axis) = &axis {
        sheet.draw_axis(axis, free, title);
    }
    for column in &sheet.columns {
        let panel = free(&column.panel);
        if has_zeros {
            draw_gutter(&mut sheet.scene, &panel, density.axis_em);
        }
        table.draw_heads(&mut sheet.scene, &column.panel, sheet.ticks_above);
    }
    sheet.draw_guides(free);
    for column in &sheet.columns {
        let panel = free(&column.panel);
        for &(row, y) in &column.lines {
            draw_line(&mut sheet.scene, axis.as_ref(), &panel, density, row, y);
            table.draw_line(&mut sheet.scene, &column.panel, row, y);
        }
    }
    sheet.finish()
}

/// Upload and download together; `None` where neither is known.
fn traffic_bytes(row: &SplitRow) -> Option<u64> {
    match (row.upload_bytes, row.download_bytes) {
        (None, None) => None,
        (upload, download) => Some(upload.unwrap_or(0).saturating_add(download.unwrap_or(0))),
    }
}

fn heading(rows: &[SplitRow]) -> Heading {
    let keys = SERIES.iter().map(|series| Key {
        label: series.label,
        marker: series.marker,
        colour: series.colour,
    });
    let legend = keys.chain([Key::SERVER_LETTER]).collect();
    let subtitle =
        "Upload and download of one inference, least traffic first, and the evaluation key";
    Heading::new(rows, "traffic", subtitle, legend)
}

fn all_bytes(rows: &[&SplitRow]) -> impl Iterator<Item = u64> {
    rows.iter()
        .flat_map(|row| SERIES.iter().filter_map(|series| (series.bytes)(row)))
}

/// The axis over all figures above zero, `None` where there are none.
fn axis(rows: &[&SplitRow], room: Room) -> Option<Axis> {
    let positive: Vec<u64> = all_bytes(rows).filter(|&bytes| bytes > 0).collect();
    let (&low, &high) = (positive.iter().min()?, positive.iter().max()?);
    let label = |value: f64| units::bytes_tick(value.round() as u64);
    Some(Axis::logarithmic(
        low as f64,
        high as f64,
        Base::Binary,
        room,
        label,
    ))
}

/// Separates figures of zero from the axis, whose left end is not zero.
fn draw_gutter(scene: &mut Scene, panel: &Area, em: f64) {
    let x = panel.left - GUTTER + ZERO_AT;
    scene.line((x, panel.top), (x, panel.bottom), 0.8, FAINT);
    scene.text(Text::new(
        "0",
        (x, panel.bottom + 5.0 + em),
        em,
        Align::Centre,
        GREY,
    ));
}

fn draw_line(
    scene: &mut Scene,
    axis: Option<&Axis>,
    panel: &Area,
    density: Density,
    row: &SplitRow,
    y: f64,
) {
    let zero_x = panel.left - GUTTER + ZERO_AT;
    let is_silent = row.upload_bytes == Some(0) && row.download_bytes == Some(0);
    if is_silent {
        let text = Text::new(
            "no traffic",
            (zero_x + 6.0, y),
            density.em * FIGURE_SIZE,
            Align::Left,
            GREY,
        );
        write_over_grid(scene, text.centred_at(y));
    }
    for series in SERIES.iter().rev() {
        let x = match ((series.bytes)(row), axis) {
            (Some(0), _) if !is_silent => zero_x,
            (Some(bytes), Some(axis)) if bytes > 0 => axis.x(panel, bytes as f64),
            _ => continue,
        };
        let lifted_y = y - series.lift * density.radius();
        scene.marker(
            series.marker,
            (x, lifted_y),
            density.radius(),
            series.colour,
        );
    }
}

/// The figures in words, right of the panel where the page is roomy.
struct Table {
    density: Density,
    /// Width of the column of each series; empty on dense pages.
    widths: Vec<f64>,
}

impl Table {
    const GAP: f64 = 14.0;

    fn new(density: Density, rows: &[&SplitRow]) -> Self {
        let width = |series: &Series| {
            let head = font::width(series.head, Face::Sans, density.axis_em);
            widest_figure(density, rows.iter().map(|row| cell(row, series))).max(head)
        };
        let widths = if density.is_roomy() {
            SERIES.iter().map(width).collect()
        } else {
            Vec::new()
        };
        Table { density, widths }
    }

    fn width(&self) -> f64 {
        self.widths.iter().map(|width| width + Self::GAP).sum()
    }

    /// The series, each with the right edge of its column.
    fn columns(&self, panel: &Area) -> impl Iterator<Item = (&'static Series, f64)> {
        let start = panel.right - self.width();
        let rights = self.widths.iter().scan(start, |right, width| {
            *right += width + Self::GAP;
            Some(*right)
        });
        SERIES.iter().zip(rights)
    }

    fn draw_heads(&self, scene: &mut Scene, panel: &Area, above: bool) {
        let em = self.density.axis_em;
        for (series, right) in self.columns(panel) {
            let below_y = panel.bottom + 5.0 + em;
            for y in [Some(below_y), above.then_some(panel.top - 5.5)]
                .into_iter()
                .flatten()
            {
                scene.text(Text::new(series.head, (right, y), em, Align::Right, GREY));
            }
        }
    }

    fn draw_line(&self, scene: &mut Scene, panel: &Area, row: &SplitRow, y: f64) {
        let em = self.density.em * FIGURE_SIZE;
        for (series, right) in self.columns(panel) {
            scene.text(
                Text::new(cell(row, series), (right, y), em, Align::Right, GREY).centred_at(y),
            );
        }
    }
}

fn cell(row: &SplitRow, series: &Series) -> String {
    (series.bytes)(row).map_or("–".to_owned(), units::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{finished, row, sweep};

    #[test]
    fn texts_are_apart_at_every_size() {
        for layers in 0..=8 {
            chart(&sweep(layers)).assert_texts_are_apart();
        }
    }

    #[test]
    fn splits_without_traffic_say_so() {
        assert!(chart(&sweep(3)).says("no traffic"));
        assert!(!chart(&[finished("CS")]).says("no traffic"));
        assert!(chart(&[finished("CC")]).says("no traffic"));
    }

    #[test]
    fn missing_bytes_are_a_dash_and_not_zero() {
        let rows = [SplitRow {
            download_bytes: None,
            ..finished("CS")
        }];
        let scene = chart(&rows);
        assert!(scene.says("–") && !scene.says("0 B"));
        assert!(chart(&[row("CS", "ok")]).says("no finished splits"));
    }

    #[test]
    fn least_traffic_is_first() {
        let rows = [finished("SS"), finished("CC"), finished("CS")];
        let listing = Listing::new(&rows, |row| traffic_bytes(row).map(|bytes| bytes as f64));
        assert_eq!(listing.drawn[0].placement, "CC");
    }
}
