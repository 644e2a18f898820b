//! Copies of the splits that a sweep ran: those that were not found to give the whole model away, learnt at its end
//! for as long as attacks may take; all others, and longer ones, are `splitbench attack`'s.

use std::collections::HashSet;

use super::observer::Observer;
use super::results_folder::ResultsFolder;
use crate::attack::copy::campaign::{Advance, Campaign, Listener, Wanted};
use crate::attack::copy::ground::Ground;
use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::model::source::Source;
use crate::model::{Model, TestSet};
use crate::record::copy::{CopyPoint, USUAL_QUERIES};
use crate::record::exposure::gives_all_away;
use crate::record::log::Record;
use crate::record::results::Tables;
use crate::record::row::Status;
use crate::record::settings::Settings;

/// Copies of a point: two cores learn as many at once, and one alone has no spread.
const SEEDS: usize = 2;

/// Hears of each point, and how far the copies have come.
pub type Hear<'a> = dyn Fn(&CopyPoint, Advance) + Sync + 'a;

/// Learns what a campaign is wanted for and the folder does not hold, and keeps it.
///
/// # Errors
///
/// As [`Campaign::run`].
pub fn learn(
    folder: &mut ResultsFolder,
    campaign: &Campaign<'_>,
    wanted: &Wanted,
    hear: &Hear<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<()> {
    let known = known(folder.records(), wanted.seeds);
    let is_done = |placement: &Placement, queries| known.contains(&(placement.clone(), queries));
    campaign.run(wanted, &is_done, &mut Keeper { folder, hear, stop })
}

/// Learns copies of the splits of a sweep that may keep anything back; none where no attacks are wanted, or labels of
/// copies cannot be compared.
///
/// # Errors
///
/// As [`learn`], and what reading the images gives that the network was trained on.
pub fn learn_undecided(
    folder: &mut ResultsFolder,
    settings: &Settings,
    model: &Model,
    observer: &dyn Observer,
) -> Result<()> {
    let Some(budget_s) = settings.attack_budget_s else {
        return Ok(());
    };
    let placements = undecided(settings, model, folder.records());
    if placements.is_empty() || !model.is_classifier() {
        return Ok(());
    }
    let training = TestSet::training(&Source::find(&settings.model)?, model)?;
    let ground = match Ground::new(model.clone(), training, settings.target()?) {
        // Too few images are no reason to call a sweep a failure.
        Err(Error::Unsupported { .. }) => return Ok(()),
        ground => ground?,
    };
    let campaign = Campaign::new(&ground, &placements)?;
    let wanted = Wanted {
        queries: vec![USUAL_QUERIES],
        seeds: SEEDS,
        seed: 0,
        budget_s,
    };
    let hear = |point: &CopyPoint, advance| observer.copied(point, advance);
    learn(folder, &campaign, &wanted, &hear, &|| observer.stop())
}

/// Returns the placements that ended well and are not known to give the whole model away.
fn undecided(settings: &Settings, model: &Model, records: &[Record]) -> Vec<Placement> {
    let rows = Tables::derive(settings, model, records).splits;
    let names: HashSet<String> = rows
        .into_iter()
        .filter(|row| row.status == Status::Ok.word() && !gives_all_away(row))
        .map(|row| row.placement)
        .collect();
    let placements = settings.placements.iter();
    let undecided = placements.filter(|placement| names.contains(&placement.to_string()));
    undecided.cloned().collect()
}

/// Returns the points that are known with at least so many seeds.
fn known(records: &[Record], seeds: usize) -> HashSet<(Placement, usize)> {
    let points = records.iter().filter_map(|record| match record {
        Record::Copy(point) if point.seeds.len() >= seeds => {
            Some((point.placement.clone(), point.queries))
        }
        _ => None,
    });
    points.collect()
}

/// Keeps points and passes them on.
struct Keeper<'a> {
    folder: &'a mut ResultsFolder,
    hear: &'a Hear<'a>,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Listener for Keeper<'_> {
    fn point(&mut self, point: &CopyPoint, advance: Advance) -> Result<()> {
        self.folder.append(Record::Copy(point.clone()))?;
        (self.hear)(point, advance);
        Ok(())
    }

    fn stop(&self) -> bool {
        (self.stop)()
    }
}
