//! Ciphertexts that wait in a file for the layer that reads them: fast storage as a second tier of
//! memory.

use std::fs::File;
use std::io::{Read, Result, Seek, Write};

use crate::party::ciphertext::LweCiphertext;

/// Bytes that are written or read at once.
const PORTION: usize = 1 << 20;

/// Ciphertexts in a file that vanishes with this value.
pub struct Spilled {
    file: File,
    /// Coefficients of each ciphertext.
    row_size: usize,
    count: usize,
}

impl Spilled {
    /// Moves ciphertexts of one size to a file in the folder for temporary files, and frees each as
    /// soon as it is written.
    ///
    /// # Errors
    ///
    /// What the file system says: no room, most likely.
    pub fn write(rows: Vec<LweCiphertext>) -> Result<Self> {
        let row_size = rows.first().map_or(0, |row| row.len());
        let count = rows.len();
        let mut file = tempfile::tempfile()?;
        let mut portion = Vec::with_capacity(PORTION + 8 * row_size);
        for row in rows {
            portion.extend(row.iter().flat_map(|coefficient| coefficient.to_le_bytes()));
            if portion.len() >= PORTION {
                file.write_all(&portion)?;
                portion.clear();
            }
        }
        file.write_all(&portion)?;
        Ok(Self {
            file,
            row_size,
            count,
        })
    }

    /// Brings the ciphertexts back into memory.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn read(mut self) -> Result<Vec<LweCiphertext>> {
        self.file.rewind()?;
        let mut bytes = vec![0; 8 * self.row_size];
        let mut file = std::io::BufReader::with_capacity(PORTION, self.file);
        let rows = (0..self.count).map(|_| {
            file.read_exact(&mut bytes)?;
            let coefficients = bytes.as_chunks().0.iter();
            Ok(coefficients
                .map(|&bytes| u64::from_le_bytes(bytes))
                .collect())
        });
        rows.collect()
    }

    /// Returns the bytes in the file.
    pub fn bytes(&self) -> u64 {
        8 * self.row_size as u64 * self.count as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphertexts_come_back_as_they_went() {
        for (count, size) in [(0, 0), (1, 1), (700, 257)] {
            let number = |row: usize, index: usize| (row as u64 + 1) << 40 | index as u64;
            let rows: Vec<LweCiphertext> = (0..count)
                .map(|row| (0..size).map(|index| number(row, index)).collect())
                .collect();
            let spilled = Spilled::write(rows.clone()).expect("room");
            assert_eq!(spilled.bytes(), 8 * (count * size) as u64);
            assert_eq!(spilled.read().expect("there"), rows);
        }
    }
}
