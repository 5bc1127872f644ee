//! The handle tier: getting, consuming, receiving and settling.

use std::time::Duration;

use leveret::{Consumer, Delivery, Outcome};

use super::{Features, kept::numbers, publishing::number, step::How};

/// More than this nobody holds.
const HANDS_MAX: usize = 24;

/// A delivery that is not settled.
pub(crate) struct Hand {
    pub(crate) delivery: Delivery,
}

/// A consumer, whose queue holds what it has not received.
pub(crate) struct Taker {
    pub(crate) consumer: Consumer,
}

impl Features {
    pub(crate) fn get(&mut self, slot: usize) {
        let Some((kept, queue)) = self.there(slot) else { return };
        let is_paused = queue.stats().is_paused;
        let before = numbers(&self.kept[kept].browse());
        let came = queue.stats().enqueued;
        let got = queue.get().unwrap();
        let after = numbers(&self.kept[kept].browse());
        // What is first now may have expired, and its letter may have come back here.
        let is_quiet = queue.stats().enqueued == came;
        let Some(delivery) = got else {
            assert!(is_paused || before.is_empty(), "{before:?} is there, and nothing is got");
            assert_eq!(after, before);
            return;
        };
        assert!(!is_paused, "a paused queue hands out nothing");
        let seen = number(&delivery);
        assert_eq!(Some(&seen), before.first(), "what is browsed first is got");
        assert!(!is_quiet || after == before[1..], "and the others stay: {before:?}, {after:?}");
        self.check_alive(kept, &delivery, self.time.elapsed());
        self.hold(delivery);
    }

    /// What has expired is never handed out.
    pub(crate) fn check_alive(&self, kept: usize, message: &leveret::Message, now: Duration) {
        let number = number(message);
        let published = self.published.at(number);
        if let Some(end) = self.kept[kept].end_of(message, published) {
            assert!(now < end, "{number} ended at {end:?}, and now it is {now:?}");
        }
    }

    pub(crate) fn consume_by_handle(
        &mut self,
        slot: usize,
        prefetch: u16,
        auto_ack: bool,
        timeout: u8,
    ) {
        let Some((_, queue)) = self.there(slot) else { return };
        let mut builder = queue.consume().priority(i32::from(timeout / 128));
        if prefetch > 0 {
            builder = builder.prefetch(prefetch);
        }
        if auto_ack {
            builder = builder.auto_ack();
        }
        if timeout & 0x30 == 0x30 {
            builder = builder.reject_on_drop();
        }
        if let 1..5 = timeout % 16 {
            builder = builder.consumer_timeout(Duration::from_millis(10) * u32::from(timeout % 16));
        }
        if let Ok(consumer) = builder.start() {
            self.takers.push(Taker { consumer });
        }
    }

    pub(crate) fn receive(&mut self, nth: usize) {
        let Some(taker) = pick(nth, self.takers.len()) else { return };
        if let Ok(delivery) = self.takers[taker].consumer.try_recv() {
            self.hold(delivery);
        } else if self.takers[taker].consumer.end().is_some() {
            self.takers.remove(taker);
        }
    }

    pub(crate) fn cancel(&mut self, nth: usize) {
        let Some(taker) = pick(nth, self.takers.len()) else { return };
        let Taker { consumer } = self.takers.remove(taker);
        if nth.is_multiple_of(2) {
            consumer.cancel();
        }
    }

    /// Settling may come too late, but never does anything else than it says.
    pub(crate) fn settle(&mut self, nth: usize, how: How) {
        let Some(hand) = pick(nth, self.hands.len()) else { return };
        if how == How::Extend {
            let extended = self.hands[hand].delivery.extend(Duration::from_millis(30));
            return check_in_time(extended);
        }
        let Hand { delivery } = self.hands.remove(hand);
        check_in_time(match how {
            How::Ack => delivery.ack(),
            How::Drop | How::Extend => {
                drop(delivery);
                Ok(())
            }
            How::Reject => delivery.reject(),
            How::RejectBecause => delivery.reject_because("it is broken"),
            How::Requeue => delivery.requeue(),
            How::RetryIn(delay) => delivery.retry_in(delay),
        });
    }

    pub(crate) fn hold(&mut self, delivery: Delivery) {
        self.hands.push(Hand { delivery });
        if self.hands.len() > HANDS_MAX {
            let Hand { delivery } = self.hands.remove(0);
            check_in_time(delivery.ack());
        }
    }
}

pub(crate) fn outcome(how: How) -> Outcome {
    match how {
        How::Ack | How::Drop | How::Extend => Outcome::Ack,
        How::Reject | How::RejectBecause => Outcome::Reject("in a transaction".into()),
        How::Requeue => Outcome::Requeue,
        How::RetryIn(delay) => Outcome::RetryIn(delay),
    }
}

pub(crate) fn pick(nth: usize, among: usize) -> Option<usize> {
    (among > 0).then(|| nth % among)
}

fn check_in_time(result: leveret::Result<()>) {
    if let Err(error) = result {
        let is_late = matches!(error.kind(), leveret::ErrorKind::Lapsed { .. });
        assert!(is_late, "only the time was over: {error}");
    }
}
