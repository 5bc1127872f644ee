//! A request to another thread and the reply to it, both threads blocking. The closures give the
//! time of each call. The rivals are those of [`round_trip`](super::round_trip), which carry a
//! request and a reply just so; they need no address for the reply, since they know one caller.

use std::{thread, time::Duration};

use leveret::Broker;

use super::{
    stopwatch::timed_each,
    way::{consumer, drop_message, message},
};

/// Nobody waits so long: the server runs.
const WITHIN: Duration = Duration::from_secs(10);

const QUEUE: &str = "requests";

/// `call` over direct reply-to, answered by `reply` and acked.
pub(crate) fn leveret() -> impl FnMut(u64) -> Vec<Duration> {
    let broker = Broker::new();
    let queue = broker.declare_queue(QUEUE).declare().expect("a new name");
    let exchange = broker.default_exchange();
    let server = consumer(&queue);
    move |calls| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..calls {
                    let request = server.recv().expect("the queue is there");
                    request.reply(message()).expect("somebody asked");
                    request.ack().expect("the broker is open");
                }
            });
            timed_each(calls, || {
                drop_message(exchange.call(QUEUE, message(), WITHIN).expect("it is answered"));
            })
        })
    }
}
