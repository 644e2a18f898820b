//! What a split must keep to, and by how much it does not.

use std::fmt;

use crate::core::units;
use crate::record::copy::Agreement;
use crate::record::exposure::{fraction, least_fraction, why_unknown};
use crate::record::row::SplitRow;

/// What a split must keep to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Bytes.
    pub max_client_memory: Option<u64>,
    /// Bytes.
    pub max_server_memory: Option<u64>,
    pub max_exposure: Option<f64>,
    pub min_accuracy: Option<f64>,
    /// Of copies, after as many queries as the rows tell.
    pub max_copy_agreement: Option<f64>,
    /// Whether an exposure, or an agreement of copies, that is not known counts as the least that it can be.
    pub counts_handed_over: bool,
    /// Whether copies that agree in [`WHOLE_MODEL`](crate::record::copy::WHOLE_MODEL) count as the whole model,
    /// where neither exposure nor agreement is limited.
    pub counts_whole_copies: bool,
}

/// One limit of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    ClientMemory,
    ServerMemory,
    Exposure,
    Accuracy,
    CopyAgreement,
}

/// A limit that a split breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    pub limit: Limit,
    pub words: String,
    /// As a fraction of the limit; of a fraction, the difference; infinite where the figure is not known.
    pub excess: f64,
}

impl Broken {
    fn unknown(limit: Limit, words: &str) -> Self {
        Self {
            limit,
            words: words.into(),
            excess: f64::INFINITY,
        }
    }
}

impl Limits {
    /// Returns the exposure of a row that counts; `None` where it is not known.
    pub fn exposure(&self, row: &SplitRow) -> Option<f64> {
        if self.counts_handed_over {
            least_fraction(row)
        } else {
            fraction(row)
        }
    }

    /// Returns the copies of a row that count as the whole model given away.
    pub fn whole_copies(&self, row: &SplitRow) -> Option<Agreement> {
        let counts = self.counts_whole_copies
            && self.max_exposure.is_none()
            && self.max_copy_agreement.is_none();
        row.copies
            .filter(|copies| counts && copies.is_whole_model())
    }

    /// Returns the limits that a row breaks; one whose figure is not known counts as broken.
    pub fn broken(&self, row: &SplitRow) -> Vec<Broken> {
        let client = self.max_client_memory.map(|most| {
            let found = row.client_peak_rss_bytes;
            memory(Limit::ClientMemory, "client", found, most)
        });
        let server = self
            .max_server_memory
            .map(|most| memory(Limit::ServerMemory, "server", server_memory(row), most));
        let exposure = self.max_exposure.map(|most| self.over_exposed(row, most));
        let accuracy = self.min_accuracy.map(|least| inaccurate(row, least));
        let copies = self.max_copy_agreement.map(|most| self.copied(row, most));
        [client, server, exposure, accuracy, copies]
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }

    /// Returns whether a row keeps the limits, were its unknown exposure the least that it can be.
    pub fn may_keep(&self, row: &SplitRow) -> bool {
        let counted = Self {
            counts_handed_over: true,
            ..*self
        };
        fraction(row).is_none() && counted.broken(row).is_empty()
    }

    fn over_exposed(&self, row: &SplitRow, most: f64) -> Option<Broken> {
        let limit = Limit::Exposure;
        let Some(found) = self.exposure(row) else {
            let words = format!("exposure unknown: {}", why_unknown(row));
            return Some(Broken::unknown(limit, &words));
        };
        let least = match fraction(row) {
            Some(_) => "",
            None => "at least ",
        };
        let (words, allowed) = units::percents_apart(found, most);
        let keeps = found <= most;
        (!keeps).then(|| Broken {
            limit,
            words: format!("gives away {least}{words}, {allowed} allowed"),
            excess: found - most,
        })
    }

    fn copied(&self, row: &SplitRow, most: f64) -> Option<Broken> {
        let limit = Limit::CopyAgreement;
        let Some(found) = row.copies.map(|copies| copies.copy) else {
            let words = "how good a copy is, is not known";
            return (!self.counts_handed_over).then(|| Broken::unknown(limit, words));
        };
        let (words, allowed) = units::percents_apart(found, most);
        let keeps = found <= most;
        (!keeps).then(|| Broken {
            limit,
            words: format!("copies agree in {words}, {allowed} allowed"),
            excess: found - most,
        })
    }

    /// Returns the limits in words, as they stand in a sentence.
    pub fn words(&self) -> Vec<String> {
        let memory = |party: &str, most: Option<u64>| {
            most.map(|most| format!("{party} memory at most {}", units::bytes(most)))
        };
        let exposure = self.max_exposure.map(|most| {
            let unknown = if self.counts_handed_over {
                " (unknown counted as the least that it can be)"
            } else {
                ""
            };
            format!(
                "exposure at most {}{unknown}",
                units::percent_as_typed(most)
            )
        });
        let accuracy = self.min_accuracy;
        let accuracy =
            accuracy.map(|least| format!("accuracy at least {}", units::percent_as_typed(least)));
        let copies = self.max_copy_agreement.map(|most| {
            let most = units::percent_as_typed(most);
            format!("agreement of copies at most {most}")
        });
        let words = [
            exposure,
            memory("client", self.max_client_memory),
            memory("server", self.max_server_memory),
            accuracy,
            copies,
        ];
        words.into_iter().flatten().collect()
    }
}

/// Returns the server's peak; zero where nothing runs on it.
pub fn server_memory(row: &SplitRow) -> Option<u64> {
    match row.rounds {
        Some(0) => Some(0),
        _ => row.server_peak_rss_bytes,
    }
}

fn memory(limit: Limit, party: &str, found: Option<u64>, most: u64) -> Option<Broken> {
    let Some(found) = found else {
        let words = format!("its memory on the {party} is not known");
        return Some(Broken::unknown(limit, &words));
    };
    let (needs, allowed) = units::bytes_apart(found, most);
    (found > most).then(|| Broken {
        limit,
        words: format!("needs {needs} on the {party}, {allowed} allowed"),
        excess: found as f64 / most.max(1) as f64 - 1.0,
    })
}

fn inaccurate(row: &SplitRow, least: f64) -> Option<Broken> {
    let limit = Limit::Accuracy;
    let Some(found) = row.simulated_accuracy else {
        return Some(Broken::unknown(limit, "its accuracy is not known"));
    };
    let (words, wanted) = units::percents_apart(found, least);
    let keeps = found >= least;
    (!keeps).then(|| Broken {
        limit,
        words: format!("is right in {words}, {wanted} wanted"),
        excess: least - found,
    })
}

impl fmt::Display for Limit {
    /// Writes the option that sets the limit.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClientMemory => "--max-client-memory",
            Self::ServerMemory => "--max-server-memory",
            Self::Exposure => "--max-exposure",
            Self::Accuracy => "--min-accuracy",
            Self::CopyAgreement => "--max-copy-agreement",
        })
    }
}
