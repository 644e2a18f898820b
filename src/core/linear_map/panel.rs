//! Sums of products with a panel: some columns of all input rows, gathered.

/// Columns gathered at once: 64 numbers of 8 bytes from each input row, kept in the L2 cache.
pub const PANEL: usize = 64;
/// Output rows that share a reading of the panel.
pub const ROWS: usize = 2;
/// Input rows that share a reading of the sums.
const DEPTH: usize = 4;

/// Adds Σ_k weights[row][k] · panel[k], column by column, to the sums of up to [`ROWS`] rows.
#[inline(always)]
pub fn add_products<S: Copy, W: Copy + Default, V: Copy>(
    sums: &mut [[S; PANEL]; ROWS],
    width: usize,
    weights: &[W],
    panel: &[[V; PANEL]],
    multiply_add: impl Fn(S, W, V) -> S + Copy,
) {
    let depth = panel.len();
    let row = |row: usize, k: usize| weights.get(row * depth + k).copied().unwrap_or_default();
    let fours = panel.as_chunks::<DEPTH>();
    for (index, values) in fours.0.iter().enumerate() {
        let k = |k: usize| DEPTH * index + k;
        let weights = [0, 1].map(|r| [row(r, k(0)), row(r, k(1)), row(r, k(2)), row(r, k(3))]);
        add_fours(sums, width, weights, values, multiply_add);
    }
    let first = depth - fours.1.len();
    for (k, values) in (first..).zip(fours.1) {
        for (r, sums) in sums.iter_mut().enumerate() {
            let weight = row(r, k);
            for (sum, &value) in sums[..width].iter_mut().zip(values) {
                *sum = multiply_add(*sum, weight, value);
            }
        }
    }
}

/// Adds the products of four values at each column to two sums, in the order of the values: a loop
/// over columns alone, which compilers turn into whatever registers there are.
#[inline(always)]
fn add_fours<S: Copy, W: Copy, V: Copy>(
    [first, second]: &mut [[S; PANEL]; ROWS],
    width: usize,
    [of_first, of_second]: [[W; DEPTH]; ROWS],
    [a, b, c, d]: &[[V; PANEL]; DEPTH],
    multiply_add: impl Fn(S, W, V) -> S,
) {
    let values = a[..width]
        .iter()
        .zip(&b[..width])
        .zip(c[..width].iter().zip(&d[..width]));
    let sums = first[..width].iter_mut().zip(&mut second[..width]);
    for ((first, second), ((&a, &b), (&c, &d))) in sums.zip(values) {
        for (sum, [p, q, r, s]) in [(first, of_first), (second, of_second)] {
            let two = multiply_add(multiply_add(*sum, p, a), q, b);
            *sum = multiply_add(multiply_add(two, r, c), s, d);
        }
    }
}
