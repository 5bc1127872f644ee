//! Routing vectors: one line each, a set of bindings and which of them a message follows.
//!
//! Lines that share their bindings are played on one broker. Nothing passes from one line to the
//! next, since every copy of a message is taken out of its queue before the line is over.

use leveret::{
    Broker, Channel, ConnectOptions, Connection, ExchangeDeclare, Get, Message, Publish, QueueBind,
    QueueDeclare, Table,
};

use super::fields::{Fields, mistyped};
use super::json::Json;
use super::table;

/// The exchange all bindings of a line start from.
const EXCHANGE: &str = "vectors";

/// One line of a vector file.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    kind: &'static str,
    set: u64,
    /// Patterns, or argument tables.
    bindings: Vec<Json>,
    routing_key: String,
    headers: Option<Table>,
    /// Positions of the bindings that match, in order.
    pub(crate) matched: Vec<Json>,
}

impl Vector {
    /// Reads the members of a line.
    pub(crate) fn read(fields: &Fields) -> Result<Self, String> {
        let topic = fields.get("patterns").is_some();
        let (kind, known, bindings) = if topic {
            ("topic", ["set", "patterns", "key", "matched"], "patterns")
        } else {
            ("headers", ["set", "bindings", "headers", "matched"], "bindings")
        };
        if let Some(unknown) = fields.unknown(&known) {
            return Err(format!("unknown field {unknown:?}"));
        }
        let missing = known.iter().find(|name| fields.get(name).is_none());
        if let Some(missing) = missing {
            return Err(format!("a line without {missing:?}"));
        }
        let list = |name| match fields.get(name) {
            Some(Json::List(items)) => Ok(items.clone()),
            Some(other) => Err(mistyped(name, "a list", other)),
            None => Ok(Vec::new()),
        };
        Ok(Self {
            kind,
            set: fields.integer("set")?.unwrap_or(0),
            bindings: list(bindings)?,
            routing_key: fields.text("key")?.to_owned(),
            headers: match fields.get("headers") {
                None | Some(Json::Null) => None,
                Some(headers) => Some(table::from_json(headers)?),
            },
            matched: list("matched")?,
        })
    }
}

/// A broker with one exchange, and one queue bound to it for each binding of a set.
#[derive(Debug)]
pub(crate) struct Rig {
    kind: &'static str,
    set: u64,
    bindings: Vec<Json>,
    queues: Vec<String>,
    channel: Channel,
    /// Held because it closes its channels when dropped.
    _connection: Connection,
    /// Held because it closes everything when dropped.
    _broker: Broker,
}

impl Rig {
    /// A rig for this vector and all others with the same bindings.
    pub(crate) fn new(vector: &Vector) -> Result<Self, String> {
        let (broker, _clock) = Broker::manual();
        let connection =
            broker.connect(ConnectOptions::default()).map_err(|error| refused(&error))?;
        let channel = connection.open_channel().map_err(|error| refused(&error))?;
        let exchange =
            ExchangeDeclare { exchange: EXCHANGE, kind: vector.kind, ..ExchangeDeclare::default() };
        channel.exchange_declare(exchange).map_err(|error| refused(&error))?;
        let mut queues = Vec::with_capacity(vector.bindings.len());
        for (position, binding) in vector.bindings.iter().enumerate() {
            let queue = format!("q{position}");
            channel
                .queue_declare(QueueDeclare { queue: &queue, ..QueueDeclare::default() })
                .map_err(|error| refused(&error))?;
            let (routing_key, arguments) = match binding {
                Json::Text(pattern) => (pattern.as_str(), Table::new()),
                arguments => ("", table::from_json(arguments)?),
            };
            let bind = QueueBind { queue: &queue, exchange: EXCHANGE, routing_key, arguments };
            channel.queue_bind(bind).map_err(|error| refused(&error))?;
            queues.push(queue);
        }
        Ok(Self {
            kind: vector.kind,
            set: vector.set,
            bindings: vector.bindings.clone(),
            queues,
            channel,
            _connection: connection,
            _broker: broker,
        })
    }

    /// Whether a vector has the bindings of this rig. Unlike equality this minds the order of
    /// keys, which counts within nested tables.
    pub(crate) fn fits(&self, vector: &Vector) -> bool {
        let texts = |bindings: &[Json]| bindings.iter().map(Json::to_string).collect::<Vec<_>>();
        self.kind == vector.kind
            && self.set == vector.set
            && texts(&self.bindings) == texts(&vector.bindings)
    }

    /// Publishes the message of a vector and returns the positions of the queues that got it.
    pub(crate) fn matched(&self, vector: &Vector) -> Result<Vec<Json>, String> {
        let mut message = Message::new("");
        if let Some(headers) = &vector.headers {
            message = message.with_headers(headers.clone());
        }
        let to =
            Publish { exchange: EXCHANGE, routing_key: &vector.routing_key, ..Publish::default() };
        self.channel
            .basic_publish(to, message)
            .map_err(|error| format!("a publish which did not happen: {:?}", error.reason()))?;
        let mut matched = Vec::new();
        for (position, queue) in (0_u64..).zip(&self.queues) {
            // A queue that got two copies shows up twice.
            while self
                .channel
                .basic_get(Get { queue, auto_ack: true })
                .map_err(|error| refused(&error))?
                .is_some()
            {
                matched.push(Json::from(position));
            }
        }
        Ok(matched)
    }
}

/// The text of an error, for a report.
fn refused(error: &leveret::Error) -> String {
    error.reply_text()
}
