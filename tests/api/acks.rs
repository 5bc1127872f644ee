//! Acks are told to their queue together, and nobody can see that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use leveret::{Broker, Limits, Message, Queue, Result, TryRecvError};

fn send(queue: &Queue, texts: &[&str]) -> Result<()> {
    texts.iter().try_for_each(|text| Ok(queue.send(Message::new(*text))?))
}

/// How often a task was woken.
#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn counts_and_bytes_see_each_at_once() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    for acked in 1..=200 {
        send(&queue, &["x"])?;
        consumer.try_recv()?.ack()?;
        let stats = queue.stats();
        assert_eq!((stats.ready, stats.unacked, stats.acked), (0, 0, acked));
        assert_eq!(stats.bytes, 0);
    }
    Ok(())
}

#[test]
fn the_next_message_is_let_through_before_anyone_can_get_it() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().prefetch(1).start()?;
    send(&queue, &["a", "b", "c"])?;
    consumer.try_recv()?.ack()?;
    let got = queue.get()?.expect("the last is ready");
    assert_eq!(got.text(), Some("c"), "the second is the consumer's");
    got.ack()?;
    assert_eq!(consumer.try_recv()?.text(), Some("b"));
    Ok(())
}

#[test]
fn turns_come_as_if_each_were_told_at_once() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let [one, other] = [queue.consume().prefetch(1).start()?, queue.consume().prefetch(1).start()?];
    send(&queue, &["a", "b", "c"])?;
    let (a, b) = (one.try_recv()?, other.try_recv()?);
    assert_eq!((a.text(), b.text()), (Some("a"), Some("b")));
    // The second is free first, so the turn is the second's.
    b.ack()?;
    a.ack()?;
    let c = other.try_recv()?;
    assert_eq!(c.text(), Some("c"));
    assert_eq!(one.try_recv().unwrap_err(), TryRecvError::Empty);
    Ok(())
}

#[test]
fn who_was_full_and_has_acked_does_not_miss_a_turn() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let [one, other] = [queue.consume().prefetch(1).start()?, queue.consume().start()?];
    send(&queue, &["a", "b"])?;
    one.try_recv()?.ack()?;
    // It is the first one's turn again, and there is room again.
    send(&queue, &["c"])?;
    let c = one.try_recv()?;
    assert_eq!(c.text(), Some("c"));
    let b = other.try_recv()?;
    assert_eq!(b.text(), Some("b"));
    assert_eq!(other.try_recv().unwrap_err(), TryRecvError::Empty);
    Ok(())
}

#[test]
fn room_is_back_when_the_ack_returns() -> Result<()> {
    let mut limits = Limits::default();
    limits.memory_bytes = 4_000_000;
    let broker = Broker::builder().limits(limits).open()?;
    let (queue, other) =
        (broker.declare_queue("q").declare()?, broker.declare_queue("o").declare()?);
    let consumer = queue.consume().start()?;
    for _ in 0..20 {
        send(&queue, &["x"])?;
        consumer.try_recv()?.ack()?;
    }
    assert!(broker.memory_bytes() <= 12_288, "what a queue keeps in hand, and not what is acked");
    // All but what the bound has in reserve for the steps of two queues.
    let large = vec![0; 3_900_000];
    for _ in 0..3 {
        other.send(Message::new(large.clone()))?;
        other.get()?.expect("it is there").ack()?;
    }
    Ok(())
}

#[test]
fn a_task_that_waits_is_woken_by_the_ack_of_another() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().prefetch(1).start()?;
    send(&queue, &["a", "b"])?;
    let a = consumer.try_recv()?;
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    assert!(consumer.poll_recv(&mut cx).is_pending());
    a.ack()?;
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    let Poll::Ready(b) = consumer.poll_recv(&mut cx) else { panic!("it was woken for it") };
    assert_eq!(b?.text(), Some("b"));
    Ok(())
}

#[test]
fn tasks_that_went_away_are_not_kept_without_bound() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    let mut bells = Vec::new();
    for _ in 0..3_000 {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        assert!(consumer.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        bells.push(bell);
    }
    let kept = bells.iter().filter(|bell| Arc::strong_count(bell) > 1).count();
    assert!(kept <= 1_024, "{kept} wakers are kept");
    let woken: u64 = bells.iter().map(|bell| bell.0.load(Ordering::Relaxed)).sum();
    assert_eq!(woken, 3_000 - kept as u64, "who gave way was told to ask again");
    Ok(())
}

#[test]
fn closing_waits_for_none_that_were_made() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    send(&queue, &["a", "b"])?;
    consumer.try_recv()?.ack()?;
    consumer.try_recv()?.ack()?;
    let report = broker.close(Duration::from_secs(30));
    assert_eq!((report.requeued, report.messages_lost), (0, 0));
    assert!(report.is_clean());
    Ok(())
}
