//! Measures step deviations with real keys, beside what the noise model predicts for the very
//! same inputs.
//!
//! Hidden activations lie below the bootstrap's own noise and cannot be decoded. But a look-up is
//! deterministic in its input ciphertext, so the audit looks the same ciphertext up a second time
//! in a table of the same cells with wide steps, decrypts that, and knows which output the
//! inference went on with. From there on the clear value of the next layer's inputs is known too.

use crate::circuit::program::{Action, LookUpStep, Program, columns};
use crate::core::error::Result;
use crate::core::linear_map::Row;
use crate::core::placement::SegmentIndex;
use crate::fhe::bootstrap::look_up;
use crate::party::ciphertext::LweCiphertext;
use crate::party::session::{Session, Transcript};
use crate::record::deviations::Deviations;
use crate::record::learnt::LookUpAudit;

/// Torus step of a wide table's values, as a power of two: 2^-10 of a turn holds twice the 8-bit
/// outputs with a sign, and half of it is 16 standard deviations of a bootstrap's noise of 2^-15.
const WIDE_STEP_LOG: u32 = 64 - 10;

/// Runs the server segments of a session on the integers that inferences uploaded, and compares
/// every look-up with its clear value.
///
/// # Errors
///
/// [`crate::Error::Message`] where the server lacks a key.
pub fn audit(session: &Session, uploads: &[Vec<Vec<i64>>]) -> Result<Vec<LookUpAudit>> {
    let mut audits = Vec::new();
    for (index, (program, uploaded)) in session.programs().iter().zip(uploads).enumerate() {
        if program.bootstrap_count() > 0 {
            audits.extend(audit_segment(session, SegmentIndex::new(index), uploaded)?.0);
        }
    }
    Ok(audits)
}

/// Audits one server segment on the integers of its uploads; returns also what was exchanged.
///
/// # Errors
///
/// As [`audit`].
pub fn audit_segment(
    session: &Session,
    segment: SegmentIndex,
    uploaded: &[Vec<i64>],
) -> Result<(Vec<LookUpAudit>, Transcript)> {
    let program: &Program = &session.programs()[segment.index()];
    let mut slots = program.grid(&columns(uploaded, 1));
    let mut audits = Vec::new();
    let transcript = session.observe(segment, uploaded, &mut |index, step, rows| {
        // The linear steps since the last look-up, on what that look-up has really given.
        for linear in &program.steps[slots.len() - uploaded.len()..index] {
            let inputs: Vec<&[Row<u64>]> = linear
                .inputs
                .iter()
                .map(|&slot| slots[slot].as_slice())
                .collect();
            if let Action::Linear(action) = &linear.action {
                let output = action.weights.run_clear(&inputs);
                slots.push(output);
            }
        }
        let mut integers = slots[program.steps[index].inputs[0]].clone();
        let found = look_up_wide(session, segment, step, rows)?;
        let mut audit = LookUpAudit {
            node: step.node,
            predicted: Deviations::default(),
            measured: Deviations::default(),
        };
        for (element, (row, &found)) in integers.iter_mut().zip(&found).enumerate() {
            let integer = row[0] as i64;
            let clear = step.read_integer(element, integer);
            let predicted = Deviations::predicted(step, element, integer);
            audit.predicted = audit.predicted.plus(predicted);
            audit.measured = audit.measured.plus(Deviations::observed(clear, found));
            row[0] = (found * step.output_step) as u64;
        }
        slots.push(integers);
        audits.push(audit);
        Ok(())
    })?;
    Ok((audits, transcript))
}

/// Returns the output integers that a look-up of these ciphertexts gives.
fn look_up_wide(
    session: &Session,
    segment: SegmentIndex,
    step: &LookUpStep,
    rows: &[LweCiphertext],
) -> Result<Vec<i64>> {
    let tables: Vec<Vec<u64>> = step
        .tables
        .iter()
        .map(|table| {
            table
                .values
                .iter()
                .map(|&value| (value as u64) << WIDE_STEP_LOG)
                .collect()
        })
        .collect();
    let mut rows = rows.to_vec();
    let key = session.server_key(segment)?;
    let table = |element: usize| &tables[element / step.elements_per_table][..];
    look_up(key, &mut rows, table, &|_| ());
    let unit = (1u64 << WIDE_STEP_LOG) as f64;
    let phases = session.decrypt_phases(segment, &rows);
    Ok(phases
        .into_iter()
        .map(|phase| {
            let value = (phase as i64 as f64 / unit).round() as i64;
            (value + step.centre).div_euclid(2)
        })
        .collect())
}
