//! A keyswitching key in tiles of columns, each multiplied in registers for a group of ciphertexts.
//!
//! A key coefficient is three unsigned byte limbs (24 bits), a digit one signed byte: instructions
//! that multiply bytes and add neighbours do most of the work. Each limb has its own sum, and the
//! limbs are put together at the end, modulo 2^32. No sum can wrap within its 32 bits before that:
//! |Σ limb · digit| ≤ 255 · 128 · depth < 2^31 for depth ≤ 65,000.

use rayon::prelude::*;

use super::digits::Decomposition;

/// Digits that one instruction takes.
pub const DEPTH: usize = 4;
/// Byte limbs of a key coefficient.
pub const LIMBS: usize = 3;
/// The largest depth of a product, in digits.
const LARGEST_DEPTH: usize = 65_000;
/// The largest base whose digits, and sums of two of their products with a limb, fit 8 and 16 bits.
const LARGEST_BASE_LOG: usize = 7;
/// Key rows that stay in the cache while all ciphertexts pass: 24 or 48 KiB of a tile.
const BLOCK: usize = 1024;

/// For four key rows and the columns of a tile: `[limb][column][row]`, one register per limb.
pub type KeyLine<const COLUMNS: usize> = [[[u8; DEPTH]; COLUMNS]; LIMBS];
/// Four consecutive digits of each ciphertext of a group.
pub type DigitLine<const GROUP: usize> = [[i8; DEPTH]; GROUP];
/// The sums of a tile, limbs apart.
pub type Sums<const COLUMNS: usize, const GROUP: usize> = [[[i32; COLUMNS]; LIMBS]; GROUP];

/// Adds Σ digit · key to the sums of a tile, for digits of absolute value at most the last argument.
pub type Accumulate<const COLUMNS: usize, const GROUP: usize> =
    fn(&mut Sums<COLUMNS, GROUP>, &[KeyLine<COLUMNS>], &[DigitLine<GROUP>], usize);

/// Returns whether a key of that depth and so many bits can be laid out in tiles.
pub fn fit(depth: usize, bits: u32, decomposition: Decomposition) -> bool {
    bits == 8 * LIMBS as u32
        && decomposition.base_log <= LARGEST_BASE_LOG
        && depth.is_multiple_of(DEPTH)
        && depth <= LARGEST_DEPTH
}

/// A key in tiles of so many columns, for groups of so many ciphertexts.
pub struct Tiles<const COLUMNS: usize, const GROUP: usize> {
    /// `[tiles, k·N·levels / 4]`.
    tiles: Vec<Vec<KeyLine<COLUMNS>>>,
    accumulate: Accumulate<COLUMNS, GROUP>,
}

impl<const COLUMNS: usize, const GROUP: usize> Tiles<COLUMNS, GROUP> {
    /// Lays out rows of `output_size` coefficients.
    pub fn new(rows: &[u32], output_size: usize, accumulate: Accumulate<COLUMNS, GROUP>) -> Self {
        let first_columns: Vec<usize> = (0..output_size).step_by(COLUMNS).collect();
        let tiles = first_columns.into_par_iter().map(|first| {
            let lines = rows.chunks_exact(DEPTH * output_size);
            lines
                .map(|lines| key_line(lines, output_size, first))
                .collect()
        });
        Self {
            tiles: tiles.collect(),
            accumulate,
        }
    }

    /// Returns Σ digit · row of each ciphertext; columns beyond the last are zero.
    pub fn multiply(&self, digits: &[Vec<i8>], decomposition: Decomposition) -> Vec<Vec<u32>> {
        const LINES: usize = BLOCK / DEPTH;
        let largest_digit = 1 << (decomposition.base_log - 1);
        let groups: Vec<Vec<DigitLine<GROUP>>> = digits.chunks(GROUP).map(digit_lines).collect();
        let mut sums = vec![vec![0u32; self.tiles.len() * COLUMNS]; digits.len()];
        let nothing = [[[0; COLUMNS]; LIMBS]; GROUP];
        let mut tile_sums = vec![nothing; groups.len()];
        for (tile, key) in self.tiles.iter().enumerate() {
            tile_sums.fill(nothing);
            for (block, key) in key.chunks(LINES).enumerate() {
                for (sums, digits) in tile_sums.iter_mut().zip(&groups) {
                    (self.accumulate)(sums, key, &digits[block * LINES..], largest_digit);
                }
            }
            for (sums, limbs) in sums.iter_mut().zip(tile_sums.as_flattened()) {
                let columns = &mut sums[tile * COLUMNS..][..COLUMNS];
                for (column, sum) in columns.iter_mut().enumerate() {
                    let shifted = |limb: usize| (limbs[limb][column] as u32) << (8 * limb);
                    *sum = (0..LIMBS).map(shifted).fold(0, u32::wrapping_add);
                }
            }
        }
        sums
    }
}

/// Returns a tile's columns of four key rows; columns beyond the last are zero.
fn key_line<const COLUMNS: usize>(
    rows: &[u32],
    output_size: usize,
    first: usize,
) -> KeyLine<COLUMNS> {
    let mut line = [[[0; DEPTH]; COLUMNS]; LIMBS];
    for (depth, row) in rows.chunks_exact(output_size).enumerate() {
        for (column, coefficient) in row[first..].iter().take(COLUMNS).enumerate() {
            for (limb, byte) in line.iter_mut().zip(coefficient.to_le_bytes()) {
                limb[column][depth] = byte;
            }
        }
    }
    line
}

/// Returns the digits of a group's masks, four rows a line; absent ciphertexts are zero.
fn digit_lines<const GROUP: usize>(group: &[Vec<i8>]) -> Vec<DigitLine<GROUP>> {
    let line_count = group.first().map_or(0, |digits| digits.len() / DEPTH);
    let mut lines = vec![[[0; DEPTH]; GROUP]; line_count];
    for (lane, digits) in group.iter().enumerate() {
        for (line, &four) in lines.iter_mut().zip(digits.as_chunks().0) {
            line[lane] = four;
        }
    }
    lines
}
