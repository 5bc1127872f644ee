//! The command line and the audit of `order_pipeline`.

#[path = "../../examples/order_pipeline/arguments.rs"]
mod arguments;

use arguments::{Settings, parse};

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
