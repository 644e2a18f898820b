//! Look-ups and keyswitches: the engine's batches against tfhe's one by one.

use std::time::Duration;

use criterion::Criterion;
use splitbench::core::linear_map::Row;
use splitbench::core::statistics::{Summary, summarise};
use splitbench::fhe::bootstrap::look_up;
use splitbench::fhe::cipher;
use splitbench::fhe::keyswitch::PackedKeyswitchKey;
use splitbench::fhe::noise::key_bits;

use super::{Set, bench, time, time_items};

/// Activations of a batch, on all cores.
const ACTIVATIONS: usize = 64;
/// Ciphertexts of a keyswitch, on one core: the engine's own batch for one thread.
const KEYSWITCHES: usize = 16;
/// Interleaved pairs behind a ratio.
const PAIRS: usize = 11;
/// Messages fill the half turn [0, 1/2) in boxes of 2^61.
const BOXES: u64 = 4;

/// Benchmarks look-ups and keyswitches, per ciphertext.
pub fn bench_activations(criterion: &mut Criterion, set: &Set) {
    let look_ups = LookUps::new(set);
    bench(
        criterion,
        "activation",
        format!("tfhe/{}", set.name),
        |bencher| {
            let mut work = look_ups.tfhe();
            time_items(bencher, ACTIVATIONS, || look_ups.theirs.clone(), &mut work);
        },
    );
    bench(
        criterion,
        "activation",
        format!("batched/{}", set.name),
        |bencher| {
            let mut work = look_ups.batched();
            time_items(bencher, ACTIVATIONS, || look_ups.ours.clone(), &mut work);
        },
    );
    bench_keyswitch(criterion, set);
}

fn bench_keyswitch(criterion: &mut Criterion, set: &Set) {
    let reference = &set.reference;
    let packed = PackedKeyswitchKey::pack(&reference.keyswitch, key_bits(&set.parameters));
    let rows = reference.encrypt(&phases(KEYSWITCHES));
    let mut output = reference.small_ciphertext();
    for (index, (row, found)) in rows.iter().zip(packed.keyswitch(&rows)).enumerate() {
        reference.keyswitch(row, &mut output);
        for ciphertext in [&output, &found] {
            let found = box_of(reference.decrypt_small(ciphertext));
            assert_eq!(found, message(index), "keyswitch {index}");
        }
    }
    bench(
        criterion,
        "keyswitch",
        format!("tfhe/{}", set.name),
        |bencher| {
            let mut work = |_: &mut ()| {
                for row in &rows {
                    reference.keyswitch(row, &mut output);
                }
            };
            time_items(bencher, KEYSWITCHES, || (), &mut work);
        },
    );
    bench(
        criterion,
        "keyswitch",
        format!("packed/{}", set.name),
        |bencher| {
            time_items(
                bencher,
                KEYSWITCHES,
                || (),
                |_| {
                    std::hint::black_box(packed.keyswitch(&rows));
                },
            );
        },
    );
}

/// Prints how much faster an activation is in the engine's batches, measured in turns so that a
/// machine that slows down slows both.
pub fn print_ratio(set: &Set) {
    let look_ups = LookUps::new(set);
    let per_activation = |time: Duration| 1e3 * time.as_secs_f64() / ACTIVATIONS as f64;
    let pairs: Vec<(f64, f64)> = (0..PAIRS)
        .map(|_| {
            let tfhe = time(&mut || look_ups.theirs.clone(), &mut look_ups.tfhe());
            let batched = time(&mut || look_ups.ours.clone(), &mut look_ups.batched());
            (per_activation(tfhe), per_activation(batched))
        })
        .collect();
    let summary = |value: fn(&(f64, f64)) -> f64| summarise(pairs.iter().map(value));
    let (
        Some(tfhe),
        Some(batched),
        Some(Summary {
            median,
            min,
            max,
            n,
        }),
    ) = (
        summary(|pair| pair.0),
        summary(|pair| pair.1),
        summary(|pair| pair.0 / pair.1),
    )
    else {
        return;
    };
    println!(
        "ratio activation/{}: tfhe {:.2} ms / batched {:.2} ms = {median:.2} \
         (median of {n} pairs, {min:.2}..{max:.2})",
        set.name, tfhe.median, batched.median
    );
}

/// The same look-ups for both sides, each under its own keys; answers are checked.
struct LookUps<'a> {
    set: &'a Set,
    table: Vec<u64>,
    ours: Vec<Row<u64>>,
    theirs: Vec<Row<u64>>,
}

impl<'a> LookUps<'a> {
    fn new(set: &'a Set) -> Self {
        let phases = phases(ACTIVATIONS);
        let look_ups = Self {
            set,
            table: table(set.parameters.literal().polynomial_size),
            ours: set.encrypt(&phases),
            theirs: set.reference.encrypt(&phases),
        };
        let (mut ours, mut theirs) = (look_ups.ours.clone(), look_ups.theirs.clone());
        look_ups.batched()(&mut ours);
        look_ups.tfhe()(&mut theirs);
        let decrypted = [
            cipher::decrypt(&set.secret, &ours),
            set.reference.decrypt(&theirs),
        ];
        for (index, found) in decrypted.iter().flat_map(|found| found.iter().enumerate()) {
            let expected = BOXES - 1 - message(index);
            assert_eq!(box_of(*found), expected, "look-up {index}");
        }
        look_ups
    }

    fn batched(&self) -> impl FnMut(&mut Vec<Row<u64>>) {
        |rows| look_up(&self.set.key, rows, |_| &self.table, &|_| ())
    }

    fn tfhe(&self) -> impl FnMut(&mut Vec<Row<u64>>) {
        let accumulator = self.set.reference.accumulator(self.table.clone());
        move |rows| self.set.reference.look_up(rows, &accumulator)
    }
}

/// Returns the table that mirrors the boxes.
fn table(size: usize) -> Vec<u64> {
    let boxed = |cell: usize| (cell * BOXES as usize / size) as u64;
    (0..size)
        .map(|cell| phase(BOXES - 1 - boxed(cell)))
        .collect()
}

fn message(index: usize) -> u64 {
    index as u64 % BOXES
}

fn phases(count: usize) -> Vec<u64> {
    (0..count).map(|index| phase(message(index))).collect()
}

/// Returns the middle of a box.
fn phase(message: u64) -> u64 {
    (2 * message + 1) << 60
}

fn box_of(phase: u64) -> u64 {
    phase >> 61
}
