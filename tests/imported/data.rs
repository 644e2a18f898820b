//! Where real networks and their images lie.

use std::path::{Path, PathBuf};

/// Returns the folder of data and models, if there is one.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SPLITBENCH_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if folder.join("models").is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no models in {}; set SPLITBENCH_DATA",
        folder.display()
    );
    None
}
