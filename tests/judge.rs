//! One judge: `choose`, the front of tables and charts, and the report's own script say the same of the
//! same figures.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "judge/golden.rs"]
mod golden;
#[path = "judge/page.rs"]
mod page;
#[path = "judge/questions.rs"]
mod questions;
#[path = "judge/tables.rs"]
mod tables;
#[path = "judge/verdict.rs"]
mod verdict;

use proptest::prelude::*;
use splitbench::objective::Objective;
use splitbench::scenario::Scenario;
use splitbench::standing::{Standing, criteria, standings, unlimited};

use page::Page;
use verdict::{Conditions, Verdict};

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
    fn any_front_is_that_of_choosing_without_limits(rows in tables::any_rows()) {
        let choice = unlimited(&rows, Objective::Time);
        let front: Vec<&str> = choice.front.iter().map(|row| row.placement.as_str()).collect();
        let standings = standings(&rows);
        let mut standing: Vec<&str> = rows
            .iter()
            .zip(&standings)
            .filter(|(_, standing)| **standing == Standing::Front)
            .map(|(row, _)| row.placement.as_str())
            .collect();
        prop_assert_eq!(Page::of(&rows).front(), standing.clone());
        standing.sort_unstable();
        let mut sorted = front.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&standing, &sorted);
        // What is recommended without limits is on the front, unless something unknown ties with it.
        let best = choice.ranked.first().map(|best| best.row.placement.as_str());
        prop_assert_eq!(best.is_some(), !front.is_empty());
        prop_assert!(best.is_none_or(|best| front.contains(&best)), "{:?} {:?}", best, front);
        prop_assert!(criteria(&rows).len() <= 4);
        let as_measured = Conditions { scenario: Scenario::default(), ..Conditions::default() };
        let verdict = Verdict::of_choose(&rows, &as_measured);
        prop_assert_eq!(verdict.ranked.first().map(String::as_str), best);
    }
}
