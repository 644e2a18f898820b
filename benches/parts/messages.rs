//! What crosses the wire: encryption, expansion, bytes, the evaluation key.

use criterion::{BatchSize, Criterion};
use splitbench::Result;
use splitbench::circuit::packing::PackedLayout;
use splitbench::core::linear_map::Row;
use splitbench::fhe::cipher;
use splitbench::fhe::keys::{EvaluationKey, SeededEvaluationKey};
use splitbench::party::wire::{self, Expected};

use super::{Set, bench};

/// Values of an upload.
const UPLOADS: [usize; 2] = [64, 784];
/// LWE ciphertexts of a download.
const DOWNLOAD: usize = 10;
/// Leading bytes of a coefficient that travel.
const BYTES: usize = 4;

/// Benchmarks all of it.
///
/// # Errors
///
/// [`splitbench::Error::Message`] where a message does not come back.
pub fn bench_messages(criterion: &mut Criterion, set: &Set) -> Result<()> {
    for count in UPLOADS {
        bench_upload(criterion, set, count)?;
    }
    bench_download(criterion, set)?;
    bench_evaluation_key(criterion, set);
    Ok(())
}

fn bench_upload(criterion: &mut Criterion, set: &Set, count: usize) -> Result<()> {
    let size = set.parameters.literal().polynomial_size;
    let PackedLayout { lengths, .. } = PackedLayout::consecutive(count, size);
    let values: Vec<u64> = (0..count as u64).map(|value| value << 56).collect();
    let phases: Vec<Vec<u64>> = values.chunks(size).map(<[u64]>::to_vec).collect();
    let seeded = cipher::encrypt(&set.secret, &phases);
    let message = wire::write_upload(&seeded, BYTES);
    let expected = Expected::new(&lengths, BYTES);
    let received = cipher::expand(&set.parameters, &wire::read_upload(&message, &expected)?);
    for (ciphertext, phases) in received.iter().zip(&phases) {
        let row: Vec<u64> = ciphertext[..set.parameters.big_dimension() + phases.len()].to_vec();
        let found =
            cipher::decrypt_packed(&set.secret, &row, &(0..phases.len()).collect::<Vec<_>>());
        for (found, &sent) in found.iter().zip(phases) {
            let error = found.wrapping_sub(sent) as i64;
            assert!(error.unsigned_abs() < 1 << 40, "upload of {count}: {error}");
        }
    }

    let id = |of: &str| format!("{of}{count}/{}", set.name);
    bench(criterion, "encrypt", id(""), |bencher| {
        bencher.iter(|| cipher::encrypt(&set.secret, &phases));
    });
    bench(criterion, "expand", id(""), |bencher| {
        bencher.iter(|| cipher::expand(&set.parameters, &seeded));
    });
    bench(criterion, "serialise", id("upload/"), |bencher| {
        bencher.iter(|| wire::write_upload(&seeded, BYTES));
    });
    bench(criterion, "deserialise", id("upload/"), |bencher| {
        bencher.iter(|| wire::read_upload(&message, &expected));
    });
    Ok(())
}

fn bench_download(criterion: &mut Criterion, set: &Set) -> Result<()> {
    let phases: Vec<u64> = (0..DOWNLOAD as u64).map(|value| value << 56).collect();
    let rows: Vec<Row<u64>> = set.encrypt(&phases);
    let message = wire::write_download(&rows, BYTES);
    let sizes = [set.parameters.big_size(); DOWNLOAD];
    let expected = Expected::new(&sizes, BYTES);
    let received = wire::read_download(&message, &expected)?;
    for (found, &sent) in cipher::decrypt(&set.secret, &received).iter().zip(&phases) {
        let error = found.wrapping_sub(sent) as i64;
        assert!(error.unsigned_abs() < 1 << 40, "download: {error}");
    }

    let id = |of: &str| format!("{of}{DOWNLOAD}/{}", set.name);
    bench(criterion, "serialise", id("download/"), |bencher| {
        bencher.iter(|| wire::write_download(&rows, BYTES));
    });
    bench(criterion, "deserialise", id("download/"), |bencher| {
        bencher.iter(|| wire::read_download(&message, &expected));
    });
    bench(criterion, "decrypt", id(""), |bencher| {
        bencher.iter(|| cipher::decrypt(&set.secret, &received));
    });
    Ok(())
}

/// The set's own key went the same way and its look-ups were right.
fn bench_evaluation_key(criterion: &mut Criterion, set: &Set) {
    let seeded = set.secret.evaluation_key();
    let message = seeded.to_bytes();
    let read = || {
        SeededEvaluationKey::from_bytes(&message, &set.parameters)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let id = |of: &str| format!("{of}/{}", set.name);
    bench(criterion, "evaluation_key", id("generate"), |bencher| {
        bencher.iter(|| set.secret.evaluation_key());
    });
    bench(criterion, "evaluation_key", id("serialise"), |bencher| {
        bencher.iter(|| seeded.to_bytes());
    });
    bench(criterion, "evaluation_key", id("deserialise"), |bencher| {
        bencher.iter(read);
    });
    bench(criterion, "evaluation_key", id("expand"), |bencher| {
        let expand = |seeded| EvaluationKey::expand(seeded, set.parameters);
        bencher.iter_batched(read, expand, BatchSize::PerIteration);
    });
}
