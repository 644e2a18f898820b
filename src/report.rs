//! What people read of a results folder: charts, `report.html`, tables for papers.
//!
//! It reads the folder's tables and runs nothing. The entry points are [`write()`], for the page,
//! [`plot::draw_results`] and [`export`].

mod contents;
mod environment;
pub mod export;
mod failures;
mod figures;
#[cfg(test)]
pub(crate) mod fixture;
mod html;
mod page;
pub mod plot;
mod summary;

pub use page::write;
