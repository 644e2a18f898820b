//! What a person should know of a recommendation before they take it.

use std::fmt;

use super::candidate::Candidate;
use super::choice::Choice;
use crate::core::objective::Objective;
use crate::core::units;
use crate::record::copy::Agreement;
use crate::record::exposure::{
    fraction, gives_all_away, least_fraction, unknown_words, why_unknown,
};

/// Times closer than this fraction are not told apart by a single sample or beside a noisy machine.
const CLOSE: f64 = 0.1;

/// One thing to know of the best split.
#[derive(Debug, Clone)]
pub enum Caveat<'a> {
    /// The machine strayed beside its samples.
    Noisy,
    /// Its time is that of one sample.
    Single,
    /// What it gives away is not known.
    Unknown(&'a Candidate<'a>),
    /// Its copies count as the whole model, which a limit lets pass.
    WholeCopies(Agreement),
    /// The next one is that much slower, which its samples or the best one's do not show.
    Close(&'a Candidate<'a>, f64),
    /// The exposure of so many others is not known, and may be less.
    OthersUnknown(usize),
    /// That one would come before it by the objective and may keep the limits, but its exposure is not
    /// known.
    KeptOut(&'a Candidate<'a>, Objective),
}

impl Choice<'_> {
    /// Returns what to know of the best split.
    pub fn caveats(&self) -> Vec<Caveat<'_>> {
        let Some(best) = self.ranked.first() else {
            return self.kept_out_caveat().into_iter().collect();
        };
        let is_noisy = |candidate: &Candidate<'_>| candidate.row.noisy == Some(true);
        let is_single = |candidate: &Candidate<'_>| candidate.row.online_s_n == Some(1);
        let is_unknown = fraction(best.row).is_none();
        // That all is handed over needs no copy.
        let copies = best.row.copies.filter(|_| !gives_all_away(best.row));
        let whole_copies = copies.filter(Agreement::is_whole_model);
        let next = self
            .ranked
            .get(1)
            .filter(|_| self.objective == Objective::Time);
        let close = next.and_then(|next| {
            let slower = next.modelled.time_s / best.modelled.time_s - 1.0;
            let doubtful = [best, next]
                .into_iter()
                .any(|c| is_noisy(c) || is_single(c));
            (doubtful && slower < CLOSE).then_some(Caveat::Close(next, slower))
        });
        let caveats = [
            is_noisy(best).then_some(Caveat::Noisy),
            is_single(best).then_some(Caveat::Single),
            close,
            is_unknown.then_some(Caveat::Unknown(best)),
            whole_copies.map(Caveat::WholeCopies),
            self.others_unknown(),
            self.kept_out_caveat(),
        ];
        caveats.into_iter().flatten().collect()
    }

    fn others_unknown(&self) -> Option<Caveat<'_>> {
        let others = self.ranked.iter().skip(1);
        let known = self.ranked.first().and_then(|best| fraction(best.row));
        let may_be_less = |other: &&Candidate<'_>| {
            let least = least_fraction(other.row).unwrap_or(0.0);
            fraction(other.row).is_none() && known.is_none_or(|known| least < known)
        };
        let unknown = others.filter(may_be_less).count();
        let bears = self.objective == Objective::Exposure && unknown > 0;
        bears.then_some(Caveat::OthersUnknown(unknown))
    }

    fn kept_out_caveat(&self) -> Option<Caveat<'_>> {
        let other = self.kept_out.as_ref();
        other.map(|other| Caveat::KeptOut(other, self.objective))
    }
}

impl fmt::Display for Caveat<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noisy => formatter.write_str(
                "its times are noisy: beside them a fixed batch of bootstraps strayed by more than a tenth",
            ),
            Self::Single => formatter.write_str("its time is one sample (n = 1), which has no spread"),
            Self::Unknown(best) => {
                let (words, why) = (unknown_words(best.row), why_unknown(best.row));
                write!(
                    formatter,
                    "its exposure is {words}: {why}, and what was not found is not thereby safe"
                )?;
                match best.row.copies {
                    Some(copies) => write!(
                        formatter,
                        "; copies agree in {}",
                        copies.of_copies_alone()
                    ),
                    None => Ok(()),
                }
            }
            Self::WholeCopies(copies) => write!(
                formatter,
                "{} queries teach a copy that agrees in {}, which is as good as the whole model",
                units::grouped(copies.queries),
                units::percent(copies.copy),
            ),
            Self::Close(next, slower) => write!(
                formatter,
                "{} is {} slower, which noisy or single samples do not tell apart",
                next.row.placement,
                units::percent(*slower),
            ),
            Self::OthersUnknown(count) => write!(
                formatter,
                "this is the least as far as is known: the exposure of {count} others is not, and may be less",
            ),
            Self::KeptOut(other, objective) => {
                write!(formatter, "{} would ", other.row.placement)?;
                match objective {
                    Objective::Time => {
                        write!(formatter, "take {}", units::seconds(other.modelled.time_s))?;
                    }
                    other => write!(formatter, "come first by {}", other.word())?,
                }
                let (words, why) = (unknown_words(other.row), why_unknown(other.row));
                write!(formatter, ", but its exposure is {words}: {why}")
            }
        }
    }
}
