//! Where recent messages went, so that the next ones like them need not be routed.
//!
//! Each thread keeps its own few routes. A route holds for as long as the topology of its virtual
//! host is as it was when it was found: every change gives the virtual host a new [`Stamp`], and
//! no two virtual hosts of a process ever have the same one. A publisher reads the stamp before it
//! routes, and whoever changes something sets a new one after the change and before the call
//! returns; so a publish that begins after a change was made sees it.
//!
//! Only messages without headers are remembered, since what those say may matter as well.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::cell::QueueCell;
use crate::Name;

/// How many routes a thread remembers: enough for a few handles and keys in turn, and few enough
/// not to keep much of what has ended. A power of two.
const ROUTES_MAX: usize = 16;

/// Routes to more queues than this are not remembered.
const QUEUES_MAX: usize = 1_024;

/// Changes with the topology of a virtual host. Unique in the process.
#[derive(Debug)]
pub(crate) struct Stamp(AtomicU64);

/// One state of a topology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamped(u64);

/// What a message without headers is routed by. The number is the slot of an exchange; the default
/// one has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct From<'k> {
    pub(crate) at: Stamped,
    pub(crate) exchange: Option<usize>,
    pub(crate) key: &'k str,
}

/// The recent routes of one thread.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    routes: [Route; ROUTES_MAX],
}

/// Where a route is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

#[derive(Debug, Default)]
struct Route {
    at: Stamped,
    exchange: Option<usize>,
    key: Name,
    queues: Vec<Arc<QueueCell>>,
}

impl Stamped {
    /// No topology has ever been in this one.
    const NEVER: Self = Self(0);
}

impl Stamp {
    pub(crate) fn new() -> Self {
        let stamp = Self(AtomicU64::new(0));
        stamp.renew();
        stamp
    }

    /// The topology has changed.
    pub(crate) fn renew(&self) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Releases the change to whoever reads the stamp.
        self.0.store(NEXT.fetch_add(1, Ordering::Relaxed), Ordering::Release);
    }

    pub(crate) fn read(&self) -> Stamped {
        Stamped(self.0.load(Ordering::Acquire))
    }
}

impl Memo {
    /// Finds a route and moves its queues into an empty list; says whether it is known, and where
    /// it is to be brought to by [`keep`](Self::keep). Until then it is forgotten, so that nobody
    /// takes it for one that leads nowhere.
    pub(crate) fn take(&mut self, from: From<'_>, into: &mut Vec<Arc<QueueCell>>) -> (bool, Place) {
        let place = place(from);
        let route = self.route(place);
        let is_it = route.exchange == from.exchange && route.key == *from.key;
        if !is_it {
            *route =
                Route { exchange: from.exchange, key: Name::from(from.key), ..Route::default() };
        }
        let is_known = is_it && route.at == from.at;
        if is_known {
            std::mem::swap(&mut route.queues, into);
        } else {
            route.queues.clear();
        }
        route.at = Stamped::NEVER;
        (is_known, place)
    }

    /// Remembers a route that was found in this state of the topology, and empties the list.
    pub(crate) fn keep(&mut self, place: Place, at: Stamped, queues: &mut Vec<Arc<QueueCell>>) {
        if queues.len() <= QUEUES_MAX {
            let route = self.route(place);
            route.at = at;
            std::mem::swap(&mut route.queues, queues);
        }
        queues.clear();
    }

    fn route(&mut self, place: Place) -> &mut Route {
        self.routes.get_mut(place.0).expect("a place is one of the routes")
    }
}

/// Keys that differ tend to differ in length or in the last bytes.
fn place(from: From<'_>) -> Place {
    let tail = from.key.as_bytes().last_chunk().map_or(0, |tail| u32::from_le_bytes(*tail));
    let exchange = from.exchange.map_or(0, |slot| slot + 1);
    let mixed = (u64::from(tail) + from.key.len() as u64 + ((exchange as u64) << 32))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let at = mixed >> (u64::BITS - ROUTES_MAX.trailing_zeros());
    Place(usize::try_from(at).expect("it has as many bits as there are routes"))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Broker;

    /// The cells of so many queues.
    fn cells(broker: &Broker, count: usize) -> Vec<Arc<QueueCell>> {
        let declare = |_| broker.temporary_queue().expect("the broker is open");
        (0..count).map(declare).map(|queue| Arc::clone(queue.cell())).collect()
    }

    fn take(memo: &mut Memo, from: From<'_>) -> Option<usize> {
        let mut queues = Vec::new();
        let (is_known, place) = memo.take(from, &mut queues);
        let known = is_known.then_some(queues.len());
        if is_known {
            memo.keep(place, from.at, &mut queues);
        }
        known
    }

    #[test]
    fn a_route_is_known_until_the_topology_changes() {
        let (broker, stamp, mut memo) = (Broker::new(), Stamp::new(), Memo::default());
        let from = |at, exchange, key| From { at, exchange, key };
        let at = stamp.read();
        let known = from(at, Some(3), "orders.new");
        let (is_known, place) = memo.take(known, &mut Vec::new());
        assert!(!is_known);
        assert_eq!(take(&mut memo, known), None, "it was not brought back");
        memo.keep(place, at, &mut cells(&broker, 2));
        assert_eq!(take(&mut memo, known), Some(2));
        assert_eq!(take(&mut memo, known), Some(2));
        stamp.renew();
        assert_ne!(stamp.read(), at);
        assert_eq!(take(&mut memo, from(stamp.read(), Some(3), "orders.new")), None);
        assert_ne!(Stamp::new().read(), stamp.read(), "another virtual host");
    }

    #[test]
    fn exchanges_and_keys_are_told_apart() {
        let (broker, at) = (Broker::new(), Stamp::new().read());
        let froms = [(None, ""), (None, "a"), (Some(0), "a"), (Some(1), "a"), (Some(1), "aa")];
        for (exchange, key) in froms {
            let mut memo = Memo::default();
            let (_, place) = memo.take(From { at, exchange, key }, &mut Vec::new());
            memo.keep(place, at, &mut cells(&broker, 1));
            assert_eq!(take(&mut memo, From { at, exchange, key }), Some(1));
            for (other, other_key) in froms.into_iter().filter(|of| *of != (exchange, key)) {
                let found = take(&mut memo, From { at, exchange: other, key: other_key });
                assert_eq!(found, None, "{exchange:?} {key:?}, {other:?} {other_key:?}");
            }
        }
    }

    #[test]
    fn what_leads_far_is_not_remembered() {
        let (broker, at, mut memo) = (Broker::new(), Stamp::new().read(), Memo::default());
        let from = From { at, exchange: None, key: "k" };
        let (_, place) = memo.take(from, &mut Vec::new());
        let mut queues = vec![cells(&broker, 1).remove(0); QUEUES_MAX + 1];
        memo.keep(place, at, &mut queues);
        assert!(queues.is_empty());
        assert_eq!(take(&mut memo, from), None);
    }
}
