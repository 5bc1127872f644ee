//! The counts of `topic_logs`.

#[path = "../../examples/topic_logs/arguments.rs"]
mod arguments;
#[path = "../../examples/topic_logs/tally.rs"]
mod tally;

use std::{fs::File, io::BufReader, path::Path};

use arguments::{Request, parse};
use tally::{Tally, count};

#[track_caller]
fn check(input: &[u8], expected: &[(&str, u64)], lines: u64, malformed: u64) {
    let bindings: Vec<_> = expected.iter().map(|(binding, _)| (*binding).to_owned()).collect();
    let counts = expected.iter().map(|(_, count)| *count).collect();
    assert_eq!(count(input, &bindings), Ok(Tally { counts, lines, malformed }));
}

/// The counts are those of `awk '$8 == "KERNEL"'` and the like on the same file.
#[test]
fn an_excerpt_of_a_log_counts_as_awk_counts_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bgl_excerpt.log");
    let expected = [
        ("kernel.*", 32),
        ("*.error", 22),
        ("#", 100),
        ("discovery.warning", 5),
        ("kernel.info", 16),
        ("*.severe", 7),
        ("*", 0),
        ("*.error", 22),
    ];
    let bindings: Vec<_> = expected.iter().map(|(binding, _)| (*binding).to_owned()).collect();
    let tally = count(BufReader::new(File::open(path).unwrap()), &bindings).unwrap();
    assert_eq!(tally.counts, expected.map(|(_, count)| count));
    assert_eq!((tally.lines, tally.malformed), (100, 0));
}

#[test]
fn lines_with_too_few_columns_are_malformed() {
    let input = b"1 2 3 4 5 6 7 KERNEL INFO\n1 2 3 4 5 6 7 KERNEL\n\n1 2 3 4 5 6 7 KERNEL INFO x\n";
    check(input, &[("kernel.info", 2), ("#", 2)], 4, 2);
}

#[test]
fn line_ends_and_runs_of_blanks_do_not_count() {
    let input = b"1 2 3 4 5 6 7 APP FATAL\r\n1\t2  3 4 5 6 7\t \tapp Fatal";
    check(input, &[("app.fatal", 2)], 2, 0);
    check(b"", &[("#", 0)], 0, 0);
}

#[test]
fn keys_beyond_255_bytes_are_malformed() {
    let longest = "f".repeat(255 - ".info".len());
    let input = format!("1 2 3 4 5 6 7 {longest} INFO\n1 2 3 4 5 6 7 {longest}f INFO\n");
    check(input.as_bytes(), &[("#", 1), ("*.info", 1)], 2, 1);
}

#[test]
fn dots_within_a_column_make_words() {
    check(b"1 2 3 4 5 6 7 a.b C", &[("*.*", 0), ("a.b.c", 1), ("a.#", 1)], 1, 0);
}

#[test]
fn what_is_not_utf_8_is_counted_too() {
    check(b"1 2 3 4 5 6 7 \xff INFO \xfe\n", &[("*.info", 1)], 1, 0);
}

#[test]
fn more_lines_than_a_subscriber_may_lag_behind() {
    let input = "1 2 3 4 5 6 7 APP INFO\n".repeat(70_000);
    check(input.as_bytes(), &[("app.*", 70_000)], 70_000, 0);
}

/// Together they are accounted with more than the bound that a broker has by default.
#[test]
fn long_lines_for_many_bindings() {
    let line = format!("1 2 3 4 5 6 7 APP INFO {}\n", "x".repeat(100_000));
    check(line.repeat(1_000).as_bytes(), &[("#", 1_000); 50], 1_000, 0);
}

#[test]
fn one_line_beyond_every_default() {
    let line = format!("1 2 3 4 5 6 7 APP INFO {}", "x".repeat(17 << 20));
    check(line.as_bytes(), &[("#", 1); 300], 1, 0);
}

#[test]
fn a_binding_that_cannot_be_is_an_error() {
    let problem = count(&b""[..], &["a".repeat(256)]).unwrap_err();
    assert!(problem.contains("longer than 255 bytes"), "{problem}");
}

#[test]
fn a_file_and_a_binding_are_needed() {
    let parse = |arguments: &[&str]| parse(arguments.iter().map(Into::into));
    let (file, bindings) = (Path::new("log").to_owned(), vec!["#".to_owned(), "a.*".to_owned()]);
    assert_eq!(parse(&["log", "#", "a.*"]), Ok(Request { file, bindings }));
    assert!(parse(&[]).unwrap_err().contains("no file"));
    assert!(parse(&["log"]).unwrap_err().contains("no binding"));
}

#[cfg(unix)]
#[test]
fn a_file_may_have_any_name_and_a_binding_may_not() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
    let odd = || OsString::from_vec(b"\xff".to_vec());
    let request = parse([odd(), "#".into()].into_iter()).unwrap();
    assert_eq!(request.file.as_os_str(), odd());
    let problem = parse(["log".into(), odd()].into_iter()).unwrap_err();
    assert_eq!(problem, "the binding \u{fffd} is not Unicode");
}
