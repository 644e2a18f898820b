//! A value on the server while its segment is analysed.

/// A value as later steps read it.
#[derive(Debug, Clone)]
pub(super) struct DraftValue {
    pub slot: usize,
    /// The source, or sources of one step, that its integers are multiples of.
    pub group: usize,
    /// Per element: `real = scale · integer + offset`, integers counted in steps of the group.
    pub scales: Vec<f64>,
    pub offsets: Vec<f64>,
    /// Per element: smallest and largest integer.
    pub range: Vec<(i64, i64)>,
    /// Whether no look-up lies before it.
    pub fresh: bool,
    /// Whether all its integers are whole steps of the group.
    pub aligned: bool,
}
