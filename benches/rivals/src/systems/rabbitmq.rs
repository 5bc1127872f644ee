//! RabbitMQ through lapin, over a connection each for the producer and the consumer.
//!
//! The queue is exclusive and named by the server, so that it goes with the connection that
//! declared it whatever happens to the program.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
    uri::AMQPUri,
};
use tokio::{runtime::Handle, time::timeout};

use super::{ACKED_TOGETHER, Acks, Ends, Fault, PREFETCH, Reach, System, Traits};
use crate::load::{Figures, Inbound, Load, Outbound};

/// A server on the same machine answers in milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// One that every virtual host has.
pub(crate) const EXCHANGE: &str = "amq.direct";

/// What a client of AMQP 0-9-1 says first.
const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// A server that answers.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) product: String,
    pub(crate) version: String,
}

impl Server {
    /// Connects, and reads who is there from the properties in the server's first frame, which
    /// lapin keeps to itself. Then connects through lapin, to see whether it lets us in.
    pub(crate) fn ask(uri: &AMQPUri, handle: &Handle) -> Result<Self, Fault> {
        let (host, port) = (&uri.authority.host, uri.authority.port);
        let server = Self::greeted(uri)
            .map_err(|fault| format!("no AMQP server answers on {host}:{port}: {fault}"))?;
        handle.block_on(async {
            let connection = connect(uri).await?;
            connection.close(200, "OK".into()).await?;
            Ok(server)
        })
    }

    /// What it is called in a table.
    pub(crate) fn row(&self) -> String {
        format!("{} {} (loopback, shared cores)", self.product, self.version)
    }

    fn greeted(uri: &AMQPUri) -> Result<Self, Fault> {
        let authority = (uri.authority.host.as_str(), uri.authority.port);
        let address = authority.to_socket_addrs()?.next().ok_or("the host has no address")?;
        let mut stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        stream.write_all(&PROTOCOL_HEADER)?;
        let mut header = [0; 7];
        stream.read_exact(&mut header)?;
        let [kind, _, _, size @ ..] = header;
        if kind != 1 {
            return Err("what answers does not speak AMQP 0-9-1".into());
        }
        let size = u32::from_be_bytes(size).min(64 << 10);
        let mut start = vec![0; size as usize];
        stream.read_exact(&mut start)?;
        let property = |name| text_property(&start, name).unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { product: property("product"), version: property("version") })
    }
}

/// The value of a property that is a long string: its name with the length before it, `S`, and the
/// value with four bytes of length before it.
fn text_property(start: &[u8], name: &str) -> Option<String> {
    let length = u8::try_from(name.len()).ok()?;
    let key = [&[length], name.as_bytes(), b"S"].concat();
    let at = start.windows(key.len()).position(|window| window == key)?;
    let (length, rest) = start.get(at + key.len()..)?.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some(String::from_utf8_lossy(rest.get(..length)?).into_owned())
}

pub(super) struct RabbitMq {
    name: String,
    uri: AMQPUri,
    acks: Acks,
    handle: Handle,
}

impl RabbitMq {
    pub(super) fn new(server: &Server, uri: AMQPUri, acks: Acks, handle: Handle) -> Self {
        Self { name: server.row(), uri, acks, handle }
    }
}

impl System for RabbitMq {
    fn traits(&self) -> Traits {
        let name = self.name.clone();
        Traits { name, ends: Ends::Tasks, acks: self.acks, reach: Reach::Socket }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        self.handle.block_on(async {
            let (of_producer, of_consumer) = (connect(&self.uri).await?, connect(&self.uri).await?);
            // They live until their connections have closed: lapin closes a channel that nobody
            // holds, and then refuses to close it once more with its connection.
            let to_send = of_producer.create_channel().await?;
            let to_receive = of_consumer.create_channel().await?;
            let figures = carry(load, &to_send, &to_receive, self.acks).await;
            of_producer.close(200, "OK".into()).await?;
            of_consumer.close(200, "OK".into()).await?;
            figures
        })
    }
}

pub(crate) async fn connect(uri: &AMQPUri) -> Result<Connection, Fault> {
    let connected = Connection::connect_uri(uri.clone(), ConnectionProperties::default());
    match timeout(ANSWERS_WITHIN, connected).await {
        Ok(connection) => Ok(connection?),
        Err(_) => Err(format!("no connection within {} s", ANSWERS_WITHIN.as_secs()).into()),
    }
}

async fn carry(
    load: Load,
    to_send: &Channel,
    to_receive: &Channel,
    acks: Acks,
) -> Result<Figures, Fault> {
    to_receive.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = to_receive.queue_declare("".into(), exclusive, FieldTable::default()).await?;
    let (queue, options) = (queue.name().clone(), QueueBindOptions::default());
    let key = queue.clone();
    let bound =
        to_receive.queue_bind(queue.clone(), EXCHANGE.into(), key, options, FieldTable::default());
    bound.await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        to_receive.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
    let consumer = consumer.await?;

    let (outbound, inbound) = load.begin();
    let producer = tokio::spawn(produce(outbound, to_send.clone(), queue));
    let consumer = tokio::spawn(consume(inbound, to_receive.clone(), consumer, acks));
    let figures = consumer.await?;
    producer.await??;
    figures
}

async fn produce(mut outbound: Outbound, channel: Channel, key: ShortString) -> lapin::Result<()> {
    let options = BasicPublishOptions::default();
    while let Some(body) = outbound.next().await {
        let properties = BasicProperties::default();
        channel.basic_publish(EXCHANGE.into(), key.clone(), options, &body, properties).await?;
    }
    Ok(())
}

async fn consume(
    mut inbound: Inbound,
    channel: Channel,
    mut consumer: Consumer,
    acks: Acks,
) -> Result<Figures, Fault> {
    let together = BasicAckOptions { multiple: true };
    let mut unacked = 0;
    let mut last = 0;
    while inbound.expects_more() {
        let delivery = consumer.next().await.ok_or("the server has cancelled the consumer")??;
        inbound.arrived(&delivery.data);
        if acks == Acks::Together {
            (unacked, last) = (unacked + 1, delivery.delivery_tag);
            if unacked == ACKED_TOGETHER {
                channel.basic_ack(last, together).await?;
                unacked = 0;
            }
        } else {
            delivery.ack(BasicAckOptions::default()).await?;
        }
        inbound.done();
    }
    if unacked > 0 {
        channel.basic_ack(last, together).await?;
    }
    Ok(inbound.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_a_server_are_read() {
        let start = b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8";
        assert_eq!(text_property(start, "product").as_deref(), Some("RabbitMQ"));
        assert_eq!(text_property(start, "version").as_deref(), Some("3.10.8"));
        assert_eq!(text_property(start, "platform"), None);
        assert_eq!(text_property(&start[..start.len() - 1], "version"), None);
    }
}
