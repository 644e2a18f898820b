//! Where a segment's input lies in its GLWE ciphertexts, and how its first linear layer becomes
//! polynomial products.
//!
//! *Dense.* Input j is coefficient j. The weights of row r go to X^(r·n + n-1-j), n inputs, so that
//! coefficient r·n + n-1 of the product is output r; ⌊N/n⌋ rows fit one product. More than one row
//! reads coefficients beyond the n inputs, on either side modulo N; the whole polynomial is sent
//! then, so that they are encryptions of zero.
//!
//! *Convolution.* The zero-padded image lies row by row, channel after channel. A kernel whose tap
//! at offset d (from the window's corner) has X^(-d) gives the output of every window at the
//! coefficient of its corner: one product per output channel serves all positions.

use crate::core::linear_map::LinearMap;
use crate::fhe::packed::SparsePolynomial;
use crate::model::layer::{Geometry, Image};

/// Where elements lie among the coefficients of GLWE ciphertexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedLayout {
    /// Coefficients that are sent of each ciphertext; those without an element are zero.
    pub lengths: Vec<usize>,
    /// Ciphertext and coefficient of each element.
    pub places: Vec<Place>,
}

/// A coefficient of one of several ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub ciphertext: u32,
    pub coefficient: u32,
}

/// A linear layer as polynomial products.
#[derive(Debug, Clone)]
pub struct Packing {
    /// `[products][input ciphertexts]`.
    pub products: Vec<Vec<SparsePolynomial>>,
    /// Product and coefficient of each output element.
    pub outputs: Vec<Place>,
}

impl PackedLayout {
    /// Returns the layout of elements one after the other.
    pub fn consecutive(element_count: usize, polynomial_size: usize) -> Self {
        Self::from_places(
            (0..element_count)
                .map(|element| Place::at(element / polynomial_size, element % polynomial_size)),
        )
    }

    /// Returns the shortest layout that holds those places.
    fn from_places(places: impl Iterator<Item = Place>) -> Self {
        let places: Vec<Place> = places.collect();
        let mut lengths = Vec::new();
        for place in &places {
            let index = place.ciphertext as usize;
            if lengths.len() <= index {
                lengths.resize(index + 1, 0);
            }
            lengths[index] = lengths[index].max(place.coefficient as usize + 1);
        }
        Self { lengths, places }
    }
}

impl Place {
    fn at(ciphertext: usize, coefficient: usize) -> Self {
        Self {
            ciphertext: ciphertext as u32,
            coefficient: coefficient as u32,
        }
    }
}

/// Returns layout and products for a first linear layer, or `None` where it has no such form.
///
/// `rows_per_product` bounds how many outputs of a dense layer share a product.
pub fn pack(
    map: &LinearMap<u64>,
    geometry: &Geometry,
    polynomial_size: usize,
    rows_per_product: usize,
) -> Option<(PackedLayout, Packing)> {
    match geometry {
        Geometry::Dense => Some(pack_dense(map, polynomial_size, rows_per_product)),
        Geometry::Convolution(image) => pack_convolution(map, image, polynomial_size),
        Geometry::Other => None,
    }
}

/// Returns how many rows of a dense layer of `inputs` fit one product.
pub fn most_rows_per_product(inputs: usize, polynomial_size: usize) -> usize {
    (polynomial_size / inputs).max(1)
}

fn pack_dense(
    map: &LinearMap<u64>,
    polynomial_size: usize,
    rows_per_product: usize,
) -> (PackedLayout, Packing) {
    let inputs = map.input_count;
    let width = inputs.min(polynomial_size);
    let rows_per_product = rows_per_product.min(most_rows_per_product(inputs, polynomial_size));
    let mut layout = PackedLayout::consecutive(inputs, polynomial_size);
    if rows_per_product > 1 {
        layout.lengths[0] = polynomial_size;
    }
    let product_count = map.output_count.div_ceil(rows_per_product);
    let mut products = vec![vec![SparsePolynomial::new(); layout.lengths.len()]; product_count];
    let mut outputs = vec![Place::at(0, 0); map.output_count];
    for block in &map.blocks {
        let rows = block.weights.chunks_exact(block.inputs.len());
        for (&output, weights) in block.outputs.iter().zip(rows) {
            let (product, row) = (
                output as usize / rows_per_product,
                output as usize % rows_per_product,
            );
            let last = row * inputs + width - 1;
            outputs[output as usize] = Place::at(product, last);
            for (&input, &weight) in block.inputs.iter().zip(weights) {
                let place = layout.places[input as usize];
                let exponent = last as u32 - place.coefficient;
                products[product][place.ciphertext as usize].push((exponent, weight as i64));
            }
        }
    }
    (layout, Packing { products, outputs })
}

fn pack_convolution(
    map: &LinearMap<u64>,
    image: &Image,
    polynomial_size: usize,
) -> Option<(PackedLayout, Packing)> {
    let padded = Padded::of(image, polynomial_size)?;
    let layout = padded.layout();
    let taps = image.kernel[0] * image.kernel[1];
    let first = map.blocks.first()?;
    let products: Vec<_> = first
        .weights
        .chunks_exact(first.inputs.len())
        .map(|weights| {
            let mut polynomials = vec![SparsePolynomial::new(); layout.lengths.len()];
            for (index, &weight) in weights.iter().enumerate() {
                let (channel, tap) = (index / taps, index % taps);
                let (ciphertext, start) = padded.corner(channel);
                let offset = start + tap / image.kernel[1] * padded.width + tap % image.kernel[1];
                let exponent = (2 * polynomial_size - offset) % (2 * polynomial_size);
                polynomials[ciphertext].push((exponent as u32, weight as i64));
            }
            polynomials
        })
        .collect();
    let outputs = padded.outputs(products.len());
    Some((layout, Packing { products, outputs }))
}

/// The zero-padded image of a convolution, as it lies in ciphertexts.
struct Padded<'a> {
    image: &'a Image,
    /// Elements of a padded row.
    width: usize,
    /// Elements of a padded channel.
    area: usize,
    channels_per_ciphertext: usize,
}

impl<'a> Padded<'a> {
    /// Returns the padded image, or `None` where not even a channel fits a ciphertext.
    fn of(image: &'a Image, polynomial_size: usize) -> Option<Self> {
        let [top, left, bottom, right] = image.window.padding;
        let width = image.size[1] + left + right;
        let area = (image.size[0] + top + bottom) * width;
        let channels_per_ciphertext = polynomial_size
            .checked_div(area)
            .filter(|&count| count > 0)?;
        Some(Self {
            image,
            width,
            area,
            channels_per_ciphertext,
        })
    }

    /// Returns the ciphertext of a channel, and the coefficient that it begins at.
    fn corner(&self, channel: usize) -> (usize, usize) {
        let (ciphertext, slot) = (
            channel / self.channels_per_ciphertext,
            channel % self.channels_per_ciphertext,
        );
        (ciphertext, slot * self.area)
    }

    /// Returns where the elements of the input lie.
    fn layout(&self) -> PackedLayout {
        let Image {
            channels,
            size: [height, width],
            window,
            ..
        } = *self.image;
        let [top, left, ..] = window.padding;
        let places = (0..channels * height * width).map(|element| {
            let (channel, pixel) = (element / (height * width), element % (height * width));
            let (row, column) = (pixel / width, pixel % width);
            let (ciphertext, start) = self.corner(channel);
            let offset = (row + top) * self.width + column + left;
            Place::at(ciphertext, start + offset)
        });
        let mut layout = PackedLayout::from_places(places);
        for (index, length) in layout.lengths.iter_mut().enumerate() {
            let before = index * self.channels_per_ciphertext;
            let held = (channels - before).min(self.channels_per_ciphertext);
            // The padding below the last channel is read too.
            *length = held * self.area;
        }
        layout
    }

    /// Returns where the outputs of so many products lie: each window's at its corner.
    fn outputs(&self, products: usize) -> Vec<Place> {
        let Image { window, output, .. } = *self.image;
        let position_count = output[0] * output[1];
        let place = |element| {
            let (product, position) = (element / position_count, element % position_count);
            let row = position / output[1] * window.stride[0];
            let column = position % output[1] * window.stride[1];
            Place::at(product, row * self.width + column)
        };
        (0..products * position_count).map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::linear_map::Row;
    use crate::model::layer::conv2d::Window;
    use crate::model::layer::{Conv2d, Dense};
    use crate::model::quantise::{WeightBits, quantise_map};
    use proptest::prelude::*;

    /// Runs a packing on integers and returns its outputs; unsent coefficients hold garbage.
    fn run(layout: &PackedLayout, packing: &Packing, input: &[i64], size: usize) -> Vec<i64> {
        let mut ciphertexts: Vec<Vec<i64>> = layout
            .lengths
            .iter()
            .map(|&length| {
                (0..size)
                    .map(|c| if c < length { 0 } else { 999_983 })
                    .collect()
            })
            .collect();
        for (&value, place) in input.iter().zip(&layout.places) {
            ciphertexts[place.ciphertext as usize][place.coefficient as usize] = value;
        }
        let coefficient = |place: &Place| -> i64 {
            let polynomials = &packing.products[place.ciphertext as usize];
            let mut sum = 0;
            for (polynomial, values) in polynomials.iter().zip(&ciphertexts) {
                for &(exponent, weight) in polynomial {
                    for (position, value) in values.iter().enumerate() {
                        let degree = (exponent as usize + position) % (2 * size);
                        if degree == place.coefficient as usize {
                            sum += weight * value;
                        } else if degree == place.coefficient as usize + size {
                            sum -= weight * value;
                        }
                    }
                }
            }
            sum
        };
        packing.outputs.iter().map(coefficient).collect()
    }

    fn check(map: &LinearMap<f32>, geometry: &Geometry, size: usize, rows: usize) {
        let ones = vec![1.0; map.input_count];
        let map = quantise_map(map, WeightBits::plain(8), None, &ones, true).map;
        let Some((layout, packing)) = pack(&map, geometry, size, rows) else {
            return;
        };
        let input: Vec<i64> = (0..map.input_count as i64)
            .map(|i| i * 7 % 31 - 9)
            .collect();
        let columns: Vec<Row<u64>> = input.iter().map(|&v| vec![v as u64].into()).collect();
        let expected: Vec<i64> = map
            .apply(&columns)
            .iter()
            .map(|row| row[0] as i64)
            .collect();
        assert_eq!(run(&layout, &packing, &input, size), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn packed_dense_layers_equal_the_map(
            inputs in 1usize..80, outputs in 1usize..12, rows in 1usize..9, seed in 0usize..99,
        ) {
            let weights = (0..inputs * outputs).map(|i| ((i * 37 + seed) % 19) as f32 - 9.0);
            let dense = Dense { weights: weights.collect(), outputs, inputs };
            check(&dense.map(), &Geometry::Dense, 32, rows);
        }

        #[test]
        fn packed_convolutions_equal_the_map(
            channels in (1usize..4, 1usize..4), size in (2usize..6, 2usize..6),
            kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3),
            padding in prop::array::uniform4(0usize..2), seed in 0usize..99,
        ) {
            let window = Window { stride: stride.into(), padding };
            let (size, kernel) = (size.into(), kernel.into());
            let Some(output) = window.output_size(size, kernel) else { return Ok(()) };
            let count = channels.0 * channels.1 * kernel[0] * kernel[1];
            let conv = Conv2d {
                weights: (0..count).map(|i| ((i * 37 + seed) % 19) as f32 - 9.0).collect(),
                out_channels: channels.0,
                in_channels: channels.1,
                groups: 1,
                kernel,
                window,
            };
            let image = Image { channels: channels.1, size, kernel, window, output };
            check(&conv.map(size, output), &Geometry::Convolution(image), 64, 1);
        }
    }
}
