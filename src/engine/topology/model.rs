//! Random operations on a topology and on a model too simple to be wrong: a flat list of bindings,
//! searched and filtered for everything.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*};

use super::*;
use crate::{Table, Value};

/// Few names, so that operations meet; one names an exchange and a queue.
const EXCHANGES: [&str; 4] = ["a", "b", "c", "amq.fanout"];
const QUEUES: [&str; 3] = ["p", "q", "a"];

#[derive(Clone, Debug)]
enum Operation {
    Bind(Spec),
    DeclareExchange(&'static str, bool),
    DeclareQueue(&'static str, Option<OwnerId>),
    DeleteExchange(&'static str),
    DeleteExchangeIfUnused(&'static str),
    DeleteQueue(&'static str),
    Unbind(Spec),
}

/// A binding in plain words: source, destination, key, and an argument or none.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    source: &'static str,
    destination: Endpoint,
    key: &'static str,
    argument: Option<Value>,
}

impl Spec {
    fn resolve(&self) -> BindingSpec {
        let arguments: Table = self.argument.iter().map(|value| ("n", value.clone())).collect();
        let Self { source, destination, key, .. } = self;
        BindingSpec::new((*source).into(), destination.clone(), (*key).into(), &arguments).unwrap()
    }

    fn touches(&self, endpoint: &Endpoint) -> bool {
        self.destination == *endpoint || Endpoint::Exchange(self.source.into()) == *endpoint
    }
}

#[derive(Default)]
struct Model {
    /// Whether each is an auto-delete one.
    exchanges: BTreeMap<&'static str, bool>,
    queues: BTreeMap<&'static str, Option<OwnerId>>,
    bindings: Vec<Spec>,
}

impl Model {
    fn apply(&mut self, operation: &Operation) {
        let before = self.bindings.clone();
        match operation {
            Operation::Bind(spec) => {
                let exists = match &spec.destination {
                    Endpoint::Exchange(name) => self.exchanges.contains_key(&**name),
                    Endpoint::Queue(name) => self.queues.get(&**name) == Some(&None),
                };
                if exists
                    && self.exchanges.contains_key(spec.source)
                    && !self.bindings.contains(spec)
                {
                    self.bindings.push(spec.clone());
                }
            }
            Operation::DeclareExchange(name, auto_delete) => {
                if !name.starts_with("amq.") {
                    self.exchanges.entry(name).or_insert(*auto_delete);
                }
            }
            Operation::DeclareQueue(name, owner) => {
                self.queues.entry(name).or_insert(*owner);
            }
            Operation::DeleteExchange(name) => self.delete_exchange(name),
            Operation::DeleteExchangeIfUnused(name) => {
                if self.bindings.iter().all(|spec| spec.source != *name) {
                    self.delete_exchange(name);
                }
            }
            Operation::DeleteQueue(name) => {
                self.queues.remove(name);
                self.unbind_all(&Endpoint::Queue((*name).into()));
            }
            Operation::Unbind(spec) => self.bindings.retain(|known| known != spec),
        }
        self.auto_delete(&before);
    }

    fn delete_exchange(&mut self, name: &str) {
        if !name.starts_with("amq.") {
            self.exchanges.remove(name);
            self.unbind_all(&Endpoint::Exchange(name.into()));
        }
    }

    fn unbind_all(&mut self, endpoint: &Endpoint) {
        self.bindings.retain(|spec| !spec.touches(endpoint));
    }

    /// Deletes auto-delete exchanges which were sources before and are no longer, one by one until
    /// there is none.
    fn auto_delete(&mut self, before: &[Spec]) {
        let is_source = |bindings: &[Spec], name: &str| bindings.iter().any(|b| b.source == name);
        while let Some(name) = self
            .exchanges
            .iter()
            .filter(|(_, auto_delete)| **auto_delete)
            .map(|(name, _)| *name)
            .find(|name| is_source(before, name) && !is_source(&self.bindings, name))
        {
            self.delete_exchange(name);
        }
    }
}

/// What someone knows who only ever sees the changes.
#[derive(Default)]
struct Follower(Vec<Arc<BindingSpec>>);

impl Follower {
    fn follow(&mut self, change: Change) {
        match change {
            Change::Bound(spec) => {
                assert!(!self.0.contains(&spec), "no binding comes twice");
                self.0.push(spec);
            }
            Change::ExchangeDeleted(name) => self.assert_free(&Endpoint::Exchange(name)),
            Change::QueueDeleted(name) => self.assert_free(&Endpoint::Queue(name)),
            Change::Unbound(spec) => {
                let place = self.0.iter().position(|known| *known == spec);
                self.0.remove(place.expect("what goes was there"));
            }
        }
    }

    fn assert_free(&self, endpoint: &Endpoint) {
        let touches = |spec: &Arc<BindingSpec>| {
            spec.destination() == endpoint || Endpoint::Exchange(spec.source().clone()) == *endpoint
        };
        assert!(!self.0.iter().any(touches), "{endpoint} is unbound before it goes");
    }
}

fn apply(topology: &mut Topology, operation: &Operation, changes: &mut Vec<Change>) {
    // Whether an operation is refused shows in what there is afterwards.
    let _ = match operation {
        Operation::Bind(spec) => topology.bind(None, spec.resolve(), changes),
        Operation::DeclareExchange(name, auto_delete) => {
            let declaration = ExchangeDeclaration {
                auto_delete: *auto_delete,
                ..ExchangeDeclaration::new(ExchangeKind::Topic)
            };
            topology.declare_exchange(&(*name).into(), declaration).map(drop)
        }
        Operation::DeclareQueue(name, owner) => {
            let declaration = QueueDeclaration { owner: *owner, ..Default::default() };
            topology.declare_queue(&(*name).into(), declaration).map(drop)
        }
        Operation::DeleteExchange(name) => topology.delete_exchange(&(*name).into(), changes),
        Operation::DeleteExchangeIfUnused(name) => {
            topology.delete_exchange_if_unused(&(*name).into(), changes)
        }
        Operation::DeleteQueue(name) => {
            topology.delete_queue(&(*name).into(), changes);
            Ok(())
        }
        Operation::Unbind(spec) => topology.unbind(None, &spec.resolve(), changes),
    };
}

fn compare(topology: &Topology, model: &Model, follower: &Follower) {
    let exchanges: BTreeMap<_, _> = topology
        .exchanges()
        .map(|(name, exchange)| (name.as_str(), exchange.auto_delete))
        .filter(|(name, _)| !name.starts_with("amq.") || EXCHANGES.contains(name))
        .collect();
    assert_eq!(exchanges, model.exchanges);
    let queues: BTreeMap<_, _> =
        topology.queues().map(|(name, queue)| (name.as_str(), queue.owner)).collect();
    assert_eq!(queues, model.queues);
    for source in EXCHANGES {
        let from = model.bindings.iter().filter(|spec| spec.source == source);
        let known: Vec<_> = topology.bindings_from(source).map(|spec| (**spec).clone()).collect();
        assert_eq!(known, from.map(Spec::resolve).collect::<Vec<_>>());
    }
    assert_eq!(topology.binding_count(), model.bindings.len());
    assert_eq!(follower.0.len(), model.bindings.len());
    assert!(model.bindings.iter().all(|spec| follower.0.contains(&Arc::new(spec.resolve()))));
}

fn spec() -> impl Strategy<Value = Spec> {
    let destination = prop_oneof![
        prop::sample::select(&QUEUES[..]).prop_map(|name| Endpoint::Queue(name.into())),
        prop::sample::select(&EXCHANGES[..]).prop_map(|name| Endpoint::Exchange(name.into())),
    ];
    let argument = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Value::I32(1))),
        1 => Just(Some(Value::I64(1))),
    ];
    let key = prop_oneof![Just("k"), Just("")];
    (prop::sample::select(&EXCHANGES[..]), destination, key, argument).prop_map(
        |(source, destination, key, argument)| Spec { source, destination, key, argument },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let exchange = || prop::sample::select(&EXCHANGES[..]);
    let queue = || prop::sample::select(&QUEUES[..]);
    let owner = prop_oneof![4 => Just(None), 1 => Just(Some(OwnerId(1)))];
    prop_oneof![
        8 => spec().prop_map(Operation::Bind),
        4 => (exchange(), any::<bool>()).prop_map(|(name, auto_delete)| {
            Operation::DeclareExchange(name, auto_delete)
        }),
        3 => (queue(), owner).prop_map(|(name, owner)| Operation::DeclareQueue(name, owner)),
        1 => exchange().prop_map(Operation::DeleteExchange),
        1 => exchange().prop_map(Operation::DeleteExchangeIfUnused),
        1 => queue().prop_map(Operation::DeleteQueue),
        4 => spec().prop_map(Operation::Unbind),
    ]
}

proptest! {
    #[test]
    fn a_topology_is_what_a_flat_list_of_bindings_says(
        operations in collection::vec(operation(), 1..80)
    ) {
        let mut topology = Topology::new();
        let mut model = Model { exchanges: [("amq.fanout", false)].into(), ..Model::default() };
        let (mut follower, mut changes) = (Follower::default(), Vec::new());
        for operation in &operations {
            apply(&mut topology, operation, &mut changes);
            model.apply(operation);
            changes.drain(..).for_each(|change| follower.follow(change));
            topology.check_invariants();
            compare(&topology, &model, &follower);
        }
    }
}
