//! The split table of a results folder, which a person may have edited, read and checked.

use std::path::Path;

use super::agreements::fill_in_usual;
use super::names::SPLITS;
use super::table::read_table;
use crate::core::error::{Error, Result};
use crate::record::row::SplitRow;

/// Reads the splits of a results folder, and of those with copies how far these agree with the server after
/// [`USUAL_QUERIES`](crate::record::copy::USUAL_QUERIES).
///
/// # Errors
///
/// [`Error::Invalid`] that names the table, and column and split where a figure cannot be.
pub fn read_splits(folder: &Path) -> Result<Vec<SplitRow>> {
    let mut rows: Vec<SplitRow> = read_table(folder, SPLITS)?;
    for row in &rows {
        check(row).map_err(|(column, reason)| {
            let table = folder.join(SPLITS);
            let place = format!("{}: {column} of {}", table.display(), row.placement);
            Error::invalid(place, reason)
        })?;
    }
    fill_in_usual(folder, &mut rows)?;
    Ok(rows)
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
