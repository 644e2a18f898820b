//! How much noise the look-ups of a sweep's server segments may have, found before the sweep begins.

use std::path::Path;
use std::time::Instant;

use crate::circuit::analysis::DEFAULT_STEP_NOISE;
use crate::circuit::compile::{Choice, Target};
use crate::circuit::select::Precision;
use crate::core::error::Result;
use crate::core::placement::{Party, Placement, Segment};
use crate::core::units;
use crate::model::Model;
use crate::model::source::Source;
use crate::oracle::step_noise::cache::Found;
use crate::oracle::step_noise::finder::{Finder, Unsought, summary};
use crate::record::settings::Settings;
use crate::record::step_noise::SegmentFraction;

impl Settings {
    /// Finds how much noise the look-ups of each server segment may have.
    pub(super) fn find_step_noise(&mut self, model: &Model, tell: &dyn Fn(&str)) -> Result<()> {
        let mut segments = server_segments(&self.placements);
        let folder = Source::find(&self.model)?.folder().map(Path::to_owned);
        let mut finder = match Finder::new(model, folder) {
            Ok(finder) => finder,
            Err(Unsought::Nothing) => return Ok(()),
            Err(Unsought::Unreadable(error)) => return Err(error),
            Err(unsought @ Unsought::TooLarge) => {
                tell(&format!("step noise {DEFAULT_STEP_NOISE}: {unsought}"));
                return Ok(());
            }
        };
        let begin = Instant::now();
        let target = |fraction| self.target_of_step_noise(fraction);
        let pins = model.pins();
        let alone = |segment: &Segment| Placement::with_server(segment.layers.clone(), &pins);
        let count = segments
            .iter()
            .filter(|segment| finder.takes_time(&alone(segment), target))
            .count();
        let too_many = count > finder.most_segments();
        if let Some(words) = search_words(count, too_many) {
            tell(&words);
        }
        let most = Placement::uniform(Party::Server, &pins);
        segments.retain(|segment| finder.looks_up(&alone(segment)));
        let found: Vec<(Segment, Found)> = segments
            .into_iter()
            .filter_map(|segment| {
                let tried = if too_many {
                    most.clone()
                } else {
                    alone(&segment)
                };
                finder.find(&tried, target).map(|found| (segment, found))
            })
            .collect();
        let all: Vec<Found> = found.iter().map(|(_, found)| *found).collect();
        if let Some(summary) = summary(&all) {
            let taken = units::seconds(begin.elapsed().as_secs_f64());
            tell(&match count {
                0 => summary,
                _ => format!("{summary}, found in {taken}"),
            });
        }
        self.own_step_noise = found
            .into_iter()
            .map(
                |(Segment { layers, .. }, Found { fraction, .. })| SegmentFraction {
                    layers,
                    fraction,
                },
            )
            .filter(|own| own.fraction != self.step_noise)
            .collect();
        Ok(())
    }

    /// Returns what server segments are compiled for where their look-ups may have such noise.
    fn target_of_step_noise(&self, fraction: f64) -> Target {
        Target {
            parameters: Choice::Cheapest(Precision::StepNoise(fraction), self.cost),
            log2_p_fail_lookup: self.log2_p_fail_lookup,
            download: self.download,
            output_mode: self.output_mode(),
            own_step_noise: Vec::new(),
        }
    }
}

/// Returns the server segments of placements, each once.
fn server_segments(placements: &[Placement]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for segment in placements.iter().flat_map(Placement::server_segments) {
        if !segments.contains(&segment) {
            segments.push(segment);
        }
    }
    segments
}

/// Says what is looked for, where that takes time for so many segments.
fn search_words(count: usize, too_many: bool) -> Option<String> {
    match count {
        0 => None,
        1 => Some("looking for the most step noise that keeps the accuracy".into()),
        _ if too_many => Some(format!(
            "{count} server segments are too many to find the step noise of each: all take that of all \
             layers on the server"
        )),
        _ => Some(format!(
            "looking for the most step noise that keeps the accuracy, of {count} server segments"
        )),
    }
}
