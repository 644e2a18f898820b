//! A residual network with a max pool: crossings by hand, and placements on trivial ciphertexts.

use splitbench::circuit::compile::{Target, compile_placement};
use splitbench::model::layer::Function;
use splitbench::model::{Granularity, Model};

use super::COARSE;
use super::network::{Builder, SAME};
use super::trivial::{fast, placement, run_in_the_clear, run_spilling, run_trivially, target};

/// Returns conv, relu, max pool, a block of conv, relu, conv, add and relu, and dense.
fn network() -> Model {
    let mut builder = Builder::new([1, 6, 6], COARSE, 7);
    let first = builder.conv(0, 2, SAME);
    let relu = builder.activation(first, Function::Relu, 3);
    let pooled = builder.max_pool(relu, 0);
    let inner = builder.conv(pooled, 2, SAME);
    let inner = builder.activation(inner, Function::Relu, 3);
    let inner = builder.conv(inner, 2, SAME);
    let sum = builder.add(inner, pooled);
    let last = builder.activation(sum, Function::Relu, 3);
    builder.name_block(pooled, "block1");
    builder.dense(last, 3);
    builder.model()
}

pub fn placed(granularity: Granularity) -> Model {
    network().with_granularity(granularity)
}

/// A placement with the uploads and downloads of each server segment.
pub type Case = (Granularity, &'static str, Vec<(usize, usize)>);

pub fn cases() -> Vec<Case> {
    use Granularity::{Block, Layer};
    vec![
        (Block, "SSSSS", vec![(1, 1)]),
        (Block, "CCCSC", vec![(1, 1)]),
        (Block, "SCCSS", vec![(1, 1), (1, 1)]),
        (Layer, "SSSSSSSSS", vec![(1, 1)]),
        // The pooled value goes down for the client's convolutions, and comes up again for the sum.
        (Layer, "SSSCCCSSS", vec![(1, 1), (2, 1)]),
        // The segment makes both operands of the client's sum.
        (Layer, "SSSSSSCCC", vec![(1, 2)]),
        // The client pools and adds; the server's convolutions lie between.
        (Layer, "CCCSSSCCC", vec![(1, 1)]),
        // The client has the first convolution and the sum.
        (Layer, "CSSSSSCSS", vec![(1, 2), (1, 1)]),
        // The client has one convolution of the block.
        (Layer, "SSSCSSSSC", vec![(1, 1), (2, 1)]),
    ]
}

#[test]
fn the_network_has_the_layers_of_its_granularity() {
    let names = |granularity| -> Vec<String> {
        let layers = placed(granularity).layers.into_iter();
        layers.map(|layer| layer.op.to_owned()).collect()
    };
    let block = ["conv2d", "relu", "max_pool", "block", "dense"];
    assert_eq!(names(Granularity::Block), block);
    assert_eq!(names(Granularity::Layer).len(), 9);
    let reads = |granularity| -> Vec<Vec<Option<usize>>> {
        let outline = placed(granularity).outline();
        outline.into_iter().map(|layer| layer.reads).collect()
    };
    let chain = [
        vec![None],
        vec![Some(0)],
        vec![Some(1)],
        vec![Some(2)],
        vec![Some(3)],
    ];
    assert_eq!(reads(Granularity::Block), chain);
    // The sum reads the pool across the block.
    assert_eq!(reads(Granularity::Layer)[6], [Some(2), Some(5)]);
}

#[test]
fn crossings_are_those_worked_out_by_hand() {
    for (granularity, text, segments) in cases() {
        let model = placed(granularity);
        let count: usize = segments.iter().map(|(up, down)| up + down).sum();
        let placement = placement(text);
        assert_eq!(model.crossing_count(&placement), count, "{text}");
        let programs = compile_placement(&model, &placement, &target(fast())).unwrap();
        let found: Vec<(usize, usize)> = programs
            .iter()
            .map(|program| &program.interface)
            .map(|interface| (interface.uploads.len(), interface.downloads.len()))
            .collect();
        assert_eq!(found, segments, "{text}");
    }
}

#[test]
fn trivial_ciphertexts_equal_the_clear_run_bit_for_bit_on_a_residual_network() {
    let mut failures = Vec::new();
    for (granularity, text, _) in cases() {
        let model = placed(granularity);
        let programs = compile_placement(&model, &placement(text), &target(fast())).unwrap();
        for (segment, program) in programs.iter().enumerate() {
            let clear = run_in_the_clear(program);
            if run_trivially(program, &clear.uploaded) != clear.downloaded {
                failures.push(format!("{text}, segment {segment}"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn ciphertexts_that_wait_in_files_change_nothing() {
    let size = 8 * fast().big_size() as u64;
    // The pooled value waits while the block's branch runs: for the sum, or to be an answer.
    for (granularity, text) in [
        (Granularity::Block, "SSSSS"),
        (Granularity::Layer, "SSSSSSCCC"),
    ] {
        let model = placed(granularity);
        let programs = compile_placement(&model, &placement(text), &target(fast())).unwrap();
        let clear = run_in_the_clear(&programs[0]);
        for (limit, waiting) in [(0, true), (u64::MAX, false)] {
            let (found, spilled) = run_spilling(&programs[0], &clear.uploaded, Some(limit));
            assert_eq!(found, clear.downloaded, "{text}");
            assert_eq!(spilled > 0, waiting, "{text}: {spilled}");
            assert_eq!(spilled % size, 0);
        }
    }
}

#[test]
fn deviations_of_a_skip_reach_a_sum_with_their_own_step() {
    // The convolution's weights on one source and the skip's step of another, multiplied with each
    // other, would be noise that neither makes.
    let mut failures = Vec::new();
    for seed in 0..6 {
        let mut builder = Builder::new([1, 6, 6], COARSE, seed);
        let first = builder.conv(0, 4, SAME);
        let skip = builder.activation(first, Function::Relu, 4);
        let inner = builder.conv(skip, 4, SAME);
        let inner = builder.activation(inner, Function::Relu, 4);
        let inner = builder.conv(inner, 4, SAME);
        let sum = builder.add(inner, skip);
        let last = builder.activation(sum, Function::Relu, 4);
        builder.dense(last, 3);
        let all = placement("SSSSSSSS");
        let model = builder.model().with_granularity(Granularity::Layer);
        let programs = compile_placement(&model, &all, &Target::usual()).unwrap();
        failures.push(programs[0].log2_p_fail);
    }
    // With the largest step of all sources for each of them, seed 0 had 2^-12.8.
    assert!(
        failures.iter().all(|&log2_p| log2_p < -20.0),
        "{failures:?}"
    );
}
