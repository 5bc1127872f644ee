//! The only place that names a lock.
//!
//! In debug builds each lock knows its [`Rank`], and taking one while holding another of the same
//! or a later rank panics: the order in which locks nest is checked by every test that runs. Under
//! `cfg(loom)` the same types are loom's, so that models explore the real code.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

#[cfg(not(loom))]
use parking_lot as imp;

#[cfg(loom)]
use self::modelled as imp;

/// What a thread keeps to itself. Under loom threads are not the host's, and nothing of one run of
/// a model may be left for the next.
#[cfg(loom)]
pub(crate) use loom::thread_local;
#[cfg(not(loom))]
pub(crate) use std::thread_local;

/// The atomics by which threads tell each other something: models have to see them. Counters that
/// order nothing are `std`'s everywhere.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

    #[cfg(loom)]
    pub(crate) use super::modelled::{AtomicBool, AtomicU8};
}

/// Who is who, which is loom's business in models: there one thread of the host plays them all.
pub(crate) mod thread {
    #[cfg(loom)]
    pub(crate) use loom::thread::{ThreadId, current};
    #[cfg(not(loom))]
    pub(crate) use std::thread::{ThreadId, current};
}

/// Where a lock stands in the order of locks. A thread takes them in this order only, and never
/// two of one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The broker's lists: virtual hosts, connections, workers.
    Broker,
    /// What exists in a virtual host, and who is bound to whom.
    Topology,
    /// One shard of a directory of names, or of the registry of numbers.
    Directory,
    /// The bindings of one exchange.
    Exchange,
    /// What was taken out of a queue at once and is received one by one.
    Hand,
    /// One queue.
    Queue,
    /// What a queue hands to, and what it has not been told yet: a channel, settlements.
    Outlet,
    /// What is told of the above: timers, those who wait.
    Signal,
    /// What a store knows of what it has written.
    #[allow(dead_code, reason = "without the feature `persist` and in models there are none")]
    Store,
    /// What a store has been told, and has not looked at yet; how far it has got.
    #[allow(dead_code, reason = "without the feature `persist` and in models there are none")]
    Intake,
    /// What a store keeps on disk. Its engines take no other lock while they hold it.
    #[allow(dead_code, reason = "without the feature `persist` and in models there are none")]
    Place,
}

/// A mutual exclusion lock with a rank. A panic while it is held does not poison it.
pub(crate) struct Mutex<T> {
    rank: Rank,
    inner: imp::Mutex<T>,
}

/// A reader-writer lock with a rank.
pub(crate) struct RwLock<T> {
    rank: Rank,
    inner: imp::RwLock<T>,
}

/// A condition to wait for with a [`Mutex`].
#[derive(Default)]
pub(crate) struct Condvar(imp::Condvar);

/// A held lock.
pub(crate) struct Guard<G> {
    // Dropped in this order: the lock is let go before the rank is forgotten.
    inner: G,
    _held: held::Held,
}

pub(crate) type MutexGuard<'a, T> = Guard<imp::MutexGuard<'a, T>>;

impl<T> Mutex<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: imp::Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = held::Held::take(self.rank);
        Guard { inner: self.inner.lock(), _held: held }
    }

    /// What it protects, where nobody else can reach it.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T> RwLock<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: imp::RwLock::new(value) }
    }

    pub(crate) fn read(&self) -> Guard<imp::RwLockReadGuard<'_, T>> {
        let held = held::Held::take(self.rank);
        Guard { inner: self.inner.read(), _held: held }
    }

    pub(crate) fn write(&self) -> Guard<imp::RwLockWriteGuard<'_, T>> {
        let held = held::Held::take(self.rank);
        Guard { inner: self.inner.write(), _held: held }
    }
}

impl Condvar {
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(&mut guard.inner);
    }

    /// Waits at most so long in the host's time.
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, within: Duration) {
        let _ = self.0.wait_for(&mut guard.inner, within);
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.inner
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.inner
    }
}

// What a lock protects is shown by whoever owns the lock, if at all.
impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("rank", &self.rank).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("rank", &self.rank).finish_non_exhaustive()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

/// Which ranks this thread holds.
#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;

    use super::{Rank, thread_local};

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = RefCell::default();
    }

    pub(super) struct Held(Rank);

    /// Looks at what this thread holds. A thread that is ending, and drops handles that it kept to
    /// itself, has no notes any more and is not checked.
    fn noted(look: impl FnOnce(&mut Vec<Rank>)) {
        let _ = HELD.try_with(|held| look(&mut held.borrow_mut()));
    }

    impl Held {
        pub(super) fn take(rank: Rank) -> Self {
            noted(|held| {
                if let Some(highest) = held.iter().max() {
                    assert!(
                        *highest < rank,
                        "lock order: {rank:?} is taken while {held:?} are held"
                    );
                }
                held.push(rank);
            });
            Self(rank)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            noted(|held| {
                let at = held.iter().rposition(|rank| *rank == self.0);
                held.remove(at.expect("a held lock was noted"));
            });
        }
    }
}

#[cfg(not(debug_assertions))]
mod held {
    use super::Rank;

    pub(super) struct Held;

    impl Held {
        pub(super) fn take(_: Rank) -> Self {
            Self
        }
    }
}

/// Loom's locks in the shape of `parking_lot`'s.
#[cfg(loom)]
mod modelled {
    use std::{
        ops::{Deref, DerefMut},
        sync::atomic::Ordering,
        time::Duration,
    };

    pub(crate) use loom::sync::{RwLockReadGuard, RwLockWriteGuard};

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// Empty only while it waits.
    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    #[derive(Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    /// Flags as strong as locks. Loom's own are confused by one thread that raises them twice.
    #[derive(Debug)]
    pub(crate) struct AtomicU8(loom::sync::Mutex<u8>);

    #[derive(Debug)]
    pub(crate) struct AtomicBool(AtomicU8);

    impl AtomicU8 {
        pub(crate) fn new(value: u8) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u8 {
            self.fetch_max(0, order)
        }

        pub(crate) fn fetch_max(&self, value: u8, _: Ordering) -> u8 {
            let mut held = self.0.lock().expect("a model does not panic under a lock");
            let former = *held;
            *held = former.max(value);
            former
        }
    }

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> Self {
            Self(AtomicU8::new(u8::from(value)))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.load(order) > 0
        }

        /// Only ever raises it.
        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.fetch_max(u8::from(value), order);
        }
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("a model does not panic under a lock")))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("a model does not panic under a lock")
        }
    }

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("a model does not panic under a lock")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("a model does not panic under a lock")
        }
    }

    impl Condvar {
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("a guard waits once at a time");
            guard.0 = Some(self.0.wait(inner).expect("a model does not panic under a lock"));
        }

        /// Loom has no time: the wait is over when somebody ends it.
        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) {
            self.wait(guard);
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_deref().expect("a guard in use holds its lock")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_deref_mut().expect("a guard in use holds its lock")
        }
    }
}

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn locks_in_rank_order_nest() {
        let queue = Mutex::new(Rank::Queue, 1);
        let outlet = Mutex::new(Rank::Outlet, 2);
        let held = queue.lock();
        assert_eq!(*held + *outlet.lock(), 3);
    }

    #[test]
    fn a_second_queue_lock_is_refused() {
        let one = Mutex::new(Rank::Queue, ());
        let other = Mutex::new(Rank::Queue, ());
        let _held = one.lock();
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(other.lock())));
        assert!(refused.is_err());
    }
}
