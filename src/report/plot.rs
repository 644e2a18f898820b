//! Charts of the measured splits, as SVG and PNG.
//!
//! Each chart is a pure function from rows to a `Scene`; `render` paints scenes with
//! plotters. Charts read rows and never run anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::core::error::Result;
use crate::record::host;
use crate::record::results::CHARTS as CHARTS_FOLDER;
use crate::record::row::{SplitRow, queries_of_copies};
use scene::Scene;

mod accuracy;
mod axis;
mod copies;
#[cfg(test)]
pub(crate) mod fixture;
mod font;
mod labels;
mod listing;
mod memory;
mod online_time;
mod page;
mod palette;
mod render;
mod scatter;
mod scene;
mod sheet;
mod time_memory;
mod traffic;

/// The name of a chart's files and what draws it.
type Chart = (&'static str, fn(&[SplitRow]) -> Scene);

/// The chart that stands in the folder where copies are known, and only there.
const COPIES: &str = "copies";

const CHARTS: [Chart; 6] = [
    ("online-time", online_time::chart),
    ("memory", memory::chart),
    ("bytes", traffic::chart),
    ("accuracy", accuracy::chart),
    ("time-memory", time_memory::chart),
    (COPIES, copies::chart),
];

/// Draws the charts of a results folder and returns their paths: in one subfolder, or in one for
/// each host where the splits ran on several, because their times do not compare.
///
/// # Errors
///
/// As [`draw_charts`].
pub fn draw_results(rows: &[SplitRow], folder: &Path) -> Result<Vec<PathBuf>> {
    let hosts = hosts(rows);
    if hosts.len() < 2 {
        return draw_charts(rows, &folder.join(CHARTS_FOLDER));
    }
    let mut paths = Vec::new();
    for host in hosts {
        let is_of = |row: &&SplitRow| row.host.as_deref() == Some(host);
        let of_host: Vec<SplitRow> = rows.iter().filter(is_of).cloned().collect();
        let subfolder = format!("{CHARTS_FOLDER}-{}", host::folder_name(host));
        paths.extend(draw_charts(&of_host, &folder.join(subfolder))?);
    }
    Ok(paths)
}

/// Returns the hosts that rows name, each once.
pub fn hosts(rows: &[SplitRow]) -> BTreeSet<&str> {
    rows.iter().filter_map(|row| row.host.as_deref()).collect()
}

/// Draws every chart as `<name>.svg` and `<name>.png` into the folder and returns their paths.
///
/// The folder is created if missing. Each file appears whole or not at all. Rows without a figure
/// are shown as missing; without any finished row the charts say so. Where no copies are known there is no
/// chart of them, nor one of earlier rows.
///
/// # Errors
///
/// [`Error::Write`](crate::core::error::Error::Write) where a file cannot be written,
/// [`Error::Draw`](crate::core::error::Error::Draw) where plotters refuses to draw it.
pub fn draw_charts(rows: &[SplitRow], folder: &Path) -> Result<Vec<PathBuf>> {
    render::create_folder(folder)?;
    let mut paths = Vec::new();
    let has_copies = queries_of_copies(rows).is_some();
    for (name, chart) in CHARTS {
        let (svg, png) = (
            folder.join(format!("{name}.svg")),
            folder.join(format!("{name}.png")),
        );
        if name == COPIES && !has_copies {
            render::remove(&svg)?;
            render::remove(&png)?;
            continue;
        }
        let scene = chart(rows);
        render::write_svg(&scene, &svg)?;
        render::write_png(&scene, &png)?;
        paths.extend([svg, png]);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::foreign::{EVIL, is_hidden};
    use fixture::{copied, finished, row, sweep};

    #[test]
    fn every_chart_is_written_in_both_formats_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let charts = folder.path().join("results").join("charts");
        let paths = draw_charts(&sweep(2), &charts).unwrap();
        assert_eq!(paths.len(), 10);
        assert!(
            paths
                .iter()
                .all(|path| path.metadata().unwrap().len() > 1000)
        );
        assert_eq!(std::fs::read_dir(&charts).unwrap().count(), 10);
    }

    #[test]
    fn copies_have_a_chart_while_they_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<SplitRow> = sweep(2).into_iter().map(copied).collect();
        let paths = draw_charts(&rows, folder.path()).unwrap();
        assert_eq!(paths.len(), 12);
        assert!(folder.path().join("copies.png").exists());
        draw_charts(&sweep(2), folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 10);
    }

    #[test]
    fn nothing_to_draw_is_said_on_every_chart() {
        let unfinished = [row("CS", "failed"), row("SC", "oom"), row("SS", "timeout")];
        let without_figures = [row("CS", "ok"), row("SC", "ok")];
        for rows in [&[][..], &unfinished, &without_figures] {
            for (name, chart) in CHARTS {
                let scene = chart(rows);
                assert!(scene.says("no finished splits"), "{name}");
                scene.assert_texts_are_apart();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(draw_charts(&[], folder.path()).unwrap().len(), 10);
    }

    #[test]
    fn one_split_and_very_many_are_drawn() {
        let many: Vec<SplitRow> = sweep(10).into_iter().map(copied).collect();
        for (name, chart) in CHARTS {
            for rows in [&[copied(finished("CSC"))][..], &many] {
                let scene = chart(rows);
                assert!(scene.says(&format!("{} split", rows.len())), "{name}");
                scene.assert_texts_are_apart();
            }
        }
    }

    #[test]
    fn evil_names_are_drawn_as_text() {
        let folder = tempfile::tempdir().unwrap();
        for name in EVIL {
            let mut rows: Vec<SplitRow> = sweep(2).into_iter().map(copied).collect();
            for row in &mut rows {
                row.model = name.into();
                row.reason = Some(name.into());
                row.host = Some(name.into());
            }
            rows[1].status = name.into();
            rows[2].placement = name.into();
            for (chart, draw) in CHARTS {
                let scene = draw(&rows);
                let path = folder.path().join("chart.svg");
                render::write_svg(&scene, &path).unwrap();
                let svg = std::fs::read_to_string(&path).unwrap();
                assert!(!svg.replace('\n', "").contains(is_hidden), "{chart}: {svg}");
                assert!(
                    !svg.contains("<img") && !svg.contains("<!--"),
                    "{chart}: {svg}"
                );
            }
        }
    }

    #[test]
    fn long_placements_do_not_crowd_out_the_panels() {
        let rows: Vec<SplitRow> = (0..20)
            .map(|index| format!("{}{}", "C".repeat(60 + index), "S".repeat(60)))
            .map(|placement| copied(finished(&placement)))
            .collect();
        for (_, chart) in CHARTS {
            chart(&rows).assert_texts_are_apart();
        }
    }
}
