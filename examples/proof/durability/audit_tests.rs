//! Each kind of fault, made by hand, is found; and what a crash may do is none.

use super::super::{
    history::History,
    ledger,
    look::Look,
    verdict::Fault::{
        self, Lost, MisplacedLetter, OrderViolation, ResurrectedAck, TornFanOut, Unexpected,
        UnflaggedDuplicate, WrongPayload,
    },
};

const FAULTS: [Fault; 10] = [
    Lost,
    UnflaggedDuplicate,
    ResurrectedAck,
    OrderViolation,
    TornFanOut,
    Unexpected,
    WrongPayload,
    MisplacedLetter,
    Fault::UnequalReopening,
    Fault::Failure,
];

/// Lives and looks in turns, as texts with a line of its own for each thing; then what is found.
#[track_caller]
fn check(turns: &[(&str, &str)], expected: &[Fault]) {
    let mut history = History::default();
    for (life, look) in turns {
        let lines = |text: &str| text.replace("; ", "\n") + "\n";
        history.add(ledger::parse(&lines(&format!("life 1; {life}"))).expect("a ledger"));
        if *look != "unseen" {
            let look = if look.is_empty() { String::new() } else { lines(look) };
            history.audit(&format!("{look}end\n").parse::<Look>().expect("a look"));
        }
    }
    let found: Vec<_> =
        FAULTS.into_iter().filter(|fault| history.verdict.count(*fault) > 0).collect();
    assert_eq!(found, expected, "{turns:?}: {:?}", history.verdict);
}

const THERE: &str = "publish 1.0.1 mail; confirmed 1.0.1";

#[test]
fn what_was_confirmed_is_there_or_lost() {
    check(&[(THERE, "mail 1.0.1 0")], &[]);
    check(&[(THERE, "")], &[Lost]);
    // A queue that is gone, too.
    check(&[("declared", "missing votes")], &[Lost]);
    check(&[("", "missing votes")], &[]);
    // What was there once is as good as confirmed.
    check(&[("publish 1.0.1 mail", "mail 1.0.1 0"), ("", "")], &[Lost]);
    check(&[("publish 1.0.1 mail 1.0.9; commit 1.0.9; committed 1.0.9", "")], &[Lost]);
}

#[test]
fn what_was_not_confirmed_may_be_there_or_not() {
    check(&[("publish 1.0.1 mail", "mail 1.0.1 0")], &[]);
    check(&[("publish 1.0.1 mail", "")], &[]);
    check(&[("publish 1.0.1 mail", ""), ("", "mail 1.0.1 0")], &[ResurrectedAck]);
}

#[test]
fn what_nobody_published_is_unexpected() {
    check(&[("", "mail 1.0.1 0")], &[Unexpected]);
    check(&[("publish 1.0.1 mail; refused 1.0.1", "mail 1.0.1 0")], &[Unexpected]);
    check(&[("got 4 1.0.1 mail 0", "mail 1.0.1 1")], &[Unexpected]);
}

#[test]
fn what_was_handed_out_is_flagged() {
    let got = format!("{THERE}; got 4 1.0.1 mail 0");
    check(&[(&got, "mail 1.0.1 1")], &[]);
    check(&[(&got, "mail 1.0.1 0")], &[UnflaggedDuplicate]);
    check(&[(&format!("{got}; got 5 1.0.1 mail 1"), "mail 1.0.1 1")], &[]);
    check(&[(&format!("{got}; got 5 1.0.1 mail 0"), "mail 1.0.1 1")], &[UnflaggedDuplicate]);
    // Also where nobody looked in between.
    check(&[(&got, "unseen"), ("got 4 1.0.1 mail 0", "mail 1.0.1 1")], &[UnflaggedDuplicate]);
    // A flag without a reason is allowed.
    check(&[(THERE, "mail 1.0.1 1")], &[]);
    check(&[(THERE, "mail 1.0.1 0; mail 1.0.1 1")], &[UnflaggedDuplicate, OrderViolation]);
}

#[test]
fn an_ack_stays_once_a_later_publish_is_confirmed() {
    let acked = format!("{THERE}; got 4 1.0.1 mail 0; ack 1.0.1 mail; acked 1.0.1 mail");
    check(&[(&acked, "mail 1.0.1 1")], &[]);
    check(&[(&acked, "")], &[]);
    let later = format!("{acked}; publish 1.0.2 mail");
    check(&[(&later, "mail 1.0.1 1; mail 1.0.2 0")], &[]);
    let confirmed = format!("{later}; confirmed 1.0.2");
    check(&[(&confirmed, "mail 1.0.1 1; mail 1.0.2 0")], &[ResurrectedAck]);
    check(&[(&confirmed, "mail 1.0.2 0")], &[]);
    // A publish that began before the ack had returned says nothing.
    let early = format!(
        "{THERE}; got 4 1.0.1 mail 0; ack 1.0.1 mail; publish 1.0.2 mail; acked 1.0.1 mail; \
         confirmed 1.0.2"
    );
    check(&[(&early, "mail 1.0.1 1; mail 1.0.2 0")], &[]);
    // So do a commit and an orderly end.
    let transaction = format!("{acked}; publish 1.0.2 mail 1.0.9; commit 1.0.9; committed 1.0.9");
    check(&[(&transaction, "mail 1.0.1 1; mail 1.0.2 0")], &[ResurrectedAck]);
    check(&[(&format!("{acked}; closed"), "mail 1.0.1 1")], &[ResurrectedAck]);
    // The same where nobody looked in between.
    let again = ("got 4 1.0.1 mail 1", "mail 1.0.1 1; mail 1.0.2 0");
    check(&[(&confirmed, "unseen"), again], &[ResurrectedAck]);
    check(&[(&acked, "unseen"), ("got 4 1.0.1 mail 1", "mail 1.0.1 1")], &[]);
}

#[test]
fn an_ack_that_was_waited_for_stays() {
    let kept = format!("{THERE}; got 4 1.0.1 mail 0; ack 1.0.1 mail; kept 1.0.1 mail");
    check(&[(&kept, "")], &[]);
    check(&[(&kept, "mail 1.0.1 1")], &[ResurrectedAck]);
    let acked = format!("{THERE}; got 4 1.0.1 mail 0; ack 1.0.1 mail; acked 1.0.1 mail");
    let syncing = format!("{acked}; sync 1.9.1");
    check(&[(&syncing, "mail 1.0.1 1")], &[]);
    let synced = format!("{syncing}; synced 1.9.1");
    check(&[(&synced, "")], &[]);
    check(&[(&synced, "mail 1.0.1 1")], &[ResurrectedAck]);
    // A sync that began before the ack had returned says nothing.
    let early = format!(
        "{THERE}; got 4 1.0.1 mail 0; sync 1.9.1; ack 1.0.1 mail; acked 1.0.1 mail; synced 1.9.1"
    );
    check(&[(&early, "mail 1.0.1 1")], &[]);
    // Nor does one of a former life.
    let later = "got 4 1.0.1 mail 1; ack 1.0.1 mail; acked 1.0.1 mail; synced 1.9.1";
    check(&[(&syncing, "mail 1.0.1 1"), (later, "mail 1.0.1 1")], &[]);
}

#[test]
fn an_ack_is_seen_by_all_at_once() {
    let acked = format!("{THERE}; got 4 1.0.1 mail 0; ack 1.0.1 mail; acked 1.0.1 mail");
    let again = format!("{acked}; got 5 1.0.1 mail 1");
    check(&[(&again, "mail 1.0.1 1")], &[ResurrectedAck]);
    // What is gone stays gone.
    check(&[(&acked, ""), ("got 4 1.0.1 mail 1", "mail 1.0.1 1")], &[ResurrectedAck]);
}

#[test]
fn messages_stand_in_the_order_of_publishing() {
    let three = "publish 1.0.1 mail; publish 1.0.2 mail; publish 1.1.1 mail";
    check(&[(three, "mail 1.1.1 0; mail 1.0.1 0; mail 1.0.2 0")], &[]);
    check(&[(three, "mail 1.0.2 0; mail 1.0.1 0")], &[OrderViolation]);
    let lives = "publish 1.0.1 mail; publish 2.1.1 mail";
    check(&[(lives, "mail 2.1.1 0; mail 1.0.1 0")], &[OrderViolation]);
    // A quorum queue puts what comes back to its end.
    let votes = "publish 1.0.1 votes; publish 1.0.2 votes";
    check(&[(votes, "votes 1.0.2 0; votes 1.0.1 1")], &[]);
    check(&[(votes, "votes 1.0.2 0; votes 1.0.1 0")], &[OrderViolation]);
    let got = format!("{three}; got 4 1.0.2 mail 0");
    check(&[(&format!("{got}; got 4 1.0.1 mail 0"), "")], &[OrderViolation]);
    check(&[(&format!("{got}; got 5 1.0.1 mail 0"), "")], &[]);
    check(&[(&format!("{got}; got 4 1.0.1 mail 1"), "")], &[]);
}

#[test]
fn a_fan_out_is_whole() {
    let publish = "publish 1.0.1 mail,audit";
    check(&[(publish, "")], &[]);
    check(&[(publish, "mail 1.0.1 0; audit 1.0.1 0")], &[]);
    check(&[(publish, "mail 1.0.1 0")], &[TornFanOut]);
    check(&[(&format!("{publish}; confirmed 1.0.1"), "mail 1.0.1 0")], &[Lost, TornFanOut]);
    // Who settled it says nothing about whether it was there.
    let acked = format!("{publish}; got 4 1.0.1 audit 0; ack 1.0.1 audit");
    check(&[(&acked, "mail 1.0.1 0")], &[]);
    check(&[(&acked, "")], &[]);
    // Known once, it falls apart as it is settled.
    check(&[(publish, "mail 1.0.1 0; audit 1.0.1 0"), ("ack 1.0.1 audit", "mail 1.0.1 0")], &[]);
}

#[test]
fn a_transaction_is_whole() {
    let steps = "publish 1.0.2 mail 1.0.9; publish 1.0.3 audit 1.0.9; ack 1.0.1 mail 1.0.9";
    let begun = format!("{THERE}; got 4 1.0.1 mail 0; {steps}; commit 1.0.9");
    check(&[(&begun, "mail 1.0.1 1")], &[]);
    check(&[(&begun, "mail 1.0.2 0; audit 1.0.3 0")], &[]);
    check(&[(&begun, "mail 1.0.2 0")], &[TornFanOut]);
    check(&[(&begun, "mail 1.0.1 1; mail 1.0.2 0; audit 1.0.3 0")], &[TornFanOut]);
    check(&[(&begun, "")], &[TornFanOut]);
    let done = format!("{begun}; committed 1.0.9");
    check(&[(&done, "mail 1.0.2 0; audit 1.0.3 0")], &[]);
    check(&[(&done, "mail 1.0.1 1; mail 1.0.2 0; audit 1.0.3 0")], &[ResurrectedAck]);
    check(&[(&done, "mail 1.0.2 0")], &[Lost, TornFanOut]);
}

#[test]
fn what_is_rolled_back_does_not_happen() {
    let steps = "publish 1.0.2 mail 1.0.9; ack 1.0.1 mail 1.0.9; rolledback 1.0.9";
    let rolled_back = format!("{THERE}; got 4 1.0.1 mail 0; {steps}");
    check(&[(&rolled_back, "mail 1.0.1 1")], &[]);
    check(&[(&rolled_back, "")], &[Lost]);
    check(&[(&rolled_back, "mail 1.0.1 1; mail 1.0.2 0")], &[Unexpected]);
    // It is outstanding again, and may be settled.
    let acked = format!("{rolled_back}; ack 1.0.1 mail; kept 1.0.1 mail");
    check(&[(&acked, "")], &[]);
    check(&[(&acked, "mail 1.0.1 1")], &[ResurrectedAck]);
}

#[test]
fn what_comes_back_in_a_transaction_is_there() {
    let returned = format!("{THERE}; got 4 1.0.1 mail 0; requeue 1.0.1 mail 1.0.9; commit 1.0.9");
    check(&[(&returned, "mail 1.0.1 1")], &[]);
    check(&[(&returned, "")], &[Lost]);
    check(&[(&format!("{returned}; committed 1.0.9"), "mail 1.0.1 1")], &[]);
}

#[test]
fn a_dead_letter_is_in_one_place() {
    let got = format!("{THERE}; got 4 1.0.1 mail 0");
    let rejected = format!("{got}; reject 1.0.1 mail; rejected 1.0.1 mail");
    check(&[(&rejected, "dead/mail 1.0.1 0")], &[]);
    check(&[(&rejected, "mail 1.0.1 1")], &[]);
    check(&[(&rejected, "mail 1.0.1 1; dead/mail 1.0.1 0")], &[MisplacedLetter]);
    check(&[(&rejected, "")], &[Lost]);
    check(&[(&got, "dead/mail 1.0.1 0")], &[MisplacedLetter]);
    check(&[(&rejected, "dead/mail 1.0.1 0"), ("", "mail 1.0.1 1")], &[MisplacedLetter]);
    // A letter is settled as any message.
    let settled = format!("{rejected}; got 1 1.0.1 dead/mail 0; ack 1.0.1 dead/mail");
    check(&[(&settled, "dead/mail 1.0.1 1")], &[]);
    check(&[(&settled, "dead/mail 1.0.1 0")], &[UnflaggedDuplicate]);
    check(&[(&settled, "mail 1.0.1 1")], &[]);
    check(&[(&settled, "")], &[]);
    let gone = format!("{settled}; acked 1.0.1 dead/mail; publish 1.0.2 mail; confirmed 1.0.2");
    check(&[(&gone, "mail 1.0.1 1; mail 1.0.2 0")], &[ResurrectedAck]);
    check(&[(&gone, "dead/mail 1.0.1 1; mail 1.0.2 0")], &[ResurrectedAck]);
    check(&[(&gone, "mail 1.0.2 0")], &[]);
}

#[test]
fn what_gives_way_becomes_a_letter_unasked() {
    let recent = "publish 1.0.1 recent; confirmed 1.0.1";
    check(&[(recent, "dead/recent 1.0.1 0")], &[]);
    check(&[(recent, "")], &[Lost]);
    check(&[(recent, "recent 1.0.1 0; dead/recent 1.0.1 0")], &[MisplacedLetter]);
}

#[test]
fn what_is_rejected_with_nowhere_to_go_is_gone() {
    let there = "publish 1.0.1 audit; confirmed 1.0.1; got 4 1.0.1 audit 0";
    let rejected = format!("{there}; reject 1.0.1 audit; rejected 1.0.1 audit");
    check(&[(&rejected, "")], &[]);
    let later = format!("{rejected}; publish 1.0.2 audit; confirmed 1.0.2");
    check(&[(&later, "audit 1.0.1 1; audit 1.0.2 0")], &[ResurrectedAck]);
}

#[test]
fn what_is_not_as_it_was_is_found() {
    check(&[("wrong message 1.0.1 has another sum", "")], &[WrongPayload]);
    check(&[("", "wrong message 1.0.1 has another sum")], &[WrongPayload]);
    check(&[("failed the store failed", "")], &[Fault::Failure]);
}

#[test]
fn differences_of_looks_are_told() {
    let look = |text: &str| format!("{text}end\n").parse::<Look>().expect("a look");
    let (plain, flagged) = (look("mail 1.0.1 0\n"), look("mail 1.0.1 1\n"));
    assert_eq!(plain.difference(&plain), None);
    assert_eq!(plain.difference(&flagged), None);
    let text = "first mail 1.0.1 1, then mail 1.0.1 0";
    assert_eq!(flagged.difference(&plain).as_deref(), Some(text));
    assert!(plain.difference(&look("")).is_some());
    assert!(look("").difference(&plain).is_some());
    assert!(look("").difference(&look("missing mail\n")).is_some());
    assert!("mail 1.0.1 0\n".parse::<Look>().is_err());
}
