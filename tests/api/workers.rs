//! Worker pools: outcomes, panics, and the ways they stop.

use std::{
    cell::RefCell,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use leveret::{Broker, Delivery, ErrorKind, Message, Outcome, Queue, Result, Workers};

use crate::{last_words, watchdog::in_time};

const LONG: Duration = Duration::from_hours(1);

/// Panics without the message that the panic hook prints.
fn give_up() -> ! {
    panic::resume_unwind(Box::new("the handler gives up"))
}

fn settled(workers: &Workers) -> u64 {
    let report = workers.report();
    report.acked + report.rejected + report.requeued + report.panicked
}

fn wait_for(mut is_there: impl FnMut() -> bool) {
    while !is_there() {
        thread::yield_now();
    }
}

fn queue() -> Result<Queue> {
    Broker::new().declare_queue("q").declare()
}

#[test]
fn the_outcome_settles_and_the_report_counts() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let workers = queue.workers(3, |delivery: &Delivery| match delivery.text() {
            Some("reject") => Outcome::Reject("unwanted".into()),
            Some("panic") if delivery.attempts() < 3 => give_up(),
            Some("requeue") if delivery.attempts() < 2 => Outcome::Requeue,
            _ => Outcome::Ack,
        })?;
        for text in ["ack", "reject", "panic", "requeue", "ack"] {
            queue.send(Message::new(text))?;
        }
        wait_for(|| queue.stats().ready + queue.stats().unacked == 0);
        let report = workers.stop(LONG);
        assert_eq!((report.acked, report.rejected), (4, 1));
        assert_eq!((report.requeued, report.panicked, report.running), (1, 2, 0));
        let stats = queue.stats();
        assert_eq!((stats.acked, stats.rejected, stats.consumers), (4, 1, 0));
        assert!(stats.is_conserved());
        Ok(())
    })
}

#[test]
fn no_workers_are_refused() -> Result<()> {
    let queue = queue()?;
    let error = queue.workers(0, |_| ()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
    let error = queue.consume().workers(0, |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "'workers' of a consumer of queue 'q' is zero");
    assert_eq!(queue.stats().consumers, 0);
    Ok(())
}

/// A panic costs the delivery an attempt and nobody else anything.
#[test]
fn a_panicking_handler_harms_no_other_consumer() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let worker = queue.consume().prefetch(1).workers(1, |_| -> () { give_up() })?;
        queue.send(Message::new("poison"))?;
        wait_for(|| worker.report().panicked >= 5);
        // This one has the same chance at it, and the queue works as ever.
        let consumer = queue.consume().start()?;
        let delivery = consumer.recv()?;
        assert!(delivery.attempts() >= 6 && delivery.is_redelivered());
        delivery.ack()?;
        queue.send(Message::new("again"))?;
        assert!(worker.stop(LONG).panicked >= 5);
        consumer.recv()?.ack()?;
        assert!(queue.stats().is_conserved());
        Ok(())
    })
}

/// What panics with it panics again where it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        give_up()
    }
}

/// Has one worker meet a message that makes somebody's code panic, and then one that does not.
/// Says what it counted.
fn report_after_a_panic(
    queue: &Queue,
    worker: &Workers,
    fatal: Message,
) -> Result<leveret::WorkersReport> {
    queue.send(fatal)?;
    wait_for(|| worker.report().panicked == 1);
    queue.send(Message::new("next"))?;
    wait_for(|| worker.report().acked == 1);
    let report = worker.report();
    assert!(queue.stats().is_conserved());
    Ok(report)
}

/// The worker is the last to hold the message, so it dies on the worker's thread.
#[test]
fn a_worker_survives_the_destructor_of_a_message() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let worker = queue.workers(1, |_| ())?;
        let (fatal, _) = last_words::message("fatal", || give_up());
        let report = report_after_a_panic(&queue, &worker, fatal)?;
        assert_eq!((report.panicked, report.acked, report.rejected), (1, 1, 0));
        assert_eq!(queue.stats().acked, 2, "the ack came before the destructor");
        queue.delete()?;
        assert_eq!(worker.join().running, 0);
        Ok(())
    })
}

#[test]
fn a_worker_survives_the_destructor_of_a_message_without_a_queue() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let own = queue.clone();
        let worker = queue.workers(1, move |_| own.delete().map(drop))?;
        let (fatal, _) = last_words::message("fatal", || give_up());
        queue.send(fatal)?;
        let report = worker.join();
        assert_eq!((report.panicked, report.acked, report.running), (1, 0, 0));
        Ok(())
    })
}

#[test]
fn a_worker_survives_the_destructor_of_a_panic() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let worker = queue.workers(1, |delivery| {
            if delivery.text() == Some("fatal") && !delivery.is_redelivered() {
                panic::resume_unwind(Box::new(PanicsOnDrop));
            }
        })?;
        queue.send(Message::new("fatal"))?;
        wait_for(|| worker.report().acked == 1);
        queue.delete()?;
        let report = worker.join();
        assert_eq!((report.panicked, report.running), (1, 0));
        Ok(())
    })
}

#[test]
fn the_destructor_of_a_handler_may_panic() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let kept = PanicsOnDrop;
        let workers = queue.workers(2, move |_| {
            let _ = &kept;
        })?;
        queue.delete()?;
        assert_eq!(workers.join().running, 0);
        Ok(())
    })
}

#[test]
fn stopping_lets_running_handlers_finish_and_returns_the_rest() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let workers = queue.consume().prefetch(5).workers(1, move |_| {
            started.send(()).expect("somebody waits");
            may_go.lock().expect("nobody panics").recv().expect("it may go on");
        })?;
        for _ in 0..8 {
            queue.send(Message::new("x"))?;
        }
        has_started.recv().expect("it runs");
        assert_eq!((workers.report().running, queue.stats().unacked), (1, 5));
        let stopping = thread::spawn(move || workers.stop(LONG));
        wait_for(|| queue.stats().unacked == 1);
        assert_eq!(queue.stats().ready, 7, "what was not received is back before it is done");
        go.send(()).expect("it waits for this");
        let report = stopping.join().expect("it does not panic");
        assert_eq!((report.acked, report.running), (1, 0));
        assert_eq!((queue.stats().acked, queue.stats().ready), (1, 7));
        Ok(())
    })
}

#[test]
fn stopping_waits_no_longer_than_it_was_told() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let workers = queue.workers(2, move |_| {
            started.send(()).expect("somebody waits");
            let _ = may_go.lock().expect("nobody panics").recv();
        })?;
        queue.send(Message::new("x"))?;
        has_started.recv().expect("it runs");
        let report = workers.stop(Duration::from_millis(5));
        assert_eq!((report.running, report.acked), (1, 0));
        assert_eq!(queue.stats().unacked, 1, "its handler has it still");
        go.send(()).expect("it waits for this");
        wait_for(|| queue.stats().acked == 1);
        Ok(())
    })
}

#[test]
fn joining_waits_for_the_end_of_the_queue() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let workers = queue.workers(4, |_| ())?;
        for _ in 0..100 {
            queue.send(Message::new("x"))?;
        }
        wait_for(|| settled(&workers) == 100);
        let joining = thread::spawn(move || workers.join());
        queue.delete()?;
        let report = joining.join().expect("it does not panic");
        assert_eq!((report.acked, report.running), (100, 0));
        Ok(())
    })
}

#[test]
fn dropping_them_stops_without_waiting() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let workers = queue.workers(2, move |_| {
            started.send(()).expect("somebody waits");
            let _ = may_go.lock().expect("nobody panics").recv();
        })?;
        queue.send(Message::new("x"))?;
        has_started.recv().expect("it runs");
        drop(workers);
        assert_eq!(queue.stats().consumers, 0);
        queue.send(Message::new("nobody takes this"))?;
        go.send(()).expect("it waits for this");
        wait_for(|| queue.stats().acked == 1);
        assert_eq!(queue.stats().ready, 1);
        Ok(())
    })
}

thread_local! {
    static LEAVES: RefCell<Option<Leaving>> = const { RefCell::new(None) };
}

/// Counts threads that have come to their end, some time after their last line of code.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        (0..500).for_each(|_| thread::yield_now());
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Starts workers that have all handled something, and will count their ends.
fn workers_that_count(queue: &Queue, n: u16, left: &Arc<AtomicUsize>) -> Result<Workers> {
    let everyone = Arc::new(std::sync::Barrier::new(usize::from(n)));
    let left = Arc::clone(left);
    let workers = queue.workers(n, move |_| {
        LEAVES.with_borrow_mut(|leaving| *leaving = Some(Leaving(Arc::clone(&left))));
        everyone.wait();
    })?;
    (0..n).try_for_each(|n| queue.send(Message::new(n.to_string())))?;
    wait_for(|| workers.report().acked == u64::from(n));
    Ok(workers)
}

#[test]
fn stopping_joins_every_thread() -> Result<()> {
    in_time(|| {
        let left = Arc::default();
        let workers = workers_that_count(&queue()?, 4, &left)?;
        let _ = workers.stop(LONG);
        assert_eq!(left.load(Ordering::SeqCst), 4);
        Ok(())
    })
}

#[test]
fn closing_the_broker_joins_every_thread() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let left = Arc::default();
        let kept = workers_that_count(&broker.declare_queue("q").declare()?, 4, &left)?;
        let dropped = workers_that_count(&broker.declare_queue("r").declare()?, 2, &left)?;
        drop(dropped);
        let report = broker.close(LONG);
        assert_eq!(left.load(Ordering::SeqCst), 6);
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(kept.join().running, 0);
        Ok(())
    })
}

/// Handlers may do to the broker whatever anybody may.
#[test]
fn a_handler_may_delete_its_own_queue() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let own = queue.clone();
        let workers = queue.workers(2, move |_| own.delete().map(drop))?;
        queue.send(Message::new("x"))?;
        let report = workers.join();
        assert_eq!(report.running, 0);
        assert_eq!((queue.stats().deleted, queue.stats().unacked), (1, 0));
        assert!(queue.stats().is_conserved());
        Ok(())
    })
}

#[test]
fn a_handler_may_close_the_broker() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let (closed, is_closed) = mpsc::channel();
        let workers = queue.workers(2, move |_| {
            closed.send(broker.close(Duration::from_millis(1))).expect("somebody waits");
        })?;
        queue.send(Message::new("x"))?;
        let report = is_closed.recv().expect("it closes");
        assert_eq!((report.requeued, report.workers_running), (1, 1), "its own delivery and self");
        let report = workers.join();
        assert_eq!((report.acked, report.running), (0, 0), "too late to ack");
        Ok(())
    })
}

#[test]
fn a_handler_may_drop_the_last_handle() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let default = queue.clone();
        let last = Mutex::new(Some(default));
        let workers = queue.workers(2, move |_| {
            drop(last.lock().expect("nobody panics").take());
        })?;
        queue.send(Message::new("x"))?;
        drop(queue);
        let report = workers.join();
        assert_eq!(report.running, 0);
        Ok(())
    })
}

#[test]
fn a_handler_may_stop_its_own_workers() -> Result<()> {
    in_time(|| {
        let queue = queue()?;
        let own: Arc<Mutex<Option<Workers>>> = Arc::default();
        let taken = Arc::clone(&own);
        let (stopped, has_stopped) = mpsc::channel();
        let workers = queue.workers(2, move |_| {
            let own = taken.lock().expect("nobody panics").take();
            if let Some(own) = own {
                stopped.send(own.stop(Duration::from_millis(1))).expect("somebody waits");
            }
        })?;
        *own.lock().expect("nobody panics") = Some(workers);
        queue.send(Message::new("x"))?;
        assert_eq!(has_stopped.recv().expect("it stops").running, 1, "itself");
        wait_for(|| queue.stats().acked == 1);
        assert_eq!(queue.stats().consumers, 0);
        Ok(())
    })
}
