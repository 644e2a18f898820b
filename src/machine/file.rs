//! Files of other people, opened for reading: regular files alone, and no more of one than its
//! reader can use.
//!
//! This is the only place that opens a file to read it, which `tests/layering.rs` checks. A named
//! pipe would make the program wait for ever, and a device or a file full of holes would fill its
//! memory.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::core::error::{Error, Result};

/// The most bytes of text that a person or this program writes at one go, such as a split file: 16
/// MiB.
pub const MOST_TEXT_BYTES: u64 = 1 << 24;
/// The most bytes of a table or log, which grow with every sample: 1 GiB.
pub const MOST_RECORD_BYTES: u64 = 1 << 30;

/// Bytes that may come out of any file, however small.
const FREE_BYTES: u64 = 1 << 24;
/// Beyond them, the most bytes that come out of one that is stored. Images and tables come to some
/// ten, a hundred zeros in a row to more.
const MOST_INFLATION: u64 = 100;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct Regular {
    pub file: File,
    /// Bytes that it says it has; those of `/proc` and `/sys` have more.
    pub length: u64,
    /// Bytes of them that are stored somewhere: holes, which read as zeros, are not.
    pub stored: u64,
}

impl Regular {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where that cannot be done; [`Error::Invalid`] for folders, named pipes,
    /// sockets and devices.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        // To open a device can do something, to open a pipe takes as long as nobody writes to it.
        check_regular(path, &std::fs::metadata(path).map_err(failed)?)?;
        let mut options = OpenOptions::new();
        options.read(true);
        without_waiting(&mut options);
        let file = options.open(path).map_err(failed)?;
        // What was a file a moment ago may be none now.
        let metadata = file.metadata().map_err(failed)?;
        check_regular(path, &metadata)?;
        let stored = stored_bytes(&file, &metadata).map_err(failed)?;
        Ok(Self {
            file,
            length: metadata.len(),
            stored,
        })
    }
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
///
/// As [`Regular::open`]; [`Error::Invalid`] where the file is larger, or next to nothing of it is
/// stored.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let place = || path.display().to_string();
    let opened = Regular::open(path)?;
    check_length(&place(), opened.length, most)?;
    check_inflation(&place(), opened.length, opened.stored)?;
    let mut bytes = buffer(&place(), opened.length as usize)?;
    // One byte more, so that a file that has grown meanwhile, or does not tell its length, shows.
    let read = opened.file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    check_length(&place(), bytes.len() as u64, most)?;
    Ok(bytes)
}

/// As [`read`], of a file that need not be there.
///
/// # Errors
///
/// As [`read`].
pub fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    unless_absent(read(path, most))
}

/// As [`Regular::open`], of a file that need not be there.
///
/// # Errors
///
/// As [`Regular::open`].
pub fn open_if_there(path: &Path) -> Result<Option<Regular>> {
    unless_absent(Regular::open(path))
}

/// As [`read`], of a file of text.
///
/// # Errors
///
/// As [`read`]; [`Error::Invalid`] where it is no text.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let reason = format!("byte {at} is no text: save the file as UTF-8");
        Error::invalid(path.display().to_string(), reason)
    })
}

/// Waits until what a file holds, or the entries of a folder, are there to stay.
///
/// # Errors
///
/// Whatever the file system meets.
pub fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns room for so many elements of what a file holds.
///
/// # Errors
///
/// [`Error::Memory`] where there is none.
pub fn buffer<T>(place: &str, count: usize) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    reserve(place, &mut buffer, count)?;
    Ok(buffer)
}

/// Returns what is made of a file's content, element by element.
///
/// # Errors
///
/// As [`buffer`].
pub fn collected<T>(place: &str, elements: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut all = buffer(place, elements.len())?;
    all.extend(elements);
    Ok(all)
}

/// Makes room for so many elements more.
///
/// # Errors
///
/// As [`buffer`].
pub fn reserve<T>(place: &str, buffer: &mut Vec<T>, count: usize) -> Result<()> {
    let reserved = buffer.try_reserve_exact(count);
    reserved.map_err(|_| Error::Memory {
        what: place.to_owned(),
        bytes: count.saturating_mul(size_of::<T>()),
    })
}

/// Refuses `length` bytes that come out of so few stored ones that they can be nothing but a trap.
///
/// # Errors
///
/// [`Error::Invalid`] with both numbers.
pub fn check_inflation(place: &str, length: u64, stored: u64) -> Result<()> {
    if length <= FREE_BYTES.max(stored.saturating_mul(MOST_INFLATION)) {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        format!(
            "would fill {length} bytes from {stored} stored ones, more than {MOST_INFLATION} from \
             each: store it unpacked, or give less of it"
        ),
    ))
}

/// Refuses a file whose header announces another number of bytes for a shape than it holds; `announced`
/// is `None` where the number overflows.
///
/// # Errors
///
/// [`Error::Invalid`] with both numbers.
pub fn check_announced(
    place: &str,
    shape: &[usize],
    announced: Option<u64>,
    held: u64,
) -> Result<()> {
    if announced == Some(held) {
        return Ok(());
    }
    let announced = announced.map_or("more than any file".into(), |bytes| bytes.to_string());
    let reason = format!(
        "announces shape {shape:?}, {announced} bytes, and holds {held} bytes: fetch or write it again"
    );
    Err(Error::invalid(place, reason))
}

fn check_length(place: &str, length: u64, most: u64) -> Result<()> {
    if length <= most {
        return Ok(());
    }
    let reason = format!("holds more than the {most} bytes that are read: is it the right file?");
    Err(Error::invalid(place, reason))
}

/// Opens a file of this program's own to lock it, and makes it where there is none. What it holds stays.
///
/// # Errors
///
/// [`Error::Write`] where that cannot be done; [`Error::Invalid`] for links, and for what is no file.
pub fn open_lock(path: &Path) -> Result<File> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let is_other = match std::fs::symlink_metadata(path) {
        Ok(metadata) => !metadata.is_file(),
        Err(_) => false,
    };
    if is_other {
        let reason = "is no file of this program, but stands where its lock belongs: remove it";
        return Err(Error::invalid(path.display().to_string(), reason));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    without_waiting(&mut options);
    options.open(path).map_err(failed)
}

fn check_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let reason = if metadata.is_dir() {
        "is no regular file but a folder: name a file"
    } else {
        "is no regular file: save what it gives to a file first"
    };
    Err(Error::invalid(path.display().to_string(), reason))
}

fn unless_absent<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes opening a named pipe return at once.
#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
}

#[cfg(not(unix))]
fn without_waiting(_options: &mut OpenOptions) {}

/// Returns the bytes of a file outside of its holes.
#[cfg(target_os = "linux")]
fn stored_bytes(mut file: &File, metadata: &std::fs::Metadata) -> std::io::Result<u64> {
    use std::io::Seek;
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::SeekFrom;
    use rustix::io::Errno;

    const BLOCK_BYTES: u64 = 512;
    // File systems that pack what they store, or have not stored it yet, count few blocks too.
    if metadata.blocks().saturating_mul(BLOCK_BYTES) >= metadata.len() / MOST_INFLATION {
        return Ok(metadata.len());
    }
    let mut stored = 0;
    let mut end = 0;
    loop {
        match rustix::fs::seek(file, SeekFrom::Data(end)) {
            Ok(start) => {
                end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
                stored += end - start;
            }
            Err(Errno::NXIO) => break,
            // No file system that tells of holes.
            Err(_) => {
                stored = metadata.len();
                break;
            }
        }
    }
    file.rewind()?;
    Ok(stored)
}

#[cfg(not(target_os = "linux"))]
fn stored_bytes(_file: &File, metadata: &std::fs::Metadata) -> std::io::Result<u64> {
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read_up_to_their_bound() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "text").expect("written");
        assert_eq!(read(&path, 4).expect("four bytes"), b"text");
        assert_eq!(read_text(&path, 4).expect("text"), "text");
        let message = read(&path, 3).expect_err("too long").to_string();
        assert!(message.contains("more than the 3 bytes"), "{message}");
        std::fs::write(&path, [b'a', 0xff]).expect("written");
        let message = read_text(&path, 4).expect_err("no text").to_string();
        assert!(message.contains("byte 1 is no text"), "{message}");
        let absent = folder.path().join("absent");
        assert!(matches!(read(&absent, 4), Err(Error::Read { .. })));
        assert_eq!(read_if_there(&absent, 4).expect("absent"), None);
        assert!(open_if_there(&absent).expect("absent").is_none());
    }

    #[test]
    fn room_that_there_is_not_is_refused() {
        assert!(buffer::<u8>("a file", 1 << 10).expect("room").capacity() >= 1 << 10);
        for count in [1 << 60, usize::MAX] {
            let message = buffer::<u32>("a file", count)
                .expect_err("none")
                .to_string();
            assert!(
                message.contains("not enough memory for a file"),
                "{message}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn whatever_else_has_a_name_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let (pipe, socket, link) = (
            folder.path().join("pipe"),
            folder.path().join("socket"),
            folder.path().join("link"),
        );
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        std::os::unix::fs::symlink(&pipe, &link).expect("a link");
        let paths = [folder.path(), &pipe, &socket, &link, Path::new("/dev/zero")];
        for path in paths {
            let message = read_if_there(path, 4).expect_err("no file").to_string();
            let place = path.display().to_string();
            assert!(message.starts_with(&place), "{message}");
            assert!(message.contains("is no regular file"), "{message}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_of_the_system_that_tell_no_length_are_read() {
        let status = read_text(Path::new("/proc/self/status"), MOST_TEXT_BYTES).expect("readable");
        assert!(status.contains("VmHWM:"), "{status}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_are_not_stored() {
        use std::os::unix::fs::FileExt;

        let file = tempfile::NamedTempFile::new().expect("file");
        file.as_file().set_len(FREE_BYTES + 1).expect("long");
        file.as_file().write_all_at(&[1; 100], 0).expect("written");
        let opened = Regular::open(file.path()).expect("regular");
        assert_eq!(opened.length, FREE_BYTES + 1);
        assert!(opened.stored < 1 << 17, "{opened:?}");
        let message = read(file.path(), u64::MAX - 1)
            .expect_err("a trap")
            .to_string();
        assert!(message.contains("stored ones"), "{message}");
        // What is small may have any holes.
        file.as_file().set_len(FREE_BYTES).expect("shorter");
        assert_eq!(read(file.path(), FREE_BYTES).expect("read").len(), 1 << 24);
    }
}
