//! The page of the charts with one line per split: placements at the left of one to three columns,
//! a panel beside them, all columns on the same axis.

use super::axis::{Axis, Room};
use super::font::{self, Face};
use super::listing::Listing;
use super::page::{
    Heading, MARGIN, PAGE_WIDTH, draw_footnotes, draw_placement, footnote_height, placement_width,
};
use super::palette::{FAINT, GREY, INK, WHITE};
use super::scene::{Align, Area, Scene, Text};
use crate::record::row::SplitRow;

/// White space between columns.
const COLUMN_GAP: f64 = 26.0;
/// Placements take no more than this fraction of a column.
const LABEL_FRACTION_AT_MOST: f64 = 0.4;
/// Columns of more lines than this repeat their tick labels at the top.
const TICKS_ABOVE_FROM: usize = 25;

/// Size of figures relative to placements.
pub(crate) const FIGURE_SIZE: f64 = 0.92;

/// A page whose heading, placements and footnotes are drawn and whose panels are free.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    pub(crate) scene: Scene,
    pub(crate) columns: Vec<Column<'a>>,
    pub(crate) density: Density,
    /// Whether axes repeat their labels above the panels.
    pub(crate) ticks_above: bool,
}

/// The panel of one column and the lines in it.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    pub(crate) panel: Area,
    /// Splits with their figure, each with the middle of its line.
    pub(crate) lines: Vec<(&'a SplitRow, f64)>,
    /// Why splits have no figure, each with the middle of its line.
    greyed: Vec<(&'a str, f64)>,
}

/// How closely lines are set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Density {
    columns: usize,
    /// Distance of neighbouring lines.
    pub(crate) pitch: f64,
    /// Size of placements and figures.
    pub(crate) em: f64,
    /// Size of ticks and titles of axes.
    pub(crate) axis_em: f64,
}

impl Density {
    /// Returns the density for so many lines, such that the page keeps the shape of a page.
    pub(crate) fn of(line_count: usize) -> Self {
        let (columns, pitch, em, axis_em) = match line_count {
            0..=12 => (1, 25.0, 12.5, 11.0),
            13..=32 => (1, 20.0, 11.5, 10.5),
            33..=64 => (1, 17.0, 11.0, 10.5),
            65..=128 => (2, 14.0, 9.5, 9.0),
            _ => (3, 13.6, 9.5, 8.5),
        };
        Density {
            columns,
            pitch,
            em,
            axis_em,
        }
    }

    /// Returns half the height of a bar.
    pub(crate) fn half_bar(&self) -> f64 {
        self.pitch * 0.34
    }

    /// Returns the radius of a marker.
    pub(crate) fn radius(&self) -> f64 {
        (self.pitch * 0.21).clamp(3.0, 4.6)
    }

    /// Returns whether a page of this density has one column, with room for extras.
    pub(crate) fn is_roomy(&self) -> bool {
        self.columns == 1
    }
}

impl<'a> Sheet<'a> {
    /// Returns the page with everything but its panels drawn.
    pub(crate) fn new(heading: &Heading, listing: &Listing<'a>) -> Self {
        let density = Density::of(listing.line_count());
        let lines_per_column = listing.line_count().div_ceil(density.columns);
        let ticks_above = lines_per_column >= TICKS_ABOVE_FROM;
        let top = heading.height()
            + if ticks_above {
                2.0 * density.axis_em + 4.0
            } else {
                8.0
            };
        let bottom = top + lines_per_column as f64 * density.pitch + 4.0;
        let axis_height = 14.0 + 2.6 * density.axis_em;
        let notes_height = footnote_height(&listing.footnotes);
        let notes_gap = if listing.footnotes.is_empty() {
            0.0
        } else {
            8.0
        };
        let height = (bottom + axis_height + notes_gap + notes_height + MARGIN * 0.7).ceil();

        let mut sheet = Sheet {
            scene: Scene::new(PAGE_WIDTH, height),
            columns: Vec::new(),
            density,
            ticks_above,
        };
        heading.draw(&mut sheet.scene);
        draw_footnotes(&mut sheet.scene, &listing.footnotes);
        sheet.columns = sheet.draw_columns(listing, lines_per_column, top, bottom);
        sheet
    }

    /// Draws the placements and returns the panels beside them.
    fn draw_columns(
        &mut self,
        listing: &Listing<'a>,
        lines_per_column: usize,
        top: f64,
        bottom: f64,
    ) -> Vec<Column<'a>> {
        let Density {
            columns, pitch, em, ..
        } = self.density;
        let gaps = COLUMN_GAP * (columns - 1) as f64;
        let column_width = (PAGE_WIDTH - 2.0 * MARGIN - gaps) / columns as f64;
        let label_room = column_width * LABEL_FRACTION_AT_MOST;
        let all = listing
            .drawn
            .iter()
            .copied()
            .chain(listing.greyed.iter().map(|&(row, _)| row));
        let widest = all
            .map(|row| placement_width(&row.placement, em))
            .fold(0.0, f64::max);
        let label_width = widest.min(label_room) + em;

        let lefts = (0..columns).map(|index| MARGIN + index as f64 * (column_width + COLUMN_GAP));
        let mut panels: Vec<Column> = lefts
            .map(|left| Column {
                panel: Area {
                    left: left + label_width,
                    top,
                    right: left + column_width,
                    bottom,
                },
                lines: Vec::new(),
                greyed: Vec::new(),
            })
            .collect();
        let line_y = |index: usize| top + 2.0 + ((index % lines_per_column) as f64 + 0.5) * pitch;
        let mut label = |row: &SplitRow, panel: &Area, y: f64, colour| {
            let placement = font::fit(&row.placement, Face::Mono, em, label_room);
            draw_placement(
                &mut self.scene,
                &placement,
                panel.left - label_width,
                y,
                em,
                colour,
            );
        };
        for (index, &row) in listing.drawn.iter().enumerate() {
            let column = &mut panels[index / lines_per_column];
            label(row, &column.panel, line_y(index), INK);
            column.lines.push((row, line_y(index)));
        }
        for (index, &(row, reason)) in (listing.drawn.len()..).zip(&listing.greyed) {
            let column = &mut panels[index / lines_per_column];
            label(row, &column.panel, line_y(index), GREY);
            column.greyed.push((reason, line_y(index)));
        }
        panels
    }

    /// Draws the axis below (and, in tall columns, above) the panel that each column gives it.
    pub(crate) fn draw_axis(&mut self, axis: &Axis, panel_of: impl Fn(&Area) -> Area, title: &str) {
        for column in &self.columns {
            let panel = panel_of(&column.panel);
            axis.draw_below(
                &mut self.scene,
                &panel,
                title,
                self.density.axis_em,
                self.ticks_above,
            );
        }
    }

    /// Returns the space below the panel that a column gives an axis.
    pub(crate) fn room(&self, panel_of: impl Fn(&Area) -> Area) -> Room {
        Room::below(&panel_of(&self.columns[0].panel), self.density.axis_em)
    }

    /// Draws the faint lines that lead the eye from the placements to markers in these panels.
    pub(crate) fn draw_guides(&mut self, panel_of: impl Fn(&Area) -> Area) {
        for column in &self.columns {
            let panel = panel_of(&column.panel);
            for &(_, y) in &column.lines {
                self.scene
                    .line((panel.left, y), (panel.right, y), 0.6, FAINT);
            }
        }
    }

    /// Writes a figure left-aligned at `x` on the line at `y`, over the grid.
    pub(crate) fn figure(scene: &mut Scene, density: Density, text: &str, x: f64, y: f64) {
        write_over_grid(
            scene,
            Text::new(text, (x, y), density.em * FIGURE_SIZE, Align::Left, INK).centred_at(y),
        );
    }

    /// Writes the status words into their lines and returns the finished page.
    pub(crate) fn finish(mut self) -> Scene {
        for column in &self.columns {
            for &(reason, y) in &column.greyed {
                let at = (column.panel.left + 5.0, y);
                let text = Text::new(reason, at, self.density.em * FIGURE_SIZE, Align::Left, GREY);
                write_over_grid(&mut self.scene, text.centred_at(y));
            }
        }
        self.scene
    }
}

/// Writes a text on a white ground, so that no grid line crosses it.
pub(crate) fn write_over_grid(scene: &mut Scene, text: Text) {
    let Area {
        left,
        top,
        right,
        bottom,
    } = text.area();
    scene.bar(
        Area {
            left: left - 2.0,
            top: top - 1.0,
            right: right + 2.0,
            bottom,
        },
        WHITE,
    );
    scene.text(text);
}

/// Returns the width of the widest of these figures as [`Sheet::figure`] writes them.
pub(crate) fn widest_figure(density: Density, figures: impl Iterator<Item = String>) -> f64 {
    figures
        .map(|text| font::width(&text, Face::Sans, density.em * FIGURE_SIZE))
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::sweep;
    use crate::report::plot::listing::figure;

    fn with_sheet(layers: u32, check: impl Fn(&Sheet, usize)) {
        let rows = sweep(layers);
        let listing = Listing::new(&rows, |row| figure(row.online_s_median));
        let heading = Heading::new(&rows, "online time", "", Vec::new());
        check(&Sheet::new(&heading, &listing), listing.drawn.len());
    }

    #[test]
    fn every_finished_split_has_one_line_within_its_panel() {
        for layers in [1, 3, 5, 6, 7, 8] {
            with_sheet(layers, |sheet, drawn| {
                assert_eq!(
                    sheet
                        .columns
                        .iter()
                        .map(|column| column.lines.len())
                        .sum::<usize>(),
                    drawn
                );
                for column in &sheet.columns {
                    let Area { top, bottom, .. } = column.panel;
                    assert!(
                        column.lines.iter().all(|&(_, y)| top < y && y < bottom),
                        "{layers} layers"
                    );
                }
            });
        }
    }

    #[test]
    fn columns_are_equally_wide_and_apart() {
        with_sheet(8, |sheet, _| {
            let panels: Vec<Area> = sheet.columns.iter().map(|column| column.panel).collect();
            assert_eq!(panels.len(), 3);
            for pair in panels.windows(2) {
                assert!(pair[0].right < pair[1].left);
                assert!((pair[0].width() - pair[1].width()).abs() < 1e-9);
            }
        });
    }

    #[test]
    fn pages_are_no_taller_than_a_sheet_of_paper() {
        for layers in 0..=8 {
            with_sheet(layers, |sheet, _| {
                let shape = sheet.scene.height / sheet.scene.width;
                assert!(shape <= 1.45, "{layers} layers: {shape}");
            });
        }
    }
}
