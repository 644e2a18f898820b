//! Linear layers of 8-bit weights on 8-bit integers: rows of LWE ciphertexts against polynomial
//! products on packed ones.

use criterion::Criterion;
use rayon::prelude::*;
use splitbench::circuit::packing::{Packing, most_rows_per_product, pack};
use splitbench::core::linear_map::{LinearMap, Row};
use splitbench::fhe::cipher;
use splitbench::fhe::packed::{PackedWeights, extract};
use splitbench::model::layer::{Conv2d, Dense, Geometry, Image, Window};
use splitbench::model::quantise::{WeightBits, quantise_map};

use super::{Set, bench};

/// Phase of the integer 1: 784 products of 8 and 7 bits stay within half a turn.
const STEP: u64 = 1 << 38;

/// Benchmarks a dense layer and a convolution.
pub fn bench_layers(criterion: &mut Criterion, set: &Set) {
    let dense = Dense {
        weights: weights(784 * 128),
        outputs: 128,
        inputs: 784,
    };
    let polynomial_size = set.parameters.literal().polynomial_size;
    let rows = most_rows_per_product(dense.inputs, polynomial_size);
    let (map, geometry) = (dense.map(), Geometry::Dense);
    bench_layer(criterion, set, "dense", "784x128", &map, &geometry, rows);

    let (size, kernel, channels, kernels) = ([6, 6], [3, 3], 8, 16);
    let window = Window {
        stride: [1, 1],
        padding: [0; 4],
    };
    let Some(output) = window.output_size(size, kernel) else {
        unreachable!("the kernel fits the image");
    };
    let conv = Conv2d {
        weights: weights(kernels * channels * kernel[0] * kernel[1]),
        out_channels: kernels,
        in_channels: channels,
        groups: 1,
        kernel,
        window,
    };
    let geometry = Geometry::Convolution(Image {
        channels,
        size,
        kernel,
        window,
        output,
    });
    let map = conv.map(size, output);
    bench_layer(criterion, set, "conv", "8x6x6-16x3x3", &map, &geometry, 1);
}

/// `lwe` reads one LWE ciphertext per input, `packed` leaves its outputs in GLWE ciphertexts, as
/// for an answer, `packed_extract` takes each output out of its own, as before a look-up.
fn bench_layer(
    criterion: &mut Criterion,
    set: &Set,
    layer: &str,
    size: &str,
    map: &LinearMap<f32>,
    geometry: &Geometry,
    rows_per_product: usize,
) {
    let map = quantise_map(
        map,
        WeightBits::plain(8),
        None,
        &vec![1.0; map.input_count],
        true,
    )
    .map;
    let integers: Vec<u64> = (0..map.input_count as u64).map(|i| i * 37 % 256).collect();
    let columns: Vec<Row<u64>> = integers.iter().map(|&i| [i].into()).collect();
    let expected: Vec<i64> = map.apply(&columns).iter().map(|r| r[0] as i64).collect();
    let decode = |rows: &[Row<u64>]| -> Vec<i64> {
        let phases = cipher::decrypt(&set.secret, rows).into_iter();
        phases.map(decode).collect()
    };

    let phases: Vec<u64> = integers.iter().map(|integer| integer * STEP).collect();
    let rows = set.encrypt(&phases);
    assert_eq!(decode(&map.apply(&rows)), expected, "{layer} on rows");
    let packed = Packed::new(set, &map, geometry, &phases, rows_per_product);
    let extracted = Packed::new(set, &map, geometry, &phases, 1);
    for packed in [&packed, &extracted] {
        assert_eq!(decode(&packed.extract()), expected, "{layer} packed");
    }

    let id = |form: &str| format!("{form}/{size}/{}", set.name);
    bench(criterion, layer, id("lwe"), |bencher| {
        bencher.iter(|| map.apply(&rows));
    });
    bench(criterion, layer, id("packed"), |bencher| {
        bencher.iter(|| packed.multiply());
    });
    bench(criterion, layer, id("packed_extract"), |bencher| {
        bencher.iter(|| extracted.extract());
    });
}

/// A layer on packed ciphertexts with its input.
struct Packed<'a> {
    set: &'a Set,
    packing: Packing,
    weights: PackedWeights,
    input: Vec<Row<u64>>,
}

impl<'a> Packed<'a> {
    fn new(
        set: &'a Set,
        map: &LinearMap<u64>,
        geometry: &Geometry,
        phases: &[u64],
        rows_per_product: usize,
    ) -> Self {
        let size = set.parameters.literal().polynomial_size;
        let Some((layout, packing)) = pack(map, geometry, size, rows_per_product) else {
            unreachable!("the image fits a polynomial");
        };
        let mut laid_out: Vec<Vec<u64>> = layout.lengths.iter().map(|&n| vec![0; n]).collect();
        for (&phase, place) in phases.iter().zip(&layout.places) {
            laid_out[place.ciphertext as usize][place.coefficient as usize] = phase;
        }
        let seeded = cipher::encrypt(&set.secret, &laid_out);
        Self {
            set,
            weights: PackedWeights::new(&set.parameters, &packing.products),
            packing,
            input: cipher::expand(&set.parameters, &seeded),
        }
    }

    fn multiply(&self) -> Vec<Row<u64>> {
        self.weights.multiply(&self.set.parameters, &self.input)
    }

    fn extract(&self) -> Vec<Row<u64>> {
        let products = self.multiply();
        let places = self.packing.outputs.par_iter();
        let extracted = places.map(|place| {
            let product = &products[place.ciphertext as usize];
            extract(&self.set.parameters, product, place.coefficient as usize)
        });
        extracted.collect()
    }
}

/// Returns weights that fill the 8 bits evenly.
fn weights(count: usize) -> Vec<f32> {
    let weight = |index: usize| (index * 101 % 255) as f32 - 127.0;
    (0..count).map(weight).collect()
}

fn decode(phase: u64) -> i64 {
    (phase as i64 + STEP as i64 / 2).div_euclid(STEP as i64)
}
