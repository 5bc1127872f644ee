//! Every pair of features that a queue can have: each keeps its own rule beside every other one, or
//! the pair is refused when it is declared.
//!
//! Each feature has a check of its rule, and the check runs on a queue that has another feature as
//! well, for all ordered pairs. Where two meet, the expected value says so.

use std::time::Duration;

use leveret::{
    Broker, DelayedRetry, Delivery, EndReason, ErrorKind, ManualClock, Message, Overflow,
    PublishReason, Queue, QueueBuilder,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// How long a returned message waits where retries are delayed.
const PAUSE: Duration = SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    AutoDelete,
    ByteLimit,
    ConsumerTimeout,
    DeadLetters,
    DelayedRetry,
    DeliveryLimit,
    DropHead,
    ExactExpiry,
    Expiration,
    Latency,
    Lazy,
    LengthLimit,
    MessageTtl,
    Pause,
    Priorities,
    QueueExpiry,
    Quorum,
    RejectDeadLetter,
    RejectPublish,
    SingleActive,
}

use Feature::{
    AutoDelete, ByteLimit, ConsumerTimeout, DeadLetters, DelayedRetry as Retry, DeliveryLimit,
    DropHead, ExactExpiry, Expiration, Latency, Lazy, LengthLimit, MessageTtl, Pause, Priorities,
    QueueExpiry, Quorum, RejectDeadLetter, RejectPublish, SingleActive,
};

const ALL: [Feature; 20] = [
    AutoDelete,
    ByteLimit,
    ConsumerTimeout,
    DeadLetters,
    Retry,
    DeliveryLimit,
    DropHead,
    ExactExpiry,
    Expiration,
    Latency,
    Lazy,
    LengthLimit,
    MessageTtl,
    Pause,
    Priorities,
    QueueExpiry,
    Quorum,
    RejectDeadLetter,
    RejectPublish,
    SingleActive,
];

/// Pairs that are refused, with the argument or property that the error names.
const REFUSED: [(Feature, Feature, &str); 3] = [
    (Quorum, AutoDelete, "auto-delete"),
    (Quorum, Lazy, "x-queue-mode"),
    (Quorum, Priorities, "x-max-priority"),
];

/// Values of one argument, of which a queue has one.
const OVERFLOWS: [Feature; 3] = [DropHead, RejectDeadLetter, RejectPublish];

/// A queue with two features, and what there is around it.
struct Scene {
    broker: Broker,
    time: ManualClock,
    queue: Queue,
    dead: Queue,
    features: [Feature; 2],
}

impl Feature {
    fn declare(self, queue: QueueBuilder, dead: &Queue) -> QueueBuilder {
        match self {
            AutoDelete => queue.auto_delete(),
            ByteLimit => queue.max_length_bytes(1_000),
            ConsumerTimeout => queue.consumer_timeout(MINUTE),
            DeadLetters => queue.dead_letter_to(dead),
            Retry => queue.delayed_retry(DelayedRetry::fixed(PAUSE)),
            DeliveryLimit => queue.delivery_limit(1),
            DropHead => queue.max_length(3).overflow(Overflow::DropHead),
            ExactExpiry => queue.exact_expiry(),
            Latency => queue.measure_latency(),
            Lazy => queue.lazy(),
            LengthLimit => queue.max_length(3),
            MessageTtl => queue.message_ttl(HOUR),
            Priorities => queue.max_priority(5),
            QueueExpiry => queue.expires_after(10 * HOUR),
            Quorum => queue.durable().quorum(),
            RejectDeadLetter => {
                let queue = queue.max_length(3).dead_letter_to(dead);
                queue.overflow(Overflow::RejectPublishDeadLetter)
            }
            RejectPublish => queue.max_length(3).overflow(Overflow::RejectPublish),
            SingleActive => queue.single_active_consumer(),
            // What messages and handles do.
            Expiration | Pause => queue,
        }
    }

    fn check(self, scene: &Scene) {
        match self {
            ConsumerTimeout | ExactExpiry | Expiration | Latency | MessageTtl | QueueExpiry => {
                self.check_times(scene);
            }
            ByteLimit | DropHead | LengthLimit | RejectDeadLetter | RejectPublish => {
                self.check_bounds(scene);
            }
            _ => self.check_others(scene),
        }
        let stats = scene.queue.stats();
        assert!(stats.is_conserved() && stats.moving == 0, "{stats:?}");
    }

    /// What time does.
    fn check_times(self, scene: &Scene) {
        let Scene { broker, time, queue, .. } = scene;
        match self {
            ConsumerTimeout => {
                let consumer = queue.consume().start().expect("it starts");
                scene.fill(&["a"]);
                scene.resume();
                let late = consumer.try_recv().expect("it is there");
                time.advance(MINUTE);
                assert_eq!(consumer.end(), Some(EndReason::TimedOut));
                let error = late.ack().map_err(|error| error.kind().clone());
                let has_gone = scene.has(AutoDelete);
                assert_eq!(error.is_ok(), has_gone, "it has gone back: {error:?}");
                assert_eq!(queue.stats().unacked, 0);
            }
            ExactExpiry => {
                scene.send(Message::new("long").expires_in(10 * MINUTE));
                scene.send(Message::new("short").expires_in(MINUTE));
                scene.send(Message::new("longer").expires_in(20 * MINUTE));
                time.advance(MINUTE);
                assert_eq!(queue.stats().ready, 2, "it ends behind another");
                assert_eq!(scene.bodies(), ["long", "longer"]);
            }
            Expiration | MessageTtl => {
                let message = Message::new("a");
                let (message, ttl) = match self {
                    Expiration => (message.expires_in(MINUTE), MINUTE),
                    _ => (message, HOUR),
                };
                scene.send(message);
                time.advance(ttl.saturating_sub(Duration::from_millis(1)));
                assert_eq!(queue.stats().ready, 1);
                time.advance(Duration::from_millis(1));
                let stats = queue.stats();
                let counted = if scene.buries() { stats.dead_lettered } else { stats.expired };
                assert_eq!((stats.held(), counted), (0, 1));
                if scene.buries() {
                    scene.check_letter("a", "expired");
                }
            }
            Latency => {
                scene.fill(&["a"]);
                time.advance(SECOND);
                assert_eq!(queue.stats().oldest, Some(SECOND));
                scene.take().ack().expect("the broker is open");
                let waits = queue.latency().expect("it is measured");
                assert_eq!((waits.count(), waits.longest()), (1, SECOND));
            }
            QueueExpiry => {
                time.advance((10 * HOUR).saturating_sub(SECOND));
                assert!(broker.queue("q").is_ok());
                time.advance(SECOND);
                assert!(broker.queue("q").is_err(), "nobody has used it");
            }
            _ => unreachable!("it has no time"),
        }
    }

    /// What happens when there is too much.
    fn check_bounds(self, scene: &Scene) {
        let Scene { queue, .. } = scene;
        match self {
            ByteLimit => {
                let body = "x".repeat(400);
                scene.fill(&[&body, &body, &body, &body]);
                let expected = if scene.closes_late() { 3 } else { 2 };
                assert_eq!(queue.stats().ready, expected, "of 400 bytes each, 1 000 at most");
            }
            DropHead | LengthLimit if !scene.refuses() => {
                scene.fill(&["a", "b", "c", "d"]);
                assert_eq!(scene.bodies(), ["b", "c", "d"]);
            }
            DropHead | LengthLimit | RejectPublish => {
                scene.fill(&["a", "b", "c", "d", "e"]);
                let kept: &[&str] =
                    if scene.closes_late() { &["a", "b", "c", "d"] } else { &["a", "b", "c"] };
                assert_eq!(scene.bodies(), kept);
                assert_eq!(queue.stats().refused, 5 - kept.len() as u64);
            }
            RejectDeadLetter => {
                scene.fill(&["a", "b", "c", "d"]);
                // In a quorum queue it is drop-head.
                let (kept, letter): (&[&str], _) = if scene.has(Quorum) {
                    (&["b", "c", "d"], "a")
                } else {
                    (&["a", "b", "c"], "d")
                };
                assert_eq!(scene.bodies(), kept);
                scene.check_letter(letter, "maxlen");
            }
            _ => unreachable!("it has no bound"),
        }
    }

    /// Who gets what, and what comes back.
    fn check_others(self, scene: &Scene) {
        let Scene { broker, time, queue, dead, .. } = scene;
        match self {
            AutoDelete => {
                drop(queue.consume().start().expect("it starts"));
                assert!(broker.queue("q").is_err(), "it goes with its last consumer");
            }
            DeadLetters => {
                scene.fill(&["a"]);
                scene.take().reject().expect("the broker is open");
                scene.check_letter("a", "rejected");
            }
            Retry => {
                scene.fill(&["a", "b"]);
                scene.take().requeue().expect("the broker is open");
                assert_eq!((queue.stats().delayed, scene.bodies()), (1, vec!["b".to_owned()]));
                time.advance(PAUSE);
                assert_eq!(scene.bodies(), ["a", "b"], "it is back at its place");
            }
            DeliveryLimit => {
                scene.fill(&["a"]);
                for _ in 0..2 {
                    scene.take().requeue().expect("the broker is open");
                    time.advance(PAUSE);
                }
                let stats = queue.stats();
                let counted = if scene.buries() { stats.dead_lettered } else { stats.exhausted };
                assert_eq!((stats.held(), counted), (0, 1), "handed out twice at most");
                if scene.buries() {
                    scene.check_letter("a", "delivery_limit");
                }
            }
            Lazy => {
                scene.fill(&["a", "b"]);
                scene.take().ack().expect("the broker is open");
                assert_eq!(scene.bodies(), ["b"], "nothing is different");
            }
            Pause => {
                scene.fill(&["a"]);
                assert!(queue.get().expect("it is there").is_none());
                let consumer = queue.consume().start().expect("it starts");
                assert!(consumer.try_recv().is_err());
                queue.resume().expect("it is there");
                consumer.try_recv().expect("it is handed out").ack().expect("the broker is open");
            }
            Priorities => {
                scene.fill(&["low"]);
                scene.send(Message::new("high").with_priority(9));
                scene.send(Message::new("middle").with_priority(3));
                assert_eq!(scene.bodies(), ["high", "middle", "low"]);
            }
            Quorum => {
                scene.fill(&["a"]);
                scene.take().requeue().expect("the broker is open");
                time.advance(PAUSE);
                let again = scene.take();
                assert_eq!(again.header("x-delivery-count"), Some(&1_i64.into()));
                again.ack().expect("the broker is open");
                assert_eq!(dead.stats().enqueued, 0);
            }
            SingleActive => {
                let start = || queue.consume().start().expect("it starts");
                let (active, other) = (start(), start());
                scene.fill(&["a", "b"]);
                scene.resume();
                for body in ["a", "b"] {
                    let delivery = active.try_recv().expect("it is the active one");
                    assert_eq!(delivery.text(), Some(body));
                    delivery.ack().expect("the broker is open");
                }
                assert!(other.try_recv().is_err());
            }
            _ => unreachable!("it is checked elsewhere"),
        }
    }
}

impl Scene {
    /// A queue with both features; `Err` has the argument that is refused.
    fn new(features: [Feature; 2]) -> Result<Self, String> {
        let (broker, time) = Broker::manual();
        let dead = broker.declare_queue("dead").declare().expect("nothing is wrong with it");
        let [one, other] = features;
        let queue = other.declare(one.declare(broker.declare_queue("q"), &dead), &dead).declare();
        let queue = queue.map_err(|error| {
            assert!(broker.queue("q").is_err(), "nothing is declared");
            match error.kind() {
                ErrorKind::InvalidArgument { argument, .. } => argument.to_string(),
                kind => panic!("it is another error: {kind:?}"),
            }
        })?;
        if features.contains(&Pause) {
            queue.pause().expect("it is there");
        }
        Ok(Self { broker, time, queue, dead, features })
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// Whether what dies has a place to go.
    fn buries(&self) -> bool {
        self.has(DeadLetters) || self.has(RejectDeadLetter)
    }

    /// Whether publishes are refused at a bound.
    fn refuses(&self) -> bool {
        self.has(RejectPublish) || self.has(RejectDeadLetter) && !self.has(Quorum)
    }

    /// Whether a bound is passed once before it refuses.
    fn closes_late(&self) -> bool {
        self.has(Quorum) && self.has(RejectPublish)
    }

    fn send(&self, message: Message) {
        self.queue.send(message).expect("there is room");
    }

    /// Sends as much of it as is taken.
    fn fill(&self, bodies: &[&str]) {
        for body in bodies {
            if let Err(error) = self.queue.send(Message::new(*body)) {
                let is_full = matches!(
                    error.reason(),
                    PublishReason::Full { .. } | PublishReason::DeadLettered { .. }
                );
                assert!(is_full && self.refuses(), "{error}");
            }
        }
    }

    /// Goes on handing out, if it is paused.
    fn resume(&self) {
        self.queue.resume().expect("it is there");
    }

    fn take(&self) -> Delivery {
        self.resume();
        self.queue.get().expect("it is there").expect("something is ready")
    }

    /// What is ready, in its order.
    fn bodies(&self) -> Vec<String> {
        let seen = self.queue.browse(100).expect("it is there");
        seen.iter().map(|seen| seen.message.text().expect("it is text").to_owned()).collect()
    }

    /// Takes a dead letter and looks at it.
    #[track_caller]
    fn check_letter(&self, body: &str, reason: &str) {
        let letter = self.dead.get().expect("it is there").expect("a letter has come");
        let death = letter.header("x-death").and_then(|deaths| deaths.as_array()?.first());
        let told = death.and_then(|death| death.as_table()?.get("reason")?.as_str());
        assert_eq!((letter.text(), told), (Some(body), Some(reason)));
        letter.ack().expect("the broker is open");
        assert!(self.dead.get().expect("it is there").is_none(), "one letter and no more");
    }
}

#[test]
fn each_keeps_its_rule_beside_every_other_or_is_refused() {
    let refused =
        |one, other| REFUSED.iter().find(|(a, b, _)| [(*a, *b), (*b, *a)].contains(&(one, other)));
    for one in ALL {
        for other in ALL.into_iter().filter(|other| *other != one) {
            if OVERFLOWS.contains(&one) && OVERFLOWS.contains(&other) {
                continue;
            }
            println!("{one:?} beside {other:?}");
            match (Scene::new([one, other]), refused(one, other)) {
                (Ok(scene), None) => one.check(&scene),
                (Err(argument), Some((_, _, expected))) => assert_eq!(argument, *expected),
                (Ok(_), Some(_)) => panic!("it is not refused"),
                (Err(argument), None) => panic!("it is refused for {argument}"),
            }
        }
    }
}

#[test]
fn each_keeps_its_rule_alone() {
    for feature in ALL {
        println!("{feature:?}");
        let scene = Scene::new([feature, feature]).expect("nothing is wrong with it");
        feature.check(&scene);
    }
}

/// A declaration that asks for what can not be, and the argument that the error names.
type Impossible = (fn(QueueBuilder) -> QueueBuilder, &'static str);

#[test]
fn what_means_nothing_without_its_companion_is_refused() {
    let cases: [Impossible; 9] = [
        (|queue| queue.argument("x-delayed-retry-type", "all"), "x-delayed-retry-type"),
        (|queue| queue.argument("x-delayed-retry-min", 5), "x-delayed-retry-min"),
        (|queue| queue.argument("x-delayed-retry-jitter", 0.5), "x-delayed-retry-jitter"),
        (
            |queue| queue.delayed_retry(DelayedRetry::fixed(SECOND).multiplier(2.0)),
            "x-delayed-retry-multiplier",
        ),
        (
            |queue| queue.delayed_retry(DelayedRetry::fixed(SECOND).at_most(SECOND / 2)),
            "x-delayed-retry-max",
        ),
        (|queue| queue.dead_letter_key("key"), "x-dead-letter-routing-key"),
        (QueueBuilder::dead_letter_at_least_once, "x-dead-letter-strategy"),
        (QueueBuilder::quorum, "non-durable"),
        (|queue| queue.durable().quorum().temporary(), "exclusive-owner"),
    ];
    for (declare, expected) in cases {
        let (broker, _time) = Broker::manual();
        let error = declare(broker.declare_queue("q")).declare().unwrap_err();
        let ErrorKind::InvalidArgument { argument, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(argument.as_str(), expected);
        assert!(broker.queue("q").unwrap_err().is_not_found(), "nothing was declared");
    }
}
