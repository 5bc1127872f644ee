//! What is declared when an exchange is declared.

use crate::{Name, Table, Value, engine::routing::ExchangeKind};

use super::{
    fault::InvalidArgument,
    mismatch::{Mismatch, compare_arguments, compare_property},
    reader::exchange_name,
};

/// The argument that names where messages go which an exchange finds no queue for.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// What a client asks for when it declares an exchange, with arguments nobody has looked at yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExchangeDeclaration {
    pub(crate) kind: ExchangeKind,
    /// Whether the exchange outlives the broker.
    pub(crate) durable: bool,
    /// Whether the exchange goes with the last binding that leads away from it.
    pub(crate) auto_delete: bool,
    /// Whether clients are refused to publish to it.
    pub(crate) internal: bool,
    pub(crate) arguments: Table,
}

/// An exchange as it was declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExchangeDefinition {
    pub(crate) kind: ExchangeKind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    /// The arguments as they were given, by which redeclarations are compared.
    pub(crate) arguments: Table,
    /// Where messages go for which no binding is found. Invariant: not empty, since the default
    /// exchange is no alternate; naming it does nothing.
    pub(crate) alternate: Option<Name>,
}

impl ExchangeDeclaration {
    /// A transient exchange of this kind which stays until it is deleted.
    pub(crate) fn new(kind: ExchangeKind) -> Self {
        Self { kind, durable: false, auto_delete: false, internal: false, arguments: Table::new() }
    }
}

impl ExchangeDefinition {
    /// Checks what is declared, for an exchange that does not exist yet.
    ///
    /// # Errors
    ///
    /// The alternate exchange is no name.
    pub(crate) fn new(declaration: ExchangeDeclaration) -> Result<Self, InvalidArgument> {
        let alternate = exchange_name(&declaration.arguments, ALTERNATE_EXCHANGE)?;
        let alternate = alternate.filter(|name| !name.is_empty());
        let ExchangeDeclaration { kind, durable, auto_delete, internal, arguments } = declaration;
        Ok(Self { kind, durable, auto_delete, internal, arguments, alternate })
    }

    /// Compares a declaration with the exchange that exists. Arguments are not checked for
    /// validity.
    ///
    /// # Errors
    ///
    /// The first difference, in the order type, durable, auto-delete, internal, alternate
    /// exchange. Other arguments do not count.
    pub(crate) fn compare(&self, declaration: &ExchangeDeclaration) -> Result<(), Mismatch> {
        if self.kind != declaration.kind {
            return Err(Mismatch {
                argument: Name::from("type"),
                received: Some(Value::from(declaration.kind.as_str())),
                current: Some(Value::from(self.kind.as_str())),
            });
        }
        compare_property("durable", self.durable, declaration.durable)?;
        compare_property("auto_delete", self.auto_delete, declaration.auto_delete)?;
        compare_property("internal", self.internal, declaration.internal)?;
        compare_arguments(&[ALTERNATE_EXCHANGE], &self.arguments, &declaration.arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: &str = "exchange 'x' in vhost '/'";

    fn direct() -> ExchangeDeclaration {
        ExchangeDeclaration::new(ExchangeKind::Direct)
    }

    #[test]
    fn differences_are_reported_from_type_to_alternate() {
        let current = ExchangeDefinition::new(direct()).unwrap();
        let all = ExchangeDeclaration {
            kind: ExchangeKind::Fanout,
            durable: true,
            auto_delete: true,
            internal: true,
            arguments: Table::from([(ALTERNATE_EXCHANGE, "ae")]),
        };
        let argument =
            |declaration: &ExchangeDeclaration| current.compare(declaration).unwrap_err().argument;
        assert_eq!(argument(&all), "type");
        let all = ExchangeDeclaration { kind: ExchangeKind::Direct, ..all };
        assert_eq!(argument(&all), "durable");
        let all = ExchangeDeclaration { durable: false, ..all };
        assert_eq!(argument(&all), "auto_delete");
        let all = ExchangeDeclaration { auto_delete: false, ..all };
        assert_eq!(argument(&all), "internal");
        let all = ExchangeDeclaration { internal: false, ..all };
        assert_eq!(argument(&all), "alternate-exchange");
        assert_eq!(current.compare(&direct()), Ok(()));
    }

    #[test]
    fn a_difference_of_type_names_both_types() {
        let current = ExchangeDefinition::new(direct()).unwrap();
        let mismatch = current.compare(&ExchangeDeclaration::new(ExchangeKind::Fanout));
        assert_eq!(
            mismatch.unwrap_err().text(EXCHANGE),
            "inequivalent arg 'type' for exchange 'x' in vhost '/': \
             received 'fanout' but current is 'direct'"
        );
    }

    #[test]
    fn arguments_other_than_the_alternate_do_not_count() {
        let foo = |value: i32| ExchangeDeclaration {
            arguments: Table::from([("foo", value)]),
            ..direct()
        };
        let current = ExchangeDefinition::new(foo(1)).unwrap();
        assert_eq!(current.compare(&foo(2)), Ok(()));
        assert_eq!(current.compare(&direct()), Ok(()));
    }

    #[test]
    fn an_empty_alternate_is_none() {
        let alternate = |name: &str| {
            let arguments = Table::from([(ALTERNATE_EXCHANGE, name)]);
            ExchangeDefinition::new(ExchangeDeclaration { arguments, ..direct() })
                .unwrap()
                .alternate
        };
        assert_eq!(alternate("ae"), Some(Name::from("ae")));
        assert_eq!(alternate(""), None);
    }

    #[test]
    fn an_alternate_that_is_no_string_is_refused() {
        let arguments = Table::from([(ALTERNATE_EXCHANGE, 1)]);
        let declaration = ExchangeDeclaration { arguments, ..direct() };
        assert_eq!(
            ExchangeDefinition::new(declaration).unwrap_err().text(EXCHANGE),
            "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'"
        );
    }
}
