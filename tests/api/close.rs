//! Closing: its phases, its report, and what every handle says afterwards.

use std::{
    panic,
    sync::{Arc, Barrier, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use leveret::{
    Broker, CallError, CloseReport, ConnectOptions, Consume, Delivery, EndReason, Error, Event,
    Get, Message, Publish, PublishReason, QueueDeclare, RecvError, Result,
};

use crate::{last_words, watchdog::in_time};

const LONG: Duration = Duration::from_hours(1);

/// Starts to close on another thread. Returns when new declarations are refused.
fn start_closing(broker: &Broker) -> JoinHandle<CloseReport> {
    let closing = {
        let broker = broker.clone();
        thread::spawn(move || broker.close(LONG))
    };
    while broker.queue("anything").unwrap_err().is_not_found() {
        thread::yield_now();
    }
    closing
}

fn is_closed<T>(result: Result<T>) -> bool {
    result.is_err_and(|error| error.is_closed())
}

#[test]
fn while_it_drains_handlers_may_finish_and_nobody_may_start() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let exchange = broker.declare_exchange("x").fanout().declare()?;
        exchange.bind(&queue, "")?;
        let consumer = queue.consume().prefetch(2).start()?;
        let default = broker.default_exchange();
        let publisher = exchange.publisher().open()?;
        for text in ["1", "2", "3"] {
            queue.send(Message::new(text))?;
        }
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        let in_hand = consumer.recv()?;
        let closing = start_closing(&broker);

        // Consumers have ended, and what was not received is back.
        while queue.stats().ready < 2 {
            thread::yield_now();
        }
        assert_eq!(consumer.recv().unwrap_err(), RecvError(EndReason::BrokerClosed));
        // New ones and declarations are refused.
        assert!(is_closed(queue.consume().start()));
        assert!(is_closed(queue.workers(1, |_| ())));
        assert!(is_closed(queue.get()));
        assert!(is_closed(broker.declare_queue("new").declare()));
        assert!(is_closed(broker.declare_exchange("new").declare()));
        assert!(is_closed(broker.temporary_queue()));
        assert!(is_closed(exchange.subscribe("")));
        assert!(is_closed(exchange.bind(&queue, "other")));
        assert!(is_closed(broker.create_vhost("new")));
        assert!(is_closed(broker.connect(ConnectOptions::default())));
        assert!(is_closed(connection.open_channel()));
        let consume = Consume { queue: "q", ..Consume::default() };
        assert!(is_closed(channel.basic_consume(consume)));
        assert!(is_closed(channel.basic_get(Get { queue: "q", ..Get::default() })));
        let declare = QueueDeclare { queue: "new", ..QueueDeclare::default() };
        assert!(is_closed(channel.queue_declare(declare)));
        // Publishing goes on, so that handlers can finish.
        queue.send(Message::new("4"))?;
        assert_eq!(exchange.publish("", Message::new("5"))?.queues, 1);
        assert!(publisher.publish("", Message::new("6")).is_ok());
        let of = Publish { routing_key: "q", ..Publish::default() };
        assert!(channel.basic_publish(of, Message::new("7")).is_ok());
        let mut transaction = broker.transaction();
        transaction.publish(&default, "q", Message::new("8"))?;
        transaction.commit()?;
        assert!(matches!(default.call("q", Message::new("9"), LONG), Err(CallError::NoResponder)));
        assert!(!closing.is_finished(), "it waits for what is in hand");
        in_hand.ack()?;
        let report = closing.join().expect("it does not panic");
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.messages_lost, 7);
        assert!(queue.stats().is_conserved());
        Ok(())
    })
}

#[test]
fn what_is_in_hand_at_the_deadline_is_taken_back_and_reported() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = crossbeam_channel::bounded::<()>(0);
        let workers = queue.consume().prefetch(1).workers(1, move |_| {
            started.send(()).expect("somebody waits");
            let _ = may_go.recv();
        })?;
        for text in ["1", "2", "3"] {
            queue.send(Message::new(text))?;
        }
        has_started.recv().expect("it runs");
        let held = [queue.get()?.expect("2"), queue.get()?.expect("3")];
        let closed = broker.close(Duration::from_millis(1));
        assert!(!closed.is_clean());
        assert_eq!((closed.requeued, closed.workers_running), (3, 1));
        assert_eq!((closed.unconfirmed, closed.messages_lost), (0, 3));
        let [ack, drop_it] = held;
        assert!(is_closed(ack.ack()));
        drop(drop_it);
        go.send(()).expect("it waits for this");
        let report = workers.join();
        assert_eq!((report.acked, report.running), (0, 0));
        assert_eq!(broker.close(LONG), closed, "the second call reports the same");
        Ok(())
    })
}

#[test]
fn every_handle_says_closed_afterwards() -> Result<()> {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let exchange = broker.declare_exchange("x").declare()?;
    let binding = exchange.bind(&queue, "k")?;
    let publisher = exchange.publisher().open()?;
    let mut transaction = broker.transaction();
    transaction.publish(&exchange, "k", Message::new("x"))?;
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    queue.send(Message::new("x").with_reply_to("q"))?;
    queue.send(Message::new("x"))?;
    let (one, two) = (queue.get()?.expect("it is there"), queue.get()?.expect("it is there"));
    broker.close(Duration::ZERO);

    let reason = |result: Result<_, leveret::PublishError>| {
        let error = result.expect_err("it is closed");
        matches!(error.reason(), PublishReason::Closed)
    };
    assert!(reason(one.reply(Message::new("r"))));
    assert!(is_closed(one.ack_through()));
    assert!(is_closed(Delivery::ack_all([two])));
    assert!(reason(queue.send(Message::new("x"))));
    assert!(reason(exchange.publish("k", Message::new("x")).map(drop)));
    assert!(reason(exchange.publish_mandatory("k", Message::new("x")).map(drop)));
    assert!(reason(publisher.publish("k", Message::new("x")).map(drop)));
    let mut batch = vec![Message::new("x")];
    assert!(matches!(exchange.publish_batch("k", &mut batch), Err(PublishReason::Closed)));
    assert_eq!(batch.len(), 1);
    assert!(transaction.commit().unwrap_err().error().is_closed());
    for result in [queue.purge(), queue.delete(), queue.delete_if_empty()] {
        assert!(is_closed(result));
    }
    assert!(is_closed(exchange.delete()) && is_closed(binding.unbind()));
    assert!(is_closed(exchange.publisher().open()));
    assert!(is_closed(broker.queue("q")) && is_closed(broker.exchange("x")));
    assert!(is_closed(broker.vhost("/")) && is_closed(broker.delete_vhost("v")));
    assert!(is_closed(channel.basic_cancel("c")));
    assert!(connection.error().is_some_and(|error| error.is_closed()));
    assert!(matches!(channel.try_event(), Some(Event::Closed(_))));
    let stats = queue.stats();
    assert!(stats.is_conserved(), "{stats:?}");
    assert_eq!((stats.deleted, stats.ready, stats.unacked), (2, 0, 0));
    Ok(())
}

#[test]
fn several_threads_may_close_and_all_of_them_report() -> Result<()> {
    in_time(|| {
        for _ in 0..50 {
            let broker = Broker::new();
            let queue = broker.declare_queue("q").declare()?;
            queue.send(Message::new("x"))?;
            let barrier = Arc::new(Barrier::new(4));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (broker, barrier) = (broker.clone(), Arc::clone(&barrier));
                    thread::spawn(move || {
                        barrier.wait();
                        broker.close(LONG)
                    })
                })
                .collect();
            for thread in threads {
                let report = thread.join().expect("it does not panic");
                assert!(report.is_clean() && report.messages_lost == 1, "{report:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_second_close_waits_for_the_first() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        for text in ["1", "2", "3"] {
            queue.send(Message::new(text))?;
        }
        let in_hand = queue.get()?.expect("it is there");
        let first = start_closing(&broker);
        // Its own time is over before the delivery is settled.
        let early = broker.close(Duration::from_millis(1));
        assert!(!early.is_clean());
        assert_eq!((early.requeued, early.messages_lost), (1, 0));
        let second = {
            let broker = broker.clone();
            thread::spawn(move || broker.close(LONG))
        };
        in_hand.ack()?;
        for closing in [first, second] {
            let report = closing.join().expect("it does not panic");
            assert!(report.is_clean(), "{report:?}");
            assert_eq!(report.messages_lost, 2);
        }
        Ok(())
    })
}

/// The first close waits for a handler, and the handler for the first close: for as long as the
/// first was told.
#[test]
fn a_handler_may_close_once_more() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let (started, has_started) = mpsc::channel();
        let (closed, is_closed) = mpsc::channel();
        let own = broker.clone();
        let workers = queue.workers(1, move |_| {
            started.send(()).expect("somebody waits");
            while own.queue("anything").unwrap_err().is_not_found() {
                thread::yield_now();
            }
            closed.send(own.close(Duration::MAX)).expect("somebody waits");
        })?;
        queue.send(Message::new("x"))?;
        has_started.recv().expect("it runs");
        let report = broker.close(Duration::from_millis(1));
        assert_eq!((report.requeued, report.workers_running), (1, 1));
        assert_eq!(is_closed.recv().expect("it does not hang"), report);
        assert_eq!(workers.join().running, 0);
        Ok(())
    })
}

/// Closing drops messages, and their destructors may close: on the thread that closes already.
#[test]
fn a_destructor_may_close_once_more() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let (closed, is_closed) = mpsc::channel();
        let own = broker.clone();
        let (message, _) = last_words::message("x", move || {
            let _ = closed.send(own.close(Duration::MAX));
        });
        queue.send(message)?;
        let report = broker.close(LONG);
        assert!(report.is_clean() && report.messages_lost == 1, "{report:?}");
        let inside = is_closed.recv().expect("it does not hang");
        assert!(!inside.is_clean(), "who is inside of it can not know the end");
        Ok(())
    })
}

/// As above, on the thread that the close waits for in the end.
#[test]
fn a_destructor_on_the_timer_thread_may_close_once_more() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let (started, has_started) = mpsc::channel();
        let (closed, is_closed) = mpsc::channel();
        let kept = Mutex::new(Some((broker.clone(), started)));
        let (message, _) = last_words::message("x", move || {
            let (own, started) = kept.lock().expect("nobody panics").take().expect("it is once");
            started.send(()).expect("somebody waits");
            while own.queue("anything").unwrap_err().is_not_found() {
                thread::yield_now();
            }
            let _ = closed.send(own.close(Duration::MAX));
        });
        let queue = loop {
            let after = Duration::from_millis(1);
            let queue = broker.declare_queue("q").expires_after(after).declare()?;
            // It keeps the queue until the message is there.
            if let Ok(consumer) = queue.consume().start() {
                queue.send(message)?;
                drop(consumer);
                break queue;
            }
        };
        has_started.recv().expect("it expires");
        let report = broker.close(LONG);
        assert_eq!(is_closed.recv().expect("it does not hang"), report);
        assert_eq!(queue.stats().deleted, 1);
        Ok(())
    })
}

#[test]
fn a_destructor_that_panics_stops_no_close() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queues = ["1", "2", "3"].map(|name| broker.declare_queue(name).declare());
        for queue in &queues {
            let give_up = || panic::resume_unwind(Box::new("the body gives up"));
            let queue = queue.as_ref().expect("it was declared");
            queue.send(last_words::message("x", give_up).0)?;
        }
        let report = broker.close(LONG);
        assert!(report.is_clean() && report.messages_lost == 3, "{report:?}");
        for queue in queues {
            assert_eq!(queue?.stats().deleted, 1);
        }
        Ok(())
    })
}

#[test]
fn dropping_the_last_handle_ends_everything() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let consumer = queue.consume().start()?;
        queue.send(Message::new("x"))?;
        let in_hand = consumer.recv()?;
        let waiting = {
            let consumer = consumer.clone();
            thread::spawn(move || consumer.recv().unwrap_err())
        };
        let publisher = broker.default_exchange().publisher().open()?;
        let transaction = broker.transaction();
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        drop(broker);
        drop(queue);
        drop(publisher);
        drop(transaction);
        drop(connection);
        assert_eq!(consumer.end(), None, "a channel keeps it open");
        drop(channel);
        assert_eq!(consumer.end(), Some(EndReason::BrokerClosed));
        let reason = waiting.join().expect("it does not panic");
        assert_eq!(reason, RecvError(EndReason::BrokerClosed));
        assert!(is_closed(in_hand.ack()));
        Ok(())
    })
}

/// A thread that ends drops the handles it keeps to itself, and that may be the last of them.
#[test]
fn handles_may_die_with_their_thread() -> Result<()> {
    thread_local! {
        static KEPT: std::cell::RefCell<Vec<Box<dyn std::any::Any>>> =
            const { std::cell::RefCell::new(Vec::new()) };
    }
    in_time(|| {
        let (heard, ended) = mpsc::channel();
        let thread = thread::spawn(move || -> Result<()> {
            // Made first, so that it outlives what the broker keeps for this thread.
            KEPT.with_borrow(Vec::len);
            let broker = Broker::new();
            let queue = broker.declare_queue("q").declare()?;
            queue.send(Message::new("x"))?;
            let delivery = queue.get()?.expect("it is there");
            let exchange = broker.declare_exchange("x").fanout().declare()?;
            let subscription = exchange.subscribe("")?;
            heard.send(queue.consume().start()?).expect("somebody listens");
            KEPT.with_borrow_mut(|kept| {
                kept.push(Box::new(delivery));
                kept.push(Box::new(subscription));
                kept.push(Box::new((broker, queue, exchange)));
            });
            Ok(())
        });
        let consumer = ended.recv().expect("it is started");
        thread.join().expect("it ends in good order")?;
        while consumer.try_recv().is_ok() {}
        assert_eq!(consumer.end(), Some(EndReason::BrokerClosed));
        Ok(())
    })
}

/// A consumer that starts while the broker closes either ends with it or is refused; it never
/// keeps the closing waiting.
#[test]
fn a_consumer_that_starts_meanwhile_does_not_hold_it_up() -> Result<()> {
    in_time(|| {
        for round in 0..300 {
            let broker = Broker::new();
            let queue = broker.declare_queue("q").declare()?;
            queue.send(Message::new("x"))?;
            let barrier = Arc::new(Barrier::new(2));
            let starting = {
                let (queue, barrier) = (queue.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    (0..round % 17).for_each(|_| thread::yield_now());
                    queue.consume().start()
                })
            };
            barrier.wait();
            let report = broker.close(LONG);
            assert!(report.is_clean(), "{report:?}");
            match starting.join().expect("it does not panic") {
                Ok(consumer) => assert_eq!(consumer.end(), Some(EndReason::BrokerClosed)),
                Err(error) => assert!(error.is_closed() || error.is_not_found(), "{error}"),
            }
        }
        Ok::<_, Error>(())
    })
}
