//! Learning of server segments, each once in a sweep, whichever splits it stands in; `record/learnt` is
//! what is kept.

use crate::attack::segment::{Mounting, Subject};
use crate::core::error::Result;
use crate::oracle::audit::audit_segment;
use crate::record::finished::is_long;
use crate::record::learnt::{Learnt, SegmentAudit};
use crate::record::stage::Stage;

impl Learnt {
    /// Learns of a segment.
    ///
    /// # Errors
    ///
    /// What running it gives.
    pub fn of(subject: &Subject<'_>, mounting: Mounting<'_>) -> Result<Self> {
        let program = subject.program();
        let (mut look_ups, mut transcripts) = (Vec::new(), Vec::new());
        if program.bootstrap_count() > 0 && !is_long(program.bootstrap_count()) {
            (mounting.hear)(Stage::Deviations);
            let (audits, transcript) =
                audit_segment(subject.session, subject.index, &subject.ordinary)?;
            (look_ups, transcripts) = (audits, vec![transcript]);
        }
        Ok(Self {
            audits: vec![SegmentAudit {
                layers: (subject.layers.start, subject.layers.end),
                parameters: program.parameters.to_string(),
                look_ups,
            }],
            exposure: vec![subject.expose(mounting, transcripts)?],
        })
    }
}
