//! What every chart has: a heading with a legend, footnotes, and placements written out.

use plotters::style::RGBColor;

use super::font::{self, Face, MONO_ADVANCE_PER_EM};
use super::listing::is_finished;
use super::palette::{GREY, INK, tint};
use super::scene::{Align, Area, Marker, Scene, Text};
use crate::record::row::SplitRow;

/// Width of every page; heights follow from what is on it.
pub(crate) const PAGE_WIDTH: f64 = 960.0;
/// White space around what is drawn.
pub(crate) const MARGIN: f64 = 28.0;
/// Size of footnotes, and the distance of their lines.
const FOOTNOTE_EM: f64 = 10.0;
const FOOTNOTE_PITCH: f64 = 14.0;
/// Size of the legend, and the distance of its lines.
const LEGEND_EM: f64 = 11.0;
const LEGEND_PITCH: f64 = 18.0;

/// The words above a chart.
#[derive(Debug)]
pub(crate) struct Heading {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) legend: Vec<Key>,
}

/// One entry of a legend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) label: &'static str,
    pub(crate) marker: Marker,
    pub(crate) colour: RGBColor,
}

impl Key {
    /// Explains the tint behind the letters of layers that run on the server.
    pub(crate) const SERVER_LETTER: Key = Key {
        label: "S: layer on the server, encrypted",
        marker: Marker::Bar,
        colour: SERVER_TINT,
    };
}

const SERVER_TINT: RGBColor = RGBColor(245, 215, 191);

impl Heading {
    /// Returns a heading whose title names the model and how many splits it has.
    pub(crate) fn new(rows: &[SplitRow], topic: &str, subtitle: &str, legend: Vec<Key>) -> Self {
        let splits = match rows.len() {
            1 => "1 split".to_owned(),
            count => format!("{count} splits"),
        };
        let title = match model_name(rows) {
            Some(model) => format!("{model}: {topic} of {splits}"),
            None => format!("{topic} of {splits}"),
        };
        Heading {
            title,
            subtitle: subtitle.to_owned(),
            legend,
        }
    }

    /// Returns the height that the heading takes.
    pub(crate) fn height(&self) -> f64 {
        let legend_lines = self
            .legend_places()
            .last()
            .map_or(0.0, |&(_, line)| line as f64 + 1.0);
        MARGIN + 42.0 + legend_lines * LEGEND_PITCH
    }

    /// Draws title, subtitle and legend at the top of the page.
    pub(crate) fn draw(&self, scene: &mut Scene) {
        let room = PAGE_WIDTH - 2.0 * MARGIN;
        let title = fitted(&self.title, 18.0, room);
        scene.text(Text::new(
            title,
            (MARGIN, MARGIN + 12.0),
            18.0,
            Align::Left,
            INK,
        ));
        let subtitle = fitted(&self.subtitle, 11.5, room);
        scene.text(Text::new(
            subtitle,
            (MARGIN, MARGIN + 31.0),
            11.5,
            Align::Left,
            GREY,
        ));
        for (key, (x, line)) in self.legend.iter().zip(self.legend_places()) {
            let y = MARGIN + 48.0 + line as f64 * LEGEND_PITCH;
            scene.marker(key.marker, (x + 5.0, y), 5.0, key.colour);
            scene.text(
                Text::new(key.label, (x + 15.0, y), LEGEND_EM, Align::Left, INK).centred_at(y),
            );
        }
    }

    /// The left edge and the line of every legend entry.
    fn legend_places(&self) -> Vec<(f64, usize)> {
        let (mut x, mut line) = (MARGIN, 0);
        let mut places = Vec::new();
        for key in &self.legend {
            let width = 15.0 + font::width(key.label, Face::Sans, LEGEND_EM);
            if x > MARGIN && x + width > PAGE_WIDTH - MARGIN {
                (x, line) = (MARGIN, line + 1);
            }
            places.push((x, line));
            x += width + 22.0;
        }
        places
    }
}

/// Returns a page that says that there is nothing to draw, and what became of the splits.
pub(crate) fn empty_page(heading: &Heading, rows: &[SplitRow], footnotes: &[String]) -> Scene {
    let bare = Heading {
        title: heading.title.clone(),
        subtitle: String::new(),
        legend: Vec::new(),
    };
    let mut scene = Scene::new(PAGE_WIDTH, 240.0 + footnote_height(footnotes));
    bare.draw(&mut scene);
    let words = if rows.iter().any(is_finished) {
        "no finished splits with this figure"
    } else {
        "no finished splits"
    };
    scene.text(Text::new(
        words,
        (PAGE_WIDTH / 2.0, 150.0),
        16.0,
        Align::Centre,
        GREY,
    ));
    draw_footnotes(&mut scene, footnotes);
    scene
}

/// Returns the height of the footnotes, wrapped to the page.
pub(crate) fn footnote_height(footnotes: &[String]) -> f64 {
    footnote_lines(footnotes).len() as f64 * FOOTNOTE_PITCH
}

/// Draws the footnotes at the foot of the page.
pub(crate) fn draw_footnotes(scene: &mut Scene, footnotes: &[String]) {
    let top = scene.height - MARGIN * 0.7 - footnote_height(footnotes);
    for (index, line) in footnote_lines(footnotes).into_iter().enumerate() {
        let y = top + (index as f64 + 0.8) * FOOTNOTE_PITCH;
        scene.text(Text::new(line, (MARGIN, y), FOOTNOTE_EM, Align::Left, GREY));
    }
}

/// Draws a placement, tinted behind the layers of the server, from `left` and centred on `y`.
pub(crate) fn draw_placement(
    scene: &mut Scene,
    placement: &str,
    left: f64,
    y: f64,
    em: f64,
    colour: RGBColor,
) {
    let advance = em * MONO_ADVANCE_PER_EM;
    let strength = if colour == GREY { 0.5 } else { 1.0 };
    let letters: Vec<char> = placement.chars().collect();
    let mut start = 0;
    for run in letters.chunk_by(|one, next| one == next) {
        let end = start + run.len();
        if run[0] == 'S' {
            let (left, right) = (left + start as f64 * advance, left + end as f64 * advance);
            let area = Area {
                left,
                top: y - em * 0.55,
                right,
                bottom: y + em * 0.55,
            };
            scene.bar(area, tint(SERVER_TINT, strength));
        }
        start = end;
    }
    let mut text = Text::new(placement, (left, y), em, Align::Left, colour).centred_at(y);
    text.face = Face::Mono;
    scene.text(text);
}

/// Returns the width that a placement takes.
pub(crate) fn placement_width(placement: &str, em: f64) -> f64 {
    font::width(placement, Face::Mono, em)
}

/// Returns the name that all rows share.
fn model_name(rows: &[SplitRow]) -> Option<&str> {
    let first = rows.first()?;
    let same = rows.iter().all(|row| row.model == first.model);
    Some(if same { &first.model } else { "several models" })
}

fn fitted(text: &str, em: f64, room: f64) -> String {
    font::fit(text, Face::Sans, em, room)
}

fn footnote_lines(footnotes: &[String]) -> Vec<String> {
    let room = PAGE_WIDTH - 2.0 * MARGIN;
    footnotes
        .iter()
        .flat_map(|note| font::wrap(note, Face::Sans, FOOTNOTE_EM, room))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::finished;
    use crate::report::plot::palette::VERMILLION;
    use crate::report::plot::scene::Shape;

    #[test]
    fn titles_name_the_model_and_count_the_splits() {
        let heading = |rows: &[SplitRow]| Heading::new(rows, "online time", "", Vec::new()).title;
        assert_eq!(heading(&[]), "online time of 0 splits");
        assert_eq!(
            heading(&[finished("CS")]),
            "digits-cnn: online time of 1 split"
        );
        let other = SplitRow {
            model: "other".into(),
            ..finished("SC")
        };
        assert_eq!(
            heading(&[finished("CS"), other]),
            "several models: online time of 2 splits"
        );
    }

    #[test]
    fn long_names_legends_and_footnotes_stay_on_the_page() {
        let mut rows = [finished("CS")];
        rows[0].model = "an-unusually-long-name-of-a-model-".repeat(5);
        let heading = Heading::new(
            &rows,
            "online time",
            &"words ".repeat(60),
            vec![Key::SERVER_LETTER; 6],
        );
        let footnotes = ["a remark on what is not drawn ".repeat(20)];
        let mut scene = Scene::new(PAGE_WIDTH, 300.0);
        heading.draw(&mut scene);
        draw_footnotes(&mut scene, &footnotes);
        scene.assert_texts_are_apart();
    }

    #[test]
    fn every_run_of_server_layers_is_tinted() {
        let mut scene = Scene::new(200.0, 50.0);
        draw_placement(&mut scene, "SSCSC", 0.0, 20.0, 10.0, INK);
        let widths: Vec<f64> = scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Bar { area, .. } => Some((area.width() / 6.02).round()),
                _ => None,
            })
            .collect();
        assert_eq!(widths, [2.0, 1.0]);
        assert!(scene.says("SSCSC"));
    }

    #[test]
    fn server_tint_is_a_thin_vermillion() {
        assert_eq!(SERVER_TINT, tint(VERMILLION, 0.25));
    }
}
