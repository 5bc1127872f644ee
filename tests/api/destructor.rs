//! Destructors of bodies and wakers are somebody's code: wherever they run, they may do to the
//! broker what anybody may. A lock held around them would be taken again by one of their calls.

use std::{
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    time::Duration,
};

use leveret::{
    Broker, ConnectOptions, Consume, EndReason, Get, Limits, Message, Publish, Queue, QueueDeclare,
    Result,
};

use crate::{last_words, task::Callback, watchdog::in_time};

const LONG: Duration = Duration::from_hours(1);

/// Everything that takes a lock: declaring, binding, publishing, consuming, purging, deleting, and
/// looking at the queue in question. On a broker that has closed it is all refused.
fn call_everything(broker: &Broker, queue: &Queue) {
    let everything = || -> Result<()> {
        let exchange = broker.declare_exchange("").fanout().declare();
        drop(exchange);
        let exchange = broker.exchange("amq.fanout")?;
        let own = broker.temporary_queue()?;
        exchange.bind(&own, "")?.unbind()?;
        exchange.bind(&own, "")?;
        exchange.publish("", Message::new("last words"))?;
        drop(own.consume().start()?.try_recv());
        broker.default_exchange().publish(queue.name(), Message::new("last words"))?;
        own.purge()?;
        broker.connect(ConnectOptions::default())?.open_channel()?;
        broker.create_vhost("v")?;
        broker.delete_vhost("v")
    };
    let _ = queue.stats();
    let _ = queue.send(Message::new("last words"));
    if let Err(error) = everything() {
        let is_late = error.is_closed() || error.is_not_found();
        assert!(is_late, "{error}");
    }
    let _ = queue.consume().start();
    let _ = queue.purge();
}

/// What a destructor does in one of the runs of a test.
#[derive(Clone, Copy, Debug)]
enum LastWords {
    CallEverything,
    DeleteQueue,
    Close,
    DropHandles,
}

/// A broker with one message whose body does something when it dies.
struct Scene {
    broker: Broker,
    queue: Queue,
    heard: mpsc::Receiver<()>,
}

impl Scene {
    fn new(words: LastWords, limits: Limits) -> Result<(Self, Message)> {
        let broker = Broker::builder().limits(limits).open()?;
        let queue = broker.declare_queue("q").declare()?;
        let kept = Mutex::new(Some((broker.clone(), queue.clone())));
        let (message, heard) = last_words::message("x", move || {
            let (broker, queue) = kept.lock().expect("nobody panics").take().expect("it is once");
            match words {
                LastWords::CallEverything => call_everything(&broker, &queue),
                LastWords::DeleteQueue => drop(queue.delete()),
                LastWords::Close => drop(broker.close(Duration::ZERO)),
                LastWords::DropHandles => {}
            }
        });
        Ok((Self { broker, queue, heard }, message))
    }
}

/// Lets a message die in a way, with each kind of last words. The way consumes all handles, and
/// says how the message is to die.
#[track_caller]
fn dies(way: impl Fn(Scene, Message) -> Result<mpsc::Receiver<()>> + Clone + Send + 'static) {
    let mut limits = Limits::default();
    limits.subscription_messages = 1;
    for words in [
        LastWords::CallEverything,
        LastWords::DeleteQueue,
        LastWords::Close,
        LastWords::DropHandles,
    ] {
        let (way, limits) = (way.clone(), limits.clone());
        in_time(move || {
            let (scene, message) = Scene::new(words, limits).expect("it opens");
            let heard = way(scene, message).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            heard.try_recv().unwrap_or_else(|_| panic!("{words:?}: the body lives on"));
        });
    }
}

#[test]
fn when_it_is_acked_or_rejected() {
    dies(|scene, message| {
        scene.queue.send(message)?;
        scene.queue.get()?.expect("it is there").ack()?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        scene.queue.get()?.expect("it is there").reject()?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        let consumer = scene.queue.consume().start()?;
        consumer.recv()?.ack_through()?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        let consumer = scene.queue.consume().auto_ack().start()?;
        drop(consumer.recv()?);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        let consumer = scene.queue.consume().reject_on_drop().start()?;
        let (message, acker) = consumer.recv()?.into_parts();
        drop(message);
        drop(acker);
        Ok(scene.heard)
    });
}

#[test]
fn when_it_is_purged_or_its_queue_deleted() {
    dies(|scene, message| {
        scene.queue.send(message)?;
        scene.queue.purge()?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        scene.queue.delete()?;
        Ok(scene.heard)
    });
    // In a mailbox.
    dies(|scene, message| {
        scene.queue.send(message)?;
        let _consumer = scene.queue.consume().start()?;
        scene.queue.delete()?;
        Ok(scene.heard)
    });
    // In a hand that settles too late.
    dies(|scene, message| {
        scene.queue.send(message)?;
        let delivery = scene.queue.get()?.expect("it is there");
        scene.queue.delete()?;
        // The broker may have closed, or not.
        let _ = delivery.ack();
        Ok(scene.heard)
    });
}

#[test]
fn when_its_temporary_queue_or_its_virtual_host_goes() {
    dies(|scene, message| {
        let queue = scene.broker.temporary_queue()?;
        queue.send(message)?;
        drop(queue);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let queue = scene.broker.declare_queue("gone").auto_delete().declare()?;
        queue.send(message)?;
        drop(queue.consume().start()?);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let vhost = scene.broker.create_vhost("gone")?;
        let queue = vhost.declare_queue("q").declare()?;
        queue.send(message)?;
        scene.broker.delete_vhost("gone")?;
        Ok(scene.heard)
    });
}

#[test]
fn when_the_broker_ends() {
    dies(|scene, message| {
        scene.queue.send(message)?;
        scene.broker.close(LONG);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        let delivery = scene.queue.get()?.expect("it is there");
        scene.broker.close(Duration::ZERO);
        drop(delivery);
        Ok(scene.heard)
    });
}

#[test]
fn when_nobody_takes_it() {
    // It reaches no queue.
    dies(|scene, message| {
        scene.broker.exchange("amq.fanout")?.publish("", message)?;
        Ok(scene.heard)
    });
    // It comes back in an error, which is dropped.
    dies(|scene, message| {
        drop(scene.broker.exchange("amq.fanout")?.publish_mandatory("", message));
        Ok(scene.heard)
    });
    dies(|scene, message| {
        drop(scene.queue.send(message.with_delivery_mode(3)));
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let stale = scene.broker.declare_queue("gone").declare()?;
        stale.delete()?;
        drop(stale.send(message));
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let mut batch = vec![message, Message::new("").with_delivery_mode(3)];
        assert!(scene.broker.default_exchange().publish_batch("q", &mut batch).is_err());
        drop(batch);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let default = scene.broker.default_exchange();
        drop(default.publish_timeout("q", message.with_delivery_mode(3), LONG));
        Ok(scene.heard)
    });
}

#[test]
fn when_a_subscriber_lags_or_ends() {
    dies(|scene, message| {
        let exchange = scene.broker.exchange("amq.fanout")?;
        let _subscription = exchange.subscribe("")?;
        exchange.publish("", message)?;
        // The exchange may have ended since.
        exchange.publish("", Message::new("newer"))?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let exchange = scene.broker.exchange("amq.fanout")?;
        let subscription = exchange.subscribe("")?;
        exchange.publish("", message)?;
        drop(subscription);
        Ok(scene.heard)
    });
}

#[test]
fn when_a_transaction_is_rolled_back_or_committed() {
    dies(|scene, message| {
        let mut transaction = scene.broker.transaction();
        transaction.publish(&scene.broker.default_exchange(), "q", message)?;
        drop(transaction);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let mut transaction = scene.broker.transaction();
        transaction.publish(&scene.broker.exchange("amq.fanout")?, "", message)?;
        transaction.commit()?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        scene.queue.send(message)?;
        let mut transaction = scene.broker.transaction();
        transaction.ack(scene.queue.get()?.expect("it is there"))?;
        transaction.commit()?;
        Ok(scene.heard)
    });
}

#[test]
fn when_a_call_is_given_up_or_answered() {
    // The request.
    dies(|scene, message| {
        drop(scene.broker.default_exchange().request("q", message));
        Ok(scene.heard)
    });
    // The reply: to nobody, to somebody who does not take it, and to somebody who does.
    dies(|scene, message| {
        let server = scene.queue.consume().start()?;
        let pending = scene.broker.default_exchange().request("q", Message::new(""));
        let request = server.recv()?;
        drop(pending);
        request.reply(message)?;
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let server = scene.queue.consume().start()?;
        let pending = scene.broker.default_exchange().request("q", Message::new(""));
        server.recv()?.reply(message)?;
        drop(pending);
        Ok(scene.heard)
    });
    dies(|scene, message| {
        let server = scene.queue.consume().start()?;
        let pending = scene.broker.default_exchange().request("q", Message::new(""));
        let request = server.recv()?;
        request.reply(Message::new("first"))?;
        request.reply(message)?;
        drop(pending);
        Ok(scene.heard)
    });
}

#[test]
fn when_a_channel_is_done_with_it() {
    let declare = |scene: &Scene| -> Result<_> {
        let connection = scene.broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.queue_declare(QueueDeclare { queue: "c", ..QueueDeclare::default() })?;
        Ok((connection, channel))
    };
    let of = Publish { routing_key: "c", ..Publish::default() };
    let consume = Consume { queue: "c", ..Consume::default() };
    // Delivered without acks, and never taken.
    dies(move |scene, message| {
        let (connection, channel) = declare(&scene)?;
        channel.basic_consume(Consume { auto_ack: true, ..consume.clone() })?;
        channel.basic_publish(of, message)?;
        drop((channel, connection));
        Ok(scene.heard)
    });
    let consume = Consume { queue: "c", ..Consume::default() };
    // Delivered, and its queue deleted before the channel closes.
    dies(move |scene, message| {
        let (connection, channel) = declare(&scene)?;
        channel.basic_consume(consume.clone())?;
        channel.basic_publish(of, message)?;
        scene.broker.queue("c")?.delete()?;
        connection.close();
        drop(channel);
        Ok(scene.heard)
    });
    // Got with automatic ack.
    dies(move |scene, message| {
        let (_connection, channel) = declare(&scene)?;
        channel.basic_publish(of, message)?;
        drop(channel.basic_get(Get { queue: "c", auto_ack: true })?);
        Ok(scene.heard)
    });
    // Returned, and never taken.
    dies(move |scene, message| {
        let (connection, channel) = declare(&scene)?;
        let nowhere = Publish { routing_key: "nowhere", mandatory: true, ..Publish::default() };
        channel.basic_publish(nowhere, message)?;
        connection.close();
        drop((channel, connection));
        Ok(scene.heard)
    });
    // Rolled back.
    dies(move |scene, message| {
        let (_connection, channel) = declare(&scene)?;
        channel.tx_select()?;
        channel.basic_publish(of, message)?;
        channel.tx_rollback()?;
        Ok(scene.heard)
    });
    // In a transaction when the channel closes.
    dies(move |scene, message| {
        let (connection, channel) = declare(&scene)?;
        channel.tx_select()?;
        channel.basic_publish(of, message)?;
        channel.close();
        drop((channel, connection));
        Ok(scene.heard)
    });
}

/// The handles that a body holds may be the last.
#[test]
fn when_it_drops_the_last_handle() -> Result<()> {
    in_time(|| {
        let (scene, message) = Scene::new(LastWords::DropHandles, Limits::default())?;
        scene.queue.send(message)?;
        scene.queue.send(Message::new("second"))?;
        let consumer = scene.queue.consume().start()?;
        let Scene { broker, queue, heard } = scene;
        drop((broker, queue));
        let [first, second] = [consumer.recv()?, consumer.recv()?];
        first.ack()?;
        heard.try_recv().expect("the body died");
        assert_eq!(consumer.end(), Some(EndReason::BrokerClosed));
        assert!(second.ack().unwrap_err().is_closed());
        Ok(())
    })
}

#[test]
fn when_its_queue_expires() -> Result<()> {
    in_time(|| {
        let (broker, time) = Broker::manual();
        let queue = broker.declare_queue("q").expires_after(LONG).declare()?;
        let (own, inside) = (queue.clone(), broker.clone());
        let (message, heard) = last_words::message("x", move || call_everything(&inside, &own));
        queue.send(message)?;
        time.advance(LONG);
        heard.try_recv().expect("the body died");
        Ok(())
    })
}

/// Waits as a task with a waker that calls back, and says whether it was called.
fn calling_back(
    broker: &Broker,
    queue: &Queue,
    wait: impl FnOnce(&mut Context<'_>),
) -> mpsc::Receiver<()> {
    let (woken, is_woken) = mpsc::channel();
    let (broker, queue) = (broker.clone(), queue.clone());
    let kept = Mutex::new(woken);
    let waker = Waker::from(Arc::new(Callback(move || {
        call_everything(&broker, &queue);
        let _ = kept.lock().expect("nobody panics").send(());
    })));
    wait(&mut Context::from_waker(&waker));
    is_woken
}

#[test]
fn a_waker_may_call_back_when_a_message_comes() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let other = broker.declare_queue("other").declare()?;
        let consumer = queue.consume().start()?;
        let is_woken = calling_back(&broker, &other, |cx| {
            assert!(consumer.poll_recv(cx).is_pending());
        });
        queue.send(Message::new("x"))?;
        is_woken.try_recv().expect("it was woken");
        drop(consumer.try_recv());
        consumer.cancel();
        Ok(())
    })
}

#[test]
fn a_waker_may_call_back_when_its_queue_is_deleted() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let consumer = queue.consume().start()?;
        let is_woken = calling_back(&broker, &queue, |cx| {
            assert!(consumer.poll_recv(cx).is_pending());
        });
        queue.delete()?;
        is_woken.try_recv().expect("it was woken");
        Ok(())
    })
}

#[test]
fn a_waker_may_call_back_when_there_is_room_again() -> Result<()> {
    fn full() -> Result<(Broker, Queue)> {
        let mut limits = Limits::default();
        limits.memory_bytes = 1_000;
        let broker = Broker::builder().limits(limits).open()?;
        let queue = broker.declare_queue("q").declare()?;
        queue.send(Message::new(vec![0; 1_000 - 192 - 1])).expect("it fits to the byte");
        Ok((broker, queue))
    }
    let ways: [fn(&Broker, &Queue) -> Result<()>; 4] = [
        |_, queue| queue.purge().map(drop),
        |_, queue| queue.get()?.expect("it is there").ack(),
        |_, queue| queue.delete().map(drop),
        |broker, _| {
            broker.close(LONG);
            Ok(())
        },
    ];
    for way in ways {
        in_time(move || -> Result<()> {
            let (broker, queue) = full()?;
            let publisher = broker.default_exchange().publisher().open()?;
            let is_woken = calling_back(&broker, &queue, |cx| {
                assert!(publisher.poll_ready(cx).is_pending());
            });
            way(&broker, &queue)?;
            is_woken.try_recv().expect("it was woken");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_waker_may_call_back_when_a_channel_has_an_event() -> Result<()> {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let other = broker.declare_queue("other").declare()?;
        let connection = broker.connect(ConnectOptions::default())?;
        let channel = connection.open_channel()?;
        channel.basic_consume(Consume { queue: "q", ..Consume::default() })?;
        let is_woken = calling_back(&broker, &other, |cx| {
            assert!(channel.poll_event(cx).is_pending());
            assert!(connection.poll_event(cx).is_pending());
        });
        queue.send(Message::new("x"))?;
        assert_eq!(is_woken.try_iter().count(), 2);
        drop((connection.try_event(), channel.poll_event(&mut Context::from_waker(Waker::noop()))));
        let is_woken = calling_back(&broker, &queue, |cx| {
            assert!(connection.poll_event(cx).is_pending());
        });
        queue.delete()?;
        is_woken.try_recv().expect("it was woken");
        Ok(())
    })
}
