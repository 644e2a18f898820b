//! How good a copy of the server's layers a client of a split learns from so many queries.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::placement::Placement;
use crate::core::units;

/// Agreements whose number of queries is told.
pub const AGREEMENTS: [f64; 3] = [0.9, 0.95, 0.99];

/// The mean agreement from which on a copy counts as the whole model, where nobody says what is allowed: the
/// last of [`AGREEMENTS`], beyond which the server's own noise hides what a copy lacks.
pub const WHOLE_MODEL: f64 = 0.99;

/// Queries after which copies are judged where nobody says.
pub const USUAL_QUERIES: usize = 1000;

/// How far copies of a split agree with the server after so many queries: means over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    pub queries: usize,
    pub copy: f64,
    /// Of what the same images teach without the server.
    pub own: Option<f64>,
    /// Of the server itself, with its noise.
    pub ceiling: Option<f64>,
}

impl Agreement {
    /// Returns the agreement of a split without a server, all of which is handed over.
    pub fn handed_over(queries: usize) -> Self {
        Self {
            queries,
            copy: 1.0,
            own: None,
            ceiling: None,
        }
    }

    /// Returns the agreement of copies alone.
    pub fn of_copies_alone(self) -> Self {
        Self { own: None, ..self }
    }

    /// Returns whether the copies count as the whole model.
    pub fn is_whole_model(&self) -> bool {
        self.copy >= WHOLE_MODEL
    }
}

impl fmt::Display for Agreement {
    /// Writes `97.9 % after 1,000 queries (94.6 % without the server)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queries = units::grouped(self.queries);
        write!(
            formatter,
            "{} after {queries} queries",
            // Beside the rule: with more digits where it reads the same.
            units::percents_apart(self.copy, WHOLE_MODEL).0
        )?;
        match self.own {
            Some(own) => write!(formatter, " ({} without the server)", units::percent(own)),
            None => Ok(()),
        }
    }
}

/// What copies of a split are worth after so many queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyPoint {
    pub placement: Placement,
    pub queries: usize,
    /// One for each seed; none where it is not known.
    pub seeds: Vec<CopyOutcome>,
    /// Agreement of the server, with its noise, with its noiseless integers.
    pub ceiling: Option<f64>,
    /// Trained numbers in the server's segments.
    pub weights: usize,
    /// Ordinary images among the queries.
    pub ordinary: usize,
    /// Images that copies are judged on.
    pub judged: usize,
    pub seconds: f64,
    /// Why it is not known.
    pub reason: Option<String>,
}

/// What was learnt with a seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CopyOutcome {
    pub seed: u64,
    /// From the server's answers.
    pub copy: Judged,
    /// From the true labels of the ordinary images, without the server; none where a layer of the client
    /// that has no gradient stands behind weights that are learnt.
    pub own: Option<Judged>,
}

/// What a network is worth on images that nothing was asked with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Fraction of labels that are those of the server's noiseless integers.
    pub agreement: f64,
    /// Fraction of labels that are true.
    pub accuracy: f64,
}

/// How many queries an agreement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The least tested number that reached it.
    Queries(usize),
    /// None did, up to so many.
    NotWithin(usize),
    /// None that is known did, and some are not known.
    Unknown,
}

impl Until {
    /// Returns how many queries of a split's curve, in order, a mean agreement takes.
    pub fn of(curve: &[&CopyPoint], agreement: f64) -> Self {
        let reached = |point: &CopyPoint| {
            point
                .mean(|of| Some(of.copy.agreement))
                .map(|mean| mean >= agreement)
        };
        for point in curve {
            match reached(point) {
                Some(true) => return Self::Queries(point.queries),
                Some(false) => {}
                None => return Self::Unknown,
            }
        }
        curve
            .last()
            .map_or(Self::Unknown, |last| Self::NotWithin(last.queries))
    }

    /// Returns the cell of the table.
    pub fn cell(self) -> String {
        match self {
            Self::Queries(queries) => queries.to_string(),
            Self::NotWithin(queries) => format!("> {queries}"),
            Self::Unknown => String::new(),
        }
    }
}

impl CopyPoint {
    /// Returns the mean of a figure over seeds; none where it is not known of all, or there are none.
    pub fn mean(&self, of: impl Fn(&CopyOutcome) -> Option<f64>) -> Option<f64> {
        let sum: f64 = self.seeds.iter().map(of).sum::<Option<f64>>()?;
        (!self.seeds.is_empty()).then(|| sum / self.seeds.len() as f64)
    }

    /// Returns the least and the most of a figure over seeds; none where it is not known of all, or there
    /// are none.
    pub fn ends(&self, of: impl Fn(&CopyOutcome) -> Option<f64>) -> Option<(f64, f64)> {
        let values = self.seeds.iter().map(of).collect::<Option<Vec<f64>>>()?;
        let values = values.into_iter().map(|value| (value, value));
        values.reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
    }
}

/// Queries to a segment that were put to the real server too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The segment's first layer, and the one behind its last.
    pub layers: (usize, usize),
    /// Its parameter set.
    pub parameters: String,
    pub queries: usize,
    /// Those that were answered within the error model of what the simulation says.
    pub within: usize,
}

#[cfg(test)]
impl CopyPoint {
    /// Returns a point of `CS` whose copies have these agreements.
    pub(crate) fn fixture(queries: usize, agreements: &[f64]) -> Self {
        let judged = |agreement| Judged {
            agreement,
            accuracy: agreement / 2.0,
        };
        let outcome = |(seed, &agreement): (usize, &f64)| CopyOutcome {
            seed: seed as u64,
            copy: judged(agreement),
            own: Some(judged(0.5)),
        };
        Self {
            placement: "CS".parse().expect("letters"),
            queries,
            seeds: agreements.iter().enumerate().map(outcome).collect(),
            ceiling: Some(1.0),
            weights: 7,
            ordinary: queries / 2,
            judged: 100,
            seconds: 1.5,
            reason: agreements.is_empty().then(|| "stopped".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_reads_as_it_should() {
        let agreement = Agreement {
            own: Some(0.946),
            copy: 0.979,
            ..Agreement::handed_over(1000)
        };
        let words = "97.9 % after 1,000 queries (94.6 % without the server)";
        assert_eq!(agreement.to_string().replace('\u{a0}', " "), words);
        let words = Agreement::handed_over(10).to_string();
        assert_eq!(words.replace('\u{a0}', " "), "100.0 % after 10 queries");
    }

    #[test]
    fn the_whole_model_begins_at_its_agreement() {
        let of = |copy| Agreement {
            copy,
            ..Agreement::handed_over(1000)
        };
        let whole = [0.989_9, 0.99, 1.0].map(|copy| of(copy).is_whole_model());
        assert_eq!(whole, [false, true, true]);
        assert_eq!(AGREEMENTS.last(), Some(&WHOLE_MODEL));
    }

    #[test]
    fn the_least_tested_number_that_reaches_an_agreement_counts() {
        let point = CopyPoint::fixture;
        let (ten, hundred) = (point(10, &[0.8, 0.9]), point(100, &[0.96]));
        let open = point(1000, &[]);
        for (curve, agreement, until) in [
            (vec![&ten, &hundred], 0.9, Until::Queries(100)),
            (vec![&ten, &hundred], 0.85, Until::Queries(10)),
            (vec![&ten, &hundred], 0.99, Until::NotWithin(100)),
            (vec![&ten, &hundred, &open], 0.99, Until::Unknown),
            (vec![&ten, &open], 0.99, Until::Unknown),
            (vec![], 0.9, Until::Unknown),
        ] {
            assert_eq!(Until::of(&curve, agreement), until, "{agreement}");
        }
    }
}
