//! RabbitMQ's durable classic queues through lapin, over a connection each for the producer and the
//! consumer, on a queue that is deleted afterwards.

use std::{
    hint::black_box,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use futures_lite::{
    StreamExt,
    future::{poll_once, try_zip},
};
use lapin::{
    BasicProperties, Channel, Confirmation, Consumer, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
    uri::AMQPUri,
};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Load, Pace, System, Traits,
    window::{Turns, Window},
};
use crate::{
    load::{BODY_BYTES, Figures},
    systems::{EXCHANGE, Fault, PREFETCH, Server, connect},
};

/// The delivery mode of a message that is to survive a restart.
const PERSISTENT: u8 = 2;

/// When a queue goes by itself that nobody uses. The program may be killed before it deletes it.
const EXPIRES_MS: u32 = 5 * 60 * 1_000;

pub(super) struct RabbitMq {
    name: String,
    uri: AMQPUri,
    handle: Handle,
}

impl RabbitMq {
    pub(super) fn new(server: &Server, uri: AMQPUri, handle: Handle) -> Self {
        Self { name: server.row(), uri, handle }
    }

    async fn carry_through(&self, queue: &ShortString, load: Load) -> Result<Figures, Fault> {
        let (of_producer, of_consumer) = (connect(&self.uri).await?, connect(&self.uri).await?);
        // They live until their connections have closed: lapin closes a channel that nobody holds,
        // and then refuses to close it once more with its connection.
        let to_send = of_producer.create_channel().await?;
        let to_receive = of_consumer.create_channel().await?;
        let figures = carry(load, &to_send, &to_receive, queue).await;
        for connection in [of_producer, of_consumer] {
            let closed = connection.close(200, "OK".into()).await;
            if figures.is_ok() {
                closed?;
            }
        }
        figures
    }

    /// Through a connection of its own, since others may have failed.
    async fn delete(&self, queue: ShortString) -> Result<(), Fault> {
        let connection = connect(&self.uri).await?;
        let channel = connection.create_channel().await?;
        channel.queue_delete(queue, QueueDeleteOptions::default()).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    }
}

impl System for RabbitMq {
    fn traits(&self) -> Traits {
        Traits { name: self.name.clone(), pace: Pace::Socket }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        self.handle.block_on(async {
            let queue = new_name();
            let figures = self.carry_through(&queue, load).await;
            let deleted = self.delete(queue).await;
            let figures = figures?;
            deleted?;
            Ok(figures)
        })
    }
}

fn new_name() -> ShortString {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("leveret-rivals-{}-{number}", process::id()).into()
}

async fn declare(channel: &Channel, queue: &ShortString) -> lapin::Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongUInt(EXPIRES_MS));
    channel.queue_declare(queue.clone(), durable, arguments).await?;
    let (key, options) = (queue.clone(), QueueBindOptions::default());
    let bound =
        channel.queue_bind(queue.clone(), EXCHANGE.into(), key, options, FieldTable::default());
    bound.await
}

async fn carry(
    load: Load,
    to_send: &Channel,
    to_receive: &Channel,
    queue: &ShortString,
) -> Result<Figures, Fault> {
    declare(to_send, queue).await?;
    to_send.confirm_select(ConfirmSelectOptions::default()).await?;
    let (stock, _) = Window::new(load.stock());
    produce(load.stock(), stock, to_send.clone(), queue.clone()).await?;
    to_receive.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        to_receive.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
    let consumer = consumer.await?;

    let (window, turns) = Window::new(load);
    let begun = Instant::now();
    let producer = tokio::spawn(produce(load, window, to_send.clone(), queue.clone()));
    let consumer = tokio::spawn(consume(turns, consumer));
    let (window, ()) = try_zip(outcome(producer), outcome(consumer)).await?;
    Ok(Figures::new(begun.elapsed(), window.into_latencies()))
}

async fn outcome<T>(task: JoinHandle<Result<T, Fault>>) -> Result<T, Fault> {
    task.await?
}

/// Publishes and waits until all is confirmed.
async fn produce(
    load: Load,
    mut window: Window<PublisherConfirm>,
    channel: Channel,
    key: ShortString,
) -> Result<Window<PublisherConfirm>, Fault> {
    let options = BasicPublishOptions::default();
    for _ in 0..load.messages {
        if window.is_full() {
            settle(&mut window).await?;
        }
        let now = Instant::now();
        let body = [7; BODY_BYTES];
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let confirm =
            channel.basic_publish(EXCHANGE.into(), key.clone(), options, &body, properties);
        window.push(now, confirm.await?);
    }
    while !window.is_empty() {
        settle(&mut window).await?;
    }
    Ok(window)
}

/// Waits for the oldest, and takes note of it and of all others that are confirmed by then.
async fn settle(window: &mut Window<PublisherConfirm>) -> Result<(), Fault> {
    let Some(oldest) = window.oldest() else { return Ok(()) };
    check(&oldest.await?)?;
    let now = Instant::now();
    window.pop(now);
    while let Some(next) = window.oldest()
        && let Some(confirmation) = poll_once(next).await
    {
        check(&confirmation?)?;
        window.pop(now);
    }
    window.give_turns();
    Ok(())
}

fn check(confirmation: &Confirmation) -> Result<(), Fault> {
    if confirmation.is_ack() { Ok(()) } else { Err("the server did not take a message".into()) }
}

async fn consume(mut turns: Turns, mut consumer: Consumer) -> Result<(), Fault> {
    while turns.next().await.is_some() {
        let delivery = consumer.next().await.ok_or("the server has cancelled the consumer")??;
        black_box(&delivery.data);
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
