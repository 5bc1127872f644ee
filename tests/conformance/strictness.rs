//! The runner itself must not let anything through.

use std::fs;
use std::path::Path;

use super::play;
use super::runner::expectation::Texts;
use super::runner::replay::{Settings, replay};
use super::runner::report::{Outcome, Verdict};
use super::runner::source::{Case, Unreadable, cases};

/// A scenario that a broker passes as it stands.
const GOOD: &str = r#"{"name":"area/good","description":"","recorded_from":"x","steps":[
    {"op":"queue_declare","queue":"{p}q","expect":{"ok":
        {"queue":"q","message_count":0,"consumer_count":0}}},
    {"op":"publish","routing_key":"{p}q","body":"m","properties":{"priority":1,
        "headers":{"n":1}},"expect":{"ok":{}}},
    {"op":"get","queue":"{p}q","auto_ack":true,"expect":{"ok":{"message":{"delivery_tag":1,
        "redelivered":false,"exchange":"","routing_key":"q","message_count":0,"body":"m",
        "properties":{"priority":1,"headers":{"n":1}}}}}},
    {"op":"get","queue":"{p}q","expect":{"ok":{"message":null}}},
    {"op":"get","queue":"{p}none","expect":{"error":{"scope":"channel","code":404,
        "text":"NOT_FOUND - no queue 'none' in vhost '/'","class_id":60,"method_id":70}}},
    {"op":"qos","expect":{"error":{"scope":"channel","code":404,
        "text":"NOT_FOUND - no queue 'none' in vhost '/'"}}}
]}"#;

fn case(text: &str) -> Case {
    Case::Scenario { name: "area/file".to_owned(), text: text.to_owned() }
}

/// Plays the good scenario with one part replaced.
fn tampered(from: &str, to: &str) -> Outcome {
    assert!(GOOD.contains(from), "{from:?} is no part of the scenario");
    play(&[case(&GOOD.replacen(from, to, 1))]).remove(0)
}

#[track_caller]
fn check(from: &str, to: &str, line: &str) {
    assert_eq!(tampered(from, to).to_string(), line);
}

#[test]
fn the_scenario_as_it_stands_passes() {
    assert_eq!(play(&[case(GOOD)])[0].to_string(), "PASS area/good");
}

#[test]
fn a_tampered_expectation_fails() {
    let ready = r#""message_count":0,"body""#;
    let at = "at ok.message";
    for (to, expected) in [("1", "1"), ("0.0", "0.0"), ("false", "false"), ("null", "null")] {
        let line = format!("FAIL area/good: step 3: expected {expected} got 0 {at}.message_count");
        check(ready, &ready.replace('0', to), &line);
    }
    check(
        r#""priority":1,"headers":{"n":1}}}}}}"#,
        r#""priority":1,"headers":{"n":1.0}}}}}}"#,
        &format!("FAIL area/good: step 3: expected 1.0 got 1 {at}.properties.headers.n"),
    );
    check(
        r#"{"message":null}"#,
        r#"{"message":null,"more":1}"#,
        "FAIL area/good: step 4: expected 1 got nothing at ok.more",
    );
    check(
        r#""class_id":60,"#,
        r#""class_id":1,"reason":"x","#,
        "FAIL area/good: step 5: expected \"x\" got nothing at error.reason",
    );
    check(
        r#"{"op":"qos","expect":{"error":{"scope":"channel""#,
        r#"{"op":"qos","expect":{"error":{"scope":"connection""#,
        "FAIL area/good: step 6: expected \"connection\" got \"channel\" at error.scope",
    );
    check("404", "405", "FAIL area/good: step 5: expected 405 got 404 at error.code");
}

#[test]
fn a_wrong_text_fails_unless_texts_are_ignored() {
    let (right, wrong) = ("no queue 'none' in vhost '/'", "no queue 'nine' in vhost '/'");
    check(
        right,
        wrong,
        "FAIL area/good: step 5: \
         expected \"NOT_FOUND - no queue 'nine' in vhost '/'\" \
         got \"NOT_FOUND - no queue 'none' in vhost '/'\" at error.text",
    );
    let text = GOOD.replacen(right, wrong, 1);
    let without_texts = Settings { skip: Vec::new(), texts: Texts::Ignore };
    let outcome = replay(&[case(&text)], &without_texts).next().expect("there is one case");
    assert_eq!(outcome.verdict, Verdict::Pass);
    let ignoring = text.replacen("\"steps\"", "\"ignore\":[\"text\"],\"steps\"", 1);
    assert_eq!(play(&[case(&ignoring)])[0].verdict, Verdict::Pass);
}

#[test]
fn an_erlang_term_in_a_text_is_not_compared() {
    let right = "no queue 'none' in vhost '/'\",\"class_id\"";
    let term = "no queue 'none' {a,term}\",\"class_id\"";
    assert_eq!(tampered(right, term).verdict, Verdict::Pass);
    let other = "no binary 'none' <<1,2>>\",\"class_id\"";
    assert_ne!(tampered(right, other).verdict, Verdict::Pass);
}

#[test]
fn what_the_format_does_not_know_fails() {
    check(
        r#""op":"get","queue":"{p}q","expect""#,
        r#""op":"fetch","queue":"{p}q","expect""#,
        "FAIL area/good: step 4: expected a known operation got \"fetch\"",
    );
    check(
        r#""op":"get","queue":"{p}q","expect""#,
        r#""op":"get","queue":"{p}q","exclusive":false,"expect""#,
        "FAIL area/good: step 4: expected a known field of get got \"exclusive\"",
    );
    check(
        r#""steps""#,
        r#""requires":["wire","steam"],"steps""#,
        "FAIL area/file: line 1: expected a known mark got \"steam\"",
    );
    check(
        r#""steps""#,
        r#""ignore":["code"],"steps""#,
        "FAIL area/file: line 1: expected text to ignore got \"code\"",
    );
    check(
        r#""steps""#,
        r#""seed":1,"steps""#,
        "FAIL area/file: line 1: expected a known field got \"seed\"",
    );
    check(
        r#""priority":1,"#,
        r#""colour":1,"#,
        "FAIL area/good: step 2: expected {\"ok\":{}} got unknown property \"colour\"",
    );
    check(
        r#""routing_key":"{p}q","body""#,
        r#""routing_key":"{gen1}","body""#,
        "FAIL area/good: step 2: expected {\"ok\":{}} got nothing has been met for {gen1}",
    );
    let lines = GOOD.replacen("\"body\":\"m\",\"properties\":{\"priority\":1,", "}", 1);
    let broken = play(&[case(&lines)]).remove(0).to_string();
    let start = "FAIL area/file: line 4: expected a scenario got not JSON: ";
    assert!(broken.starts_with(start), "{broken}");
}

#[test]
fn what_plays_nothing_fails() {
    let steps = GOOD.find("[\n").expect("there are steps");
    let text = format!("{}[]}}", GOOD[..steps].replace(",\"steps\"", ",\n\"steps\""));
    let line = play(&[case(&text)]).remove(0).to_string();
    assert_eq!(line, "FAIL area/file: line 2: expected steps to play got none");

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nothing");
    for inside in ["scenarios/empty", "lists", "topic"] {
        fs::create_dir_all(folder.join(inside)).expect("the folder is ours");
    }
    let write = |path: &str, text: &str| {
        fs::write(folder.join(path), text).expect("the folder is ours");
    };
    write("scenarios/one.json", GOOD);
    write("lists/blank.txt", "\n \r\n");
    write("lists/empty_folder.txt", "scenarios/one.json\nscenarios/empty\n");
    write("lists/one.txt", "scenarios\n");
    write("topic/blank.jsonl", "\n");
    for (path, named) in [
        ("scenarios/empty", "scenarios/empty"),
        ("lists/blank.txt", "lists/blank.txt"),
        ("lists/empty_folder.txt", "scenarios/empty"),
        ("topic/blank.jsonl", "topic/blank.jsonl"),
        ("topic", "topic/blank.jsonl"),
    ] {
        let Unreadable(text) = cases(&folder.join(path)).expect_err(path);
        let expected = format!("there is nothing to play in {}", folder.join(named).display());
        assert_eq!(text, expected);
    }
    let one = cases(&folder.join("lists/one.txt")).map(|cases| cases.len());
    assert_eq!(one, Ok(1), "a folder in a folder may be empty");
}

/// Also where nothing depends on the argument within a process.
#[test]
fn an_argument_of_the_wrong_type_fails() {
    for (operation, answer) in [
        (r#""exchange_declare","exchange":"x""#, ""),
        (r#""exchange_bind","destination":"amq.direct","source":"amq.topic""#, ""),
        (r#""exchange_unbind","destination":"amq.direct","source":"amq.topic""#, ""),
        (r#""exchange_delete","exchange":"x""#, ""),
        (r#""queue_bind","queue":"q","exchange":"amq.direct""#, ""),
        (r#""queue_purge","queue":"q""#, r#""message_count":0"#),
        (r#""confirm_select""#, ""),
    ] {
        let text = |nowait: &str, answer: &str| {
            format!(
                r#"{{"name":"a/b","steps":[
                    {{"op":"queue_declare","queue":"q","nowait":true,"expect":{{"ok":{{}}}}}},
                    {{"op":{operation},"nowait":{nowait},"expect":{{"ok":{{{answer}}}}}}}]}}"#
            )
        };
        let lines = [("false", answer), ("true", ""), ("1", "")].map(|(nowait, answer)| {
            let line = play(&[case(&text(nowait, answer))]).remove(0).to_string();
            line.replace("FAIL a/b: step 2: expected {\"ok\":{}} got ", "")
        });
        let mistyped = "nowait must be true or false, not 1";
        assert_eq!(lines, ["PASS a/b", "PASS a/b", mistyped], "{operation}");
    }
}

/// The recordings would come out the same if these were left out on the way to the broker.
#[test]
fn arguments_that_no_recording_shows_are_played() {
    let text = r#"{"name":"a/b","steps":[
        {"op":"exchange_declare","exchange":"x","auto_delete":true,"expect":{"ok":{}}},
        {"op":"exchange_bind","destination":"amq.direct","source":"x","arguments":{"n":1},
            "expect":{"ok":{}}},
        {"op":"exchange_unbind","destination":"amq.direct","source":"x","arguments":{"n":2},
            "expect":{"ok":{}}},
        {"op":"exchange_declare","exchange":"x","passive":true,"expect":{"ok":{}}},
        {"op":"exchange_unbind","destination":"amq.direct","source":"x","arguments":{"n":1},
            "expect":{"ok":{}}},
        {"op":"exchange_declare","exchange":"x","passive":true,"expect":{"error":
            {"scope":"channel","code":404,"text":"NOT_FOUND - no exchange 'x' in vhost '/'"}}},
        {"op":"open_channel","expect":{"ok":{}}},
        {"op":"queue_declare","queue":"q","nowait":true,"expect":{"ok":{}}},
        {"op":"publish","routing_key":"q","expect":{"ok":{}}},
        {"op":"queue_delete","queue":"q","if_empty":true,"expect":{"error":
            {"scope":"channel","code":406,
                "text":"PRECONDITION_FAILED - queue 'q' in vhost '/' not empty"}}}
    ]}"#;
    assert_eq!(play(&[case(text)])[0].to_string(), "PASS a/b");
}

#[test]
fn unordered_deliveries_have_no_tags_and_confirms_are_single() {
    let text = r#"{"name":"a/b","steps":[
        {"op":"queue_declare","queue":"","expect":{"ok":
            {"queue":"{gen1}","message_count":0,"consumer_count":0}}},
        {"op":"confirm_select","expect":{"ok":{}}},
        {"op":"publish","routing_key":"{gen1}","bodies":["1","2"],"expect":{"ok":{}}},
        {"op":"wait_confirms","expect":{"ok":{"acks":[1,2],"nacks":[],"unconfirmed":[]}}},
        {"op":"wait_confirms","expect":{"ok":{"acks":[],"nacks":[],"unconfirmed":[]}}},
        {"op":"consume","queue":"{gen1}","auto_ack":true,"expect":{"ok":
            {"consumer_tag":"{ctag1}"}}},
        {"op":"drain","unordered":true,"consumer":"{ctag1}","expect":{"ok":{"deliveries":[
            {"consumer_tag":"{ctag1}","redelivered":false,"exchange":"",
                "routing_key":"{gen1}","body":"2","properties":{}},
            {"consumer_tag":"{ctag1}","redelivered":false,"exchange":"",
                "routing_key":"{gen1}","body":"1","properties":{}}]}}},
        {"op":"events","expect":{"ok":{"events":[]}}}
    ]}"#;
    assert_eq!(play(&[case(text)])[0].to_string(), "PASS a/b");
    let ordered = text.replacen("\"unordered\":true,", "", 1);
    assert_ne!(play(&[case(&ordered)])[0].verdict, Verdict::Pass);
}

#[test]
fn a_mark_is_skipped_only_when_asked_for() {
    let marked = GOOD.replacen("\"steps\"", "\"requires\":[\"quorum\",\"wire\"],\"steps\"", 1);
    assert_eq!(play(&[case(&marked)])[0].verdict, Verdict::Pass);
    let settings = Settings { skip: vec!["wire".to_owned()], texts: Texts::Compare };
    let cases = [case(&marked), case(GOOD)];
    let verdicts: Vec<_> = replay(&cases, &settings).map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, [Verdict::Skip("wire".to_owned()), Verdict::Pass]);
}

#[test]
fn what_needs_a_wire_or_a_restart_fails_with_the_reason() {
    for (operation, reason) in [("raw_frame", "socket"), ("restart_broker", "restart")] {
        let text =
            format!(r#"{{"name":"a/b","steps":[{{"op":"{operation}","expect":{{"ok":{{}}}}}}]}}"#);
        let line = play(&[case(&text)]).remove(0).to_string();
        assert!(line.starts_with("FAIL a/b: step 1: expected") && line.contains(reason), "{line}");
    }
}

#[test]
fn a_tampered_vector_fails_and_spoils_no_other() {
    let line = |key: &str, matched: &str| Case::Vector {
        name: "topic/t".to_owned(),
        number: 7,
        line: format!(
            r##"{{"set":1,"patterns":["a.*","#","b"],"key":"{key}","matched":{matched}}}"##
        ),
    };
    let cases = [line("a.b", "[0,1]"), line("a.b", "[0]"), line("b", "[1,2]"), line("c", "[1")];
    let lines: Vec<String> = play(&cases).iter().map(Outcome::to_string).collect();
    assert_eq!(
        lines[..3],
        ["PASS topic/t:7", "FAIL topic/t: line 7: expected [0] got [0,1]", "PASS topic/t:7"]
    );
    let start = "FAIL topic/t: line 7: expected a vector got not JSON";
    assert!(lines[3].starts_with(start), "{lines:?}");
}
