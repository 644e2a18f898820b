//! The weights in front of a look-up, which make its channels fill half a turn.

use super::grid::HALF_TURN;
use super::groups::Limit;
use super::planned::{PlannedLinear, Term};
use crate::core::linear_map::LinearMap;
use crate::core::statistics::median;
use crate::model::layer::Geometry;
use crate::model::quantise::fill_map;

/// The least factor on an input that is read as it is beside rounded weights: its channel's fill
/// gives way by one part in so many at most.
const LEAST_FACTOR_ALONE: f64 = 4.0;
/// The least factors on inputs that are read as they are and do not share a scale: the ratio of
/// the factors errs by half of one part in so many at most.
const LEAST_FACTOR_TOGETHER: f64 = 32.0;
/// The most grid integers by which rounding a bias to whole steps may err: one part in 8,192 of half
/// a turn.
const MOST_BIAS_ERROR: f64 = (HALF_TURN >> 13) as f64;

/// The weights in front of a look-up, before the steps of the sources are known.
pub(super) struct Filling {
    pub terms: Vec<FillingTerm>,
    /// Per element, in reals.
    pub bias: Vec<f64>,
    pub geometry: Geometry,
    /// Elements of a channel.
    pub channel_size: usize,
    /// The group whose integers the weights make; none for the grid itself.
    pub base: Option<usize>,
    /// Per channel: integers of the base for the real number 1. On the grid, those that just fill
    /// half a turn; a channel may end with a little fewer.
    pub fills: Vec<f64>,
}

/// One input of a look-up's weights.
pub(super) struct FillingTerm {
    pub group: usize,
    /// Per element of the input: `real = scale · integer`.
    pub input_scales: Vec<f64>,
    /// None for the input as it is.
    pub map: Option<LinearMap<f32>>,
    /// Per element of the output: the natural integers' scale, infinite for zero weights, and whether
    /// they are the weights without any error.
    pub natural: Vec<(f64, bool)>,
    /// Whether the input's integers are whole steps of its group.
    pub aligned: bool,
}

/// A channel once the steps are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    /// `real = scale · integer of the grid`.
    pub scale: f64,
    /// All integers are multiples of it.
    pub quantum: i64,
}

impl Filling {
    /// Returns, for each term, the largest step that its group may have.
    ///
    /// Rounded weights err by the same fraction of half a turn in every channel, so that their bits
    /// are those of the median channel. Weights without error keep at least a factor of one; of more
    /// where they stand beside others on the grid, whose fill then gives way to them; and on another
    /// base, which does not give way, a whole one.
    pub fn limits(&self) -> Vec<Limit> {
        let is_exact = |term: &FillingTerm| term.natural.iter().any(|&(_, exact)| exact);
        let exact_count = self.terms.iter().filter(|term| is_exact(term)).count();
        let least_factor = match (self.base, exact_count) {
            (Some(_), _) => 1.0,
            _ if self.terms.len() == 1 => 1.0,
            (None, 0 | 1) => LEAST_FACTOR_ALONE,
            (None, _) => LEAST_FACTOR_TOGETHER,
        };
        let limit = |term: &FillingTerm| {
            let natural = term.natural.iter().enumerate();
            let finite = natural.filter(|(_, (scale, _))| scale.is_finite());
            let steps =
                finite.map(|(element, (scale, exact))| (self.fill(element) * scale, *exact));
            let (exact, rounded): (Vec<_>, Vec<_>) = steps.partition(|(_, exact)| *exact);
            let least = exact.iter().map(|(step, _)| step / least_factor);
            let rounded = median(rounded.iter().map(|(step, _)| *step));
            Limit {
                group: term.group,
                base: self.base,
                most: least.chain(rounded).fold(f64::INFINITY, f64::min),
                divides: self.base.is_some() && !exact.is_empty(),
            }
        };
        self.terms.iter().map(limit).collect()
    }

    fn fill(&self, element: usize) -> f64 {
        self.fills[element / self.channel_size]
    }

    /// Returns the weights for the steps of all groups, and what each channel has become.
    ///
    /// A weight w on an input of scale s and step d becomes the integer round(w · s · fill / d), so
    /// that for the input's integer q, which is d · q on the grid, it adds fill · w · (s · q); a bias b
    /// becomes b · fill, in whole quanta.
    pub fn settle(self, steps_of: &[i64]) -> (PlannedLinear, Vec<Filled>) {
        let steps: Vec<i64> = self.terms.iter().map(|term| steps_of[term.group]).collect();
        let aligned = self.terms.iter().all(|term| term.aligned);
        let base = self.base.map_or(1.0, |base| steps_of[base] as f64);
        let fills: Vec<f64> = (0..self.fills.len())
            .map(|channel| match self.base {
                None => self.settled_fill(channel, &steps),
                Some(_) => self.fills[channel] * base,
            })
            .collect();
        let fill_of = |element: usize| fills[element / self.channel_size];
        let fits = |step: i64| {
            let mut biases = self.bias.iter().enumerate();
            biases.all(|(element, bias)| {
                let steps = bias * fill_of(element) / step as f64;
                (steps - steps.round()).abs() * step as f64 <= MOST_BIAS_ERROR
            })
        };
        let quantum = match steps.as_slice() {
            [first, others @ ..]
                if aligned && others.iter().all(|step| step == first) && fits(*first) =>
            {
                *first
            }
            _ => 1,
        };
        let whole_steps = |(element, bias): (usize, &f64)| {
            (bias * fill_of(element) / quantum as f64).round() as i64 * quantum
        };
        let bias: Vec<i64> = self.bias.iter().enumerate().map(whole_steps).collect();
        let terms = self.terms.iter().zip(&steps).map(|(term, &step)| {
            let factor = |element: usize| fill_of(element) / step as f64;
            match &term.map {
                None => {
                    let scales = term.input_scales.iter().enumerate();
                    let factors = scales.map(|(e, scale)| (factor(e) * scale).round().max(1.0));
                    Term::Scale(factors.map(|factor| factor as i64).collect())
                }
                Some(map) => Term::Matrix(fill_map(map, &term.input_scales, factor)),
            }
        });
        let linear = PlannedLinear {
            terms: terms.collect(),
            bias,
            geometry: self.geometry,
        };
        let filled = fills.iter().map(|fill| Filled {
            scale: 1.0 / fill,
            quantum,
        });
        (linear, filled.collect())
    }

    /// Returns a channel's fill, lowered to where the first term that has no error of its own
    /// keeps none: for its natural scale s and step d, to m · d / s with m = ⌊fill · s / d⌋, or one.
    fn settled_fill(&self, channel: usize, steps: &[i64]) -> f64 {
        let fill = self.fills[channel];
        let first = channel * self.channel_size;
        let mut exact = self
            .terms
            .iter()
            .zip(steps)
            .filter(|(term, _)| term.natural[first].1);
        exact.next().map_or(fill, |(term, &step)| {
            let scale = term.natural[first].0;
            // A whole number stays one where rounding has left it a hair below.
            let multiple = (fill * scale / step as f64 * (1.0 + 1e-12))
                .floor()
                .max(1.0);
            multiple * step as f64 / scale
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;
    use proptest::prelude::*;

    /// Returns an input as it is, whose natural integers have those scales.
    fn term(group: usize, natural: &[(f64, bool)]) -> FillingTerm {
        FillingTerm {
            group,
            input_scales: natural.iter().map(|&(scale, _)| scale).collect(),
            map: None,
            natural: natural.to_vec(),
            aligned: true,
        }
    }

    /// Returns channels of one element each that are filled with so many integers.
    fn filling(terms: Vec<FillingTerm>, fills: Vec<f64>) -> Filling {
        Filling {
            terms,
            bias: vec![0.0; fills.len()],
            geometry: Geometry::Other,
            channel_size: 1,
            base: None,
            fills,
        }
    }

    const ROUNDED: [(f64, bool); 3] = [(0.5, false), (2.0, false), (1.0, false)];
    const EXACT: [(f64, bool); 3] = [(0.5, true), (2.0, true), (f64::INFINITY, false)];

    #[test]
    fn rounded_weights_keep_their_bits_at_the_median_and_exact_ones_a_least_factor() {
        let mosts = |of_terms: &[&[(f64, bool)]], base| -> Vec<(f64, bool)> {
            let terms = of_terms.iter().map(|natural| term(0, natural)).collect();
            let filling = Filling {
                base,
                ..filling(terms, vec![100.0; 3])
            };
            let limits = filling.limits();
            assert!(limits.iter().all(|limit| limit.base == base));
            limits
                .iter()
                .map(|limit| (limit.most, limit.divides))
                .collect()
        };
        // Fill times scale: 50, 200 and 100; of exact ones the smallest of 50 and 200.
        assert_eq!(mosts(&[&ROUNDED], None), [(100.0, false)]);
        assert_eq!(mosts(&[&EXACT], None), [(50.0, false)]);
        assert_eq!(
            mosts(&[&EXACT, &ROUNDED], None),
            [(50.0 / 4.0, false), (100.0, false)]
        );
        assert_eq!(mosts(&[&EXACT, &EXACT], None), [(50.0 / 32.0, false); 2]);
        // Another base does not give way.
        assert_eq!(
            mosts(&[&EXACT, &ROUNDED], Some(7)),
            [(50.0, true), (100.0, false)]
        );
        let zeros = [(f64::INFINITY, false); 3];
        assert_eq!(mosts(&[&zeros], None), [(f64::INFINITY, false)]);
    }

    #[test]
    fn a_channel_is_filled_by_a_whole_factor_on_an_exact_input() {
        let settled = |fill, base| {
            let filling = Filling {
                base,
                ..filling(vec![term(0, &[(0.5, true)])], vec![fill])
            };
            let (linear, filled) = filling.settle(&[128, 1024]);
            let [Term::Scale(factors)] = &linear.terms[..] else {
                panic!("an input as it is has factors");
            };
            (factors[0], 1.0 / filled[0].scale, filled[0].quantum)
        };
        // 1000 · 0.5 / 128 is 3.9: three times 128 / 0.5.
        assert_eq!(settled(1000.0, None), (3, 768.0, 128));
        assert_eq!(settled(768.0, None), (3, 768.0, 128));
        assert_eq!(settled(100.0, None), (1, 256.0, 128), "once at least");
        // A base of 1,024 keeps its fill.
        assert_eq!(settled(0.5, Some(1)), (2, 512.0, 128));
    }

    #[test]
    fn a_bias_is_in_whole_steps_where_that_hardly_errs() {
        let settled = |step: i64, aligned| {
            let weights = FillingTerm {
                map: Some(LinearMap::dense(&[1.0], 1)),
                aligned,
                ..term(0, &[(1.0, false)])
            };
            let filling = Filling {
                bias: vec![1.0],
                ..filling(vec![weights], vec![3.25 * step as f64])
            };
            let (linear, filled) = filling.settle(&[step]);
            (filled[0].quantum, linear.bias[0])
        };
        // A quarter of a step is 2^18 and 2^20; 2^19 are allowed.
        assert_eq!(settled(1 << 20, true), (1 << 20, 3 << 20));
        assert_eq!(settled(1 << 22, true), (1, 13 << 20));
        assert_eq!(settled(1 << 20, false), (1, 13 << 18), "no whole steps");
    }

    #[test]
    fn inputs_of_different_steps_leave_no_quantum() {
        let terms = || vec![term(0, &[(1.0, true)]), term(1, &[(1.0, true)])];
        let quantum = |steps: [i64; 2]| filling(terms(), vec![4096.0]).settle(&steps).1[0].quantum;
        assert_eq!((quantum([64, 64]), quantum([64, 32])), (64, 1));
    }

    proptest! {
        #[test]
        fn weights_stand_for_their_reals_within_half_a_step_each(
            weights in prop::collection::vec(-3.0f32..3.0, 6),
            input_scales in prop::collection::vec(0.1f64..2.0, 3),
            integers in prop::array::uniform3(-20i64..20),
            bias in prop::collection::vec(-2.0f64..2.0, 2),
            fills in prop::collection::vec(1e3f64..1e6, 2),
            half_step in 1i64..32,
        ) {
            let step = 2 * half_step;
            let map = LinearMap::dense(&weights, 3);
            let reals: Vec<f64> = integers.iter().zip(&input_scales).map(|(&n, s)| n as f64 * s).collect();
            let expected = map.apply_to(&reals);
            let term = FillingTerm {
                group: 0,
                input_scales,
                map: Some(map),
                natural: vec![(1.0, false); 2],
                aligned: true,
            };
            let filling = Filling { bias: bias.clone(), ..filling(vec![term], fills) };
            let (linear, filled) = filling.settle(&[step]);
            let rows: Vec<Row<u64>> = integers.iter().map(|&n| [(n * step) as u64].into()).collect();
            let inputs: i64 = integers.iter().map(|n| n.abs()).sum();
            let found = linear.run_clear(&[&rows]);
            for (index, (row, filled)) in found.iter().zip(&filled).enumerate() {
                let integer = row[0] as i64;
                prop_assert_eq!(integer % filled.quantum, 0);
                let error = integer as f64 * filled.scale - (expected[index] + bias[index]);
                let units = (inputs * step + filled.quantum) as f64 / 2.0;
                prop_assert!(error.abs() <= units * filled.scale + 1e-9, "{} units of {}", error, units);
            }
        }
    }
}
