//! Which threads a broker starts, and that closing it leaves none.
//!
//! One test, in a binary of its own: it counts the threads of the process.
#![cfg(target_os = "linux")]

use std::{
    cell::RefCell,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use leveret::{Broker, Message, Result};

const LONG: Duration = Duration::from_hours(1);

/// The threads that there are now.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux lists them there").count()
}

/// Waits until the operating system has cleared away the threads that were joined.
#[track_caller]
fn check_threads(expected: usize) {
    for _ in 0..100_000 {
        if threads() == expected {
            return;
        }
        thread::yield_now();
    }
    assert_eq!(threads(), expected);
}

/// Waits until the thread of this name sleeps. Where nobody else holds a lock that it wants, it
/// waits for its time to come then, or for somebody to tell it of another.
fn wait_until_asleep(name: &str) {
    let is_asleep = |task: &Path| {
        let is_it = fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let stat = || fs::read_to_string(task.join("stat")).unwrap_or_default();
        // The state stands behind the name, which is in parentheses.
        is_it && stat().rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" S"))
    };
    for _ in 0..1_000_000 {
        let mut tasks = fs::read_dir("/proc/self/task").expect("Linux lists them there");
        if tasks.any(|task| task.is_ok_and(|task| is_asleep(&task.path()))) {
            return;
        }
        thread::yield_now();
    }
    panic!("{name} does not come to rest");
}

fn use_everything(broker: &Broker) -> Result<()> {
    let exchange = broker.declare_exchange("x").fanout().declare()?;
    let queue = broker.declare_queue("q").declare()?;
    exchange.bind(&queue, "")?;
    let subscription = exchange.subscribe("")?;
    let publisher = exchange.publisher().open()?;
    drop(publisher.publish("", Message::new("x"))?);
    let consumer = queue.consume().start()?;
    consumer.recv()?.ack()?;
    let _ = consumer.recv_timeout(Duration::from_millis(1));
    drop(subscription.recv()?);
    drop(broker.default_exchange().call("q", Message::new("x"), Duration::from_millis(1)));
    broker.transaction().commit()?;
    Ok(())
}

thread_local! {
    static LEAVES: RefCell<Option<Leaving>> = const { RefCell::new(None) };
}

/// Notes that its thread has come to its end, some time after the last line of its code.
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        (0..1_000).for_each(|_| thread::yield_now());
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A body that says on which thread it died, and has the end of that thread noted.
struct Witness {
    died: mpsc::Sender<Option<String>>,
    has_left: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Witness {
    fn as_ref(&self) -> &[u8] {
        b"witness"
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let leaving = Leaving(Arc::clone(&self.has_left));
        LEAVES.with_borrow_mut(|leaves| *leaves = Some(leaving));
        let name = thread::current().name().map(str::to_owned);
        self.died.send(name).expect("somebody listens");
    }
}

#[test]
fn only_the_first_deadline_and_workers_start_threads() -> Result<()> {
    let before = threads();

    // On a manual clock, never.
    let (broker, time) = Broker::manual();
    use_everything(&broker)?;
    broker.declare_queue("idle").expires_after(LONG).declare()?;
    time.advance(LONG / 2);
    assert_eq!(threads(), before);
    time.advance(LONG);
    assert!(broker.queue("idle").is_err());
    assert_eq!(threads(), before);
    drop(broker);

    // Nor where the caller runs the timers.
    let broker = Broker::builder().caller_timers().open()?;
    broker.declare_queue("idle").expires_after(LONG).declare()?;
    broker.poll_timers();
    assert_eq!(threads(), before);
    drop(broker);

    // With the time of the host, one for all deadlines, when there is a first.
    let broker = Broker::new();
    use_everything(&broker)?;
    assert_eq!(threads(), before);
    broker.declare_queue("idle").expires_after(LONG).declare()?;
    assert_eq!(threads(), before + 1);
    broker.declare_queue("idler").expires_after(LONG).declare()?;
    assert_eq!(threads(), before + 1);

    // A deadline before the one that it waits for wakes it.
    wait_until_asleep("leveret-timers");
    let (died, has_died) = mpsc::channel();
    let has_left = Arc::new(AtomicBool::new(false));
    let body = Bytes::from_owner(Witness { died, has_left: Arc::clone(&has_left) });
    let brief =
        broker.declare_queue("brief").expires_after(Duration::from_millis(200)).declare()?;
    brief.send(Message::new(body))?;
    let on = has_died.recv_timeout(Duration::from_secs(30)).expect("the queue expires");
    assert_eq!(on.as_deref(), Some("leveret-timers"));

    // Workers are as many as were asked for.
    let workers = broker.declare_queue("tasks").declare()?.workers(3, |_| ())?;
    assert_eq!(threads(), before + 4);

    // Closing joins all of them.
    assert!(!has_left.load(Ordering::SeqCst));
    assert!(broker.close(LONG).is_clean());
    assert!(has_left.load(Ordering::SeqCst), "closing did not wait for the timers to end");
    check_threads(before);
    assert_eq!(workers.join().running, 0);

    // So does dropping the last handle, as far as the broker's own thread goes.
    let queue = Broker::new().declare_queue("idle").expires_after(LONG).declare()?;
    assert_eq!(threads(), before + 1);
    drop(queue);
    check_threads(before);
    Ok(())
}
