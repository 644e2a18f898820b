//! The messages between client and server, byte for byte.
//!
//! A message is a tag of four letters, the number of ciphertexts (u32), the bytes of each coefficient
//! (u8), and the payload; all little-endian. Coefficients are rounded to their leading bytes. A
//! reader knows exactly what must come and refuses everything else before it allocates.

use std::borrow::Cow;

use crate::circuit::interface::{DownloadEncoding, UploadEncoding};
use crate::core::error::{Error, Result};
use crate::core::linear_map::Row;
use crate::fhe::cipher::SeededCiphertexts;
use crate::fhe::parameters::ParameterSet;
use crate::fhe::zero::zero_sizes;

const UPLOAD_TAG: [u8; 4] = *b"SBU1";
const DOWNLOAD_TAG: [u8; 4] = *b"SBD1";
/// Bytes of a coefficient of an encryption of zero in a public key: all of them.
pub const ZERO_BYTES: usize = 8;

const HEADER_BYTES: usize = 9;
const SEED_BYTES: usize = 16;

/// What a reader expects of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Coefficients of each ciphertext.
    sizes: Cow<'a, [usize]>,
    /// Leading bytes of each coefficient, 1..=8.
    bytes: usize,
}

impl<'a> Expected<'a> {
    /// Returns a message of ciphertexts of so many coefficients each, of so many bytes, 1..=8.
    pub fn new(sizes: &'a [usize], bytes: usize) -> Self {
        let sizes = Cow::Borrowed(sizes);
        Self { sizes, bytes }
    }

    /// Returns what a server expects of an upload.
    pub fn of_upload(upload: &'a UploadEncoding) -> Self {
        Self {
            sizes: Cow::Borrowed(&upload.layout.lengths),
            bytes: upload.bytes,
        }
    }

    /// Returns what a client expects of a download.
    pub fn of_download(download: &DownloadEncoding, parameters: &ParameterSet) -> Self {
        Self {
            sizes: Cow::Owned(download.ciphertext_sizes(parameters)),
            bytes: download.bytes,
        }
    }

    /// Returns what a server expects of a client's encryptions of zero.
    pub fn of_zeros(parameters: &ParameterSet) -> Self {
        Self {
            sizes: Cow::Owned(zero_sizes(parameters)),
            bytes: ZERO_BYTES,
        }
    }
}

/// Returns an upload: header, seed, the body coefficients of each ciphertext.
pub fn write_upload(ciphertexts: &SeededCiphertexts, bytes: usize) -> Vec<u8> {
    let bodies = &ciphertexts.bodies;
    let coefficients: usize = bodies.iter().map(Vec::len).sum();
    let mut message = header(
        UPLOAD_TAG,
        bodies.len(),
        bytes,
        SEED_BYTES + coefficients * bytes,
    );
    message.extend(ciphertexts.seed.to_le_bytes());
    for body in bodies {
        write_coefficients(&mut message, body, bytes);
    }
    message
}

/// Returns the length of an upload whose ciphertexts have those coefficients, at so many bytes each.
pub fn upload_bytes(sizes: &[usize], bytes: usize) -> u64 {
    download_bytes(sizes, bytes) + SEED_BYTES as u64
}

/// Returns the length of a download whose ciphertexts have those coefficients, at so many bytes
/// each.
pub fn download_bytes(sizes: &[usize], bytes: usize) -> u64 {
    (HEADER_BYTES + sizes.iter().sum::<usize>() * bytes) as u64
}

/// Reads an upload.
///
/// # Errors
///
/// [`Error::Message`] where the message is not exactly what is expected.
pub fn read_upload(message: &[u8], expected: &Expected) -> Result<SeededCiphertexts> {
    let payload = check(message, UPLOAD_TAG, expected, SEED_BYTES)?;
    let (seed_bytes, bodies) = payload.split_at(SEED_BYTES);
    let mut seed = [0; SEED_BYTES];
    seed.copy_from_slice(seed_bytes);
    Ok(SeededCiphertexts {
        seed: u128::from_le_bytes(seed),
        bodies: read_ciphertexts(bodies, expected),
    })
}

/// Returns a download: header, then the coefficients of each ciphertext.
pub fn write_download(rows: &[Row<u64>], bytes: usize) -> Vec<u8> {
    let coefficients: usize = rows.iter().map(|row| row.len()).sum();
    let mut message = header(DOWNLOAD_TAG, rows.len(), bytes, coefficients * bytes);
    for row in rows {
        write_coefficients(&mut message, row, bytes);
    }
    message
}

/// Reads a download.
///
/// # Errors
///
/// [`Error::Message`] where the message is not exactly what is expected.
pub fn read_download(message: &[u8], expected: &Expected) -> Result<Vec<Row<u64>>> {
    let payload = check(message, DOWNLOAD_TAG, expected, 0)?;
    Ok(read_ciphertexts(payload, expected))
}

fn header(tag: [u8; 4], count: usize, bytes: usize, payload: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + payload);
    message.extend(tag);
    message.extend((count as u32).to_le_bytes());
    message.push(bytes as u8);
    message
}

/// Returns the payload of a message that is exactly what is expected.
fn check<'a>(
    message: &'a [u8],
    tag: [u8; 4],
    expected: &Expected,
    extra: usize,
) -> Result<&'a [u8]> {
    let name = String::from_utf8_lossy(&tag).into_owned();
    let coefficients: usize = expected.sizes.iter().sum();
    let length = HEADER_BYTES + extra + coefficients * expected.bytes;
    if message.len() != length {
        return Err(Error::Message(format!(
            "{name} of {} bytes where {length} belong",
            message.len()
        )));
    }
    let (found, payload) = message.split_at(HEADER_BYTES);
    if found != header(tag, expected.sizes.len(), expected.bytes, 0) {
        return Err(Error::Message(format!(
            "{name} with header {found:02x?} where {} ciphertexts of {} bytes a coefficient belong",
            expected.sizes.len(),
            expected.bytes
        )));
    }
    Ok(payload)
}

/// Cuts a payload into its ciphertexts.
fn read_ciphertexts<T: FromIterator<u64>>(payload: &[u8], expected: &Expected) -> Vec<T> {
    let mut rest = payload;
    expected
        .sizes
        .iter()
        .map(|&size| {
            let (ciphertext, after) = rest.split_at(size * expected.bytes);
            rest = after;
            read_coefficients(ciphertext, expected.bytes).collect()
        })
        .collect()
}

fn write_coefficients(message: &mut Vec<u8>, coefficients: &[u64], bytes: usize) {
    let dropped_bits = 64 - 8 * bytes as u32;
    let half = if dropped_bits == 0 {
        0
    } else {
        1u64 << (dropped_bits - 1)
    };
    for coefficient in coefficients {
        let rounded = coefficient.wrapping_add(half);
        message.extend(&rounded.to_le_bytes()[8 - bytes..]);
    }
}

fn read_coefficients(payload: &[u8], bytes: usize) -> impl Iterator<Item = u64> + '_ {
    payload.chunks_exact(bytes).map(move |leading| {
        let mut coefficient = [0; 8];
        coefficient[8 - bytes..].copy_from_slice(leading);
        u64::from_le_bytes(coefficient)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_come_back_rounded_to_their_bytes(
            values in prop::collection::vec(any::<u64>(), 1..20), bytes in 1usize..=8, seed: u128,
        ) {
            let sizes = [values.len(), 1];
            let expected = Expected::new(&sizes, bytes);
            let bodies = vec![values.clone(), vec![values[0]]];
            let sent = SeededCiphertexts { seed, bodies };
            let received = read_upload(&write_upload(&sent, bytes), &expected).expect("conforms");
            prop_assert_eq!(received.seed, seed);
            let half_unit = (1u64 << (64 - 8 * bytes as u32).min(63)) / 2;
            for (sent, received) in sent.bodies.concat().iter().zip(received.bodies.concat()) {
                let error = received.wrapping_sub(*sent) as i64;
                prop_assert!(bytes == 8 && error == 0 || error.unsigned_abs() <= half_unit);
            }
            let rows: Vec<Row<u64>> = sent.bodies.into_iter().map(Into::into).collect();
            let back = read_download(&write_download(&rows, bytes), &expected).expect("conforms");
            let back: Vec<Vec<u64>> = back.into_iter().map(Into::into).collect();
            prop_assert_eq!(back, received.bodies);
        }

        #[test]
        fn anything_else_is_refused(message in prop::collection::vec(any::<u8>(), 0..80)) {
            let expected = Expected::new(&[3, 2], 4);
            prop_assert!(read_upload(&message, &expected).is_err());
            prop_assert!(read_download(&message, &expected).is_err());
        }
    }

    #[test]
    fn truncated_and_relabelled_messages_are_refused() {
        let bodies = vec![vec![1 << 60, 2 << 60]];
        let message = write_upload(&SeededCiphertexts { seed: 1, bodies }, 4);
        let expected = Expected::new(&[2], 4);
        assert!(read_upload(&message, &expected).is_ok());
        for cut in 0..message.len() {
            assert!(
                read_upload(&message[..cut], &expected).is_err(),
                "cut at {cut}"
            );
        }
        let mut relabelled = message;
        relabelled[0] = b'X';
        assert!(read_upload(&relabelled, &expected).is_err());
    }
}
