//! What is wrong with a part of a file, before it is known where that part stands.

use crate::core::foreign::{LONGEST_LINE, shortened};
use crate::machine::file;
use crate::{Error, Result};

/// The result of reading one part of a file.
pub type Outcome<T> = std::result::Result<T, Fault>;

/// Why a part of a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The file is wrong.
    Invalid(String),
    /// The file is right but asks for what this program does not do.
    Unsupported(String),
    /// So many bytes are more than memory holds.
    Memory(usize),
}

impl Fault {
    /// Returns the error for the file and node named by `place`.
    pub fn at(self, place: impl Into<String>) -> Error {
        let place = place.into();
        match self {
            Self::Invalid(reason) => Error::Invalid {
                place,
                reason: shortened(&reason, LONGEST_LINE),
            },
            Self::Unsupported(reason) => Error::Unsupported {
                place,
                reason: shortened(&reason, LONGEST_LINE),
            },
            Self::Memory(bytes) => Error::Memory { what: place, bytes },
        }
    }
}

/// Returns an [`Fault::Invalid`].
///
/// # Errors
///
/// Always.
pub fn invalid<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Fault::Invalid(reason.into()))
}

/// Returns an [`Fault::Unsupported`].
///
/// # Errors
///
/// Always.
pub fn unsupported<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Fault::Unsupported(reason.into()))
}

/// Returns what is made of a file's content, element by element.
///
/// # Errors
///
/// [`Fault::Memory`].
pub fn collected<T>(elements: impl ExactSizeIterator<Item = T>) -> Outcome<Vec<T>> {
    let bytes = elements.len().saturating_mul(size_of::<T>());
    file::collected("", elements).map_err(|_| Fault::Memory(bytes))
}

/// Says at which place an outcome went wrong.
pub trait Place<T> {
    /// Returns the result whose error names `place`.
    ///
    /// # Errors
    ///
    /// The fault of the outcome.
    fn place(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Place<T> for Outcome<T> {
    fn place(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|fault| fault.at(place()))
    }
}
