//! The methods that change what exists: AMQP's exchange and queue classes.

use super::Channel;
use crate::{
    Entity, Error, Name, Result,
    broker::{
        method::{
            ExchangeBind, ExchangeDeclare, ExchangeDelete, QueueBind, QueueDeclare, QueueDeclared,
            QueueDelete,
        },
        reply,
        vhost_state::IfUnused,
    },
    engine::{
        definition::{ExchangeDeclaration, QueueDeclaration, QueueType},
        entity::{Endpoint, without_line_breaks},
        queue::DeleteConditions,
        topology,
    },
};

#[expect(clippy::needless_pass_by_value, reason = "all methods take their arguments alike")]
impl Channel {
    /// Declares an exchange, or finds it if it exists with equal settings.
    ///
    /// # Errors
    ///
    /// `Mismatch`, `AccessRefused` (reserved name, default exchange), `UnknownExchangeType`,
    /// `InvalidArgument`, `InvalidName`; `NotFound` if passive.
    pub fn exchange_declare(&self, of: ExchangeDeclare<'_>) -> Result<()> {
        self.run(|| {
            if of.passive {
                return self.vhost().find_exchange(of.exchange).map(drop);
            }
            let kind =
                topology::exchange_kind(of.kind).map_err(|error| self.vhost().error(error))?;
            let declaration = ExchangeDeclaration {
                kind,
                durable: of.durable,
                auto_delete: of.auto_delete,
                internal: of.internal,
                arguments: of.arguments,
            };
            self.vhost().declare_exchange(of.exchange, declaration).map(drop)
        })
    }

    /// Deletes an exchange with its bindings. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// `InUse`; `AccessRefused` for the exchanges of the broker itself.
    pub fn exchange_delete(&self, of: ExchangeDelete<'_>) -> Result<()> {
        let condition = if of.if_unused { IfUnused::OnlyUnused } else { IfUnused::Anyway };
        self.run(|| self.vhost().delete_exchange(of.exchange, condition))
    }

    /// Routes what matches in one exchange on to another.
    ///
    /// # Errors
    ///
    /// `NotFound`, the source first; `AccessRefused` for the default exchange; `InvalidArgument`.
    pub fn exchange_bind(&self, of: ExchangeBind<'_>) -> Result<()> {
        self.run(|| {
            let to = Endpoint::Exchange(Name::from(of.destination));
            self.vhost().bind(of.source, to, of.routing_key, &of.arguments, Some(self.owner()), &[])
        })
    }

    /// Takes such a binding away. It is no error if there is none, or no such exchange.
    ///
    /// # Errors
    ///
    /// `AccessRefused` for the default exchange.
    pub fn exchange_unbind(&self, of: ExchangeBind<'_>) -> Result<()> {
        self.run(|| {
            let to = Endpoint::Exchange(Name::from(of.destination));
            self.vhost().unbind(
                of.source,
                to,
                of.routing_key,
                &of.arguments,
                Some(self.owner()),
                &[],
            )
        })
    }

    /// Declares a queue, or finds it if it exists with equal settings. The empty name asks for a
    /// generated one; a later method of this channel may mean the queue by the empty name.
    ///
    /// # Errors
    ///
    /// `Mismatch`, `Locked`, `AccessRefused` (reserved name), `InvalidArgument`, `InvalidName`;
    /// `NotFound` if passive.
    pub fn queue_declare(&self, of: QueueDeclare<'_>) -> Result<QueueDeclared> {
        self.run(|| {
            if of.queue.starts_with(reply::PSEUDO_QUEUE) {
                let declared = self.find_pseudo_queue(of.queue)?;
                self.memory.lock().last_queue = Some(declared.queue.clone());
                return Ok(declared);
            }
            let cell = if of.passive {
                self.vhost().find_queue(of.queue, Some(self.owner()))?
            } else {
                let declaration = QueueDeclaration {
                    durable: of.durable,
                    auto_delete: of.auto_delete,
                    owner: of.exclusive.then_some(self.connection.owner),
                    arguments: of.arguments,
                };
                let cell = self.vhost().declare_queue(of.queue, declaration)?;
                // Closed by another thread meanwhile: its queues are gone, but maybe not this one.
                if let Err(closed) = self.connection.check_open() {
                    self.vhost().delete_queues_of(self.owner());
                    return Err(closed);
                }
                cell
            };
            self.memory.lock().last_queue = Some(cell.name.clone());
            let (ready, consumers) = cell.declared_counts();
            Ok(QueueDeclared {
                queue: cell.name.clone(),
                message_count: count(ready),
                consumer_count: count(consumers as u64),
            })
        })
    }

    /// Routes what matches in an exchange to a queue.
    ///
    /// # Errors
    ///
    /// `NotFound`, the exchange first; `NoPreviousQueue`; `Locked`; `AccessRefused` for the default
    /// exchange; `InvalidArgument`.
    pub fn queue_bind(&self, of: QueueBind<'_>) -> Result<()> {
        self.run(|| {
            let (queue, key) = self.queue_and_key(of.queue, of.routing_key)?;
            let to = Endpoint::Queue(queue);
            self.vhost().bind(of.exchange, to, &key, &of.arguments, Some(self.owner()), &[])
        })
    }

    /// Takes such a binding away. It is no error if there is none, or no such queue or exchange.
    ///
    /// # Errors
    ///
    /// `NoPreviousQueue`; `Locked`; `AccessRefused` for the default exchange.
    pub fn queue_unbind(&self, of: QueueBind<'_>) -> Result<()> {
        self.run(|| {
            let (queue, key) = self.queue_and_key(of.queue, of.routing_key)?;
            let to = Endpoint::Queue(queue);
            self.vhost().unbind(of.exchange, to, &key, &of.arguments, Some(self.owner()), &[])
        })
    }

    /// Drops what is ready in a queue and says how much that was.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoPreviousQueue`, `Locked`.
    pub fn queue_purge(&self, queue: &str) -> Result<u32> {
        self.run(|| Ok(count(self.queue(queue)?.purge(u64::MAX))))
    }

    /// Deletes a queue and says how many messages were ready. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// `InUse`, `NotEmpty`, `Locked`, `NoPreviousQueue`.
    pub fn queue_delete(&self, of: QueueDelete<'_>) -> Result<u32> {
        self.run(|| {
            let conditions = DeleteConditions {
                unused: of.if_unused,
                empty: of.if_empty,
                ..DeleteConditions::default()
            };
            let queue = self.queue_name(of.queue)?;
            self.check_conditions(&queue, conditions)?;
            self.vhost().delete_queue(&queue, Some(self.owner()), conditions).map(count)
        })
    }

    /// Quorum queues of `RabbitMQ` go without asking.
    fn check_conditions(&self, queue: &str, conditions: DeleteConditions) -> Result<()> {
        let flag = match conditions {
            DeleteConditions { unused: true, .. } => "if-unused",
            DeleteConditions { empty: true, .. } => "if-empty",
            _ => return Ok(()),
        };
        let vhost = self.vhost();
        let Ok(cell) = vhost.queue(queue, Some(self.owner())) else { return Ok(()) };
        match cell.definition.parsed.queue_type {
            QueueType::Classic => Ok(()),
            QueueType::Quorum => Err(Error::not_implemented(format!(
                "cannot delete {}. queue.delete operations with {flag} flag set are not supported \
                 by quorum queues",
                Endpoint::Queue(cell.name.clone()).in_vhost(&vhost.name),
            ))),
        }
    }

    /// The pseudo queue, and each address that somebody waits at, can be declared and is there.
    fn find_pseudo_queue(&self, name: &str) -> Result<QueueDeclared> {
        let vhost = self.vhost();
        let queue = without_line_breaks(Name::from(name));
        if queue != reply::PSEUDO_QUEUE && vhost.replies.find(&queue).is_none() {
            return Err(Error::not_found(Entity::Queue, queue, &vhost.name));
        }
        Ok(QueueDeclared { queue, message_count: 0, consumer_count: 1 })
    }

    /// If both are empty, the key is the name of the queue last declared, too.
    fn queue_and_key(&self, queue: &str, key: &str) -> Result<(Name, Name)> {
        let name = self.queue_name(queue)?;
        let key = if queue.is_empty() && key.is_empty() { name.clone() } else { Name::from(key) };
        Ok((name, key))
    }
}

/// A count as AMQP's methods carry it.
fn count(of: u64) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
