//! Consumers: credit, order, sharing, how they receive, and how they end.

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use crossbeam_channel::select;
use leveret::{
    Broker, Consumer, EndReason, Error, ErrorKind, Message, Queue, RecvError, RecvTimeoutError,
    Result, TryRecvError,
};

use crate::watchdog::in_time;

const SECOND: Duration = Duration::from_secs(1);

fn send_numbers(queue: &Queue, numbers: std::ops::Range<usize>) -> Result<()> {
    numbers.into_iter().try_for_each(|n| Ok(queue.send(Message::new(n.to_string()))?))
}

fn number(text: Option<&str>) -> usize {
    text.and_then(|text| text.parse().ok()).expect("a number was sent")
}

/// Takes what is there now, acks it, and says what it was.
fn drain(consumer: &Consumer) -> Result<Vec<usize>> {
    consumer
        .try_iter()
        .map(|delivery| {
            let number = number(delivery.text());
            delivery.ack()?;
            Ok(number)
        })
        .collect()
}

#[test]
fn one_consumer_sees_the_order_of_publishing() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    send_numbers(&queue, 0..50)?;
    let consumer = queue.consume().prefetch(7).start()?;
    send_numbers(&queue, 50..100)?;
    assert_eq!(drain(&consumer)?, (0..100).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn credit_bounds_what_is_unacked() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    send_numbers(&queue, 0..10)?;
    let consumer = queue.consume().prefetch(3).start()?;
    assert_eq!((queue.stats().ready, queue.stats().unacked), (7, 3));
    let mut held: Vec<_> = consumer.try_iter().collect();
    assert_eq!(held.len(), 3);
    assert_eq!(consumer.try_recv().unwrap_err(), TryRecvError::Empty);
    held.remove(1).ack()?;
    assert_eq!((queue.stats().ready, queue.stats().unacked), (6, 3));
    let unlimited = queue.consume().unlimited().start()?;
    assert_eq!((queue.stats().ready, queue.stats().unacked), (0, 9));
    drop((unlimited, held));
    Ok(())
}

#[test]
fn zero_credit_is_refused_with_its_name() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let error = queue.consume().prefetch(0).start().unwrap_err();
    assert_eq!(error.to_string(), "'prefetch' of a consumer of queue 'q' is zero");
    assert_eq!(queue.stats().consumers, 0);
    Ok(())
}

#[test]
fn consumers_with_credit_are_served_in_turn() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumers = [queue.consume().prefetch(100).start()?, queue.consume().start()?];
    let third = queue.consume().prefetch(1).start()?;
    send_numbers(&queue, 0..9)?;
    // The third has credit for one; after that the others take turns.
    assert_eq!(drain(&third)?[..1], [2]);
    let [one, two] = consumers.each_ref().map(drain);
    let (one, two) = (one?, two?);
    assert!(one.len().abs_diff(two.len()) <= 1, "{one:?} {two:?}");
    assert_eq!([one[0], two[0], one[1], two[1]], [0, 1, 3, 4]);
    Ok(())
}

#[test]
fn a_busy_queue_does_not_starve_another() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let [busy, quiet] = [broker.declare_queue("busy"), broker.declare_queue("quiet")];
        let (busy, quiet) = (busy.declare()?, quiet.declare()?);
        // Each handler sends its message round again, so this queue is never idle.
        let round = busy.clone();
        let workers = busy.workers(2, move |delivery| {
            let _ = round.send(delivery.message().clone());
        })?;
        send_numbers(&busy, 0..4)?;
        while workers.report().acked == 0 {
            thread::yield_now();
        }
        let consumer = quiet.consume().start()?;
        for n in 0..500 {
            quiet.send(Message::new(n.to_string()))?;
            let delivery = consumer.recv()?;
            assert_eq!(number(delivery.text()), n);
            delivery.ack()?;
        }
        let _ = workers.stop(10 * SECOND);
        Ok(())
    })
}

#[test]
fn higher_priority_is_served_while_it_has_credit() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let low = queue.consume().start()?;
    let high = queue.consume().priority(5).prefetch(2).start()?;
    send_numbers(&queue, 0..4)?;
    let held: Vec<_> = high.try_iter().collect();
    assert_eq!(held.iter().map(|one| number(one.text())).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(drain(&low)?, [2, 3]);
    drop(held);
    // What it dropped goes to whoever is served first, which is itself.
    assert_eq!(drain(&high)?, [0, 1]);
    Ok(())
}

#[test]
fn an_exclusive_consumer_is_alone() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let refused = |error: Error| matches!(error.kind(), ErrorKind::AccessRefused { .. });
    let shared = queue.consume().start()?;
    assert!(refused(queue.consume().exclusive().start().unwrap_err()));
    drop(shared);
    let alone = queue.consume().exclusive().start()?;
    let error = queue.consume().start().unwrap_err();
    assert_eq!(error.to_string(), "queue 'q' in vhost '/' in exclusive use");
    assert!(refused(error));
    drop(alone);
    assert!(queue.consume().start().is_ok());
    Ok(())
}

#[test]
fn one_of_several_is_active_and_the_next_takes_over() -> Result<()> {
    let queue = Broker::new().declare_queue("q").single_active_consumer().declare()?;
    let [first, second] = [queue.consume().start()?, queue.consume().start()?];
    send_numbers(&queue, 0..4)?;
    let delivery = first.try_recv()?;
    assert_eq!(second.try_recv().unwrap_err(), TryRecvError::Empty);
    first.cancel();
    assert_eq!(drain(&second)?, [1, 2, 3]);
    delivery.requeue()?;
    assert_eq!(drain(&second)?, [0]);
    Ok(())
}

/// What was never received goes back at once; what is in a hand stays there.
#[test]
fn cancelling_returns_only_what_nobody_received() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    send_numbers(&queue, 0..5)?;
    for by_drop in [false, true] {
        let consumer = queue.consume().start()?;
        let in_hand = consumer.try_recv()?;
        assert_eq!((queue.stats().ready, queue.stats().unacked), (0, 5));
        let clone = consumer.clone();
        if by_drop {
            drop((consumer, clone));
        } else {
            consumer.cancel();
            consumer.cancel();
            assert_eq!(clone.end(), Some(EndReason::Cancelled));
            assert_eq!(clone.recv().unwrap_err(), RecvError(EndReason::Cancelled));
        }
        assert_eq!((queue.stats().ready, queue.stats().unacked), (4, 1));
        let next = queue.get()?.expect("it went back");
        assert_eq!((number(next.text()), next.attempts()), (1, 1), "nobody has received it");
        assert!(next.is_redelivered(), "it was handed out before");
        drop(next);
        drop(queue.get()?);
        in_hand.requeue()?;
        assert_eq!((queue.stats().ready, queue.stats().unacked), (5, 0));
        assert_eq!(number(queue.get()?.expect("its place is the first").text()), 0);
        queue.purge()?;
        send_numbers(&queue, 0..5)?;
    }
    assert!(queue.stats().is_conserved());
    Ok(())
}

#[test]
fn each_way_to_receive_ends_with_the_reason() -> Result<()> {
    let broker = Broker::new();
    let reasons = [EndReason::Cancelled, EndReason::QueueDeleted, EndReason::BrokerClosed];
    for reason in reasons {
        let queue = broker.declare_queue("q").declare()?;
        let consumer = queue.consume().start()?;
        assert_eq!(consumer.recv_timeout(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(consumer.recv_batch(&mut Vec::new(), 5, Duration::ZERO), Ok(0));
        match reason {
            EndReason::Cancelled => consumer.cancel(),
            EndReason::QueueDeleted => drop(queue.delete()?),
            _ => drop(broker.close(SECOND)),
        }
        assert_eq!(consumer.end(), Some(reason));
        assert_eq!(consumer.recv().unwrap_err(), RecvError(reason));
        assert_eq!(consumer.try_recv().unwrap_err(), TryRecvError::Ended(reason));
        let timed = consumer.recv_timeout(SECOND).unwrap_err();
        assert_eq!(timed, RecvTimeoutError::Ended(reason));
        assert_eq!(consumer.recv_batch(&mut Vec::new(), 5, SECOND), Err(RecvError(reason)));
        assert_eq!(consumer.iter().count() + consumer.try_iter().count(), 0);
        assert!(consumer.ready().recv().is_err(), "the token disconnects");
        assert_eq!(consumer.into_iter().count(), 0);
    }
    Ok(())
}

#[test]
fn waiting_threads_are_woken_by_deliveries_and_by_the_end() -> Result<()> {
    in_time(|| {
        let queue = Broker::new().declare_queue("q").declare()?;
        let consumer = queue.consume().start()?;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let consumer = consumer.clone();
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    for delivery in &consumer {
                        seen.push(number(delivery.text()));
                        delivery.ack().expect("the broker is open");
                    }
                    (seen, consumer.end())
                })
            })
            .collect();
        send_numbers(&queue, 0..200)?;
        while queue.stats().acked < 200 {
            thread::yield_now();
        }
        queue.delete()?;
        let mut all = Vec::new();
        for thread in threads {
            let (seen, end) = thread.join().expect("it does not panic");
            assert!(seen.is_sorted(), "each sees a part of the order");
            assert_eq!(end, Some(EndReason::QueueDeleted));
            all.extend(seen);
        }
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>(), "each message went to one of them");
        Ok(())
    })
}

/// What one thread has not taken is there for the others.
#[test]
fn a_thread_that_rests_hides_nothing_from_the_others() -> Result<()> {
    in_time(|| {
        let queue = Broker::new().declare_queue("q").declare()?;
        let consumer = queue.consume().prefetch(10).start()?;
        send_numbers(&queue, 0..10)?;
        let barrier = Arc::new(Barrier::new(2));
        let resting = {
            let (consumer, barrier) = (consumer.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let delivery = consumer.recv().expect("there are ten");
                barrier.wait();
                barrier.wait();
                number(delivery.text())
            })
        };
        barrier.wait();
        let seen: BTreeSet<_> = drain(&consumer)?.into_iter().collect();
        assert_eq!(seen, (1..10).collect());
        barrier.wait();
        assert_eq!(resting.join().expect("it does not panic"), 0);
        Ok(())
    })
}

#[test]
fn a_batch_takes_what_is_there_and_waits_for_the_first() -> Result<()> {
    in_time(|| {
        let queue = Broker::new().declare_queue("q").declare()?;
        let consumer = queue.consume().start()?;
        let mut batch = Vec::new();
        assert_eq!(consumer.recv_batch(&mut batch, 0, SECOND)?, 0);
        send_numbers(&queue, 0..5)?;
        assert_eq!(consumer.recv_batch(&mut batch, 3, Duration::ZERO)?, 3);
        assert_eq!(consumer.recv_batch(&mut batch, 30, Duration::ZERO)?, 2);
        assert_eq!(batch.iter().map(|one| number(one.text())).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let waiting = {
            let consumer = consumer.clone();
            thread::spawn(move || consumer.recv_batch(&mut Vec::new(), 5, Duration::MAX))
        };
        queue.send(Message::new("5"))?;
        assert_eq!(waiting.join().expect("it does not panic"), Ok(1));
        Ok(())
    })
}

#[test]
fn the_token_joins_a_select() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let [one, two] =
            [broker.declare_queue("1").declare()?, broker.declare_queue("2").declare()?];
        let [from_one, from_two] = [one.consume().start()?, two.consume().start()?];
        one.send(Message::new("0"))?;
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let waiting = thread::spawn(move || -> Result<_> {
            let mut seen = (Vec::new(), Vec::new());
            loop {
                select! {
                    recv(from_one.ready()) -> token => match token {
                        Ok(()) => seen.0.extend(drain(&from_one)?),
                        Err(_) => return Ok((seen, from_one.end())),
                    },
                    recv(from_two.ready()) -> token => {
                        token.expect("this queue stays");
                        seen.1.extend(drain(&from_two)?);
                        if seen.1.len() == 20 {
                            // A token may also come for what was taken meanwhile.
                            let _ = stop.try_send(());
                        }
                    },
                }
            }
        });
        send_numbers(&two, 0..20)?;
        stopped.recv().expect("all came");
        one.delete()?;
        let (seen, end) = waiting.join().expect("it does not panic")?;
        assert_eq!(seen, (vec![0], (0..20).collect()));
        assert_eq!(end, Some(EndReason::QueueDeleted));
        Ok(())
    })
}

#[test]
fn receiving_acks_where_it_was_asked_to() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().auto_ack().prefetch(2).start()?;
    send_numbers(&queue, 0..5)?;
    let delivery = consumer.try_recv()?;
    assert_eq!((queue.stats().auto_acked, queue.stats().unacked), (1, 2));
    delivery.requeue()?;
    assert_eq!(queue.stats().auto_acked, 1, "settling it does nothing any more");
    consumer.cancel();
    let stats = queue.stats();
    assert_eq!((stats.ready, stats.unacked, stats.is_conserved()), (4, 0, true));
    Ok(())
}

#[test]
fn a_dropped_delivery_is_rejected_where_it_was_asked_to() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().reject_on_drop().prefetch(2).start()?;
    send_numbers(&queue, 0..3)?;
    drop(consumer.try_recv()?);
    assert_eq!((queue.stats().rejected, queue.stats().ready), (1, 0));
    drop(consumer);
    assert_eq!((queue.stats().rejected, queue.stats().ready), (1, 2), "unreceived ones go back");
    Ok(())
}

#[test]
fn tags_are_given_or_made_up() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let [one, two] = [queue.consume().start()?, queue.consume().start()?];
    assert_ne!(one.tag(), two.tag());
    assert!(one.tag().starts_with("amq.ctag-"));
    assert_eq!(queue.consume().tag("mine").start()?.tag(), "mine");
    let error = queue.consume().argument("x-priority", "high").start().unwrap_err();
    let ErrorKind::InvalidArgument { argument, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(argument.as_str(), "x-priority");
    assert_eq!(queue.stats().consumers, 2);
    Ok(())
}

#[test]
fn whoever_takes_over_inherits_what_was_not_received() -> Result<()> {
    let queue = Broker::new().declare_queue("q").auto_delete().declare()?;
    let first = queue.consume().exclusive().start()?;
    send_numbers(&queue, 0..4)?;
    let in_hand = first.try_recv()?;
    let second = queue.consume().take_over().start()?;
    assert_eq!(first.end(), Some(EndReason::Superseded));
    assert_eq!(first.recv().unwrap_err(), RecvError(EndReason::Superseded));
    assert_eq!(number(in_hand.text()), 0);
    in_hand.ack()?;
    let mut seen = Vec::new();
    for delivery in second.try_iter() {
        assert!(delivery.is_redelivered());
        assert_eq!(delivery.attempts(), 1, "nobody has seen it");
        seen.push(number(delivery.text()));
        delivery.ack()?;
    }
    assert_eq!(seen, [1, 2, 3]);
    assert!(queue.consume().start().is_err(), "it is exclusive");
    assert!(queue.stats().is_conserved());
    Ok(())
}

#[test]
fn a_single_active_consumer_is_not_taken_over() -> Result<()> {
    let queue = Broker::new().declare_queue("q").single_active_consumer().declare()?;
    let first = queue.consume().start()?;
    assert!(queue.consume().take_over().start().is_err(), "the queue selects by itself");
    assert_eq!(first.end(), None);
    Ok(())
}

#[test]
fn an_empty_batch_says_the_end() -> Result<()> {
    let queue = Broker::new().declare_queue("q").declare()?;
    let consumer = queue.consume().start()?;
    let mut batch = Vec::new();
    assert_eq!(consumer.recv_batch(&mut batch, 0, SECOND), Ok(0));
    consumer.cancel();
    assert_eq!(consumer.recv_batch(&mut batch, 0, SECOND), Err(RecvError(EndReason::Cancelled)));
    Ok(())
}
