//! Merging: the logs of a sweep's shards become one results folder.
//!
//! Tables and charts derive from the merged log as they do from any other; the shards' own tables
//! are not read.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::core::error::{Error, Result};
use crate::core::placement::Placement;
use crate::machine::file;
use crate::machine::new_folder::NewFolder;
use crate::machine::whole_file;
use crate::model::Model;
use crate::record::environment::Environment;
use crate::record::history::{Done, Visited, environments, visited};
use crate::record::log::{self, Log, Record};
use crate::record::results::{self, Description, Tables};
use crate::record::settings::{Settings, difference};
use crate::record::shard::Shard;
use crate::record::visit::Visit;
use crate::report;
use crate::report::plot::draw_results;
use crate::sweep::results_folder::LOCK;
use crate::sweep::verdict::verdict;

/// Missing placements that an error names.
const MOST_NAMED: usize = 12;

/// What to merge, and how strictly.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// Results folders, or folders that hold `shard-<i>-of-<n>`.
    pub folders: Vec<PathBuf>,
    /// The new results folder.
    pub out: PathBuf,
    /// Where the model lies, if not where the sweeps found it.
    pub model: Option<PathBuf>,
    /// Whether placements may be missing.
    pub partial: bool,
    /// Whether hosts may differ.
    pub mix_hosts: bool,
}

/// Merges results folders into a new one, which appears whole or not at all; tells what is missing
/// where that may be.
///
/// # Errors
///
/// [`Error::Usage`] where the folders do not belong together or `out` is taken; what reading and
/// writing give; after everything was written, [`Error::SplitsFailed`] and [`Error::Mismatch`].
pub fn merge(request: &MergeRequest, tell: &dyn Fn(&str)) -> Result<Tables> {
    check_free(&request.out)?;
    let parts: Vec<Part> = find_folders(&request.folders)?
        .iter()
        .map(|path| Part::read(path))
        .collect::<Result<_>>()?;
    let settings = common_settings(&parts)?;
    let visits = gather(&parts)?;
    if let Some(missing) = Missing::of(&settings, &visits) {
        if !request.partial {
            return Err(missing.refusal(&parts));
        }
        tell(&format!("merging without the rest: {missing}"));
    }
    if !request.mix_hosts {
        check_one_host(&parts)?;
    }
    let model = load_model(request.model.as_deref(), &settings)?;
    let mut records = merged_records(&settings, &visits);
    records.extend(parts.iter().flat_map(Part::copies).cloned());
    let tables = Tables::derive(&settings, &model, &records);
    let description = Description::of(&settings, &model, environments(&records));
    write(&request.out, &description, &records, &tables)?;
    verdict(&tables, &request.out)?;
    Ok(tables)
}

/// Refuses a folder that holds anything.
fn check_free(out: &Path) -> Result<()> {
    let is_free = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !out.exists(),
    };
    if is_free {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{} is there already and not empty: remove it, or choose another folder with --out",
        out.display()
    )))
}

/// Returns every results folder that is meant, each once.
fn find_folders(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for path in named {
        let shards = shards_in(path)?;
        let shown = path.display();
        match (path.join(log::FILE_NAME).exists(), shards.is_empty()) {
            (true, true) => folders.push(path.clone()),
            (false, false) => folders.extend(shards),
            (true, false) => {
                let reason = "holds a sweep of its own and shards of one: name the folders meant";
                return Err(Error::Usage(format!("{shown} {reason}")));
            }
            (false, true) => {
                let reason = "holds neither log.jsonl nor shard-<i>-of-<n>: give folders that \
                              `splitbench sweep` wrote";
                return Err(Error::invalid(shown.to_string(), reason));
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    folders.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    Ok(folders)
}

/// Returns the results folders of shards in a folder, in their order.
fn shards_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let read_error = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut shards: Vec<(Shard, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(shard) = name.and_then(Shard::of_folder_name)
            && path.join(log::FILE_NAME).exists()
        {
            shards.push((shard, path));
        }
    }
    shards.sort_by_key(|(shard, _)| (shard.count(), shard.index()));
    Ok(shards.into_iter().map(|(_, path)| path).collect())
}

/// A results folder that nobody writes to while it is merged.
struct Part {
    path: PathBuf,
    settings: Settings,
    records: Vec<Record>,
    /// Shared; none where the folder came without its lock.
    _lock: Option<File>,
}

impl Part {
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let lock = file::open_if_there(&path.join(LOCK))?.map(|lock| lock.file);
        if let Some(lock) = &lock {
            let is_ours = FileExt::try_lock_shared(lock).map_err(|source| Error::Read {
                path: path.join(LOCK),
                source,
            })?;
            if !is_ours {
                let reason = "is being written by a sweep: wait until it has ended";
                return Err(Error::Usage(format!("{shown} {reason}")));
            }
        }
        let records = log::read(path)?;
        let Some(Record::Settings(settings)) = records.first() else {
            let place = path.join(log::FILE_NAME).display().to_string();
            let reason = "does not begin with settings: go on with its sweep by --resume";
            return Err(Error::invalid(place, reason));
        };
        Ok(Self {
            path: path.to_owned(),
            settings: settings.clone(),
            records,
            _lock: lock,
        })
    }
}

impl Part {
    /// Returns what was learnt of copies.
    fn copies(&self) -> impl Iterator<Item = &Record> {
        let is_of_copies = |record: &&Record| matches!(record, Record::Copy(_) | Record::Replay(_));
        self.records.iter().filter(is_of_copies)
    }
}

/// Returns the settings of the sweep that every part is a shard of.
fn common_settings(parts: &[Part]) -> Result<Settings> {
    let Some(first) = parts.first() else {
        return Err(Error::Usage(
            "nothing to merge: name results folders".into(),
        ));
    };
    let settings = first.settings.clone().unsharded();
    for part in parts {
        let of_part = Settings {
            // Hosts keep models in different places; the digest tells whether it is the same.
            model: settings.model.clone(),
            ..part.settings.clone().unsharded()
        };
        if of_part != settings {
            return Err(Error::Usage(format!(
                "{} does not go with {} ({}): merge shards of one sweep only",
                part.path.display(),
                first.path.display(),
                difference(&of_part, &settings)
            )));
        }
    }
    Ok(settings)
}

/// Returns every visit that ended, once.
fn gather(parts: &[Part]) -> Result<HashMap<&Visit, Visited<'_>>> {
    let mut found: HashMap<&Visit, (Visited<'_>, &Path)> = HashMap::new();
    for part in parts {
        for visited in visited(&part.records) {
            let visit = &visited.end.visit;
            match found.get(visit) {
                Some((earlier, _)) if *earlier == visited => {}
                Some((_, folder)) => {
                    return Err(Error::Usage(format!(
                        "{} ended both in {} and in {}, not alike: leave one of the folders out",
                        visit.placement,
                        folder.display(),
                        part.path.display()
                    )));
                }
                None => {
                    found.insert(visit, (visited, &part.path));
                }
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|(visit, (visited, _))| (visit, visited))
        .collect())
}

/// The visits of a sweep that are left to make.
struct Missing<'a> {
    settings: &'a Settings,
    /// Each placement with its rounds.
    visits: Vec<(&'a Placement, Vec<usize>)>,
}

impl<'a> Missing<'a> {
    /// Returns what is missing of a sweep; none where that is nothing.
    fn of(settings: &'a Settings, visits: &HashMap<&Visit, Visited<'_>>) -> Option<Self> {
        let done = Done::of(visits.values().map(|visited| visited.end));
        let missing = settings.placements.iter().filter_map(|placement| {
            let is_left = |&repeat: &usize| {
                let placement = placement.clone();
                !done.covers(&Visit { placement, repeat })
            };
            let repeats: Vec<usize> = (0..settings.repeats).filter(is_left).collect();
            (!repeats.is_empty()).then_some((placement, repeats))
        });
        let visits: Vec<_> = missing.collect();
        (!visits.is_empty()).then_some(Self { settings, visits })
    }

    /// Returns the error that says so, and what to do.
    fn refusal(&self, parts: &[Part]) -> Error {
        let is_missing = |placement| self.visits.iter().any(|(missing, _)| *missing == placement);
        let unfinished: Vec<String> = parts
            .iter()
            .filter(|part| part.settings.placements.iter().any(is_missing))
            .map(|part| part.path.display().to_string())
            .collect();
        let advice = match unfinished.as_slice() {
            [] => "name the folders of the other shards".into(),
            folders => format!("go on with {} by --resume", folders.join(", ")),
        };
        Error::Usage(format!("{self}: {advice}, or add --partial"))
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.settings.repeats;
        let name = |(placement, repeats): &(&Placement, Vec<usize>)| match repeats.len() {
            all if all == rounds => placement.to_string(),
            1 => format!("{placement} (repeat {})", repeats[0]),
            _ => {
                let repeats: Vec<String> = repeats.iter().map(usize::to_string).collect();
                format!("{placement} (repeats {})", repeats.join(" "))
            }
        };
        let names: Vec<String> = self.visits.iter().take(MOST_NAMED).map(name).collect();
        let (count, total) = (self.visits.len(), self.settings.placements.len());
        let names = names.join(", ");
        write!(
            formatter,
            "{count} of {total} placements have not ended: {names}"
        )?;
        match count.saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

/// Refuses visits on several hosts, whose times do not compare.
fn check_one_host(parts: &[Part]) -> Result<()> {
    let mut ran = parts.iter().flat_map(|part| {
        environments(&part.records)
            .into_iter()
            .map(|environment| (part.path.display(), environment.host()))
    });
    let Some((first_path, first)) = ran.next() else {
        return Ok(());
    };
    match ran.find(|(_, host)| *host != first) {
        None => Ok(()),
        Some((path, host)) => Err(Error::Usage(format!(
            "{path} ran on {host}, but {first_path} on {first}: times do not compare; add \
             --mix-hosts to tell the rows apart by host"
        ))),
    }
}

/// Loads the model that was swept.
fn load_model(path: Option<&Path>, settings: &Settings) -> Result<Model> {
    let path = path.unwrap_or(&settings.model);
    let model = Model::load(path)?.with_granularity(settings.granularity);
    if model.digest == settings.model_digest {
        return Ok(model);
    }
    let reason = "not the model that was swept: name that one with --model";
    Err(Error::invalid(path.display().to_string(), reason))
}

/// Returns the records of one sweep that made every visit, splits in the order of the settings.
fn merged_records(settings: &Settings, visits: &HashMap<&Visit, Visited<'_>>) -> Vec<Record> {
    let mut records = vec![Record::Settings(settings.clone())];
    let mut environment: Option<&Environment> = None;
    let all = (0..settings.repeats).flat_map(|repeat| {
        settings.placements.iter().map(move |placement| Visit {
            placement: placement.clone(),
            repeat,
        })
    });
    for visited in all.filter_map(|visit| visits.get(&visit)) {
        if let Some(of_visit) = visited.environment
            && environment != Some(of_visit)
        {
            environment = Some(of_visit);
            records.push(Record::Environment(of_visit.clone()));
        }
        records.push(Record::Start(visited.end.visit.clone()));
        let samples = visited.samples.iter().copied().cloned();
        records.extend(samples.map(Record::Sample));
        records.push(Record::End(visited.end.clone()));
    }
    records
}

/// Writes a results folder, whole or not at all.
fn write(
    out: &Path,
    description: &Description<'_>,
    records: &[Record],
    tables: &Tables,
) -> Result<()> {
    let new = NewFolder::begin(out)?;
    let folder = new.path();

    let mut log = Log::on(out, Vec::new());
    records.iter().try_for_each(|record| log.append(record))?;
    whole_file::write_whole(&folder.join(log::FILE_NAME), &log.into_storage())?;
    whole_file::write_json(&folder.join(results::ENVIRONMENT), description)?;
    tables.write(folder)?;
    draw_results(&tables.splits, folder)?;
    report::write(folder)?;

    new.publish()
}
