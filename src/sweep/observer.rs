//! Whoever hears how a sweep comes along, and may stop it.

use crate::attack::copy::campaign as copy;
use crate::record::copy::CopyPoint;
use crate::record::log::VisitEnd;
use crate::record::stage::Begin;
use crate::record::visit::Visit;
use crate::sweep::advance::Advance;

/// What a sweep tells while it runs.
pub trait Observer: Sync {
    /// These visits are left to make, each with how many come before it in the schedule.
    fn start(&self, left: &[(usize, Visit)]);
    /// So many visits are behind; this one begins.
    fn begin(&self, done: usize, visit: &Visit);
    /// It is at this stage now.
    fn stage(&self, visit: &Visit, begin: Begin);
    /// Its inference has come so far; told of long ones only.
    fn advance(&self, visit: &Visit, advance: &Advance);
    /// It ended so.
    fn end(&self, end: &VisitEnd, online_s: Option<f64>);
    /// After all visits, copies of a split are learnt; told of each point, and how far they have come.
    fn copied(&self, point: &CopyPoint, advance: copy::Advance);
    /// Whether to stop.
    fn stop(&self) -> bool;
}
