//! The memory sampler, alone in its process: other tests would move the resident set.

use splitbench::machine::memory::{PeakMemory, SAMPLING_PERIOD};

#[test]
fn a_large_allocation_shows_in_the_peak() {
    let Some(sampler) = PeakMemory::start() else {
        eprintln!("skipped: this system does not tell a process its memory");
        return;
    };
    let block = std::hint::black_box(vec![1u8; 200 << 20]);
    std::thread::sleep(3 * SAMPLING_PERIOD);
    drop(block);
    let used = sampler.stop();
    assert!(
        used.peak_bytes >= used.start_bytes + (190 << 20),
        "{used:?}"
    );
}
