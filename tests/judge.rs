//! One judge: `choose`, the front of tables and charts, and the report's own script say the same of the
//! same figures.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "judge/golden.rs"]
mod golden;
#[path = "judge/oracle.rs"]
mod oracle;
#[path = "judge/page.rs"]
mod page;
#[path = "judge/questions.rs"]
mod questions;
#[path = "judge/tables.rs"]
mod tables;
#[path = "judge/verdict.rs"]
mod verdict;

use proptest::prelude::*;
use splitbench::choose::dominance::unlimited;
use splitbench::core::objective::Objective;

use page::Page;
use verdict::Verdict;

#[test]
fn golden_cases_are_judged_so_by_the_program_and_by_the_script() {
    let mut failures = Vec::new();
    for case in golden::cases() {
        let page = Page::of(&case.rows);
        for (judge, found) in [
            ("choose", Verdict::of_choose(&case.rows, &case.conditions)),
            ("script", page.judge(&case.conditions)),
        ] {
            if found != case.expected {
                failures.push(format!(
                    "{}: {judge} says {found:?}\nnot {:?}",
                    case.name, case.expected
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_table_is_judged_alike_by_the_program_and_by_the_script(
        rows in tables::any_rows(),
        conditions in prop::collection::vec(tables::any_conditions(), 1..4),
    ) {
        let page = Page::of(&rows);
        for conditions in &conditions {
            let found = Verdict::of_choose(&rows, conditions);
            prop_assert_eq!(&page.judge(conditions), &found, "{:?}", conditions);
        }
    }

    #[test]
    fn any_front_is_what_its_definition_says(rows in tables::any_rows()) {
        let front = oracle::front(&rows);
        prop_assert_eq!(Page::of(&rows).front(), front.clone());
        let choice = unlimited(&rows, Objective::Time);
        let mut chosen: Vec<String> = choice.front.iter().map(|row| row.placement.clone()).collect();
        chosen.sort_by_key(|placement| rows.iter().position(|row| row.placement == *placement));
        prop_assert_eq!(&chosen, &front);
        let mut exported = page::exported_front(&rows);
        exported.sort_by_key(|placement| rows.iter().position(|row| row.placement == *placement));
        prop_assert_eq!(&exported, &front);
        // What is recommended without limits is on it.
        let best = choice.ranked.first().map(|best| best.row.placement.clone());
        prop_assert_eq!(best.is_some(), !front.is_empty());
        prop_assert!(best.is_none_or(|best| front.contains(&best)));
    }
}
