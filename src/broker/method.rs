//! The arguments of AMQP's methods, field by field.
//!
//! The structs are open, since AMQP 0-9-1 is finished; each has the protocol's defaults, except
//! that whether to requeue must always be said. Nothing is checked here.

use super::event::DeliveryTag;
use crate::{Name, Table};

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    })*) => { $(
        $(#[$doc])*
        #[expect(clippy::exhaustive_structs, reason = "AMQP 0-9-1 is finished")]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $kind,)*
        }
    )* };
}

methods! {
    /// Arguments of `exchange.declare`.
    #[derive(Clone, Debug)]
    ExchangeDeclare<'a> {
        /// The exchange. CR and LF are removed.
        exchange: &'a str,
        /// Its type by AMQP name; `direct` by default.
        kind: &'a str,
        /// Only finds it: all but the name is ignored.
        passive: bool,
        /// Outlives the process, when the broker persists.
        durable: bool,
        /// Goes away when its last outgoing binding does.
        auto_delete: bool,
        /// Takes messages from other exchanges only.
        internal: bool,
        /// `alternate-exchange`; others are kept and ignored.
        arguments: Table,
    }
    /// Arguments of `exchange.delete`.
    #[derive(Clone, Copy, Debug, Default)]
    ExchangeDelete<'a> {
        /// The exchange. It is no error if there is none.
        exchange: &'a str,
        /// Only if it has no outgoing bindings.
        if_unused: bool,
    }
    /// Arguments of `exchange.bind` and `exchange.unbind`.
    #[derive(Clone, Debug, Default)]
    ExchangeBind<'a> {
        /// The exchange that gets the messages.
        destination: &'a str,
        /// The exchange that they come from.
        source: &'a str,
        /// The key or pattern.
        routing_key: &'a str,
        /// Part of the identity of the binding, wire types included.
        arguments: Table,
    }
    /// Arguments of `queue.declare`.
    #[derive(Clone, Debug, Default)]
    QueueDeclare<'a> {
        /// The queue. CR and LF are removed. The empty name asks for a generated one.
        queue: &'a str,
        /// Only finds it: all but the name is ignored.
        passive: bool,
        /// Outlives the process, when the broker persists.
        durable: bool,
        /// Belongs to this connection and goes away with it.
        exclusive: bool,
        /// Goes away when its last consumer does.
        auto_delete: bool,
        /// The `x-` arguments.
        arguments: Table,
    }
    /// Arguments of `queue.bind` and `queue.unbind`.
    #[derive(Clone, Debug, Default)]
    QueueBind<'a> {
        /// The queue; empty for the one last declared on the channel. If the key is empty too, the
        /// name of that queue is the key.
        queue: &'a str,
        /// The exchange that messages come from.
        exchange: &'a str,
        /// The key or pattern.
        routing_key: &'a str,
        /// Part of the identity of the binding, wire types included.
        arguments: Table,
    }
    /// Arguments of `queue.delete`.
    #[derive(Clone, Copy, Debug, Default)]
    QueueDelete<'a> {
        /// The queue; empty for the one last declared on the channel. It is no error if there is
        /// none of this name.
        queue: &'a str,
        /// Only if it has no consumers.
        if_unused: bool,
        /// Only if it has no ready messages.
        if_empty: bool,
    }
    /// Arguments of `basic.qos`.
    #[derive(Clone, Copy, Debug, Default)]
    Qos {
        /// Not implemented: has to be zero.
        prefetch_size: u32,
        /// How many deliveries may be unsettled; zero is unlimited.
        prefetch_count: u16,
        /// `false`: for each consumer started later. `true`: for the channel as a whole, at once.
        global: bool,
    }
    /// Arguments of `basic.consume`.
    #[derive(Clone, Debug, Default)]
    Consume<'a> {
        /// The queue; empty for the one last declared on the channel.
        queue: &'a str,
        /// Empty asks for a generated one.
        consumer_tag: &'a str,
        /// Deliveries need no acknowledgement.
        auto_ack: bool,
        /// No other consumer may be on the queue.
        exclusive: bool,
        /// Ignored, as `RabbitMQ` does.
        no_local: bool,
        /// `x-priority`; others are ignored.
        arguments: Table,
    }
    /// Arguments of `basic.get`.
    #[derive(Clone, Copy, Debug, Default)]
    Get<'a> {
        /// The queue; empty for the one last declared on the channel.
        queue: &'a str,
        /// The message needs no acknowledgement.
        auto_ack: bool,
    }
    /// Arguments of `basic.publish`.
    #[derive(Clone, Copy, Debug, Default)]
    Publish<'a> {
        /// The exchange; empty for the default one.
        exchange: &'a str,
        /// The key that routes the message.
        routing_key: &'a str,
        /// Reaching no queue returns the message.
        mandatory: bool,
        /// Not implemented: has to be false.
        immediate: bool,
    }
    /// Arguments of `basic.ack`.
    #[derive(Clone, Copy, Debug)]
    Ack {
        /// Which delivery.
        delivery_tag: DeliveryTag,
        /// All outstanding ones before it too.
        multiple: bool,
    }
    /// Arguments of `basic.nack`.
    #[derive(Clone, Copy, Debug)]
    Nack {
        /// Which delivery.
        delivery_tag: DeliveryTag,
        /// All outstanding ones before it too.
        multiple: bool,
        /// Back to its place, rather than gone.
        requeue: bool,
    }
    /// Arguments of `basic.reject`.
    #[derive(Clone, Copy, Debug)]
    Reject {
        /// Which delivery.
        delivery_tag: DeliveryTag,
        /// Back to its place, rather than gone.
        requeue: bool,
    }
    /// Arguments of `basic.recover`.
    #[derive(Clone, Copy, Debug)]
    Recover {
        /// Has to be true: redelivering to the same consumer is not implemented.
        requeue: bool,
    }
    /// Arguments of `channel.flow`.
    #[derive(Clone, Copy, Debug)]
    Flow {
        /// Has to be true: stopping the flow is not implemented.
        active: bool,
    }
    /// Answer to `queue.declare`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    QueueDeclared {
        /// The name of the queue, which may have been generated.
        queue: Name,
        /// How many messages are ready.
        message_count: u32,
        /// How many consumers there are.
        consumer_count: u32,
    }
}

impl Default for ExchangeDeclare<'_> {
    fn default() -> Self {
        Self {
            exchange: "",
            kind: "direct",
            passive: false,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: Table::new(),
        }
    }
}
