//! Whether a sweep's splits ended well.

use std::path::Path;

use crate::core::error::{Error, Result};
use crate::record::results::{SPLITS, Tables};
use crate::record::row::Status;

/// Returns an error where a split ended, but not as `ok`.
///
/// # Errors
///
/// [`Error::SplitsFailed`], [`Error::Mismatch`].
pub fn verdict(tables: &Tables, folder: &Path) -> Result<()> {
    let count = |status: Status| {
        tables
            .splits
            .iter()
            .filter(|row| row.status == status.word())
            .count()
    };
    let (total, table) = (tables.splits.len(), folder.join(SPLITS));
    let mismatched = count(Status::Mismatch);
    if mismatched > 0 {
        return Err(Error::Mismatch {
            mismatched,
            total,
            table,
        });
    }
    match total - count(Status::Ok) - count(Status::Partial) - count(Status::Skipped) {
        0 => Ok(()),
        failed => Err(Error::SplitsFailed {
            failed,
            total,
            table,
        }),
    }
}
