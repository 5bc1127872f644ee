//! Whose turn it is, and who is asked.

use proptest::{collection, prelude::*};

use super::*;

#[test]
fn the_first_consumer_without_a_bound_takes_the_whole_backlog() {
    let mut desk = Desk::new();
    desk.publish("a b c");
    desk.consume(TERMS);
    desk.consume(TERMS);
    desk.check("0:a 0:b 0:c");
    desk.publish("d e f");
    desk.check("0:d 1:e 0:f");
}

#[test]
fn consumers_of_equal_priority_take_turns() {
    let mut desk = Desk::with_consumers(3);
    desk.publish("a b c d e f g");
    desk.check("0:a 1:b 2:c 0:d 1:e 2:f 0:g");
}

#[test]
fn one_that_is_cancelled_leaves_the_turns_of_the_others_as_they_are() {
    let mut desk = Desk::with_consumers(4);
    desk.publish("a b");
    desk.cancel(2);
    desk.publish("c d e");
    desk.check("0:a 1:b 3:c 0:d 1:e");
}

#[test]
fn higher_priorities_are_served_while_they_have_credit() {
    let mut desk = Desk::new();
    desk.consume(priority(-1));
    desk.consume(TERMS);
    desk.consume(ConsumerTerms { priority: 7, ..prefetch(2) });
    desk.publish("a b c d");
    desk.check("2:a 2:b 1:c 1:d");
    desk.settle("a", Settlement::Accept);
    desk.publish("e f");
    desk.check("2:e 1:f");
    desk.cancel(2);
    desk.cancel(1);
    desk.publish("g");
    desk.check("0:g");
}

#[test]
fn a_full_consumer_gets_nothing_until_it_settles() {
    let mut desk = Desk::new();
    desk.consume(prefetch(1));
    desk.publish("a b c");
    desk.check("0:a");
    desk.settle("a", Settlement::Requeue);
    desk.check("0:a!");
    desk.settle("a", Settlement::Accept);
    desk.check("0:b");
}

#[test]
fn who_has_been_full_joins_the_round_at_its_end() {
    let mut desk = Desk::new();
    desk.consume(prefetch(1));
    desk.consume(TERMS);
    desk.consume(TERMS);
    desk.publish("a b c d");
    desk.check("0:a 1:b 2:c 1:d");
    desk.settle("a", Settlement::Accept);
    desk.publish("e f g");
    desk.check("2:e 1:f 0:g");
}

#[test]
fn what_settles_itself_is_bounded_by_no_prefetch() {
    let mut desk = Desk::new();
    desk.consume(ConsumerTerms { mode: AckMode::Auto, ..prefetch(1) });
    desk.publish("a b c");
    desk.check("0:a 0:b 0:c");
    assert_eq!((desk.queue.unacked_messages(), desk.queue.counts().auto_acked), (0, 3));
}

#[test]
fn who_was_refused_shared_credit_first_joins_again_first() {
    let mut desk = Desk::new();
    let purse = Purse::of(0);
    for _ in 0..3 {
        desk.consume_with(TERMS, purse.clone());
    }
    desk.publish("a b c d");
    desk.check("");
    purse.0.left.set(4);
    desk.queue.resume(&mut desk.effects);
    desk.check("0:a 1:b 2:c 0:d");
}

#[test]
fn no_credit_is_taken_while_nothing_is_ready() {
    let mut desk = Desk::new();
    let purse = Purse::of(3);
    desk.consume_with(TERMS, purse.clone());
    desk.queue.resume(&mut desk.effects);
    desk.queue.dispatch(&mut desk.effects);
    assert_eq!(purse.asked(), 0);
    desk.publish("a");
    assert_eq!(purse.0.left.get(), 2);
}

#[test]
fn an_exclusive_consumer_is_alone() {
    let mut desk = Desk::new();
    desk.consume(EXCLUSIVE);
    assert!(desk.refuses(TERMS) && desk.refuses(EXCLUSIVE));
    desk.publish("a");
    desk.check("0:a");
    desk.cancel(0);
    desk.consume(TERMS);
    assert!(desk.refuses(EXCLUSIVE), "others are there");
    assert!(!desk.refuses(TERMS));
}

#[test]
fn a_single_active_consumer_is_followed_by_the_highest_priority_and_then_the_oldest() {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    assert!(desk.refuses(EXCLUSIVE), "exclusive and single active exclude each other");
    for terms in [TERMS, priority(1), priority(2), priority(2)] {
        desk.consume(terms);
    }
    desk.publish("a b");
    desk.check("0:a 0:b");
    for (leaver, next, word) in [(0, 2, "c"), (2, 3, "d"), (3, 1, "e")] {
        desk.cancel(leaver);
        desk.publish(word);
        desk.check(&format!("{next}:{word}"));
    }
}

#[test]
fn what_the_former_active_consumer_holds_reaches_the_next_when_it_returns() {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    desk.consume(TERMS);
    desk.consume(TERMS);
    desk.publish("a");
    desk.check("0:a");
    desk.cancel(0);
    desk.check("");
    desk.settle("a", Settlement::Requeue);
    desk.check("1:a!");
}

/// Cancels the active one of two consumers while messages are ready, and compares what a cause
/// leads to.
#[track_caller]
fn check_successor(cause: impl FnOnce(&mut Desk), expected: &str) {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    desk.consume(prefetch(1));
    desk.consume(TERMS);
    desk.publish("a b c");
    desk.check("0:a");
    desk.cancel(0);
    desk.queue.resume(&mut desk.effects);
    desk.check("");
    cause(&mut desk);
    desk.check(expected);
}

#[test]
fn a_successor_is_set_going_by_what_comes_or_returns() {
    check_successor(|desk| desk.publish("d"), "1:b 1:c 1:d");
    check_successor(|desk| desk.consume(TERMS), "1:b 1:c");
    check_successor(|desk| assert_eq!(desk.settle("a", Settlement::Requeue), 1), "1:a! 1:b 1:c");
    check_successor(|desk| assert_eq!(desk.settle("", Settlement::ReturnUnseen), 0), "1:b 1:c");
}

#[test]
fn a_successor_is_not_set_going_by_what_leaves() {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    for _ in 0..3 {
        desk.consume(prefetch(1));
    }
    desk.publish("a b c d");
    desk.check("0:a");
    desk.cancel(0);
    desk.cancel(1);
    desk.settle("a", Settlement::Accept);
    desk.check("");
    desk.check_ready("b c d");
    desk.publish("e");
    desk.check("2:e");
}

#[test]
fn getting_asks_no_consumer() {
    for mut desk in [Desk::new(), Desk::with_argument("x-single-active-consumer", true)] {
        let purse = Purse::of(0);
        desk.consume_with(TERMS, purse.clone());
        desk.publish("a b");
        purse.asked();
        desk.check_ready("a b");
        assert_eq!(purse.asked(), 0);
    }
}

#[test]
fn what_makes_room_is_filled_with_the_oldest_once_all_is_back() {
    let mut desk = Desk::new();
    desk.consume(prefetch(2));
    desk.publish("a b c");
    desk.check("0:a 0:b");
    desk.settle("b a", Settlement::Requeue);
    desk.check("0:a! 0:b!");
}

/// A turn costs the same with ten thousand consumers as with one, measured in requests for credit.
#[test]
fn a_turn_asks_one_consumer_however_many_there_are() {
    let mut desk = Desk::new();
    let purse = Purse::default();
    for _ in 0..10_000 {
        desk.consume_with(prefetch(1), purse.clone());
    }
    for word in ["a", "b", "c"] {
        desk.publish(word);
        assert_eq!(purse.asked(), 1, "{word}");
    }
    assert_eq!(desk.handed_over(), "0:a 1:b 2:c");
    desk.settle("b", Settlement::Requeue);
    assert_eq!(purse.asked(), 1);
    assert_eq!(desk.handed_over(), "3:b!");
}

/// Those without credit are asked once, and not again before it comes back.
#[test]
fn parked_consumers_are_not_asked_again() {
    let mut desk = Desk::new();
    let purse = Purse::of(0);
    for _ in 0..10_000 {
        desk.consume_with(TERMS, purse.clone());
    }
    desk.publish("a");
    assert_eq!(purse.asked(), 10_000);
    desk.publish("b c d");
    assert_eq!(purse.asked(), 0);
}

proptest! {
    /// However the loads of others change: of those that always have credit, none gets two more
    /// than another.
    #[test]
    fn turns_are_fair(equals in 2_usize..6, program in collection::vec(0_u8..8, 0..120)) {
        let mut desk = Desk::with_consumers(equals);
        let bounded = desk.consumers.len();
        desk.consume(prefetch(2));
        let (mut given, mut held) = (vec![0_i32; equals], Vec::new());
        for (nth, step) in program.into_iter().enumerate() {
            match step {
                0 => {
                    let keys = std::mem::take(&mut held);
                    desk.queue.settle(&keys, Settlement::Accept, &mut desk.effects);
                }
                1 => desk.queue.resume(&mut desk.effects),
                _ => desk.publish(&nth.to_string()),
            }
            for hand_over in desk.received.take() {
                let at = desk.consumers.iter().position(|id| *id == hand_over.consumer).unwrap();
                if at == bounded {
                    held.extend(hand_over.key);
                } else {
                    given[at] += 1;
                }
            }
            let (least, most) = (given.iter().min().unwrap(), given.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{given:?}");
        }
    }
}
