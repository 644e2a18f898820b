//! How much of the server's model a split gives away.

use crate::row::SplitRow;

/// Returns the share of all weights that the client ends up with; `None` where it is not known.
pub fn share(row: &SplitRow) -> Option<f64> {
    row.client_weight_share
}
