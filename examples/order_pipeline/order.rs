//! What an order looks like on its way.

use leveret::{Message, Value};

/// The order of this number.
pub(crate) fn message(number: u32) -> Message {
    Message::new(format!("1 hare, order {number}"))
        .with_message_id(format!("order-{number}"))
        .with_header("n", i64::from(number))
}

/// A note about the order of this number.
pub(crate) fn note(number: u64) -> Message {
    Message::new("").persistent().with_header("n", i64::try_from(number).unwrap_or(i64::MAX))
}

/// The number that the shop gave to an order; `None` if it is none of its orders.
pub(crate) fn number(order: &Message) -> Option<u64> {
    order.header("n").and_then(Value::as_i64)?.try_into().ok()
}
