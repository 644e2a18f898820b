//! The names of what a results folder holds beside its log.

pub const SAMPLES: &str = "samples.csv";
pub const SPLITS: &str = "splits.csv";
pub const LAYERS: &str = "layers.csv";
pub const EXPOSURE: &str = "exposure.csv";
pub const COPIES: &str = "copies.csv";
pub const STAGES: &str = "stages.csv";
pub const ENVIRONMENT: &str = "environment.json";
pub const CHARTS: &str = "charts";
pub const REPORT: &str = "report.html";
