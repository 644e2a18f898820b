//! The split table of a results folder, which a person may have edited, read and checked.

use std::collections::BTreeSet;
use std::path::Path;

use super::names::{COPIES, SPLITS};
use super::table::read_table;
use crate::core::error::{Error, Result};
use crate::record::row::{CopyRow, SplitRow};

/// Reads the splits of a results folder.
///
/// # Errors
///
/// [`Error::Invalid`] that names the table, and column and split where a figure cannot be.
pub fn read_splits(folder: &Path) -> Result<Vec<SplitRow>> {
    let rows: Vec<SplitRow> = read_table(folder, SPLITS)?;
    for row in &rows {
        check(row).map_err(|(column, reason)| {
            let table = folder.join(SPLITS);
            let place = format!("{}: {column} of {}", table.display(), row.placement);
            Error::invalid(place, reason)
        })?;
    }
    Ok(rows)
}

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
    let copies: Vec<CopyRow> = read_table(folder, COPIES)?;
    let known: BTreeSet<usize> = copies.iter().map(|copy| copy.queries).collect();
    if !known.contains(&queries) {
        let known: Vec<String> = known.iter().map(usize::to_string).collect();
        let known = known.join(", ");
        return refused(format!(
            "no copies after {queries} queries: there are some after {known}"
        ));
    }
    for row in rows {
        let is_of = |copy: &&CopyRow| copy.queries == queries && copy.placement == row.placement;
        row.copy_agreement = match row.rounds {
            Some(0) => Some(1.0),
            _ => copies
                .iter()
                .find(is_of)
                .and_then(|copy| copy.copy_agreement),
        };
        if let Some(wrong) = row
            .copy_agreement
            .filter(|found| !(0.0..=1.0).contains(found))
        {
            let placement = &row.placement;
            return refused(format!(
                "copy_agreement of {placement}: {wrong} is no fraction from 0 to 1"
            ));
        }
    }
    Ok(())
}

/// Checks that times are such as an axis can show, and that fractions are fractions.
fn check(row: &SplitRow) -> std::result::Result<(), (&'static str, String)> {
    let plausible = |seconds: f64| seconds == 0.0 || (1e-12..=1e12).contains(&seconds);
    let times = [
        ("online_s_median", row.online_s_median),
        ("client_compute_s_median", row.client_compute_s_median),
        ("encrypt_s_median", row.encrypt_s_median),
        ("serialise_s_median", row.serialise_s_median),
        ("server_compute_s_median", row.server_compute_s_median),
        ("deserialise_s_median", row.deserialise_s_median),
        ("decrypt_s_median", row.decrypt_s_median),
        ("key_generation_s", row.key_generation_s),
        ("key_transfer_s", row.key_transfer_s),
    ];
    for (column, seconds) in times {
        if let Some(seconds) = seconds.filter(|seconds| !plausible(*seconds)) {
            let reason = format!("{seconds} s is no time between 10^-12 s and 10^12 s");
            return Err((column, reason));
        }
    }
    let fractions = [
        ("client_weight_share", row.client_weight_share),
        ("exposed_weight_share", row.exposed_weight_share),
        ("exposed_weight_share_least", row.exposed_weight_share_least),
        ("simulated_accuracy", row.simulated_accuracy),
        ("noiseless_accuracy", row.noiseless_accuracy),
    ];
    for (column, fraction) in fractions {
        if let Some(fraction) = fraction.filter(|fraction| !(0.0..=1.0).contains(fraction)) {
            return Err((column, format!("{fraction} is no fraction from 0 to 1")));
        }
    }
    Ok(())
}
