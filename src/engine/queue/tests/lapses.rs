//! What time does to a queue that was not looked at for a while, or that does a part of it only.

use super::*;

const FOREVER: usize = usize::MAX;

/// A queue with arguments.
fn desk<const N: usize>(arguments: [(&str, crate::Value); N]) -> Desk {
    let arguments = Table::from(arguments);
    let durable = arguments.get("x-queue-type").is_some();
    Desk::declared(QueueDeclaration { durable, arguments, ..Default::default() })
}

impl Desk {
    /// As the shell tells the time before anything else happens.
    fn tell_time(&mut self, ms: u64, most: usize) {
        let _taken_off = self.queue.tell_time(after_ms(ms), most, &mut self.effects);
        self.queue.go_on(&mut self.effects);
    }

    /// Publishes a message that waits for so long, if it is taken.
    fn publish_for(&mut self, word: &str, ms: u64) {
        let Held::Resident(message) = held(word);
        let held = Held::Resident(message.expires_in(Duration::from_millis(ms)));
        self.queue.enqueue(held, &mut self.effects).unwrap();
    }
}

fn timeout(ms: u64) -> ConsumerTerms {
    ConsumerTerms { timeout: Some(Duration::from_millis(ms)), ..TERMS }
}

#[test]
fn what_has_expired_opens_a_quorum_queue_that_was_full() {
    let mut desk = desk([
        ("x-queue-type", "quorum".into()),
        ("x-max-length", 1.into()),
        ("x-overflow", "reject-publish".into()),
        ("x-message-ttl", 10.into()),
    ]);
    desk.publish("a b");
    assert!(desk.queue.enqueue(held("c"), &mut desk.effects).is_err(), "its bound was passed");
    desk.tell_time(10, FOREVER);
    desk.publish("d");
    desk.check_ready("d");
}

#[test]
fn what_a_timeout_returns_sets_the_next_active_consumer_going() {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    desk.queue.begin_time(START);
    desk.consume(timeout(10));
    desk.consume(TERMS);
    desk.publish("a");
    desk.check("0:a");
    desk.tell_time(10, FOREVER);
    desk.check("1:a!");
}

#[test]
fn what_returns_after_a_delay_sets_a_chosen_consumer_going() {
    let mut desk = Desk::with_argument("x-single-active-consumer", true);
    desk.queue.begin_time(START);
    desk.consume(TERMS);
    desk.consume(TERMS);
    desk.publish("a");
    desk.check("0:a");
    desk.settle("a", Settlement::RetryIn(Duration::from_millis(10)));
    desk.cancel(0);
    desk.tell_time(10, FOREVER);
    desk.check("1:a!");
}

#[test]
fn what_has_expired_is_handed_to_nobody_while_more_is_due() {
    let mut desk = Desk::new();
    desk.queue.begin_time(START);
    desk.consume(timeout(10));
    desk.publish_for("a", 5);
    desk.check("0:a");
    desk.consume(TERMS);
    desk.tell_time(10, 1);
    desk.check("");
    assert_eq!(desk.queue.ready_messages(), 1, "its end is due, and was not its turn");
    desk.tell_time(10, 1);
    desk.check("");
    assert_eq!(desk.queue.counts().expired, 1);
}

#[test]
fn so_many_delayed_messages_return_at_a_time() {
    let mut desk = Desk::new();
    desk.queue.begin_time(START);
    desk.publish("a b");
    desk.check_ready("a b");
    desk.settle("a b", Settlement::RetryIn(Duration::from_millis(10)));
    desk.tell_time(20, 1);
    desk.check("");
    assert_eq!((desk.queue.ready_messages(), desk.queue.delayed_messages()), (1, 1));
    assert_eq!(desk.queue.next_deadline(), Some(after_ms(10)), "the rest is due");
    desk.tell_time(20, 1);
    desk.check_ready("a! b!");
}

#[test]
fn bounds_come_before_expiry_when_time_brings_something_back() {
    let mut desk = desk([("x-max-priority", 1.into()), ("x-max-length", 1.into())]);
    desk.consume(timeout(10));
    desk.publish_for("a", 5);
    let Held::Resident(urgent) = held("b");
    let urgent = Held::Resident(urgent.with_priority(1));
    desk.queue.enqueue(urgent, &mut desk.effects).unwrap();
    desk.check("0:a 0:b");
    desk.consume(TERMS);
    desk.tell_time(10, FOREVER);
    desk.check("");
    let counts = desk.queue.counts();
    assert_eq!((counts.dropped, counts.expired), (1, 1), "the first gives way, the next expires");
}

#[test]
fn deliveries_of_a_deleted_queue_stay_counted() {
    let mut desk = Desk::with_consumers(1);
    desk.publish("a");
    desk.queue.delete(DeleteConditions::default()).unwrap();
    assert_eq!(desk.queue.counts().delivered, 1);
}
