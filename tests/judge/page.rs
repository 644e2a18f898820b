//! The report's own script, run over the figures of a page that was written.

use std::collections::BTreeMap;

use rquickjs::{CatchResultExt, Context, Ctx, Runtime};
use serde_json::Value;
use splitbench::record::results::{self, Tables};
use splitbench::record::row::{CopyRow, SplitRow};
use splitbench::report;
use splitbench::report::export::{Format, TableRequest, export};

use super::verdict::{Conditions, Verdict};

/// The script as the page has it.
const SCRIPT: &str = include_str!("../../assets/report/judge.js");

/// A browser's document in a hundred lines.
const BROWSER: &str = include_str!("browser.js");

/// Asks the script for all that a verdict holds.
const ASK: &str = "(conditions) => {
    const { network } = conditions;
    const rejected = splits
        .filter((split) => split.isOk)
        .map((split) => [split.placement, objections(split, conditions)])
        .filter(([, words]) => words.length > 0);
    return JSON.stringify({
        ranked: ranking(splits, network, conditions).map(({ split }) => split.placement),
        rejected: Object.fromEntries(rejected),
        caveats: caveats(splits, network, conditions).map(({ kind, split }) => `${kind} ${split.placement}`),
        nearest: nearest(splits, conditions)?.placement ?? null,
    });
}";

/// Writes a results folder of a table.
fn folder_of(rows: &[SplitRow]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables {
        splits: rows.to_vec(),
        copies: rows.iter().filter_map(copy_row).collect(),
        ..Tables::default()
    };
    tables.write(folder.path()).unwrap();
    let environment = folder.path().join(results::ENVIRONMENT);
    std::fs::write(environment, "{\"settings\": {}}").unwrap();
    folder
}

/// Returns the copies of a split, of which a table holds those with a server.
fn copy_row(row: &SplitRow) -> Option<CopyRow> {
    let copies = row.copies.filter(|_| row.rounds != Some(0))?;
    Some(CopyRow {
        model: row.model.clone(),
        placement: row.placement.clone(),
        queries: copies.queries,
        copy_agreement: Some(copies.copy),
        own_agreement: copies.own,
        ceiling_agreement: copies.ceiling,
        ..CopyRow::default()
    })
}

/// Returns the placements that `splitbench export --front` writes, none where it refuses.
pub fn exported_front(rows: &[SplitRow]) -> Vec<String> {
    let table = export(&TableRequest {
        folder: folder_of(rows).path().into(),
        format: Format::Csv,
        columns: vec!["placement".into()],
        front: true,
    });
    let table = table.unwrap_or_default();
    table.lines().skip(1).map(str::to_owned).collect()
}

/// A page with its script loaded.
pub struct Page {
    context: Context,
}

/// A page whose whole script has run, as far as a reader comes who changes its form.
pub struct Visit {
    context: Context,
}

impl Visit {
    /// Opens a page that was written.
    pub fn to(page: &str) -> Self {
        let inside = |start: &str| {
            let (_, rest) = page.split_once(start).unwrap();
            rest.split_once("</script>").unwrap().0
        };
        let (figures, script) = (inside(r#"id="figures">"#), inside("<script>"));
        let text = |text: &str| serde_json::to_string(text).unwrap();
        let markup = page.replace(script, "").replace(figures, "");
        let context = Context::full(&Runtime::new().unwrap()).unwrap();
        let visit = Self { context };
        visit.run(&format!(
            "{BROWSER}\nbrowse({}, {});",
            text(&markup),
            text(figures)
        ));
        visit.run(script);
        visit
    }

    /// Types a value into a field of the form.
    pub fn set(&self, id: &str, value: &str) {
        self.run(&format!("set({id:?}, {value:?})"));
    }

    /// Ticks a box, or takes the tick away; the next value that is typed makes it seen.
    pub fn tick(&self, id: &str, checked: bool) {
        self.run(&format!("tick_box({id:?}, {checked})"));
    }

    /// Returns the text of an element.
    pub fn said(&self, id: &str) -> String {
        let ask = format!("said({id:?})");
        self.context
            .with(|ctx| ctx.eval::<String, _>(ask).catch(&ctx).unwrap())
    }

    fn run(&self, script: &str) {
        self.context.with(|ctx| {
            let ran = ctx.eval::<(), _>(script).catch(&ctx);
            ran.unwrap_or_else(|error| panic!("{error}"));
        });
    }
}

impl Page {
    /// Writes the report of a table and loads what is in it.
    pub fn of(rows: &[SplitRow]) -> Self {
        let folder = folder_of(rows);
        let page = std::fs::read_to_string(report::write(folder.path()).unwrap()).unwrap();
        assert!(
            page.contains(SCRIPT.trim()),
            "the page has the script as it is"
        );
        let (_, rest) = page.split_once(r#"id="figures">"#).unwrap();
        let (figures, _) = rest.split_once("</script>").unwrap();
        let context = Context::full(&Runtime::new().unwrap()).unwrap();
        let loading = format!("{SCRIPT}\nconst splits = readSplits({});", figures.trim());
        context.with(|ctx| ctx.eval::<(), _>(loading).unwrap());
        Self { context }
    }

    /// Returns what the script says.
    pub fn judge(&self, conditions: &Conditions) -> Verdict {
        let text = self.eval(&format!("({ASK})({})", conditions.of_form()));
        let found: Value = serde_json::from_str(&text).unwrap();
        let list = |value: &Value| -> Vec<String> {
            let words = value.as_array().unwrap().iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let rejected = found["rejected"].as_object().unwrap().iter();
        Verdict {
            ranked: list(&found["ranked"]),
            caveats: list(&found["caveats"]),
            nearest: found["nearest"].as_str().map(str::to_owned),
            rejected: rejected
                .map(|(split, words)| (split.clone(), list(words)))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    /// Returns the placements that the page shows as the front, in the order of the table.
    pub fn front(&self) -> Vec<String> {
        let ask = "JSON.stringify(splits.filter((split) => split.dominatedBy === NOT_DOMINATED).map((split) => split.placement))";
        serde_json::from_str(&self.eval(ask)).unwrap()
    }

    fn eval(&self, script: &str) -> String {
        self.context
            .with(|ctx: Ctx<'_>| ctx.eval::<String, _>(script).unwrap())
    }
}
