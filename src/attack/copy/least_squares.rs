//! The weights of a single linear layer by least squares: where nothing is learnt behind it, no step of a
//! descent gets nearer.

use super::affine::{Affine, Batch, Tensors};
use super::lesson::{Goal, Lesson};
use super::network::Network;

/// The most unknowns of a row: their square is solved for, in a second.
const MOST_UNKNOWNS: usize = 1025;
/// What keeps a system solvable that has fewer equations than unknowns: a part of the mean square of what is
/// read. Of all solutions it takes a small one.
const RIDGE: f64 = 1e-5;

/// Returns the weights of a network's only learnt layer, which is its last; `None` where a network has others,
/// answers are classes, or rows are long.
pub fn solve(network: &Network, start: &[Tensors], lesson: &Lesson) -> Option<Vec<Tensors>> {
    let Goal::Values(values) = &lesson.goal else {
        return None;
    };
    if !network.is_solvable() {
        return None;
    }
    let mut tensors = start.to_vec();
    let mut is_solved = true;
    let inputs = lesson.inputs.clone();
    network.visit_learnt(&mut tensors, inputs, |affine, _, input, own| {
        is_solved &= solve_layer(affine, input, &values[0], own);
    });
    is_solved.then_some(tensors)
}

fn solve_layer(affine: &Affine, input: &Batch, output: &Batch, own: &mut Tensors) -> bool {
    let mut is_solved = true;
    affine.regressions(input, output, |group, start, read, made| {
        let unknowns = read.nrows() + 1;
        if unknowns > MOST_UNKNOWNS {
            is_solved = false;
            return;
        }
        let rows = regress(&read, &made);
        for (index, (row, channel)) in rows.iter().zip(affine.channels_of(group)).enumerate() {
            let (weights, bias) = row.split_at(read.nrows());
            let place = start + index * weights.len();
            own.weights[place..place + weights.len()].copy_from_slice(weights);
            own.bias[channel] = bias[0];
        }
    });
    is_solved
}

/// Returns the rows [w, b] that minimise |made - w·read - b|² + ridge·|w|².
fn regress(read: &Batch, made: &Batch) -> Vec<Vec<f32>> {
    let count = read.ncols().max(1) as f64;
    let means = |of: &Batch| -> Vec<f64> {
        let sum =
            |row: ndarray::ArrayView1<'_, f32>| row.iter().map(|&x| f64::from(x)).sum::<f64>();
        of.rows().into_iter().map(|row| sum(row) / count).collect()
    };
    let (of_read, of_made) = (means(read), means(made));
    let centred = |of: &Batch, means: &[f64]| {
        let mut centred = of.mapv(f64::from);
        for (mut row, mean) in centred.rows_mut().into_iter().zip(means) {
            row -= *mean;
        }
        centred
    };
    let (read, made) = (centred(read, &of_read), centred(made, &of_made));
    let mut square = read.dot(&read.t());
    let trace: f64 = square.diag().sum();
    let ridge = (RIDGE * trace / square.nrows() as f64).max(f64::MIN_POSITIVE);
    square.diag_mut().mapv_inplace(|value| value + ridge);
    let factor = cholesky(square);
    let sides = read.dot(&made.t());
    let rows = sides
        .columns()
        .into_iter()
        .zip(of_made)
        .map(|(side, mean)| {
            let weights = substitute(&factor, side.to_vec());
            let of_means: f64 = weights.iter().zip(&of_read).map(|(w, x)| w * x).sum();
            let bias = mean - of_means;
            weights
                .into_iter()
                .chain([bias])
                .map(|x| x as f32)
                .collect()
        });
    rows.collect()
}

/// Returns the lower triangle L of a positive definite matrix L·Lᵀ.
fn cholesky(mut matrix: ndarray::Array2<f64>) -> ndarray::Array2<f64> {
    for column in 0..matrix.nrows() {
        for row in column..matrix.nrows() {
            let (left, right) = (matrix.row(row), matrix.row(column));
            let known: f64 = (0..column).map(|k| left[k] * right[k]).sum();
            let value = matrix[(row, column)] - known;
            matrix[(row, column)] = if row == column {
                value.max(f64::MIN_POSITIVE).sqrt()
            } else {
                value / matrix[(column, column)]
            };
        }
    }
    matrix
}

/// Returns x of L·Lᵀ·x = side.
fn substitute(lower: &ndarray::Array2<f64>, mut side: Vec<f64>) -> Vec<f64> {
    let count = side.len();
    for row in 0..count {
        let known: f64 = (0..row).map(|k| lower[(row, k)] * side[k]).sum();
        side[row] = (side[row] - known) / lower[(row, row)];
    }
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|k| lower[(k, row)] * side[k]).sum();
        side[row] = (side[row] - known) / lower[(row, row)];
    }
    side
}
