//! Where recent messages went, so that the next ones like them need not be routed.
//!
//! Each thread keeps its own few routes. A route holds for as long as the topology of its virtual
//! host is as it was when it was found: every change gives the virtual host a new [`Stamp`], its
//! end too, and no two virtual hosts of a process ever have the same one. A publisher reads the
//! stamp before it routes, and whoever changes something sets a new one after the change and
//! before the call returns; so a publish that begins after a change was made sees it. And whoever
//! goes a way that is remembered need not ask whether the exchange is there, and the broker open.
//!
//! Only messages without headers are remembered, since what those say may matter as well; and only
//! ways that lead somewhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::cell::QueueCell;
use crate::message::Label;

/// How many routes a thread remembers: enough for a few handles and keys in turn, and few enough
/// not to keep much of what has ended. A power of two.
const ROUTES_MAX: usize = 16;

/// Routes to more queues than this are not to be remembered.
pub(crate) const QUEUES_MAX: usize = 1_024;

/// Changes with the topology of a virtual host. Unique in the process.
#[derive(Debug)]
pub(crate) struct Stamp(AtomicU64);

/// One state of a topology; by default one that no topology has ever been in.
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

/// A place for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// What a message needs on a way that somebody has gone before it.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) label: Label,
    pub(crate) queues: Vec<Arc<QueueCell>>,
}

#[derive(Debug, Default)]
struct Route {
    at: Stamped,
    exchange: Option<usize>,
    way: Way,
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
    /// Where such a route is remembered, if it is.
    #[inline]
    pub(crate) fn find(&self, from: From<'_>) -> Option<Place> {
        let place = place(from);
        let Route { at, exchange, way } = self.route(place);
        let is_it = *at == from.at
            && *exchange == from.exchange
            && way.label.address().routing_key == *from.key;
        is_it.then_some(place)
    }

    /// What is remembered there.
    #[inline]
    pub(crate) fn way(&self, place: Place) -> &Way {
        &self.route(place).way
    }

    /// Forgets what is remembered where such a route would be, so that queues that have ended are
    /// not kept for longer than it takes to publish again.
    pub(crate) fn make_place(&mut self, from: From<'_>) {
        let route = self.routes.get_mut(place(from).0).expect("a place is one of the routes");
        route.at = Stamped::default();
        route.way.queues.clear();
    }

    /// Remembers a route from an exchange instead of another one, with the key of its label. Takes
    /// its queues, and says where it is.
    pub(crate) fn keep(
        &mut self,
        (at, exchange): (Stamped, Option<usize>),
        label: Label,
        queues: &mut Vec<Arc<QueueCell>>,
    ) -> Place {
        debug_assert!(queues.len() <= QUEUES_MAX, "what leads far is not remembered");
        let place = place(From { at, exchange, key: &label.address().routing_key });
        let route = self.routes.get_mut(place.0).expect("a place is one of the routes");
        (route.at, route.exchange, route.way.label) = (at, exchange, label);
        std::mem::swap(&mut route.way.queues, queues);
        queues.clear();
        place
    }

    #[inline]
    fn route(&self, place: Place) -> &Route {
        self.routes.get(place.0).expect("a place is one of the routes")
    }
}

/// Keys that differ tend to differ in length or in the last bytes.
#[inline]
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
    use crate::{Broker, Name};

    /// The cells of so many queues.
    fn cells(broker: &Broker, count: usize) -> Vec<Arc<QueueCell>> {
        let declare = |_| broker.temporary_queue().expect("the broker is open");
        (0..count).map(declare).map(|queue| Arc::clone(queue.cell())).collect()
    }

    fn keep(memo: &mut Memo, from: From<'_>, mut queues: Vec<Arc<QueueCell>>) {
        let label = Label::new(Name::default(), Name::from(from.key));
        memo.keep((from.at, from.exchange), label, &mut queues);
        assert!(queues.is_empty(), "what has given way is let go");
    }

    /// How many queues a route leads to, if it is remembered.
    fn known(memo: &Memo, from: From<'_>) -> Option<usize> {
        memo.find(from).map(|place| memo.way(place).queues.len())
    }

    #[test]
    fn a_route_is_known_until_the_topology_changes() {
        let (broker, stamp, mut memo) = (Broker::new(), Stamp::new(), Memo::default());
        let from = |at, exchange, key| From { at, exchange, key };
        let orders = from(stamp.read(), Some(3), "orders.new");
        assert_eq!(known(&memo, orders), None);
        keep(&mut memo, orders, cells(&broker, 2));
        assert_eq!(known(&memo, orders), Some(2));
        let way = memo.way(memo.find(orders).expect("it was kept"));
        assert_eq!(way.label.address().routing_key, "orders.new");
        stamp.renew();
        assert_ne!(stamp.read(), orders.at);
        assert_eq!(known(&memo, from(stamp.read(), Some(3), "orders.new")), None);
        assert_ne!(Stamp::new().read(), stamp.read(), "another virtual host");
    }

    #[test]
    fn exchanges_and_keys_are_told_apart() {
        let (broker, at) = (Broker::new(), Stamp::new().read());
        let froms = [(None, ""), (None, "a"), (Some(0), "a"), (Some(1), "a"), (Some(1), "aa")];
        for (exchange, key) in froms {
            let (mut memo, from) = (Memo::default(), From { at, exchange, key });
            keep(&mut memo, from, cells(&broker, 1));
            assert_eq!(known(&memo, from), Some(1));
            for (other, other_key) in froms.into_iter().filter(|of| *of != (exchange, key)) {
                let found = known(&memo, From { at, exchange: other, key: other_key });
                assert_eq!(found, None, "{exchange:?} {key:?}, {other:?} {other_key:?}");
            }
        }
    }

    #[test]
    fn one_route_gives_way_to_another() {
        let (broker, at, mut memo) = (Broker::new(), Stamp::new().read(), Memo::default());
        let from = |exchange| From { at, exchange: Some(exchange), key: "k" };
        let rival = (1..1_000).map(from).find(|other| place(*other) == place(from(0)));
        let rival = rival.expect("there are few places");
        keep(&mut memo, from(0), cells(&broker, 1));
        keep(&mut memo, rival, cells(&broker, 3));
        assert_eq!((known(&memo, from(0)), known(&memo, rival)), (None, Some(3)));
    }
}
