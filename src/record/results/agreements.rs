//! What a split's copies are worth, brought from the table of copies to the rows of splits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::names::COPIES;
use super::table::read_table;
use crate::core::error::{Error, Result};
use crate::record::copy::{Agreement, USUAL_QUERIES};
use crate::record::row::{CopyRow, SplitRow};

/// Fills in how far copies agree with the server after so many queries; of a split without a server all that
/// there is was handed over.
///
/// # Errors
///
/// [`Error::Invalid`] where no copies were learnt, none after so many queries, or a figure cannot be.
pub fn read_copy_agreements(folder: &Path, queries: usize, rows: &mut [SplitRow]) -> Result<()> {
    let table = folder.join(COPIES);
    let refused = |reason: String| Err(Error::invalid(table.display().to_string(), reason));
    if !table.exists() {
        let shown = folder.display();
        let reason = format!("no copies were learnt: run `splitbench attack {shown}` first");
        return refused(reason);
    }
    let copies = read_copies(folder)?;
    let known: BTreeSet<usize> = copies.iter().map(|copy| copy.queries).collect();
    if !known.contains(&queries) {
        let known: Vec<String> = known.iter().map(usize::to_string).collect();
        let known = known.join(", ");
        return refused(format!(
            "no copies after {queries} queries: there are some after {known}"
        ));
    }
    fill_in(&copies, queries, rows);
    Ok(())
}

/// Fills in the same after the usual number of queries, where there are copies after as many.
///
/// # Errors
///
/// [`Error::Invalid`] where a figure cannot be.
pub(super) fn fill_in_usual(folder: &Path, rows: &mut [SplitRow]) -> Result<()> {
    if folder.join(COPIES).exists() {
        fill_in_known(&read_copies(folder)?, rows);
    }
    Ok(())
}

/// Fills in the same from the rows of copies, where any of them is known.
pub(super) fn fill_in_known(copies: &[CopyRow], rows: &mut [SplitRow]) {
    let is_known = |copy: &CopyRow| copy.queries == USUAL_QUERIES && copy.copy_agreement.is_some();
    if copies.iter().any(is_known) {
        fill_in(copies, USUAL_QUERIES, rows);
    }
}

fn fill_in(copies: &[CopyRow], queries: usize, rows: &mut [SplitRow]) {
    let of_queries = copies.iter().filter(|copy| copy.queries == queries);
    let agreement = |copy: &CopyRow| {
        Some(Agreement {
            queries,
            copy: copy.copy_agreement?,
            own: copy.own_agreement,
            ceiling: copy.ceiling_agreement,
        })
    };
    let of_placement: HashMap<&str, Option<Agreement>> = of_queries
        .map(|copy| (copy.placement.as_str(), agreement(copy)))
        .collect();
    for row in rows {
        row.copies = match row.rounds {
            Some(0) => Some(Agreement::handed_over(queries)),
            _ => of_placement.get(row.placement.as_str()).copied().flatten(),
        };
    }
}

/// Reads the table of copies, whose agreements are fractions.
fn read_copies(folder: &Path) -> Result<Vec<CopyRow>> {
    let copies: Vec<CopyRow> = read_table(folder, COPIES)?;
    let mut seen = HashSet::new();
    for copy in &copies {
        if !seen.insert((&copy.placement, copy.queries)) {
            let place = folder.join(COPIES).display().to_string();
            let (placement, queries) = (&copy.placement, copy.queries);
            let reason =
                format!("tells twice of {placement} after {queries} queries: keep one of the rows");
            return Err(Error::invalid(place, reason));
        }
        let fractions = [
            ("copy_agreement", copy.copy_agreement),
            ("own_agreement", copy.own_agreement),
            ("ceiling_agreement", copy.ceiling_agreement),
        ];
        for (column, fraction) in fractions {
            if let Some(wrong) = fraction.filter(|found| !(0.0..=1.0).contains(found)) {
                let table = folder.join(COPIES);
                let place = format!("{}: {column} of {}", table.display(), copy.placement);
                let reason = format!("{wrong} is no fraction from 0 to 1");
                return Err(Error::invalid(place, reason));
            }
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::super::table::write_csv;
    use super::super::{SPLITS, read_splits};
    use super::*;

    fn split(placement: &str, rounds: usize) -> SplitRow {
        SplitRow {
            placement: placement.into(),
            rounds: Some(rounds),
            ..SplitRow::default()
        }
    }

    fn copy(placement: &str, queries: usize, agreement: Option<f64>) -> CopyRow {
        CopyRow {
            placement: placement.into(),
            queries,
            copy_agreement: agreement,
            own_agreement: agreement.map(|agreement| agreement / 2.0),
            ..CopyRow::default()
        }
    }

    fn folder(copies: &[CopyRow]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let splits = [split("CC", 0), split("CS", 1), split("SS", 1)];
        write_csv(&folder.path().join(SPLITS), &splits).expect("written");
        write_csv(&folder.path().join(COPIES), copies).expect("written");
        folder
    }

    fn agreements(rows: &[SplitRow]) -> Vec<Option<(f64, Option<f64>)>> {
        let of = |row: &SplitRow| row.copies.map(|copies| (copies.copy, copies.own));
        rows.iter().map(of).collect()
    }

    #[test]
    fn splits_are_read_with_the_copies_after_the_usual_queries() {
        let folder = folder(&[
            copy("CS", 100, Some(0.5)),
            copy("CS", 1000, Some(0.75)),
            copy("SS", 1000, None),
        ]);
        let mut rows = read_splits(folder.path()).expect("rows");
        let usual = [Some((1.0, None)), Some((0.75, Some(0.375))), None];
        assert_eq!(agreements(&rows), usual);
        // Others replace them, with what is not known after as many.
        read_copy_agreements(folder.path(), 100, &mut rows).expect("copies");
        let asked = [Some((1.0, None)), Some((0.5, Some(0.25))), None];
        assert_eq!(agreements(&rows), asked);
        let error = read_copy_agreements(folder.path(), 7, &mut rows).unwrap_err();
        assert!(error.to_string().contains("after 100, 1000"), "{error}");
    }

    #[test]
    fn without_copies_that_are_known_no_row_has_any() {
        for copies in [
            vec![],
            vec![copy("CS", 100, Some(0.5))],
            vec![copy("CS", 1000, None)],
        ] {
            let folder = folder(&copies);
            let rows = read_splits(folder.path()).expect("rows");
            assert_eq!(agreements(&rows), [None; 3], "{copies:?}");
        }
    }

    #[test]
    fn two_rows_of_one_figure_are_refused() {
        let folder = folder(&[copy("CS", 10, Some(0.5)), copy("CS", 10, Some(0.1))]);
        let error = read_splits(folder.path()).unwrap_err().to_string();
        assert!(error.contains("twice of CS after 10"), "{error}");
    }

    #[test]
    fn a_figure_that_cannot_be_is_refused() {
        let folder = folder(&[copy("CS", 10, Some(1.5))]);
        let error = read_splits(folder.path()).unwrap_err().to_string();
        assert!(error.contains("copy_agreement of CS: 1.5"), "{error}");
    }
}
