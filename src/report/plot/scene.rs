//! A picture as a list of shapes: what a chart returns and what tests look at.
//!
//! Coordinates are points of a page whose origin is its upper left corner. A scene knows no file
//! format; [`render`](super::render) paints it.

use plotters::style::RGBColor;

use super::font::{self, CAPITAL_PER_EM, Face};
use super::palette::WHITE;
use crate::core::foreign::shown;

/// Shapes on a white page, painted in order.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) shapes: Vec<Shape>,
}

/// One shape of a scene.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A filled rectangle.
    Bar { area: Area, colour: RGBColor },
    /// Straight lines from point to point.
    Path {
        points: Vec<(f64, f64)>,
        width: f64,
        colour: RGBColor,
    },
    /// A filled polygon.
    Polygon {
        points: Vec<(f64, f64)>,
        colour: RGBColor,
    },
    /// A filled circle.
    Disc {
        centre: (f64, f64),
        radius: f64,
        colour: RGBColor,
    },
    /// The outline of a circle.
    Ring {
        centre: (f64, f64),
        radius: f64,
        width: f64,
        colour: RGBColor,
    },
    /// A line of text.
    Text(Text),
}

/// A line of text; `at` is the point of its baseline that `align` names.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) at: (f64, f64),
    pub(crate) em: f64,
    pub(crate) face: Face,
    pub(crate) align: Align,
    pub(crate) colour: RGBColor,
    /// Runs from bottom to top, as titles of vertical axes do.
    pub(crate) upwards: bool,
}

/// Which end of a text its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

/// The mark of one figure, on a chart and in its legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Marker {
    Bar,
    Dot,
    Ring,
    Square,
    TriangleUp,
    TriangleDown,
}

/// An upright rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    /// Returns the distance from the left edge to the right.
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Returns whether the two areas share more than an edge.
    pub(crate) fn overlaps(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// Returns whether the other area lies within this one.
    pub(crate) fn contains(&self, other: &Area) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }

    /// Returns whether the point lies within the area.
    pub(crate) fn holds(&self, (x, y): (f64, f64)) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

impl Text {
    /// Returns a text in the sans face that ends, starts or centres at `at`, as a person may see it.
    pub(crate) fn new(
        text: impl AsRef<str>,
        at: (f64, f64),
        em: f64,
        align: Align,
        colour: RGBColor,
    ) -> Self {
        Text {
            text: shown(text.as_ref()).into_owned(),
            at,
            em,
            face: Face::Sans,
            align,
            colour,
            upwards: false,
        }
    }

    /// Returns the same text with the middle of its capitals, not its baseline, at `y`.
    pub(crate) fn centred_at(mut self, y: f64) -> Self {
        self.at.1 = y + self.em * CAPITAL_PER_EM / 2.0;
        self
    }

    /// Returns the area that the letters cover, descenders included.
    pub(crate) fn area(&self) -> Area {
        let width = font::width(&self.text, self.face, self.em);
        let start = match self.align {
            Align::Left => 0.0,
            Align::Centre => -width / 2.0,
            Align::Right => -width,
        };
        let (ascent, descent) = (self.em * CAPITAL_PER_EM, self.em * 0.2);
        let (x, y) = self.at;
        if self.upwards {
            Area {
                left: x - ascent,
                top: y - start - width,
                right: x + descent,
                bottom: y - start,
            }
        } else {
            Area {
                left: x + start,
                top: y - ascent,
                right: x + start + width,
                bottom: y + descent,
            }
        }
    }
}

impl Scene {
    /// Returns an empty page.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Scene {
            width,
            height,
            shapes: Vec::new(),
        }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, text: Text) {
        if !text.text.is_empty() {
            self.shapes.push(Shape::Text(text));
        }
    }

    /// Adds a filled rectangle.
    pub(crate) fn bar(&mut self, area: Area, colour: RGBColor) {
        self.shapes.push(Shape::Bar { area, colour });
    }

    /// Adds a straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: RGBColor) {
        self.shapes.push(Shape::Path {
            points: vec![from, to],
            width,
            colour,
        });
    }

    /// Adds the outline of a circle.
    pub(crate) fn ring(&mut self, centre: (f64, f64), radius: f64, width: f64, colour: RGBColor) {
        self.shapes.push(Shape::Ring {
            centre,
            radius,
            width,
            colour,
        });
    }

    /// Adds a marker; discs and polygons wear a white edge, so that neighbours stay apart.
    pub(crate) fn marker(
        &mut self,
        marker: Marker,
        centre: (f64, f64),
        radius: f64,
        colour: RGBColor,
    ) {
        let (x, y) = centre;
        match marker {
            Marker::Bar => self.bar(
                Area {
                    left: x - radius,
                    top: y - radius,
                    right: x + radius,
                    bottom: y + radius,
                },
                colour,
            ),
            Marker::Dot => {
                self.shapes.push(Shape::Disc {
                    centre,
                    radius: radius + 1.0,
                    colour: WHITE,
                });
                self.shapes.push(Shape::Disc {
                    centre,
                    radius,
                    colour,
                });
            }
            Marker::Ring => {
                self.shapes.push(Shape::Disc {
                    centre,
                    radius,
                    colour: WHITE,
                });
                self.ring(centre, radius, (radius * 0.4).max(1.0), colour);
            }
            Marker::Square | Marker::TriangleUp | Marker::TriangleDown => {
                self.shapes.push(Shape::Polygon {
                    points: outline(marker, centre, radius + 1.2),
                    colour: WHITE,
                });
                self.shapes.push(Shape::Polygon {
                    points: outline(marker, (x, y), radius),
                    colour,
                });
            }
        }
    }
}

/// The corners of a polygon that looks about as large as a disc of that radius.
fn outline(marker: Marker, (x, y): (f64, f64), radius: f64) -> Vec<(f64, f64)> {
    let (half, tip, base) = (radius * 1.1, radius * 1.15, radius * 0.8);
    match marker {
        Marker::TriangleUp => vec![(x - half, y + base), (x + half, y + base), (x, y - tip)],
        Marker::TriangleDown => vec![(x - half, y - base), (x + half, y - base), (x, y + tip)],
        _ => {
            let half = radius * 0.88;
            vec![
                (x - half, y - half),
                (x + half, y - half),
                (x + half, y + half),
                (x - half, y + half),
            ]
        }
    }
}

#[cfg(test)]
impl Scene {
    /// Every text of the scene.
    pub(crate) fn texts(&self) -> Vec<&Text> {
        let texts = self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    /// Whether some text holds these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.texts().iter().any(|text| text.text.contains(words))
    }

    /// Panics, naming all of them, where texts overlap each other or leave the page.
    pub(crate) fn assert_texts_are_apart(&self) {
        let page = Area {
            left: 0.0,
            top: 0.0,
            right: self.width,
            bottom: self.height,
        };
        let texts: Vec<(&str, Area)> = self
            .texts()
            .iter()
            .map(|text| (text.text.as_str(), text.area()))
            .collect();
        let mut wrong = Vec::new();
        for (index, (text, area)) in texts.iter().enumerate() {
            if !page.contains(area) {
                wrong.push(format!("{text:?} leaves the page: {area:?}"));
            }
            let hits = texts[index + 1..]
                .iter()
                .filter(|(_, other)| area.overlaps(other));
            wrong.extend(hits.map(|(other, _)| format!("{text:?} overlaps {other:?} at {area:?}")));
        }
        assert!(
            wrong.is_empty(),
            "{} texts: {}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::palette::INK;

    #[test]
    fn alignment_moves_the_area_but_not_its_size() {
        let area = |align| Text::new("1.24 s", (100.0, 50.0), 10.0, align, INK).area();
        let (left, centre, right) = (area(Align::Left), area(Align::Centre), area(Align::Right));
        assert_eq!(left.left, 100.0);
        assert_eq!(right.right, 100.0);
        assert!((centre.left + centre.right - 200.0).abs() < 1e-9);
        assert!((left.width() - right.width()).abs() < 1e-9);
    }

    #[test]
    fn upward_texts_are_taller_than_wide() {
        let mut text = Text::new("peak memory", (100.0, 200.0), 10.0, Align::Centre, INK);
        text.upwards = true;
        let area = text.area();
        assert!(
            area.bottom - area.top > 40.0 && area.width() < 12.0,
            "{area:?}"
        );
        assert!((area.top + area.bottom - 400.0).abs() < 1e-9);
    }

    #[test]
    fn areas_that_share_an_edge_do_not_overlap() {
        let area = |left: f64| Area {
            left,
            top: 0.0,
            right: left + 10.0,
            bottom: 10.0,
        };
        assert!(!area(0.0).overlaps(&area(10.0)));
        assert!(area(0.0).overlaps(&area(9.9)));
    }
}
