//! What time does to a queue that was not looked at for a while, or that does a part of it only.

use super::*;

#[test]
fn deliveries_of_a_deleted_queue_stay_counted() {
    let mut desk = Desk::with_consumers(1);
    desk.publish("a");
    desk.queue.delete(DeleteConditions::default()).unwrap();
    assert_eq!(desk.queue.counts().delivered, 1);
}
