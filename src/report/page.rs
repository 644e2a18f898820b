//! The report of a results folder: one file that opens from disk and loads nothing else.
//!
//! It is built from the folder's tables and `environment.json` alone, so that it can be built
//! again anywhere. Words come from here; the script in `assets/report` draws charts and tables
//! from the figures that lie in the page.

use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::{environment, failures, figures, html, summary};
use crate::core::error::Result;
use crate::machine::whole_file::write_whole;
use crate::record::results;
use crate::record::row::SplitRow;

const TEMPLATE: &str = include_str!("../../assets/report/report.html");
const STYLE: &str = include_str!("../../assets/report/report.css");

/// The script in the order in which its parts need each other.
const SCRIPT: [&str; 12] = [
    include_str!("../../assets/report/format.js"),
    include_str!("../../assets/report/judge.js"),
    include_str!("../../assets/report/page.js"),
    include_str!("../../assets/report/axis.js"),
    include_str!("../../assets/report/scatter.js"),
    include_str!("../../assets/report/phases.js"),
    include_str!("../../assets/report/table.js"),
    include_str!("../../assets/report/network.js"),
    include_str!("../../assets/report/conditions.js"),
    include_str!("../../assets/report/answer.js"),
    include_str!("../../assets/report/map.js"),
    include_str!("../../assets/report/begin.js"),
];

/// Writes `report.html` into a results folder and returns its path.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read) and [`Error::Invalid`](crate::Error::Invalid) where the folder is
/// no results folder; [`Error::Write`](crate::Error::Write), the old report then still stands.
pub fn write(folder: &Path) -> Result<PathBuf> {
    let contents = Contents::read(folder)?;
    let path = folder.join(results::REPORT);
    write_whole(&path, page(&contents).as_bytes())?;
    Ok(path)
}

/// Returns the page.
fn page(contents: &Contents) -> String {
    let script = script();
    let figures = figures::figures(contents);
    html::fill(TEMPLATE, |name| match name {
        "title" => html::escape(&title(&contents.splits)),
        "script_hash" => html::script_hash(&script),
        "style" => STYLE.to_owned(),
        "summary" => summary::summary(&contents.splits, &contents.environment),
        "failures" => failures::failures(&contents.splits, &contents.environment),
        "environment" => environment::environment(&contents.environment),
        "figures" => html::json(&figures),
        "script" => script.clone(),
        other => unreachable!("the template asks for {other:?}"),
    })
}

/// Returns the script in one piece, in a scope of its own.
fn script() -> String {
    format!("\"use strict\";\n{{\n{}}}\n", SCRIPT.concat())
}

fn title(rows: &[SplitRow]) -> String {
    let model = rows.first().map_or("no network", |row| row.model.as_str());
    format!("{model}: {}", summary::count(rows.len(), "split"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::core::foreign::{is_hidden, shown};
    use crate::machine::whole_file;
    use crate::report::fixture::{contents, write_tables};

    /// What an element's start tag says, in the order of the page.
    fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
        let (before, mut found) = (format!(" {name}=\""), Vec::new());
        for rest in page.split(&before).skip(1) {
            found.extend(rest.split('"').next());
        }
        found
    }

    /// The page without its script, style and figures, which are no markup.
    fn markup(page: &str) -> String {
        let mut markup = String::new();
        let mut rest = page;
        while let Some((before, inside)) = rest.split_once("<script") {
            markup.push_str(before);
            rest = inside.split_once("</script>").unwrap().1;
        }
        markup.push_str(rest);
        let (before, inside) = markup.split_once("<style>").unwrap();
        format!("{before}{}", inside.split_once("</style>").unwrap().1)
    }

    fn figures_in(page: &str) -> Value {
        let start = "<script type=\"application/json\" id=\"figures\">";
        let inside = page.split_once(start).unwrap().1;
        serde_json::from_str(inside.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = page(&contents(5));
        let markup = markup(&page);
        assert!(attributes(&markup, "src").is_empty());
        let links = attributes(&markup, "href").into_iter();
        let loads: Vec<&str> = links.filter(|to| !to.starts_with('#')).collect();
        for to in &loads {
            let link = format!("<a href=\"{to}\"");
            assert!(markup.contains(&link) || *to == "data:,", "{to}");
        }
        assert!(loads.len() > 3, "sources are cited");
        assert!(page.contains("default-src 'none'"));
        for word in ["@import", "url(", "fetch(", "XMLHttpRequest", "import("] {
            // An arrow's head is drawn in the page.
            let script = script().replace("url(#", "");
            assert!(!STYLE.contains(word) && !script.contains(word), "{word}");
        }
        // Text reaches the page as text.
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!script().contains(word), "{word}");
        }
    }

    #[test]
    fn every_identifier_is_there_once_and_every_reference_leads_somewhere() {
        let markup = markup(&page(&contents(3)));
        let mut identifiers = attributes(&markup, "id");
        let count = identifiers.len();
        identifiers.sort_unstable();
        identifiers.dedup();
        assert_eq!(identifiers.len(), count);
        let links = attributes(&markup, "href").into_iter();
        let anchors = links.filter_map(|to| to.strip_prefix('#'));
        for name in anchors
            .chain(attributes(&markup, "for"))
            .chain(attributes(&markup, "aria-labelledby"))
        {
            assert!(identifiers.contains(&name), "{name}");
        }
        // The script finds what it looks for, the figures in a script element among it.
        identifiers.push("figures");
        for wanted in script().split("byId(\"").skip(1) {
            let name = wanted.split('"').next().unwrap();
            assert!(identifiers.contains(&name), "{name}");
        }
    }

    #[test]
    fn elements_close_in_the_order_in_which_they_open() {
        const VOID: [&str; 6] = ["meta", "link", "br", "input", "wbr", "!doctype"];
        let markup = markup(&page(&contents(4)));
        let mut open: Vec<String> = Vec::new();
        for tag in markup.split('<').skip(1) {
            let name: String = tag
                .chars()
                .take_while(|letter| !" >\n".contains(*letter))
                .collect();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
                None if VOID.contains(&name.to_ascii_lowercase().as_str()) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn hostile_names_stay_text() {
        const HOSTILE: &str =
            "</script><img src=x onerror=alert(1)>\u{1b}[2J\u{202e}\u{2028}{{script}}<!--\"'&";
        let mut contents = contents(2);
        for row in &mut contents.splits {
            row.model = HOSTILE.into();
            row.reason = Some(HOSTILE.into());
            row.host = Some(HOSTILE.into());
            row.parameter_set = HOSTILE.into();
            row.log2_p_fail_is = HOSTILE.into();
            row.exposure_is = HOSTILE.into();
        }
        contents.splits[1].status = HOSTILE.into();
        for row in &mut contents.layers {
            row.layer = HOSTILE.into();
            row.op = HOSTILE.into();
        }
        let environment = &mut contents.environment["environments"][0];
        environment["command"] = HOSTILE.into();
        environment["machine"] = serde_json::json!({ "cpu": HOSTILE, HOSTILE: HOSTILE });
        let page = page(&contents);
        assert!(!page.contains("<img"));
        assert!(!page.replace('\n', "").contains(is_hidden));
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(page.matches("<!--").count(), 0);
        assert_eq!(figures_in(&page)["model"], *shown(HOSTILE));
        // What looks like a place of the template is not filled.
        assert!(page.contains("{{script}}"));
    }

    #[test]
    fn the_proposed_command_quotes_what_a_shell_would_run() {
        let script = script();
        let (_, body) = script.split_once("function shellWord").unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let runtime = rquickjs::Runtime::new().unwrap();
        let context = rquickjs::Context::full(&runtime).unwrap();
        for (word, quoted) in [
            ("models/digits-cnn", "models/digits-cnn"),
            ("$(x) `y` ; z", "'$(x) `y` ; z'"),
            ("it's", "'it'\\''s'"),
            ("-x", "'-x'"),
            ("a\\", "'a\\'"),
            ("", "''"),
        ] {
            let call = format!("(function shellWord{body}\n}})({})", Value::from(word));
            let found: String = context.with(|context| context.eval(call)).unwrap();
            assert_eq!(found, quoted);
        }
    }

    #[test]
    fn the_page_of_a_thousand_splits_is_small() {
        let [small, large] = [8, 10].map(|layers| page(&contents(layers)));
        let splits = |page: &str| figures_in(page)["rows"].as_array().unwrap().len();
        assert_eq!([splits(&small), splits(&large)], [256, 1024]);
        assert!(small.len() < 1 << 20, "{} bytes", small.len());
        assert!(large.len() < 5_000_000, "{} bytes", large.len());
    }

    #[test]
    fn a_sweep_that_ran_nothing_has_a_report() {
        let mut contents = contents(2);
        contents.layers.clear();
        for row in &mut contents.splits {
            *row = SplitRow {
                model: "digits".into(),
                placement: row.placement.clone(),
                status: "skipped".into(),
                ..SplitRow::default()
            };
        }
        assert!(page(&contents).contains("None of them ran to the end"));
        contents.splits.clear();
        assert!(page(&contents).contains("no network: 0 splits"));
    }

    #[test]
    fn the_hash_in_the_policy_is_that_of_the_script() {
        let page = page(&contents(2));
        let body = page.rsplit_once("<script>").unwrap().1;
        let body = body.split_once("</script>").unwrap().0;
        assert!(page.contains(&format!("script-src '{}'", html::script_hash(body))));
    }

    #[test]
    fn a_report_is_written_of_a_folder_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path()).unwrap_err().to_string();
        assert!(error.contains("splits.csv"), "{error}");
        let contents = contents(3);
        write_tables(&contents, folder.path());
        let error = write(folder.path()).unwrap_err().to_string();
        assert!(error.contains("environment.json"), "{error}");
        whole_file::write_json(
            &folder.path().join("environment.json"),
            &contents.environment,
        )
        .unwrap();
        let path = write(folder.path()).unwrap();
        let page = std::fs::read_to_string(path).unwrap();
        assert_eq!(figures_in(&page)["rows"].as_array().unwrap().len(), 8);
    }
}
