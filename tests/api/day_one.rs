//! Programs that users write on their first day, run as they stand.
//!
//! What the programs print is what a user would look at; the tests below look at it instead.

use std::{error::Error, sync::mpsc, thread, time::Duration};

use leveret::{
    Ack, Broker, CallError, ChannelId, ConnectOptions, Consume, Delivery, Event, Message, Nack,
    Outcome, Publish, Qos, QueueDeclare, Subscription, WorkersReport,
};

use crate::watchdog::in_time;

const SECOND: Duration = Duration::from_secs(1);

/// 1. A worker pool: success acks, failure rejects with its cause, a panic is tried again.
fn worker_pool() -> leveret::Result<(WorkersReport, WorkersReport)> {
    fn resize(image: &[u8]) -> Result<(), String> {
        if image.is_empty() { Err("empty image".into()) } else { Ok(()) }
    }

    let broker = Broker::new();
    let failed = broker.declare_queue("resize.failed").declare()?;
    let tasks =
        broker.declare_queue("resize").dead_letter_to(&failed).delivery_limit(3).declare()?;
    let workers = tasks.workers(4, |task| resize(task.body()))?;
    // A worker may also decide for itself.
    let patient =
        tasks.consume().prefetch(2).workers(2, |task: &Delivery| match resize(task.body()) {
            Ok(()) => Outcome::Ack,
            Err(_) if task.attempts() < 3 => Outcome::Requeue,
            Err(error) => Outcome::Reject(error),
        })?;

    tasks.send(Message::new(vec![0xff, 0xd8]).with_message_id("image-1"))?;
    tasks.send(Message::new("").with_message_id("image-2"))?;
    assert!(tasks.wait_empty(10 * SECOND));
    Ok((workers.stop(10 * SECOND), patient.stop(10 * SECOND)))
}

#[test]
fn a_worker_pool_acks_success_and_rejects_failure() -> leveret::Result<()> {
    let (workers, patient) = worker_pool()?;
    assert_eq!(workers.acked + patient.acked, 1);
    assert_eq!(workers.rejected + patient.rejected, 1);
    assert_eq!((workers.running, patient.running), (0, 0));
    Ok(())
}

/// 2. Pub/sub: each subscriber has a queue of its own that lives exactly as long as the
///    subscription.
fn pub_sub() -> leveret::Result<Vec<String>> {
    let broker = Broker::new();
    let logs = broker.declare_exchange("logs").topic().declare()?;
    let (heard, all_heard) = mpsc::channel();
    let listen = |name: &'static str, patterns: &[&str]| -> leveret::Result<_> {
        let events: Subscription = logs.subscribe(patterns[0])?;
        patterns[1..].iter().try_for_each(|pattern| events.also(*pattern))?;
        let heard = heard.clone();
        Ok(thread::spawn(move || {
            for event in &events {
                let line = format!("{name}: {} {:?}", event.routing_key(), event.text());
                heard.send(line).expect("somebody listens");
            }
            let over = format!("{name}: over ({:?}), {} lost", events.end(), events.lost());
            heard.send(over).expect("somebody listens");
        }))
    };
    let threads = [listen("all", &["#"])?, listen("bad", &["*.error", "*.fatal"])?];

    let routed = logs.publish("kernel.error", Message::new("disk on fire"))?;
    assert_eq!(routed.queues, 2);
    let mut lines: Vec<_> = (0..2).map(|_| all_heard.recv().expect("two are heard")).collect();
    broker.close(SECOND);
    for thread in threads {
        thread.join().expect("a subscriber panicked");
    }
    drop(heard);
    lines.extend(all_heard);
    lines.sort();
    Ok(lines)
}

#[test]
fn subscribers_hear_what_they_asked_for_until_the_broker_closes() -> leveret::Result<()> {
    let expected = [
        "all: kernel.error Some(\"disk on fire\")",
        "all: over (Some(BrokerClosed)), 0 lost",
        "bad: kernel.error Some(\"disk on fire\")",
        "bad: over (Some(BrokerClosed)), 0 lost",
    ];
    assert_eq!(in_time(pub_sub)?, expected);
    Ok(())
}

/// 3. RPC: the server replies, the caller waits for so long and no longer.
fn rpc() -> Result<Option<String>, Box<dyn Error>> {
    let broker = Broker::new();
    let requests = broker.declare_queue("square").declare()?;
    let server = requests.workers(2, |request| -> Result<(), Box<dyn Error>> {
        let n: u64 = request.text().ok_or("not text")?.parse()?;
        Ok(request.reply(Message::new((n * n).to_string()))?)
    })?;
    let reply = match broker.default_exchange().call("square", Message::new("7"), 10 * SECOND) {
        Ok(reply) => reply.text().map(str::to_owned),
        Err(CallError::NoResponder | CallError::Timeout) => None,
        Err(error) => return Err(error.into()),
    };
    server.stop(SECOND);
    Ok(reply)
}

#[test]
fn a_call_gets_its_reply() -> Result<(), Box<dyn Error>> {
    assert_eq!(rpc()?.as_deref(), Some("49"));
    Ok(())
}

/// 5. A web server's state: handlers share it by reference; nothing in them blocks.
#[cfg(feature = "json")]
mod web {
    use std::{
        future::poll_fn,
        sync::Arc,
        task::{Context, Poll, Waker},
    };

    use leveret::{
        Broker, ConfirmError, Message, PublishReason, Publisher, Workers, WorkersReport,
    };
    use serde::{Deserialize, Serialize};

    use super::SECOND;

    /// An order as JSON.
    #[derive(Debug, Deserialize, Serialize)]
    struct Order {
        id: String,
    }

    /// Cloned into each handler, as axum does with its state.
    #[derive(Clone)]
    struct App {
        broker: Broker,
        orders: Publisher,
        workers: Arc<Workers>,
    }

    impl App {
        fn start() -> leveret::Result<Self> {
            let broker = Broker::new();
            let exchange = broker.declare_exchange("order_events").fanout().declare()?;
            let mail = broker.declare_queue("mail").max_length(100_000).declare()?;
            exchange.bind(&mail, "")?;
            let workers = mail.workers(8, |order| {
                order.parse_json::<Order>().map(|order| assert!(!order.id.is_empty()))
            })?;
            let orders = exchange.publisher().window(4_096).open()?;
            Ok(Self { orders, workers: Arc::new(workers), broker })
        }

        /// `POST /orders`.
        async fn create(&self, order: Order) -> u16 {
            let Ok(message) = Message::json(&order) else { return 422 };
            let confirm = match self.orders.publish("", message) {
                Ok(confirm) => confirm,
                Err(error) if error.is_full() => return 429,
                Err(error) => {
                    return match error.reason() {
                        PublishReason::Closed => 503,
                        _ => 500,
                    };
                }
            };
            match confirm.await {
                Ok(_) => 201,
                Err(ConfirmError::Nack { .. }) => 429,
                Err(_) => 503,
            }
        }

        /// `GET /health`.
        fn health(&self) -> leveret::Result<u64> {
            Ok(self.broker.queue("mail")?.stats().ready)
        }

        /// A task that waits beside others; dropping its future loses no delivery.
        async fn watch(&self) -> leveret::Result<Vec<u8>> {
            let events = self.broker.exchange("order_events")?.subscribe("")?;
            let event = poll_fn(|cx| events.poll_recv(cx)).await?;
            Ok(event.body().to_vec())
        }

        /// After the server has stopped accepting.
        fn shut_down(&self) -> (bool, WorkersReport) {
            assert!(self.broker.queue("mail").is_ok_and(|mail| mail.wait_empty(10 * SECOND)));
            let report = self.broker.close(10 * SECOND);
            (report.is_clean(), self.workers.report())
        }
    }

    #[test]
    fn a_web_server_publishes_watches_and_shuts_down() -> leveret::Result<()> {
        let app = App::start()?;
        let mut cx = Context::from_waker(Waker::noop());

        let mut watch = Box::pin(app.watch());
        assert!(watch.as_mut().poll(&mut cx).is_pending(), "nothing has happened yet");
        let mut create = Box::pin(app.create(Order { id: "1".into() }));
        assert_eq!(create.as_mut().poll(&mut cx), Poll::Ready(201));
        let Poll::Ready(seen) = watch.as_mut().poll(&mut cx) else { panic!("it has happened") };
        assert_eq!(seen?, br#"{"id":"1"}"#);

        assert!(app.health()? <= 1);
        let (is_clean, workers) = app.shut_down();
        assert!(is_clean);
        assert_eq!((workers.acked, workers.running), (1, 0));
        let mut late = Box::pin(app.create(Order { id: "2".into() }));
        assert_eq!(late.as_mut().poll(&mut cx), Poll::Ready(503));
        Ok(())
    }
}

/// 7. pika's work-queue consumer, method by method: `basic_qos(prefetch_count=1)`,
///    `basic_consume`, `basic_ack`.
fn ported_from_pika() -> Result<Vec<String>, Box<dyn Error>> {
    let broker = Broker::new();
    let connection = broker.connect(ConnectOptions::default())?;
    let channel = connection.open_channel()?;
    let task_queue = QueueDeclare { queue: "task_queue", durable: true, ..Default::default() };
    channel.queue_declare(task_queue)?;
    channel.confirm_select()?;
    let to =
        Publish { exchange: "", routing_key: "task_queue", mandatory: true, ..Default::default() };
    channel.basic_publish(to, Message::new("hello...").persistent())?;
    channel.basic_publish(to, Message::new("").persistent())?;
    let nowhere = Publish { routing_key: "nowhere", ..to };
    channel.basic_publish(nowhere, Message::new("lost?"))?;
    channel.basic_qos(Qos { prefetch_count: 1, ..Qos::default() })?;
    let consume = Consume { queue: "task_queue", consumer_tag: "worker", ..Consume::default() };
    channel.basic_consume(consume)?;

    let mut seen = Vec::new();
    // start_consuming()
    while let Some((on, event)) = connection.next_event(Duration::MAX) {
        match event {
            Event::Deliver(d) if d.message.body().is_empty() => {
                seen.push(format!("{} is empty", d.routing_key));
                channel.basic_nack(Nack {
                    delivery_tag: d.delivery_tag,
                    multiple: false,
                    requeue: false,
                })?;
                channel.queue_delete(leveret::QueueDelete {
                    queue: "task_queue",
                    ..Default::default()
                })?;
            }
            Event::Deliver(d) => {
                seen.push(format!(
                    "{} {} {}",
                    d.routing_key,
                    d.message.body().len(),
                    d.redelivered
                ));
                channel.basic_ack(Ack { delivery_tag: d.delivery_tag, multiple: false })?;
            }
            Event::Return(r) => seen.push(format!("{} {}", r.reply_code.as_u16(), r.reply_text)),
            Event::Ack { delivery_tag, .. } => {
                seen.push(format!("confirmed up to {}", delivery_tag.0));
            }
            Event::Cancel { consumer_tag } => {
                seen.push(format!("{consumer_tag} cancelled"));
                break;
            }
            Event::Closed(error) if on == ChannelId(0) => return Err(error.into()),
            Event::Closed(error) => {
                return Err(format!("{} {error}", error.reply_code().as_u16()).into());
            }
            _ => {}
        }
    }
    connection.close();
    Ok(seen)
}

#[test]
fn a_ported_program_sees_what_it_saw_before() -> Result<(), Box<dyn Error>> {
    let expected = [
        "confirmed up to 2",
        "312 NO_ROUTE",
        "confirmed up to 3",
        "task_queue 8 false",
        "task_queue is empty",
        "worker cancelled",
    ];
    // Errors of any type stay on the thread that met them.
    let seen = in_time(|| ported_from_pika().map_err(|error| error.to_string()))?;
    assert_eq!(seen, expected);
    Ok(())
}
