//! The messages between client and server, byte for byte.
//!
//! A message is a tag of four letters, the number of values (u32), the bytes of each coefficient
//! (u8), and the payload; all little-endian. Coefficients are rounded to their leading bytes. A
//! reader knows exactly what must come and refuses everything else before it allocates.

use crate::error::{Error, Result};
use crate::fhe::cipher::SeededPhases;
use crate::linear_map::Row;

const UPLOAD_TAG: [u8; 4] = *b"SBU1";
const DOWNLOAD_TAG: [u8; 4] = *b"SBD1";
const HEADER_BYTES: usize = 9;
const SEED_BYTES: usize = 16;

/// What a reader expects of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Phases of an upload, ciphertexts of a download.
    pub count: usize,
    /// Leading bytes of each coefficient, 1..=8.
    pub bytes: usize,
}

/// Returns an upload: header, seed, one body coefficient per phase.
pub fn write_upload(phases: &SeededPhases, bytes: usize) -> Vec<u8> {
    let count = phases.bodies.len();
    let mut message = header(UPLOAD_TAG, count, bytes, SEED_BYTES + count * bytes);
    message.extend(phases.seed.to_le_bytes());
    write_coefficients(&mut message, &phases.bodies, bytes);
    message
}

/// Reads an upload.
///
/// # Errors
///
/// [`Error::Message`] where the message is not exactly what is expected.
pub fn read_upload(message: &[u8], expected: Expected) -> Result<SeededPhases> {
    let length = SEED_BYTES + expected.count * expected.bytes;
    let payload = check(message, UPLOAD_TAG, expected, length)?;
    let (seed_bytes, bodies) = payload.split_at(SEED_BYTES);
    let mut seed = [0; SEED_BYTES];
    seed.copy_from_slice(seed_bytes);
    Ok(SeededPhases {
        seed: u128::from_le_bytes(seed),
        bodies: read_coefficients(bodies, expected.bytes).collect(),
    })
}

/// Returns a download: header, then all coefficients of each ciphertext.
pub fn write_download(rows: &[Row<u64>], bytes: usize) -> Vec<u8> {
    let coefficients: usize = rows.iter().map(|row| row.len()).sum();
    let mut message = header(DOWNLOAD_TAG, rows.len(), bytes, coefficients * bytes);
    for row in rows {
        write_coefficients(&mut message, row, bytes);
    }
    message
}

/// Reads a download of ciphertexts of `size` coefficients.
///
/// # Errors
///
/// [`Error::Message`] where the message is not exactly what is expected.
pub fn read_download(message: &[u8], expected: Expected, size: usize) -> Result<Vec<Row<u64>>> {
    let length = expected.count * size * expected.bytes;
    let payload = check(message, DOWNLOAD_TAG, expected, length)?;
    Ok(payload
        .chunks_exact(size * expected.bytes)
        .map(|row| read_coefficients(row, expected.bytes).collect())
        .collect())
}

fn header(tag: [u8; 4], count: usize, bytes: usize, payload: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + payload);
    message.extend(tag);
    message.extend((count as u32).to_le_bytes());
    message.push(bytes as u8);
    message
}

/// Returns the payload of a message that is exactly what is expected.
fn check(message: &[u8], tag: [u8; 4], expected: Expected, payload: usize) -> Result<&[u8]> {
    let name = String::from_utf8_lossy(&tag).into_owned();
    let found = message.len();
    if found != HEADER_BYTES + payload {
        return Err(Error::Message(format!(
            "{name} of {found} bytes where {} belong",
            HEADER_BYTES + payload
        )));
    }
    let (found, payload) = message.split_at(HEADER_BYTES);
    if found != header(tag, expected.count, expected.bytes, 0) {
        return Err(Error::Message(format!(
            "{name} with header {found:02x?} where {} values of {} bytes belong",
            expected.count, expected.bytes
        )));
    }
    Ok(payload)
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
            let expected = Expected { count: values.len(), bytes };
            let sent = SeededPhases { seed, bodies: values.clone() };
            let received = read_upload(&write_upload(&sent, bytes), expected).expect("conforms");
            prop_assert_eq!(received.seed, seed);
            let half_unit = (1u64 << (64 - 8 * bytes as u32).min(63)) / 2;
            for (sent, received) in values.iter().zip(&received.bodies) {
                let error = received.wrapping_sub(*sent) as i64;
                prop_assert!(bytes == 8 && error == 0 || error.unsigned_abs() <= half_unit);
            }
            let rows: Vec<Row<u64>> = vec![values.clone().into(), values.into()];
            let expected = Expected { count: 2, bytes };
            let message = write_download(&rows, bytes);
            let back = read_download(&message, expected, rows[0].len()).expect("conforms");
            prop_assert_eq!(&back[0], &back[1]);
            prop_assert_eq!(&back[0], &received.bodies.into_boxed_slice());
        }

        #[test]
        fn anything_else_is_refused(message in prop::collection::vec(any::<u8>(), 0..80)) {
            let expected = Expected { count: 3, bytes: 4 };
            prop_assert!(read_upload(&message, expected).is_err());
            prop_assert!(read_download(&message, expected, 5).is_err());
        }
    }

    #[test]
    fn truncated_and_relabelled_messages_are_refused() {
        let phases = SeededPhases {
            seed: 1,
            bodies: vec![1 << 60, 2 << 60],
        };
        let message = write_upload(&phases, 4);
        let expected = Expected { count: 2, bytes: 4 };
        assert!(read_upload(&message, expected).is_ok());
        for cut in 0..message.len() {
            assert!(
                read_upload(&message[..cut], expected).is_err(),
                "cut at {cut}"
            );
        }
        let mut relabelled = message;
        relabelled[0] = b'X';
        assert!(read_upload(&relabelled, expected).is_err());
    }
}
