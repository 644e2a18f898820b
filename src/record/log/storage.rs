//! Where the lines of a log go: a file, or memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Where a log's lines go.
pub trait Storage: Write {
    /// Waits until what was written is there to stay.
    ///
    /// # Errors
    ///
    /// Whatever the storage meets.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns whether a path leads to it.
    fn is_at(&self, _path: &Path) -> bool {
        true
    }
}

impl Storage for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    #[cfg(unix)]
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (own, there) = (
            self.metadata().map(identity),
            fs::metadata(path).map(identity),
        );
        matches!((own, there), (Ok(own), Ok(there)) if own == there)
    }
}

impl Storage for Vec<u8> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
