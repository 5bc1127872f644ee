//! Waiting as a task: any number of them, beside threads, and none of them loses anything by being
//! dropped.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
};

use leveret::{
    Broker, ConnectOptions, Consume, Consumer, Delivery, EndReason, Event, Message, Queue,
    RecvError, Result,
};

use crate::{
    task::{Alarm, block_on},
    watchdog::in_time,
};

fn consumer() -> Result<(Broker, Queue, Consumer)> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    Ok((broker, queue, consumer))
}

fn poll(consumer: &Consumer, alarm: &Arc<Alarm>) -> Poll<Result<Delivery, RecvError>> {
    consumer.poll_recv(&mut Context::from_waker(&alarm.waker()))
}

#[test]
fn a_task_is_woken_once_however_often_it_asked() -> Result<()> {
    let (_broker, queue, consumer) = consumer()?;
    let alarm = Alarm::new();
    let waker = alarm.waker();
    for _ in 0..3 {
        assert!(consumer.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    }
    queue.send(Message::new("1"))?;
    queue.send(Message::new("2"))?;
    assert_eq!(alarm.rings(), 1, "it has not asked again since the first");
    for text in ["1", "2"] {
        let Poll::Ready(Ok(delivery)) = poll(&consumer, &alarm) else { panic!("{text} is there") };
        assert_eq!(delivery.text(), Some(text));
        delivery.ack()?;
    }
    assert!(poll(&consumer, &alarm).is_pending());
    Ok(())
}

/// One call serves them both, and tells each of them.
#[test]
fn whoever_waits_at_any_consumer_of_a_queue_is_woken_by_a_batch() -> Result<()> {
    let (broker, queue, first) = consumer()?;
    let consumers = [first, queue.consume().start()?, queue.consume().start()?];
    let alarms: Vec<_> = consumers.iter().map(|_| Alarm::new()).collect();
    for (consumer, alarm) in consumers.iter().zip(&alarms) {
        assert!(poll(consumer, alarm).is_pending());
    }
    let mut batch: Vec<_> = ["1", "2", "3"].map(Message::new).into();
    broker.default_exchange().publish_batch("q", &mut batch)?;
    let rings: Vec<_> = alarms.iter().map(|alarm| alarm.rings()).collect();
    assert_eq!(rings, [1, 1, 1]);
    for (consumer, alarm) in consumers.iter().zip(&alarms) {
        let Poll::Ready(Ok(delivery)) = poll(consumer, alarm) else { panic!("it was woken") };
        delivery.ack()?;
    }
    Ok(())
}

/// The one that is gone does not swallow the wake-up of the other.
#[test]
fn a_dropped_task_takes_nothing_with_it() -> Result<()> {
    let (_broker, queue, consumer) = consumer()?;
    let (gone, stays) = (Alarm::new(), Alarm::new());
    {
        let mut future = Box::pin(poll_fn(|cx| consumer.poll_recv(cx)));
        let waker = gone.waker();
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(poll(&consumer, &stays).is_pending());
    queue.send(Message::new("x"))?;
    assert_eq!(stays.rings(), 1);
    let Poll::Ready(Ok(delivery)) = poll(&consumer, &stays) else { panic!("it was woken") };
    assert_eq!((delivery.text(), delivery.attempts()), (Some("x"), 1));

    // Dropped after it was woken, it leaves the message to whoever asks.
    delivery.ack()?;
    {
        let mut future = Box::pin(poll_fn(|cx| consumer.poll_recv(cx)));
        let waker = gone.waker();
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        queue.send(Message::new("y"))?;
    }
    assert_eq!(consumer.try_recv()?.text(), Some("y"));
    Ok(())
}

#[test]
fn of_several_tasks_one_gets_it_and_the_others_go_on_waiting() -> Result<()> {
    let (_broker, queue, consumer) = consumer()?;
    let alarms = [Alarm::new(), Alarm::new(), Alarm::new()];
    for alarm in &alarms {
        assert!(poll(&consumer, alarm).is_pending());
    }
    queue.send(Message::new("x"))?;
    assert_eq!(alarms.each_ref().map(|alarm| alarm.rings()), [1, 1, 1]);
    let got = alarms.iter().map(|alarm| poll(&consumer, alarm)).collect::<Vec<_>>();
    assert_eq!(got.iter().filter(|poll| poll.is_ready()).count(), 1);
    drop(got);
    queue.delete()?;
    assert_eq!(alarms[2].rings(), 2);
    for alarm in &alarms {
        let Poll::Ready(Err(end)) = poll(&consumer, alarm) else { panic!("it has ended") };
        assert_eq!(end, RecvError(EndReason::QueueDeleted));
    }
    Ok(())
}

#[test]
fn threads_and_tasks_share_a_consumer() -> Result<()> {
    in_time(|| {
        let (broker, queue, consumer) = consumer()?;
        let seen = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for n in 0..6 {
            let (consumer, seen) = (consumer.clone(), Arc::clone(&seen));
            threads.push(thread::spawn(move || {
                let receive = || match n % 3 {
                    0 => consumer.recv(),
                    1 => block_on(poll_fn(|cx| consumer.poll_recv(cx))),
                    _ => loop {
                        // Gives up at once and asks again, like a task in a select.
                        let mut once = Box::pin(poll_fn(|cx| consumer.poll_recv(cx)));
                        let mut cx = Context::from_waker(std::task::Waker::noop());
                        if let Poll::Ready(received) = once.as_mut().poll(&mut cx) {
                            break received;
                        }
                        thread::yield_now();
                    },
                };
                while let Ok(delivery) = receive() {
                    seen.fetch_add(1, Ordering::SeqCst);
                    delivery.ack().expect("the broker is open");
                }
            }));
        }
        for n in 0..600_u32 {
            queue.send(Message::new(n.to_string()))?;
        }
        while queue.stats().acked < 600 {
            thread::yield_now();
        }
        broker.close(std::time::Duration::from_secs(10));
        for thread in threads {
            thread.join().expect("it does not panic");
        }
        assert_eq!(seen.load(Ordering::SeqCst), 600);
        Ok(())
    })
}

#[test]
fn events_of_a_channel_are_waited_for_the_same_way() -> Result<()> {
    let (broker, queue, consumer) = consumer()?;
    drop(consumer);
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    channel.basic_consume(Consume { queue: "q", ..Consume::default() })?;
    let (of_channel, of_connection) = (Alarm::new(), Alarm::new());
    let (waker, other) = (of_channel.waker(), of_connection.waker());
    let (mut cx, mut other_cx) = (Context::from_waker(&waker), Context::from_waker(&other));
    drop(Box::pin(poll_fn(|cx| channel.poll_event(cx))).as_mut().poll(&mut cx));
    assert!(channel.poll_event(&mut cx).is_pending());
    assert!(connection.poll_event(&mut other_cx).is_pending());
    queue.send(Message::new("x"))?;
    assert_eq!((of_channel.rings(), of_connection.rings()), (1, 1));
    let Poll::Ready(Some((id, Event::Deliver(_)))) = connection.poll_event(&mut other_cx) else {
        panic!("it was woken")
    };
    assert_eq!(id, channel.id());
    assert!(channel.poll_event(&mut cx).is_pending(), "the connection has taken it");
    connection.close();
    assert_eq!(of_channel.rings(), 2);
    assert!(matches!(channel.poll_event(&mut cx), Poll::Ready(None)));
    assert!(matches!(connection.poll_event(&mut other_cx), Poll::Ready(None)));
    Ok(())
}
