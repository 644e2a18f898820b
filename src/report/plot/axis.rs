//! Axes: from a figure to a fraction of the axis, and the ticks that fit.

use plotters::style::RGBColor;

use super::font::{self, Face};
use super::palette::{FAINT, GREY, PALE};
use super::scene::{Align, Area, Scene, Text};

/// A linear or logarithmic axis with its ticks.
#[derive(Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    pub(crate) ticks: Vec<Tick>,
}

/// A labelled place on an axis.
#[derive(Debug)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// How an axis maps figures to places.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
}

/// The space that an axis has for its labels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) length: f64,
    pub(crate) em: f64,
    /// Labels of an upright axis stand above each other.
    pub(crate) upright: bool,
}

impl Room {
    /// Returns the space below a panel for labels of that size.
    pub(crate) fn below(panel: &Area, em: f64) -> Self {
        Room {
            length: panel.width(),
            em,
            upright: false,
        }
    }

    /// Returns the space left of a panel for labels of that size.
    pub(crate) fn left_of(panel: &Area, em: f64) -> Self {
        Room {
            length: panel.bottom - panel.top,
            em,
            upright: true,
        }
    }
}

/// Which numbers a logarithmic axis prefers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Base {
    /// 1, 2, 5, 10: times.
    Decimal,
    /// Powers of two: bytes.
    Binary,
}

impl Axis {
    /// Returns a linear axis from `low` to `high` with ticks at round multiples of `unit`.
    pub(crate) fn linear(low: f64, high: f64, unit: f64, room: Room) -> Self {
        let high = if high > low { high } else { low + unit };
        let label = |step: f64, value: f64| {
            crate::core::units::decimal(value / unit, decimals_of(step / unit))
        };
        let ticks = round_steps((high - low) / unit)
            .map(|step| ticks_at_multiples(low, high, step * unit, label))
            .find(|ticks| fits(ticks, room, |value| (value - low) / (high - low)))
            .unwrap_or_default();
        Axis {
            low,
            high,
            scale: Scale::Linear,
            ticks,
        }
    }

    /// Returns a logarithmic axis that spans the figures, at least a factor of four.
    ///
    /// # Panics
    ///
    /// Where `low` is not above zero.
    pub(crate) fn logarithmic(
        low: f64,
        high: f64,
        base: Base,
        room: Room,
        label: impl Fn(f64) -> String,
    ) -> Self {
        assert!(low > 0.0, "a logarithmic axis starts above zero");
        let pad = (high / low).powf(0.04);
        let widen = if high / low < 4.0 {
            (4.0 * low / high).sqrt().max(1.0)
        } else {
            1.0
        };
        let (low, high) = (low / pad / widen, high * pad * widen);
        let place = |value: f64| (value / low).ln() / (high / low).ln();
        let ticks = log_candidates(low, high, base)
            .into_iter()
            .map(|values| {
                values
                    .into_iter()
                    .map(|value| Tick {
                        value,
                        label: label(value),
                    })
                    .collect::<Vec<Tick>>()
            })
            .find(|ticks| fits(ticks, room, place))
            .unwrap_or_default();
        Axis {
            low,
            high,
            scale: Scale::Logarithmic,
            ticks,
        }
    }

    /// Returns where the figure lies: 0 at the low end, 1 at the high end, never outside.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let fraction = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        fraction.clamp(0.0, 1.0)
    }

    /// Returns the horizontal position of the figure within the panel.
    pub(crate) fn x(&self, panel: &Area, value: f64) -> f64 {
        panel.left + self.place(value) * panel.width()
    }

    /// Returns the vertical position of the figure within the panel; larger figures are higher.
    pub(crate) fn y(&self, panel: &Area, value: f64) -> f64 {
        panel.bottom - self.place(value) * (panel.bottom - panel.top)
    }

    /// Draws grid lines, tick labels and the title of a horizontal axis below its panel, and the
    /// labels once more above it where `above` says so.
    pub(crate) fn draw_below(
        &self,
        scene: &mut Scene,
        panel: &Area,
        title: &str,
        em: f64,
        above: bool,
    ) {
        for tick in &self.ticks {
            let x = self.x(panel, tick.value);
            scene.line((x, panel.top), (x, panel.bottom), 0.8, FAINT);
            scene.line((x, panel.bottom), (x, panel.bottom + 3.0), 0.8, PALE);
            scene.text(label(tick, (x, panel.bottom + 5.0 + em), em, Align::Centre));
            if above {
                scene.line((x, panel.top - 3.0), (x, panel.top), 0.8, PALE);
                scene.text(label(tick, (x, panel.top - 5.5), em, Align::Centre));
            }
        }
        scene.line(
            (panel.left, panel.bottom),
            (panel.right, panel.bottom),
            0.8,
            PALE,
        );
        let middle = (panel.left + panel.right) / 2.0;
        let title_y = panel.bottom + 9.0 + 2.4 * em;
        scene.text(Text::new(title, (middle, title_y), em, Align::Centre, GREY));
    }

    /// Draws grid lines, tick labels and the title of a vertical axis left of its panel.
    pub(crate) fn draw_left(&self, scene: &mut Scene, panel: &Area, title: &str, em: f64) {
        for tick in &self.ticks {
            let y = self.y(panel, tick.value);
            scene.line((panel.left, y), (panel.right, y), 0.8, FAINT);
            scene.line((panel.left - 3.0, y), (panel.left, y), 0.8, PALE);
            scene.text(label(tick, (panel.left - 6.0, y), em, Align::Right).centred_at(y));
        }
        scene.line(
            (panel.left, panel.top),
            (panel.left, panel.bottom),
            0.8,
            PALE,
        );
        let widest = self
            .ticks
            .iter()
            .map(|tick| font::width(&tick.label, Face::Sans, em))
            .fold(0.0, f64::max);
        let at = (
            panel.left - widest - 6.0 - em,
            (panel.top + panel.bottom) / 2.0,
        );
        let mut text = Text::new(title, at, em, Align::Centre, GREY);
        text.upwards = true;
        scene.text(text);
    }
}

fn label(tick: &Tick, at: (f64, f64), em: f64, align: Align) -> Text {
    const COLOUR: RGBColor = GREY;
    Text::new(tick.label.clone(), at, em, align, COLOUR)
}

/// Whether all labels stand clear of their neighbours.
fn fits(ticks: &[Tick], room: Room, place: impl Fn(f64) -> f64) -> bool {
    let extent = |tick: &Tick| {
        if room.upright {
            room.em
        } else {
            font::width(&tick.label, Face::Sans, room.em)
        }
    };
    ticks.windows(2).all(|pair| {
        let distance = (place(pair[1].value) - place(pair[0].value)) * room.length;
        distance >= (extent(&pair[0]) + extent(&pair[1])) / 2.0 + room.em
    })
}

/// 1, 2 and 5 times powers of ten, rising, from ten ticks or fewer down to one.
fn round_steps(span: f64) -> impl Iterator<Item = f64> {
    let exponent = span.log10().floor() as i32 - 1;
    (exponent..exponent + 4)
        .flat_map(|exponent| [1, 2, 5].map(|digit| digit_times_power(digit, exponent)))
        .filter(move |step| span / step <= 10.0)
}

/// Divides for negative powers, so that 2e-1 is the number nearest to 0.2.
fn digit_times_power(digit: i32, exponent: i32) -> f64 {
    let power = 10_f64.powi(exponent.abs());
    if exponent < 0 {
        f64::from(digit) / power
    } else {
        f64::from(digit) * power
    }
}

fn decimals_of(step: f64) -> usize {
    (-(step * 1.000_001).log10().floor()).clamp(0.0, 9.0) as usize
}

fn ticks_at_multiples(
    low: f64,
    high: f64,
    step: f64,
    label: impl Fn(f64, f64) -> String,
) -> Vec<Tick> {
    let (first, last) = (
        (low / step - 1e-9).ceil() as i64,
        (high / step + 1e-9).floor() as i64,
    );
    (first..=last)
        .map(|count| count as f64 * step)
        .map(|value| Tick {
            value,
            label: label(step, value),
        })
        .collect()
}

/// Lists of tick values within the axis, from the densest to the sparsest.
fn log_candidates(low: f64, high: f64, base: Base) -> Vec<Vec<f64>> {
    let powers = |root: f64, stride: usize, digits: &[i32]| -> Vec<f64> {
        let (first, last) = (low.log(root).floor() as i32, high.log(root).ceil() as i32);
        let exponents = (first..=last).filter(|exponent| exponent.rem_euclid(stride as i32) == 0);
        exponents
            .flat_map(|exponent| {
                digits
                    .iter()
                    .map(move |&digit| f64::from(digit) * root.powi(exponent))
            })
            .filter(|value| (low..=high).contains(value))
            .collect()
    };
    match base {
        Base::Decimal => {
            let mut lists = vec![powers(10.0, 1, &[1, 2, 5])];
            lists.extend((1..=6).map(|stride| powers(10.0, stride, &[1])));
            lists
        }
        Base::Binary => [1, 2, 5, 10, 20]
            .map(|stride| powers(2.0, stride, &[1]))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::units;

    const WIDE: Room = Room {
        length: 500.0,
        em: 10.0,
        upright: false,
    };
    const NARROW: Room = Room {
        length: 80.0,
        em: 8.5,
        upright: false,
    };

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_from_zero() {
        assert_eq!(
            labels(&Axis::linear(0.0, 3.1, 1.0, WIDE)),
            ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]
        );
        assert_eq!(
            labels(&Axis::linear(0.0, 0.0031, 1e-3, NARROW)),
            ["0", "1", "2", "3"]
        );
        assert_eq!(
            labels(&Axis::linear(0.912, 0.953, 0.01, WIDE))[..2],
            ["91.5", "92.0"]
        );
    }

    #[test]
    fn decades_are_thinned_until_labels_fit() {
        let axis = |room| Axis::logarithmic(1e-4, 3.2, Base::Decimal, room, units::seconds_tick);
        assert_eq!(
            labels(&axis(WIDE)),
            ["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
        );
        assert_eq!(labels(&axis(NARROW)), ["1 ms", "1 s"]);
    }

    #[test]
    fn binary_ticks_are_powers_of_two() {
        let axis = Axis::logarithmic(900.0, 3e6, Base::Binary, WIDE, |value| {
            units::bytes_tick(value as u64)
        });
        assert_eq!(
            labels(&axis),
            ["1 KiB", "4 KiB", "16 KiB", "64 KiB", "256 KiB", "1 MiB"]
        );
    }

    #[test]
    fn equal_figures_still_make_an_axis() {
        let axis = Axis::logarithmic(1.3, 1.3, Base::Decimal, WIDE, units::seconds_tick);
        assert!(axis.ticks.len() >= 2, "{axis:?}");
        assert!((axis.place(1.3) - 0.5).abs() < 1e-9);
        assert_eq!(Axis::linear(0.0, 0.0, 1.0, WIDE).place(0.0), 0.0);
    }

    #[test]
    fn places_run_from_zero_to_one_and_keep_order() {
        let linear = Axis::linear(0.0, 8.0, 1.0, WIDE);
        assert_eq!(
            [0.0, 2.0, 8.0, 9.0].map(|value| linear.place(value)),
            [0.0, 0.25, 1.0, 1.0]
        );
        let log = Axis::logarithmic(1.0, 100.0, Base::Decimal, WIDE, units::seconds_tick);
        assert!((log.place(10.0) - 0.5).abs() < 1e-9);
        assert!(log.place(1.0) > 0.0 && log.place(100.0) < 1.0);
    }
}
