//! A results folder: tables derived from its log, and what else stands beside it.

mod agreements;
mod copy_rows;
mod description;
mod deviation_rates;
mod exposed;
mod failed;
mod layer_rows;
mod names;
mod split;
mod split_row;
mod splits;
mod table;
mod tables;
mod visit_rows;

pub use agreements::read_copy_agreements;
pub use copy_rows::copy_curve;
pub use description::{Described, Description};
pub use names::{CHARTS, COPIES, ENVIRONMENT, EXPOSURE, LAYERS, REPORT, SAMPLES, SPLITS, STAGES};
pub use splits::read_splits;
pub use table::{read_csv, read_table, write_csv};
pub use tables::Tables;
