//! What is declared when a queue is declared.

use std::time::Duration;

use crate::{Name, Table, engine::entity::OwnerId};

use super::{
    arguments::QueueArguments,
    fault::InvalidArgument,
    mismatch::{Mismatch, compare_arguments, compare_property},
    queue_type::QueueType,
};

/// What a client asks for when it declares a queue, with arguments nobody has looked at yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct QueueDeclaration {
    /// Whether the queue outlives the broker. An exclusive queue never does, whatever is asked.
    pub(crate) durable: bool,
    /// Whether the queue goes when its last consumer does.
    pub(crate) auto_delete: bool,
    /// The connection that declares the queue for itself alone; `None` for a shared queue.
    pub(crate) owner: Option<OwnerId>,
    pub(crate) arguments: Table,
}

/// A queue as it was declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueueDefinition {
    /// Invariant: `false` if there is an owner.
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    /// The only connection that may use the queue; `None` if all may.
    pub(crate) owner: Option<OwnerId>,
    /// The arguments as they were given, by which redeclarations are compared.
    pub(crate) arguments: Table,
    /// Invariant: what `arguments` say.
    pub(crate) parsed: QueueArguments,
}

/// What holds for queues whose own arguments say nothing of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueDefaults {
    /// How often a message may return before it dies.
    pub(crate) delivery_limit: Option<u64>,
    /// How long a consumer may keep a delivery unsettled. Invariant: 1 ms to ten years.
    pub(crate) consumer_timeout: Option<Duration>,
}

/// A property that queues of a type can not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueProperty {
    AutoDelete,
    Exclusive,
    Transient,
}

/// Why a queue can not be created.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum InvalidQueue {
    Argument(InvalidArgument),
    Property(QueueProperty),
}

impl QueueDefinition {
    /// Checks what is declared, for a queue that does not exist yet.
    ///
    /// # Errors
    ///
    /// The first argument that is wrong, or else a property that queues of this type can not have.
    pub(crate) fn new(declaration: QueueDeclaration) -> Result<Self, InvalidQueue> {
        let parsed =
            QueueArguments::parse(&declaration.arguments).map_err(InvalidQueue::Argument)?;
        let durable = declaration.is_durable();
        let QueueDeclaration { durable: _, auto_delete, owner, arguments } = declaration;
        let definition = Self { durable, auto_delete, owner, arguments, parsed };
        match definition.unfit_property() {
            Some(property) => Err(InvalidQueue::Property(property)),
            None => Ok(definition),
        }
    }

    /// Compares a declaration with the queue that exists. Arguments are not checked for validity,
    /// and the owner is not looked at.
    ///
    /// # Errors
    ///
    /// The first difference, in the order durable, auto-delete, arguments.
    pub(crate) fn compare(&self, declaration: &QueueDeclaration) -> Result<(), Mismatch> {
        compare_property("durable", self.durable, declaration.is_durable())?;
        compare_property("auto_delete", self.auto_delete, declaration.auto_delete)?;
        let names = self.parsed.queue_type.arguments();
        compare_arguments(names, &self.arguments, &declaration.arguments)
    }

    /// Whether a connection may use the queue; `None` stands for an actor without a connection.
    pub(crate) fn is_open_to(&self, actor: Option<OwnerId>) -> bool {
        self.owner.is_none() || self.owner == actor
    }

    fn unfit_property(&self) -> Option<QueueProperty> {
        match self.parsed.queue_type {
            QueueType::Classic => None,
            QueueType::Quorum => [
                (self.auto_delete, QueueProperty::AutoDelete),
                (self.owner.is_some(), QueueProperty::Exclusive),
                (!self.durable, QueueProperty::Transient),
            ]
            .into_iter()
            .find_map(|(has, property)| has.then_some(property)),
        }
    }
}

impl QueueDeclaration {
    fn is_durable(&self) -> bool {
        self.durable && self.owner.is_none()
    }
}

impl QueueProperty {
    /// The name of the property in error texts.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AutoDelete => "auto-delete",
            Self::Exclusive => "exclusive-owner",
            Self::Transient => "non-durable",
        }
    }
}

impl InvalidQueue {
    /// The argument or property that is wrong.
    pub(crate) fn argument(&self) -> Name {
        match self {
            Self::Argument(invalid) => invalid.argument.clone(),
            Self::Property(property) => Name::from(property.as_str()),
        }
    }

    /// The text that follows `PRECONDITION_FAILED - `; `entity` names the queue and its vhost.
    pub(crate) fn text(&self, entity: &str) -> String {
        match self {
            Self::Argument(invalid) => invalid.text(entity),
            Self::Property(property) => {
                format!("invalid property '{}' for {entity}", property.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "queue 'q' in vhost '/'";

    fn quorum() -> QueueDeclaration {
        QueueDeclaration {
            durable: true,
            arguments: Table::from([("x-queue-type", "quorum")]),
            ..QueueDeclaration::default()
        }
    }

    #[track_caller]
    fn check_difference(current: QueueDeclaration, received: &QueueDeclaration, argument: &str) {
        let mismatch = QueueDefinition::new(current).unwrap().compare(received).unwrap_err();
        assert_eq!(mismatch.argument, argument);
    }

    #[test]
    fn an_exclusive_queue_is_never_durable() {
        let declaration =
            QueueDeclaration { durable: true, owner: Some(OwnerId(1)), ..Default::default() };
        let definition = QueueDefinition::new(declaration.clone()).unwrap();
        assert!(!definition.durable);
        assert_eq!(definition.compare(&declaration), Ok(()));
    }

    #[test]
    fn quorum_queues_are_durable_shared_and_permanent() {
        let cases = [
            (QueueDeclaration { durable: false, ..quorum() }, "non-durable"),
            (QueueDeclaration { owner: Some(OwnerId(1)), ..quorum() }, "exclusive-owner"),
            (QueueDeclaration { auto_delete: true, ..quorum() }, "auto-delete"),
            (
                QueueDeclaration { auto_delete: true, owner: Some(OwnerId(1)), ..quorum() },
                "auto-delete",
            ),
        ];
        for (declaration, property) in cases {
            let text = QueueDefinition::new(declaration).unwrap_err().text(QUEUE);
            assert_eq!(text, format!("invalid property '{property}' for {QUEUE}"));
        }
        assert!(QueueDefinition::new(quorum()).is_ok());
    }

    #[test]
    fn differences_are_reported_durable_first_then_auto_delete_then_arguments() {
        let all = QueueDeclaration {
            durable: true,
            auto_delete: true,
            owner: None,
            arguments: Table::from([("x-max-length", 1), ("x-expires", 1)]),
        };
        check_difference(QueueDeclaration::default(), &all, "durable");
        let all = QueueDeclaration { durable: false, ..all };
        check_difference(QueueDeclaration::default(), &all, "auto_delete");
        let all = QueueDeclaration { auto_delete: false, ..all };
        check_difference(QueueDeclaration::default(), &all, "x-expires");
    }

    #[test]
    fn arguments_are_compared_in_the_order_of_the_queue_that_exists() {
        let arguments = [("x-message-ttl", 1), ("x-max-length", 1)];
        let received = QueueDeclaration { arguments: arguments.into(), ..Default::default() };
        check_difference(QueueDeclaration::default(), &received, "x-message-ttl");
        let received = QueueDeclaration { durable: true, ..received };
        check_difference(quorum(), &received, "x-max-length");
    }

    #[test]
    fn an_existing_queue_is_compared_before_arguments_are_checked() {
        let received = QueueDeclaration {
            arguments: Table::from([("x-expires", "soon")]),
            ..QueueDeclaration::default()
        };
        check_difference(QueueDeclaration::default(), &received, "x-expires");
        // What no comparison looks at is not even checked.
        let received = QueueDeclaration {
            arguments: Table::from([("x-quorum-initial-group-size", "many")]),
            ..QueueDeclaration::default()
        };
        let definition = QueueDefinition::new(QueueDeclaration::default()).unwrap();
        assert_eq!(definition.compare(&received), Ok(()));
    }

    #[test]
    fn an_exclusive_queue_is_open_to_its_owner_only() {
        let owner = Some(OwnerId(1));
        let exclusive =
            QueueDefinition::new(QueueDeclaration { owner, ..Default::default() }).unwrap();
        assert!(exclusive.is_open_to(owner));
        assert!(!exclusive.is_open_to(Some(OwnerId(2))));
        assert!(!exclusive.is_open_to(None));
        let shared = QueueDefinition::new(QueueDeclaration::default()).unwrap();
        assert!(shared.is_open_to(owner) && shared.is_open_to(None));
    }
}
