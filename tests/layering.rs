//! The house is as ARCHITECTURE.md says: rooms import from rooms above, files of a room not in
//! circles, and some things are named in one place alone.

#[path = "layering/lengths.rs"]
mod lengths;
#[path = "layering/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sources::Sources;

/// Rooms that are built and tested without encryption.
const WITHOUT_ENCRYPTION: [&str; 6] = ["core", "machine", "model", "record", "choose", "report"];

/// The heading of the table of what is long, with its reasons.
const EXCUSES: &str = "Longer than the rest";

fn room(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

/// Returns the heading and the names in the first cell of each row of ARCHITECTURE.md's tables.
fn table_rows() -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).expect("the document");
    let mut rows = Vec::new();
    let mut heading = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            title.clone_into(&mut heading);
        }
        if let Some(row) = line.strip_prefix("| `") {
            let cell = row.split('|').next().expect("a cell");
            let names = cell.split('`').filter(|name| !name.trim().is_empty());
            rows.push((heading.clone(), names.map(str::to_owned).collect()));
        }
    }
    rows
}

/// Returns the rooms in their order, and the names of each room's table.
fn architecture() -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let mut rooms = Vec::new();
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (heading, names) in table_rows() {
        match heading.as_str() {
            "Where things are" => rooms.extend(names),
            EXCUSES => {}
            room => {
                let names = names.iter().map(|name| format!("{room}/{name}"));
                files.entry(heading.clone()).or_default().extend(names);
            }
        }
    }
    (rooms, files)
}

/// Returns the files and functions that are long with a reason.
fn excused() -> BTreeSet<String> {
    let rows = table_rows().into_iter();
    let rows = rows.filter(|(heading, _)| heading == EXCUSES);
    rows.flat_map(|(_, names)| names).collect()
}

#[test]
fn rooms_import_only_from_rooms_above() {
    let (rooms, _) = architecture();
    let row = |module: &str| rooms.iter().position(|name| name == room(module));
    let sources = Sources::read();
    let mut wrong = Vec::new();
    let mut imports = 0;
    for (module, imported) in sources.imports() {
        let Some(own) = row(module) else {
            wrong.push(format!("{module} is in no room"));
            continue;
        };
        for import in imported {
            imports += 1;
            if row(import).is_some_and(|above| above > own) {
                wrong.push(format!("{module} imports {import}, whose room is below"));
            }
        }
    }
    assert!(imports > 500, "only {imports} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns a circle of imports that begins at a module, where there is one.
fn circle<'a>(
    imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    module: &'a str,
) -> Option<String> {
    if let Some(first) = path.iter().position(|above| *above == module) {
        return Some(format!("{} → {module}", path[first..].join(" → ")));
    }
    if done.contains(module) {
        return None;
    }
    path.push(module);
    let below = imports[module].iter();
    let found = below
        .filter_map(|next| circle(imports, path, done, next))
        .next();
    path.pop();
    done.insert(module);
    found
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let sources = Sources::read();
    let imports = sources.imports();
    let mut done = BTreeSet::new();
    let circles: Vec<String> = imports
        .keys()
        .filter_map(|module| circle(&imports, &mut Vec::new(), &mut done, module))
        .collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn every_file_is_named_in_its_rooms_table() {
    let (rooms, named) = architecture();
    let sources = Sources::read();
    let is_named = |module: &str| {
        let names = &named[room(module)];
        let folders = module.match_indices('/').skip(1);
        let mut folders = folders.map(|(at, _)| format!("{}/*", &module[..at]));
        names.contains(module) || folders.any(|folder| names.contains(&folder))
    };
    let modules = sources.iter().map(|(module, _)| module);
    let modules = modules.filter(|module| !rooms.iter().any(|room| room == module));
    let missing: Vec<&str> = modules.filter(|module| !is_named(module)).collect();
    assert!(missing.is_empty(), "not in a table: {missing:?}");
    let exists = |name: &&String| {
        let is_it = |module: &str| match name.strip_suffix('*') {
            Some(folder) => module.starts_with(folder),
            None => module == *name,
        };
        sources.iter().any(|(module, _)| is_it(module))
    };
    let gone: Vec<&String> = named
        .values()
        .flatten()
        .filter(|name| !exists(name))
        .collect();
    assert!(gone.is_empty(), "in a table, but no file: {gone:?}");
}

/// What a person reads after a sweep is made from rows and records, without a ciphertext in reach.
#[test]
fn records_and_whatever_reads_them_reach_no_encryption() {
    let (rooms, _) = architecture();
    let sources = Sources::read();
    let mut found = 0;
    for (module, imported) in sources.imports() {
        if WITHOUT_ENCRYPTION.contains(&room(module)) {
            found += 1;
            for import in imported {
                assert!(
                    WITHOUT_ENCRYPTION.contains(&room(import)),
                    "{module} imports {import}"
                );
            }
        }
    }
    assert!(found > 80, "only {found} files were found");
    assert_eq!(rooms[..6], WITHOUT_ENCRYPTION);
}

/// Returns the lines of code that name one of these words and do not lie in a file that may.
fn lines_that_name(words: &[&str], may: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut right = 0;
    for (module, code) in Sources::read().iter() {
        for (line, number) in code.lines().zip(1..) {
            if words.iter().any(|word| line.contains(word)) {
                if may(module) {
                    right += 1;
                } else {
                    wrong.push(format!("src/{module}.rs:{number}: {}", line.trim()));
                }
            }
        }
    }
    (right, wrong)
}

#[test]
fn tfhe_is_named_in_one_room_alone() {
    let words = ["tfhe::", "tfhe_fft::", "tfhe_csprng::", "use tfhe"];
    let (right, wrong) = lines_that_name(&words, |module| room(module) == "fhe");
    assert!(right > 20, "the room itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_command_line_alone_names_clap() {
    let (right, wrong) = lines_that_name(&["clap::", "use clap"], |module| room(module) == "cli");
    assert!(right > 5, "the room itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is longer says why in ARCHITECTURE.md; the ten longest of both are printed.
#[test]
fn files_and_functions_are_short() {
    const MOST_LINES: usize = 400;
    const MOST_LINES_OF_FUNCTION: usize = 60;
    let excused = excused();
    let sources = Sources::read();
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for (module, code) in sources.iter() {
        files.push((lengths::of_file(code), module.to_owned()));
        let of_file = lengths::of_functions(code).into_iter();
        functions.extend(of_file.map(|(name, lines)| (lines, format!("{module}::{name}"))));
    }
    assert!(functions.len() > 1500, "{} functions", functions.len());
    let mut unexcused = Vec::new();
    let mut long = BTreeSet::new();
    for (lengths, most) in [
        (&mut files, MOST_LINES),
        (&mut functions, MOST_LINES_OF_FUNCTION),
    ] {
        lengths.sort_by(|a, b| b.cmp(a));
        for (lines, name) in &lengths[..10] {
            println!("{lines:4} {name}");
        }
        for (lines, name) in lengths.iter().filter(|(lines, _)| *lines > most) {
            long.insert(name.clone());
            if !excused.contains(name) {
                unexcused.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(unexcused.is_empty(), "{}", unexcused.join("\n"));
    let short: Vec<_> = excused.difference(&long).collect();
    assert!(short.is_empty(), "excused, but short: {short:?}");
}

/// Whoever reads a file by other ways waits for ever on a named pipe, and may fill the memory.
#[test]
fn files_are_opened_for_reading_in_one_place_alone() {
    const OPENS: [&str; 10] = [
        "File::open(",
        "File::open)",
        "fs::read)",
        "File::options(",
        "fs::read(",
        "fs::read_to_string(",
        "Reader::from_path(",
        ".read(true)",
        "rustix::fs",
        "image::open(",
    ];
    let (right, wrong) = lines_that_name(&OPENS, |module| module == "machine/file");
    assert!(right > 2, "the place itself is found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
