//! Programs on trivial ciphertexts, which run the server's whole path without noise, and in the
//! clear on the same integers.

use std::sync::{Arc, LazyLock};

use splitbench::circuit::compile::{Choice, Target};
use splitbench::circuit::interface::Form;
use splitbench::circuit::key_kind::KeyKind;
use splitbench::circuit::program::Program;
use splitbench::core::linear_map::Row;
use splitbench::core::placement::{Placement, SegmentIndex};
use splitbench::fhe::cipher::insecure_trivial;
use splitbench::fhe::keys::SecretKey;
use splitbench::fhe::parameters::ParameterSet;
use splitbench::model::output_mode::OutputMode;
use splitbench::party::inference::Exchange;
use splitbench::party::server::Server;
use splitbench::record::download::Download;

/// The evaluation key of the fast set, as it goes over the wire: making one takes a second.
pub static FAST_KEY: LazyLock<Vec<u8>> =
    LazyLock::new(|| SecretKey::generate(fast()).evaluation_key().to_bytes());

pub fn fast() -> ParameterSet {
    ParameterSet::fast().expect("secure")
}

pub fn target(parameters: ParameterSet) -> Target {
    Target {
        parameters: Choice::Fixed(parameters),
        log2_p_fail_lookup: -64.0,
        download: Download::Plain,
        output_mode: OutputMode::default(),
        own_step_noise: Vec::new(),
    }
}

pub fn placement(text: &str) -> Placement {
    text.parse().expect("letters")
}

/// Returns the integers that a client would decode from a server's answers to trivial inputs, under
/// the fast set.
pub fn run_trivially(program: &Arc<Program>, uploads: &[Vec<i64>]) -> Vec<Vec<i64>> {
    run_spilling(program, uploads, None).0
}

/// As [`run_trivially`], with ciphertexts that wait in files above so many bytes; also returns the
/// bytes that went there.
pub fn run_spilling(
    program: &Arc<Program>,
    uploads: &[Vec<i64>],
    spill_above: Option<u64>,
) -> (Vec<Vec<i64>>, u64) {
    let parameters = fast();
    let mut server = Server::new(&[Arc::clone(program)]);
    server
        .receive(&KeyKind::Evaluation(parameters), &FAST_KEY)
        .expect("conforms");
    let encodings = program.interface.uploads.iter().zip(uploads);
    let ciphertexts = encodings
        .map(|(encoding, integers)| insecure_trivial(&parameters, &encoding.phases(integers)));
    server.spill_above(spill_above);
    let (answers, times) = server
        .observe(
            SegmentIndex::FIRST,
            ciphertexts.collect(),
            &mut |_, _, _| Ok(()),
        )
        .expect("has a key");
    let downloads = program.interface.downloads.iter().zip(answers);
    let decoded = downloads
        .map(|(download, rows)| match &download.form {
            Form::Lwe => {
                let bodies = rows.iter().map(|row| *row.last().expect("body"));
                bodies.map(|phase| download.decode(phase)).collect()
            }
            Form::Glwe(elements) => {
                let mut integers = vec![0; download.scales.len()];
                for (row, elements) in rows.iter().zip(elements) {
                    let bodies = &row[parameters.big_dimension()..];
                    for (&(element, _), &phase) in elements.iter().zip(bodies) {
                        integers[element as usize] = download.decode(phase);
                    }
                }
                integers
            }
        })
        .collect();
    (decoded, times.iter().map(|time| time.spill.bytes).sum())
}

/// Returns integers in range for each upload, and what the clear run makes of them.
pub fn run_in_the_clear(program: &Program) -> Exchange {
    let uploads = program.interface.uploads.iter().map(|upload| {
        let span = upload.quantisation.high - upload.quantisation.low + 1;
        (0..upload.layout.places.len() as i64)
            .map(|element| upload.quantisation.low + (element * 37 + 11) % span)
            .collect()
    });
    let uploaded: Vec<Vec<i64>> = uploads.collect();
    let columns = uploaded.iter().map(|integers| -> Vec<Row<u64>> {
        let integers = integers.iter();
        integers.map(|&v| vec![v as u64].into()).collect()
    });
    let clear = program
        .run_clear(&columns.collect::<Vec<_>>(), None)
        .outputs;
    let first = |rows: &Vec<Row<u64>>| rows.iter().map(|row| row[0] as i64).collect();
    Exchange {
        uploaded,
        downloaded: clear.iter().map(first).collect(),
    }
}
