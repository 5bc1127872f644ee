//! Where messages are, and how they end.

use proptest::{collection, prelude::*};

use super::*;

#[test]
fn first_in_is_first_out() {
    let mut desk = Desk::new();
    desk.publish("a b c");
    desk.check_ready("a b c");
}

#[test]
fn requeued_messages_keep_their_places_in_whatever_order_they_return() {
    let mut desk = Desk::new();
    desk.publish("a b c d e");
    desk.check_ready("a b c d e");
    desk.publish("f");
    desk.settle("d a c", Settlement::Requeue);
    desk.check_ready("a! c! d! f");
}

#[test]
fn only_what_was_seen_counts_as_an_attempt() {
    let mut desk = Desk::new();
    desk.publish("a");
    desk.check_ready("a");
    for (settlement, returns) in
        [(Settlement::ReturnUnseen, 0), (Settlement::Requeue, 1), (Settlement::ReturnUnseen, 1)]
    {
        desk.settle("a", settlement);
        let (seen, key) =
            desk.queue.get(AckMode::Manual, Custody::Queue, &mut desk.effects).unwrap();
        assert_eq!((seen.is_redelivered(), seen.returns()), (true, returns), "{settlement:?}");
        desk.keys.extend(key.map(|key| ("a".to_owned(), key)));
    }
}

#[test]
fn what_a_cancelled_consumer_holds_stays_out_until_it_is_settled() {
    let mut desk = Desk::with_consumers(1);
    desk.publish("a b");
    desk.check("0:a 0:b");
    desk.cancel(0);
    desk.check_ready("");
    assert_eq!(desk.settle("a", Settlement::Accept), 1);
    assert_eq!(desk.settle("b", Settlement::Requeue), 1);
    desk.check_ready("b!");
}

#[test]
fn accepting_through_spares_later_ones_and_those_of_others() {
    let mut desk = Desk::with_consumers(2);
    desk.publish("a b c d e");
    desk.check("0:a 1:b 0:c 1:d 0:e");
    let last = desk.keys["c"];
    assert_eq!(desk.queue.accept_through(last, &mut desk.effects), 2);
    assert_eq!(desk.queue.unacked_messages(), 3);
    assert_eq!(desk.settle("a b c d e", Settlement::Accept), 3, "b, d and e were left");
    assert_eq!(desk.queue.counts().acked, 5);
}

#[test]
fn a_key_outlived_by_its_hand_out_settles_nothing() {
    let mut desk = Desk::new();
    desk.publish("a");
    desk.check_ready("a");
    let stale = desk.keys["a"];
    desk.settle("a", Settlement::Requeue);
    desk.check_ready("a!");
    assert_eq!(desk.queue.settle(&[stale], Settlement::Accept, &mut desk.effects), 0);
    assert_eq!(desk.queue.unacked_messages(), 1, "although it got the same place");
    assert_eq!(desk.settle("a a", Settlement::Accept), 1, "and only once");
}

#[test]
fn an_id_outlived_by_its_consumer_is_nobody() {
    let mut desk = Desk::with_consumers(1);
    desk.publish("a");
    desk.check("0:a");
    desk.cancel(0);
    desk.consume(prefetch(1));
    desk.publish("b");
    desk.check("1:b");
    let former = desk.consumers[0];
    assert!(desk.queue.recipient(former).is_none());
    assert!(desk.queue.remove_consumer(former, &mut desk.effects).is_none());
    // What the former one gives back frees no room of its successor.
    desk.settle("a", Settlement::Requeue);
    desk.check("");
}

#[test]
fn a_publish_is_staged_before_its_own_settlement() {
    let mut desk = Desk::stored();
    desk.consume(ConsumerTerms { mode: AckMode::Auto, ..TERMS });
    desk.publish("a");
    desk.cancel(0);
    desk.publish("b c");
    desk.check_ready("b c");
    desk.settle("c", Settlement::Reject);
    desk.settle("b", Settlement::Requeue);
    desk.queue.purge(u64::MAX, &mut desk.effects);
    assert_eq!(story(&desk), ["+0", "-0", "+1", "+2", "-2", "~1 after 1", "-1"]);
}

#[test]
fn an_ack_that_a_store_was_told_of_is_not_staged() {
    let mut desk = Desk::stored();
    desk.publish("a b c");
    desk.check_ready("a b c");
    let keys = ["a", "c"].map(|word| desk.keys[word]);
    desk.queue.accept_told(&keys, &mut desk.effects);
    assert_eq!((desk.queue.unacked_messages(), desk.queue.counts().acked), (1, 2));
    desk.settle("b", Settlement::Accept);
    assert_eq!(story(&desk), ["+0", "+1", "+2", "-1"]);
}

#[test]
fn of_what_is_not_persistent_a_store_is_told_nothing() {
    let mut desk = Desk::stored();
    let Held::Resident(message) = held("a");
    let transient = Held::Resident(message.with_delivery_mode(1));
    desk.queue.enqueue(transient, &mut desk.effects).unwrap();
    desk.check_ready("a");
    desk.settle("a", Settlement::Requeue);
    desk.queue.purge(u64::MAX, &mut desk.effects);
    assert_eq!(story(&desk), [""; 0]);
}

#[test]
fn without_a_store_nothing_is_staged() {
    let mut desk = Desk::new();
    desk.publish("a b");
    desk.queue.purge(u64::MAX, &mut desk.effects);
    assert_eq!(story(&desk), [""; 0]);
}

#[test]
fn bytes_are_those_of_what_is_held() {
    let mut desk = Desk::new();
    let [small, large] = ["a", "bbbbbbbb"].map(|word| u64::from(held(word).bytes()));
    assert_eq!(large - small, 7);
    desk.publish("a bbbbbbbb");
    assert_eq!(desk.queue.bytes(), small + large);
    desk.check_ready("a bbbbbbbb");
    assert_eq!(desk.queue.bytes(), small + large, "unacked ones count");
    desk.settle("a", Settlement::Accept);
    assert_eq!(desk.queue.bytes(), large);
    desk.settle("bbbbbbbb", Settlement::Requeue);
    assert_eq!(desk.queue.bytes(), large);
    desk.queue.purge(u64::MAX, &mut desk.effects);
    assert_eq!(desk.queue.bytes(), 0);
}

#[test]
fn a_body_is_dropped_by_the_caller_and_never_by_the_queue() {
    let mut desk = Desk::new();
    let Held::Resident(message) = held("a");
    let enqueue = |desk: &mut Desk| {
        desk.queue.enqueue(Held::Resident(message.clone()), &mut desk.effects).unwrap();
    };
    let keys: Vec<_> = [Settlement::Accept, Settlement::Reject, Settlement::Drop]
        .into_iter()
        .map(|settlement| {
            enqueue(&mut desk);
            let (_, key) =
                desk.queue.get(AckMode::Manual, Custody::Queue, &mut desk.effects).unwrap();
            (key.unwrap(), settlement)
        })
        .collect();
    for (key, settlement) in keys {
        desk.queue.settle(&[key], settlement, &mut desk.effects);
    }
    enqueue(&mut desk);
    desk.queue.purge(u64::MAX, &mut desk.effects);
    enqueue(&mut desk);
    desk.queue.get(AckMode::Auto, Custody::Queue, &mut desk.effects).unwrap();
    assert_eq!(desk.effects.freed.len(), 4, "what was got is with whoever got it");
    assert_eq!(message.holders(), 5, "each is still there");
    enqueue(&mut desk);
    let remains = desk.queue.delete(DeleteConditions::default()).unwrap();
    assert_eq!(message.holders(), 6, "also what went with the queue");
    drop(remains);
    assert_eq!(message.holders(), 5);
}

#[test]
fn what_a_holder_has_goes_back_with_the_holder() {
    let mut desk = Desk::new();
    desk.consume(ConsumerTerms { custody: Custody::Holder, ..TERMS });
    desk.publish("a b");
    let hand_overs = desk.received.take();
    let mut handed = hand_overs.into_iter().map(|of| (of.key.unwrap(), of.message.held));
    let (a, b) = (handed.next().unwrap(), handed.next().unwrap());
    desk.cancel(0);
    let Held::Resident(message) = &a.1;
    assert_eq!(message.holders(), 1, "the queue does not have it");
    let again = a.clone();
    desk.queue.give_back([a, b], Settlement::Requeue, &mut desk.effects);
    desk.queue.give_back([again], Settlement::Requeue, &mut desk.effects);
    assert_eq!(desk.effects.freed.len(), 1, "what comes back twice is dropped by the caller");
    desk.check_ready("a! b!");
}

#[test]
fn an_enqueue_depends_on_settlements_if_somebody_is_full_and_nothing_waits() {
    let mut desk = Desk::new();
    desk.consume(prefetch(2));
    desk.publish("a");
    assert!(!desk.queue.depends_on_settlements(), "there is credit left");
    desk.publish("b");
    assert!(desk.queue.depends_on_settlements());
    desk.publish("c");
    assert!(!desk.queue.depends_on_settlements(), "the next one waits behind this one");
    desk.check("0:a 0:b");
    desk.settle("a b", Settlement::Accept);
    desk.check("0:c");
    assert!(!desk.queue.depends_on_settlements());
}

#[test]
fn each_end_is_counted_as_itself() {
    let mut desk = Desk::new();
    desk.publish("a b c d e f g h i j k");
    desk.check_ready("a b c d e f g h i j k");
    desk.settle("a", Settlement::Accept);
    desk.settle("b c", Settlement::AcceptOnReceipt);
    desk.settle("d e f", Settlement::Reject);
    desk.settle("g", Settlement::Drop);
    desk.settle("h i", Settlement::Requeue);
    desk.queue.purge(u64::MAX, &mut desk.effects);
    desk.settle("j", Settlement::ReturnUnseen);
    let remains = desk.queue.delete(DeleteConditions::default()).unwrap();
    assert_eq!(remains.ready, 1);
    let counts = Counts {
        enqueued: 11,
        acked: 1,
        auto_acked: 2,
        rejected: 3,
        dropped: 1,
        purged: 2,
        deleted: 2,
        delivered: 11,
        returned: 3,
        ..Counts::default()
    };
    assert_eq!(desk.queue.counts(), counts);
    desk.queue.check_invariants();
}

#[test]
fn purging_spares_what_is_handed_out() {
    let mut desk = Desk::new();
    desk.consume(prefetch(1));
    desk.publish("a b c");
    desk.check("0:a");
    assert_eq!(desk.queue.purge(u64::MAX, &mut desk.effects), 2);
    desk.settle("a", Settlement::Requeue);
    desk.check("0:a!");
}

#[test]
fn each_condition_of_a_deletion_has_to_hold() {
    let unused = DeleteConditions { unused: true, ..Default::default() };
    let empty = DeleteConditions { empty: true, ..Default::default() };
    let both = DeleteConditions { empty: true, ..unused };
    let mut desk = Desk::new();
    desk.publish("a");
    assert_eq!(desk.queue.delete(empty).unwrap_err(), DeleteRefused::NotEmpty);
    assert_eq!(desk.queue.delete(both).unwrap_err(), DeleteRefused::NotEmpty);
    desk.consume(TERMS);
    assert_eq!(desk.queue.delete(unused).unwrap_err(), DeleteRefused::InUse);
    assert_eq!(desk.queue.delete(both).unwrap_err(), DeleteRefused::InUse);
    assert!(!desk.queue.is_deleted());
    assert!(desk.queue.delete(empty).is_ok(), "what is handed out is not ready");
}

#[test]
fn a_deleted_queue_takes_and_gives_nothing() {
    let mut desk = Desk::with_consumers(2);
    desk.publish("a");
    desk.check("0:a");
    let remains = desk.queue.delete(DeleteConditions::default()).unwrap();
    assert_eq!(remains.consumers.len(), 2);
    let refused = desk.queue.enqueue(held("b"), &mut desk.effects).unwrap_err();
    let Refused::Deleted(refused) = refused else { panic!("it is deleted: {refused:?}") };
    assert_eq!(word(&refused), "b");
    assert_eq!(desk.settle("a", Settlement::Requeue), 0);
    desk.check_ready("");
    desk.check("");
}

#[test]
fn an_auto_delete_queue_is_abandoned_by_its_last_consumer() {
    let mut desk = Desk::declared(QueueDeclaration { auto_delete: true, ..Default::default() });
    desk.consume(TERMS);
    desk.consume(TERMS);
    desk.cancel(0);
    assert_eq!(desk.effects.outward, []);
    desk.cancel(1);
    assert_eq!(desk.effects.outward, [Outward::Abandoned]);
    let mut lasting = Desk::with_consumers(1);
    lasting.cancel(0);
    assert_eq!(lasting.effects.outward, []);
}

#[test]
fn a_queue_that_is_used_does_not_expire() {
    let desk = Desk::with_argument("x-expires", 100);
    let hand = desk.hand(Purse::default());
    let Desk { mut queue, mut effects, .. } = desk;
    let mut effects_of_time = Effects::default();
    let mut at = |queue: &mut QueueCore<Hand>, ms| {
        assert!(queue.tell_time(after_ms(ms), usize::MAX, &mut effects_of_time).is_empty());
    };
    assert_eq!(queue.next_deadline(), Some(after_ms(100)));
    queue.enqueue(held("a"), &mut effects).unwrap();
    assert_eq!(queue.next_deadline(), Some(after_ms(100)), "publishing is no use");
    at(&mut queue, 10);
    queue.get(AckMode::Auto, Custody::Queue, &mut effects).unwrap();
    assert_eq!(queue.next_deadline(), Some(after_ms(110)));
    at(&mut queue, 20);
    assert!(queue.get(AckMode::Auto, Custody::Queue, &mut effects).is_none());
    assert_eq!(queue.next_deadline(), Some(after_ms(120)), "getting nothing is use");
    at(&mut queue, 30);
    let consumer = queue.consume(TERMS, hand).unwrap();
    assert_eq!(queue.next_deadline(), None, "a consumer is use for as long as it is there");
    assert!(!queue.is_expired(after_ms(9_999)));
    at(&mut queue, 400);
    queue.remove_consumer(consumer, &mut effects).unwrap();
    assert_eq!(queue.next_deadline(), Some(after_ms(500)));
    for ms in [450, 440] {
        at(&mut queue, ms);
        queue.touch();
    }
    assert_eq!(queue.next_deadline(), Some(after_ms(550)), "time never goes back");
    assert!(!queue.is_expired(after_ms(549)) && queue.is_expired(after_ms(550)));
    let expired = |ms| DeleteConditions { expired_by: Some(after_ms(ms)), ..Default::default() };
    assert_eq!(queue.delete(expired(549)).unwrap_err(), DeleteRefused::InUse);
    assert!(queue.delete(expired(550)).is_ok());
    assert_eq!(queue.next_deadline(), None);
}

proptest! {
    /// Whatever was taken and given back: the rest leaves in the order it came in.
    #[test]
    fn what_is_ready_is_sorted_by_arrival(
        rounds in collection::vec((0_usize..6, 0_usize..6, any::<u64>()), 0..30),
    ) {
        let mut desk = Desk::new();
        let (mut published, mut taken) = (0_u32, Vec::new());
        for (publishes, gets, order) in rounds {
            for _ in 0..publishes {
                desk.publish(&format!("{published:09}"));
                published += 1;
            }
            for _ in 0..gets {
                let got = desk.queue.get(AckMode::Manual, Custody::Queue, &mut desk.effects);
                taken.extend(got.map(|(_, key)| key.unwrap()));
            }
            for bit in 0..taken.len().min(8) {
                if order >> bit & 1 > 0 {
                    let at = usize::try_from(order >> 8).unwrap() % taken.len();
                    let key = taken.swap_remove(at);
                    desk.queue.settle(&[key], Settlement::Requeue, &mut desk.effects);
                }
            }
            desk.queue.check_invariants();
        }
        let left = desk.queue.ready_messages();
        let mut words = Vec::new();
        let mut get =
            || desk.queue.get(AckMode::Auto, Custody::Queue, &mut desk.effects);
        while let Some((handed, _)) = get() {
            words.push(word(&handed.held));
        }
        prop_assert_eq!(words.len() as u64, left);
        prop_assert!(words.is_sorted_by(|a, b| a < b), "{words:?}");
    }
}

/// What a store was told: which message has come, has come back, has moved, has gone.
fn story(desk: &Desk) -> Vec<String> {
    let tell = |staged: &Staged| match staged {
        Staged::Added(kept, _) => format!("+{}", kept.seq.0),
        Staged::Amended(kept) => format!("~{} after {}", kept.seq.0, kept.returns),
        Staged::Renumbered(from, to) => format!("{}>{}", from.0, to.0),
        Staged::Settled(seq) => format!("-{}", seq.0),
    };
    desk.effects.staged.iter().map(tell).collect()
}
