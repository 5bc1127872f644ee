//! Messages in batches: published, received and acked together; beside a channel that carries
//! them one by one, and one that carries whole vectors. One thread; multiples of [`SIZE`].

use std::time::Duration;

use super::{
    stopwatch::worked,
    way::{KEY, drop_message, message, way},
};

/// Messages in a batch.
pub(crate) const SIZE: u64 = 32;

/// Nobody waits so long: what is received has been published.
const WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn leveret() -> impl FnMut(u64) -> Duration {
    let (exchange, consumer) = way();
    let (mut messages, mut deliveries) = (Vec::new(), Vec::new());
    let size = usize::try_from(SIZE).expect("a small number");
    move |count| {
        worked(|| {
            for _ in 0..count / SIZE {
                messages.extend((0..SIZE).map(|_| message()));
                exchange.publish_batch(KEY, &mut messages).expect("there is room");
                let received = consumer.recv_batch(&mut deliveries, size, WITHIN);
                assert_eq!(received, Ok(size), "a batch was published");
                let last = deliveries.pop().expect("the batch is not empty");
                last.ack_through().expect("the broker is open");
                deliveries.clear();
            }
        })
    }
}

/// A channel that is given each message by itself.
pub(crate) fn channel() -> impl FnMut(u64) -> Duration {
    super::hand_over::channel(SIZE)
}

/// A channel that carries vectors.
pub(crate) fn channel_of_vectors() -> impl FnMut(u64) -> Duration {
    let (sender, receiver) = crossbeam_channel::unbounded();
    move |count| {
        worked(|| {
            for _ in 0..count / SIZE {
                let batch: Vec<_> = (0..SIZE).map(|_| message()).collect();
                sender.send(batch).expect("the receiver is alive");
                let batch = receiver.recv().expect("one was sent");
                batch.into_iter().for_each(drop_message);
            }
        })
    }
}
