//! Which splits a chart draws, in which order, and what it says about the others.

use std::collections::BTreeMap;

use crate::record::row::{SplitRow, Status};

/// Up to here, splits without a figure get a grey line; beyond it, a footnote counts them.
pub(crate) const GREY_LINES_UP_TO: usize = 64;
/// Beyond this count a chart draws the first ones and says so.
pub(crate) const DRAWN_AT_MOST: usize = 256;

/// The splits of a chart.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    /// Finished splits with the figure, smallest order key first, then by placement.
    pub(crate) drawn: Vec<&'a SplitRow>,
    /// Splits without the figure and the word that says why.
    pub(crate) greyed: Vec<(&'a SplitRow, &'a str)>,
    /// What the lines do not show.
    pub(crate) footnotes: Vec<String>,
}

impl<'a> Listing<'a> {
    /// Returns the splits ordered by `key`, no more than a chart with one line each can show.
    ///
    /// A split whose key is `None` has no figure.
    pub(crate) fn new(rows: &'a [SplitRow], key: impl Fn(&SplitRow) -> Option<f64>) -> Self {
        let mut listing = Listing::ordered(rows, key);
        let count = listing.drawn.len();
        if count > DRAWN_AT_MOST {
            listing.footnotes.push(format!(
                "The first {DRAWN_AT_MOST} of {count} finished splits are drawn."
            ));
            listing.drawn.truncate(DRAWN_AT_MOST);
        }
        if listing.line_count() > GREY_LINES_UP_TO || count == 0 {
            listing.count_greyed();
        }
        listing
    }

    /// Returns all splits ordered by `key`; a footnote counts those without a figure.
    pub(crate) fn unlimited(rows: &'a [SplitRow], key: impl Fn(&SplitRow) -> Option<f64>) -> Self {
        let mut listing = Listing::ordered(rows, key);
        listing.count_greyed();
        listing
    }

    fn ordered(rows: &'a [SplitRow], key: impl Fn(&SplitRow) -> Option<f64>) -> Self {
        let mut keyed = Vec::new();
        let mut greyed = Vec::new();
        for row in rows {
            match key(row).filter(|_| is_finished(row)) {
                Some(key) => keyed.push((key, row)),
                None => greyed.push((row, reason(row))),
            }
        }
        keyed.sort_by(|(left_key, left), (right_key, right)| {
            left_key
                .total_cmp(right_key)
                .then_with(|| left.placement.cmp(&right.placement))
        });
        let drawn = keyed.into_iter().map(|(_, row)| row).collect();
        Listing {
            drawn,
            greyed,
            footnotes: Vec::new(),
        }
    }

    /// Replaces the grey lines by a footnote.
    fn count_greyed(&mut self) {
        self.footnotes.extend(counted(&self.greyed));
        self.greyed.clear();
    }

    /// Returns how many lines the chart has.
    pub(crate) fn line_count(&self) -> usize {
        self.drawn.len() + self.greyed.len()
    }
}

/// Returns whether the split was measured, in all rounds or some, and its answer was right.
pub(crate) fn is_finished(row: &SplitRow) -> bool {
    [Status::Ok, Status::Partial]
        .map(Status::word)
        .contains(&row.status.as_str())
}

/// Returns the figure unless it is missing, negative or no number.
pub(crate) fn figure(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

fn reason(row: &SplitRow) -> &str {
    if is_finished(row) {
        "no data"
    } else {
        &row.status
    }
}

/// `12 splits are not drawn: 8 failed, 4 timeout.`
fn counted(greyed: &[(&SplitRow, &str)]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, reason) in greyed {
        *counts.entry(reason).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let (splits, are) = if greyed.len() == 1 {
        ("split", "is")
    } else {
        ("splits", "are")
    };
    (!greyed.is_empty()).then(|| {
        format!(
            "{} {splits} {are} not drawn: {}.",
            greyed.len(),
            parts.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::fixture::{finished, row, sweep};

    fn by_time(rows: &[SplitRow]) -> Listing<'_> {
        Listing::new(rows, |row| figure(row.online_s_median))
    }

    fn timed(placement: &str, online_s: f64) -> SplitRow {
        SplitRow {
            online_s_median: Some(online_s),
            ..row(placement, "ok")
        }
    }

    #[test]
    fn fastest_is_first_and_ties_follow_the_placement() {
        let rows = [timed("SC", 2.0), timed("CS", 2.0), timed("CC", 0.1)];
        let order: Vec<&str> = by_time(&rows)
            .drawn
            .iter()
            .map(|row| row.placement.as_str())
            .collect();
        assert_eq!(order, ["CC", "CS", "SC"]);
    }

    #[test]
    fn missing_figures_are_no_zeros() {
        let rows = [row("CC", "ok"), timed("SC", 1.0), timed("SS", f64::NAN)];
        let listing = by_time(&rows);
        assert_eq!(listing.drawn.len(), 1);
        assert_eq!(
            listing
                .greyed
                .iter()
                .map(|(_, reason)| *reason)
                .collect::<Vec<_>>(),
            ["no data", "no data"]
        );
    }

    #[test]
    fn unfinished_splits_are_grey_even_with_a_figure() {
        let rows = [
            SplitRow {
                status: "mismatch".into(),
                ..timed("SC", 1.0)
            },
            timed("CC", 2.0),
        ];
        let listing = by_time(&rows);
        assert_eq!(listing.drawn[0].placement, "CC");
        assert_eq!(listing.greyed[0].1, "mismatch");
        assert!(listing.footnotes.is_empty());
    }

    #[test]
    fn many_unfinished_splits_are_counted() {
        let mut rows = sweep(7);
        rows.iter_mut()
            .take(3)
            .for_each(|row| row.status = "timeout".into());
        rows[5].status = "oom".into();
        let before = rows.iter().filter(|row| row.status == "failed").count();
        let listing = by_time(&rows);
        assert!(listing.greyed.is_empty());
        assert_eq!(
            listing.footnotes,
            [format!(
                "{} splits are not drawn: {before} failed, 1 oom, 3 timeout.",
                before + 4
            )]
        );
    }

    #[test]
    fn too_many_splits_are_cut_and_said() {
        let rows: Vec<SplitRow> = (0..300)
            .map(|index| SplitRow {
                placement: format!("{index:03}"),
                ..finished("CS")
            })
            .collect();
        let listing = by_time(&rows);
        assert_eq!(listing.drawn.len(), DRAWN_AT_MOST);
        assert_eq!(
            listing.footnotes,
            ["The first 256 of 300 finished splits are drawn."]
        );
    }
}
