//! Plays the recordings in this folder through the public channel tier and compares the results.
//!
//! They were made on `RabbitMQ` 3.10.8. `scenarios` holds sequences of operations, `lists` says
//! which of them belong together, `topic` and `headers` hold vectors for routing.

use std::path::Path;

use runner::expectation::Texts;
use runner::replay::{Settings, replay};
use runner::report::{Outcome, Verdict};
use runner::source::{Case, cases};

mod derived;
mod runner;

/// Scenarios that come out differently, where the recorded broker makes no promise: name, and
/// our rule.
const DIFFERENT: &[(&str, &str)] = &[];

/// Everything behind a path in this folder.
fn recorded(path: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let found = cases(&folder.join(path)).expect("the recordings are there");
    assert!(!found.is_empty(), "{path} holds nothing to play");
    found
}

/// Plays with all marks, texts compared.
fn play(cases: &[Case]) -> Vec<Outcome> {
    replay(cases, &Settings { skip: Vec::new(), texts: Texts::Compare }).collect()
}

#[track_caller]
fn all_pass(path: &str) {
    let failed: Vec<String> = play(&recorded(path))
        .iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(Outcome::to_string)
        .collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn core_scenarios_pass() {
    all_pass("lists/core.txt");
}

#[test]
fn vectors_pass() {
    all_pass("topic");
    all_pass("headers");
}

/// Each scenario of the list passes, or is named above with our rule; and none that is named
/// passes, so that a change of either kind shows.
#[test]
fn orders_that_may_differ() {
    let mut failed: Vec<String> = play(&recorded("lists/may-differ.txt"))
        .into_iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(|outcome| outcome.name)
        .collect();
    failed.sort();
    let mut different: Vec<&str> = DIFFERENT.iter().map(|(name, _)| *name).collect();
    different.sort_unstable();
    assert_eq!(failed, different);
}

/// Nothing that was copied here goes unplayed because no list names it.
#[test]
fn every_scenario_is_on_one_list() {
    let sorted_names = |cases: Vec<Case>| {
        let mut names: Vec<String> = cases.iter().map(|case| case.name().to_owned()).collect();
        names.sort();
        names
    };
    let lists = ["core", "later", "may-differ", "queue-features", "restart"];
    let listed = lists.iter().flat_map(|list| recorded(&format!("lists/{list}.txt"))).collect();
    assert_eq!(sorted_names(listed), sorted_names(recorded("scenarios")));
}

/// The runner itself must not let anything through.
mod strictness {
    use super::*;

    /// A scenario that a broker passes as it stands.
    const GOOD: &str = r#"{"name":"area/good","description":"","recorded_from":"x","steps":[
        {"op":"queue_declare","queue":"{p}q","expect":{"ok":
            {"queue":"q","message_count":0,"consumer_count":0}}},
        {"op":"publish","routing_key":"q","body":"m","properties":{"priority":1,
            "headers":{"n":1}},"expect":{"ok":{}}},
        {"op":"get","queue":"q","auto_ack":true,"expect":{"ok":{"message":{"delivery_tag":1,
            "redelivered":false,"exchange":"","routing_key":"q","message_count":0,"body":"m",
            "properties":{"priority":1,"headers":{"n":1}}}}}},
        {"op":"get","queue":"q","expect":{"ok":{"message":null}}},
        {"op":"get","queue":"none","expect":{"error":{"scope":"channel","code":404,
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
            let line =
                format!("FAIL area/good: step 3: expected {expected} got 0 {at}.message_count");
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
            r#""op":"get","queue":"q","expect""#,
            r#""op":"fetch","queue":"q","expect""#,
            "FAIL area/good: step 4: expected a known operation got \"fetch\"",
        );
        check(
            r#""op":"get","queue":"q","expect""#,
            r#""op":"get","queue":"q","exclusive":false,"expect""#,
            "FAIL area/good: step 4: expected a known field of get got \"exclusive\"",
        );
        check(
            r#""steps""#,
            r#""requires":["wire","steam"],"steps""#,
            "FAIL area/file: expected a known mark got \"steam\"",
        );
        check(
            r#""steps""#,
            r#""ignore":["code"],"steps""#,
            "FAIL area/file: expected text to ignore got \"code\"",
        );
        check(
            r#""steps""#,
            r#""seed":1,"steps""#,
            "FAIL area/file: expected a known field got \"seed\"",
        );
        check(
            r#""priority":1,"#,
            r#""colour":1,"#,
            "FAIL area/good: step 2: expected {\"ok\":{}} got unknown property \"colour\"",
        );
        check(
            r#""routing_key":"q","body""#,
            r#""routing_key":"{gen1}","body""#,
            "FAIL area/good: step 2: expected {\"ok\":{}} got nothing has been met for {gen1}",
        );
        let broken = play(&[case("{")]).remove(0);
        assert!(matches!(broken.verdict, Verdict::Fail(_)), "{broken}");
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
            let text = format!(
                r#"{{"name":"a/b","steps":[{{"op":"{operation}","expect":{{"ok":{{}}}}}}]}}"#
            );
            let line = play(&[case(&text)]).remove(0).to_string();
            assert!(
                line.starts_with("FAIL a/b: step 1: expected") && line.contains(reason),
                "{line}"
            );
        }
    }

    #[test]
    fn a_tampered_vector_fails_and_spoils_no_other() {
        let line = |key: &str, matched: &str| Case::Vector {
            name: "topic/t:1".to_owned(),
            line: format!(
                r##"{{"set":1,"patterns":["a.*","#","b"],"key":"{key}","matched":{matched}}}"##
            ),
        };
        let cases = [line("a.b", "[0,1]"), line("a.b", "[0]"), line("b", "[1,2]"), line("c", "[1")];
        let lines: Vec<String> = play(&cases).iter().map(Outcome::to_string).collect();
        assert_eq!(
            lines[..3],
            ["PASS topic/t:1", "FAIL topic/t:1: expected [0] got [0,1]", "PASS topic/t:1"]
        );
        assert!(
            lines[3].starts_with("FAIL topic/t:1: expected a vector got not JSON"),
            "{lines:?}"
        );
    }
}
