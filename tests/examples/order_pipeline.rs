//! The command line and the ledgers of `order_pipeline`.

#[path = "../../examples/order_pipeline/arguments.rs"]
mod arguments;
#[path = "../../examples/order_pipeline/ledger.rs"]
mod ledger;

use arguments::{Settings, parse};
use ledger::Ledger;

#[track_caller]
fn check(arguments: &[&str], expected: Result<Option<Settings>, &str>) {
    let parsed = parse(arguments.iter().map(Into::into));
    assert_eq!(parsed.as_ref().map_err(String::as_str).copied(), expected, "{arguments:?}");
}

#[test]
fn options_take_a_number_behind_them_or_behind_a_sign() {
    check(&[], Ok(Some(Settings { orders: 5_000, seed: 1 })));
    let settings = Settings { orders: 20, seed: 3 };
    check(&["--orders", "20", "--seed=3"], Ok(Some(settings)));
    check(&["--orders", "20", "--help"], Ok(None));
}

#[test]
fn what_cannot_be_understood_is_named() {
    check(&["--orders"], Err("--orders needs a number"));
    check(&["--seed", "many"], Err("--seed many is not a number that fits"));
    check(&["--orders=4294967296"], Err("--orders 4294967296 is not a number that fits"));
    check(&["20"], Err("unknown argument 20"));
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_named_too() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
    let odd = OsString::from_vec(b"\xff".to_vec());
    let problem = parse([odd.clone()].into_iter()).unwrap_err();
    assert_eq!(problem, "unknown argument \u{fffd}");
    let problem = parse(["--seed".into(), odd].into_iter()).unwrap_err();
    assert_eq!(problem, "--seed \u{fffd} is not a number that fits");
}

#[track_caller]
fn check_problems(play: impl FnOnce(&Ledger), expected: &[&str]) {
    let ledger = Ledger::new(3);
    play(&ledger);
    assert_eq!(ledger.problems(|_| true), expected);
}

/// Comes once, unless it is among those that do not, and is done.
fn do_all(ledger: &Ledger, but: &[u64]) {
    for n in (1..=3).filter(|n| !but.contains(n)) {
        ledger.came(n, false);
        ledger.done(n);
    }
}

#[test]
fn an_order_that_is_lost_is_named_also_where_another_is_done_twice() {
    check_problems(|ledger| do_all(ledger, &[]), &[]);
    let twice_instead_of = |lost| {
        move |ledger: &Ledger| {
            do_all(ledger, &[lost]);
            ledger.came(1, true);
            ledger.done(1);
        }
    };
    check_problems(twice_instead_of(2), &["lost 1 order: 2", "doubled 1 order: 1"]);
}

#[test]
fn an_order_may_come_again_if_that_is_flagged() {
    let come_again = |redelivered| {
        move |ledger: &Ledger| {
            ledger.came(2, false);
            ledger.came(2, redelivered);
            ledger.gave_up(2);
            do_all(ledger, &[2]);
        }
    };
    check_problems(come_again(true), &[]);
    check_problems(come_again(false), &["doubled 1 order: 2"]);
}

#[test]
fn what_nobody_ordered_or_gave_up_is_a_problem() {
    let strange = |ledger: &Ledger| {
        do_all(ledger, &[]);
        for n in [0, 4, u64::MAX] {
            ledger.came(n, false);
        }
    };
    check_problems(strange, &["got 3 times what nobody ordered"]);
    let (stock, dead) = (Ledger::new(3), Ledger::new(3));
    stock.gave_up(2);
    dead.came(3, false);
    dead.done(3);
    let problems = dead.problems(|n| stock.has_given_up(n));
    assert_eq!(problems, ["lost 1 order: 2", "did not expect 1 order: 3"]);
}

#[test]
fn so_many_numbers_are_named_and_no_more() {
    let problems = Ledger::new(1_000).problems(|_| true);
    assert_eq!(problems, ["lost 1000 orders: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 990 more"]);
}
