//! An opened file whose length is known before it is read, gzip being unpacked on the way.
//!
//! Decoders hold what a header announces against [`Source::length`] first, so nothing larger than
//! the content itself is ever allocated.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::core::error::{Error, Result};
use crate::machine::file::{self, Regular};

/// The largest content, unpacked: 4 GiB.
pub(super) const MAX_BYTES: u64 = 1 << 32;
/// Bytes at the beginning that are read at once: the longest .npy header of version 1 fits.
const HEAD_BYTES: u64 = (1 << 16) + 16;
/// Deflate codes at most 258 bytes in two bits, so it never inflates by more than 1032.
const MAX_INFLATION: u64 = 1032;

/// A file, or a member of an archive, from which `length` bytes can be read.
pub(super) struct Source<'a> {
    /// The file, as errors name it.
    pub place: String,
    /// The number of bytes of the content, unpacked.
    pub length: u64,
    head: Vec<u8>,
    rest: Box<dyn Read + 'a>,
}

impl<'a> Source<'a> {
    /// Opens a file; gzip of a single member is unpacked as it is read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the file cannot be opened, [`Error::Invalid`] where it is no regular
    /// file, empty, too large or damaged in its first bytes.
    pub fn open(path: &Path) -> Result<Source<'static>> {
        let place = path.display().to_string();
        let Regular {
            mut file,
            length,
            stored,
        } = Regular::open(path)?;
        match gzip_length(&mut file).map_err(|error| damaged(&place, &error))? {
            Some(unpacked_length) => {
                // A second member shows as bytes beyond the stated length.
                let unpacked = MultiGzDecoder::new(BufReader::new(file));
                Source::new(place, unpacked, unpacked_length, stored)
            }
            None => Source::new(place, file, length, stored),
        }
    }

    /// Returns the source of `length` bytes that come out of `packed_bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where that length cannot be or is too large.
    pub fn new(
        place: String,
        mut reader: impl Read + 'a,
        length: u64,
        packed_bytes: u64,
    ) -> Result<Self> {
        if length == 0 {
            return Err(Error::invalid(place, "is empty: fetch or write it again"));
        }
        check_bytes(&place, length)?;
        check_inflation(&place, length, packed_bytes)?;
        let mut head = Vec::new();
        let head_result = reader
            .by_ref()
            .take(HEAD_BYTES.min(length))
            .read_to_end(&mut head);
        head_result.map_err(|error| damaged(&place, &error))?;
        Ok(Self {
            place,
            length,
            head,
            rest: Box::new(reader),
        })
    }

    /// Returns the first bytes: all, or at least 64 KiB.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Reads the whole content and drops its first `skipped` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the file breaks off, is damaged or runs on.
    pub fn into_bytes(self, skipped: usize) -> Result<Vec<u8>> {
        let mut bytes = self.head;
        // One byte more than announced, so that content that runs on shows.
        let left = (self.length + 1).saturating_sub(bytes.len() as u64);
        file::reserve(&self.place, &mut bytes, left as usize)?;
        self.rest
            .take(left)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&self.place, &error))?;
        if bytes.len() as u64 != self.length {
            return Err(Error::invalid(
                self.place,
                format!(
                    "holds another number of bytes than the {} it states: \
                     fetch it again, or pack it again with gzip in one piece",
                    self.length
                ),
            ));
        }
        bytes.drain(..skipped.min(bytes.len()));
        Ok(bytes)
    }
}

/// Refuses content above [`MAX_BYTES`].
///
/// # Errors
///
/// [`Error::Invalid`] with the limit.
pub(super) fn check_bytes(place: &str, length: u64) -> Result<()> {
    if length <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        format!("holds {length} bytes, more than 4 GiB: give fewer images"),
    ))
}

/// Refuses `length` bytes that are said to come out of so few packed ones that deflate cannot
/// have packed them, or only to fill the memory.
///
/// # Errors
///
/// [`Error::Invalid`] with both numbers.
pub(super) fn check_inflation(place: &str, length: u64, packed_bytes: u64) -> Result<()> {
    if length <= packed_bytes.saturating_mul(MAX_INFLATION) {
        return file::check_inflation(place, length, packed_bytes);
    }
    Err(Error::invalid(
        place,
        format!(
            "announces {length} bytes, which its {packed_bytes} packed bytes cannot hold: \
             fetch or write it again"
        ),
    ))
}

/// Returns the error of a content that ends early or cannot be unpacked.
fn damaged(place: &str, error: &std::io::Error) -> Error {
    Error::invalid(
        place,
        format!("breaks off or is damaged ({error}): fetch or write it again"),
    )
}

/// Returns the unpacked length of a gzip file modulo 2^32, which its last four bytes state
/// (RFC 1952, section 2.3.1), or `None` for other files; rewinds.
fn gzip_length(file: &mut File) -> std::io::Result<Option<u64>> {
    const SHORTEST_GZIP: u64 = 18;
    let mut magic = Vec::new();
    file.by_ref().take(3).read_to_end(&mut magic)?;
    let mut length = None;
    if magic == [0x1f, 0x8b, 8] && file.metadata()?.len() >= SHORTEST_GZIP {
        let mut last = [0; 4];
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut last)?;
        length = Some(u64::from(u32::from_le_bytes(last)));
    }
    file.rewind()?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::data::tests::{gzip, write};

    fn failure(bytes: &[u8]) -> String {
        let file = write(bytes);
        let read = Source::open(file.path()).and_then(|source| source.into_bytes(0));
        read.unwrap_err().to_string()
    }

    #[test]
    fn plain_and_gzip_files_give_the_same_bytes() {
        let content: Vec<u8> = (0..200_000u64).map(|i| ((i * i) >> 7) as u8).collect();
        for packed in [content.clone(), gzip(&content)] {
            let file = write(&packed);
            let source = Source::open(file.path()).unwrap();
            assert_eq!(source.length, 200_000);
            assert_eq!(source.into_bytes(5).unwrap(), content[5..]);
        }
    }

    #[test]
    fn gzip_that_breaks_off_or_lies_is_refused() {
        let content = vec![3; 100_000];
        let whole = gzip(&content);
        let with_length = |length: u32| {
            let mut packed = whole.clone();
            let at = packed.len() - 4;
            packed[at..].copy_from_slice(&length.to_le_bytes());
            packed
        };
        let two_members = [gzip(&content[..9]), whole.clone()].concat();
        let twins = [whole.clone(), whole.clone()].concat();
        let mut wrong_checksum = whole.clone();
        let at = whole.len() - 8;
        wrong_checksum[at] ^= 1;
        let table: [(&[u8], &str); 10] = [
            (&whole[..whole.len() / 2], "is empty"),
            (&whole[..whole.len() - 2], "packed bytes cannot hold"),
            (&[&whole[..40], &9u32.to_le_bytes()].concat(), "damaged"),
            (&with_length(99_999), "it states"),
            (&with_length(100_001), "damaged"),
            (&with_length(u32::MAX), "packed bytes cannot hold"),
            (&two_members, "it states"),
            (&twins, "it states"),
            (&wrong_checksum, "damaged"),
            (b"", "is empty"),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            let message = failure(bytes);
            assert!(message.contains(expected), "case {i}: {message}");
            assert!(!message.contains('\n'), "case {i}: {message}");
        }
    }

    #[test]
    fn a_bomb_with_a_small_stated_length_is_left_unread() {
        let mut bomb = gzip(&vec![0; 50_000_000]);
        let at = bomb.len() - 4;
        bomb[at..].copy_from_slice(&1000u32.to_le_bytes());
        assert!(failure(&bomb).contains("the 1000 it states"));
    }

    #[test]
    fn a_bomb_that_states_its_length_is_left_unread() {
        assert!(failure(&gzip(&vec![0; 20_000_000])).contains("20000000 bytes from"));
    }

    #[test]
    fn more_than_the_limit_is_refused_before_reading() {
        let place = String::from("large");
        let refused = Source::new(place, std::io::repeat(0), MAX_BYTES + 1, MAX_BYTES + 1);
        assert!(refused.err().unwrap().to_string().contains("4 GiB"));
    }

    #[test]
    fn folders_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Source::open(folder.path()).err().unwrap();
        assert!(refused.to_string().contains("regular file"));
        let missing = Source::open(&folder.path().join("gone")).err().unwrap();
        assert!(matches!(missing, Error::Read { .. }));
    }
}
