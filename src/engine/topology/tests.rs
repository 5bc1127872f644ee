//! One rule of the topology at a time.

use super::*;
use crate::Table;

fn exchange(topology: &mut Topology, name: &str) {
    let declaration = ExchangeDeclaration::new(ExchangeKind::Fanout);
    assert_eq!(topology.declare_exchange(&name.into(), declaration), Ok(Declared::Created));
}

fn auto_delete_exchange(topology: &mut Topology, name: &str) {
    let declaration =
        ExchangeDeclaration { auto_delete: true, ..ExchangeDeclaration::new(ExchangeKind::Fanout) };
    assert_eq!(topology.declare_exchange(&name.into(), declaration), Ok(Declared::Created));
}

fn queue(topology: &mut Topology, name: &str) {
    let declaration = QueueDeclaration::default();
    assert_eq!(topology.declare_queue(&name.into(), declaration), Ok(Declared::Created));
}

fn exclusive_queue(topology: &mut Topology, name: &str, owner: OwnerId) {
    let declaration = QueueDeclaration { owner: Some(owner), ..Default::default() };
    assert_eq!(topology.declare_queue(&name.into(), declaration), Ok(Declared::Created));
}

fn to_queue(source: &str, queue: &str, key: &str) -> BindingSpec {
    let destination = Endpoint::Queue(queue.into());
    BindingSpec::new(source.into(), destination, key.into(), &Table::new()).unwrap()
}

fn to_exchange(source: &str, exchange: &str) -> BindingSpec {
    let destination = Endpoint::Exchange(exchange.into());
    BindingSpec::new(source.into(), destination, "".into(), &Table::new()).unwrap()
}

#[track_caller]
fn bind(topology: &mut Topology, spec: &BindingSpec) {
    assert_eq!(topology.bind(None, spec.clone(), &mut Vec::new()), Ok(()));
    topology.check_invariants();
}

/// What `act` changes, after which all invariants hold.
#[track_caller]
fn changes(
    topology: &mut Topology,
    act: impl FnOnce(&mut Topology, &mut Vec<Change>),
) -> Vec<Change> {
    let mut changes = Vec::new();
    act(topology, &mut changes);
    topology.check_invariants();
    changes
}

fn unbound(spec: &BindingSpec) -> Change {
    Change::Unbound(Arc::new(spec.clone()))
}

fn exchange_deleted(name: &str) -> Change {
    Change::ExchangeDeleted(name.into())
}

#[track_caller]
fn check_text(outcome: Result<impl std::fmt::Debug, TopologyError>, text: &str) {
    assert_eq!(outcome.unwrap_err().text("/"), text);
}

#[test]
fn six_exchanges_are_there_from_the_start() {
    let topology = Topology::new();
    topology.check_invariants();
    let names: Vec<_> = topology.exchanges().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.rabbitmq.trace", "amq.topic"]
    );
    let internal = |name| topology.exchange(name).unwrap().internal;
    assert!(internal("amq.rabbitmq.trace") && !internal("amq.topic"));
    assert!(topology.exchanges().all(|(_, exchange)| exchange.durable && !exchange.auto_delete));
    assert_eq!((topology.queues().len(), topology.binding_count()), (0, 0));
}

#[test]
fn the_default_exchange_can_not_be_touched() {
    let mut topology = Topology::new();
    let (name, text) = (Name::from(""), "operation not permitted on the default exchange");
    let declaration = ExchangeDeclaration::new(ExchangeKind::Direct);
    check_text(topology.declare_exchange(&name, declaration), text);
    check_text(topology.find_exchange(&name), text);
    check_text(topology.delete_exchange(&name, &mut Vec::new()), text);
    check_text(topology.delete_exchange_if_unused(&name, &mut Vec::new()), text);
    assert_eq!(topology.exchange(""), None);
}

#[test]
fn the_names_of_new_exchanges_are_not_reserved_ones() {
    let mut topology = Topology::new();
    let mut declare =
        |name: &str, declaration| topology.declare_exchange(&name.into(), declaration);
    let transient = ExchangeDeclaration::new(ExchangeKind::Direct);
    let durable = ExchangeDeclaration { durable: true, ..transient.clone() };
    check_text(
        declare("amq.mine", transient.clone()),
        "exchange name 'amq.mine' contains reserved prefix 'amq.*'",
    );
    // One that exists may be declared, but has to be declared right.
    check_text(
        declare("amq.direct", transient),
        "inequivalent arg 'durable' for exchange 'amq.direct' in vhost '/': \
         received 'false' but current is 'true'",
    );
    assert_eq!(declare("amq.direct", durable), Ok(Declared::Existing));
}

#[test]
fn the_names_of_declared_queues_are_never_reserved_ones() {
    let mut topology = Topology::new();
    let generated = Name::from("amq.gen-1");
    let declared = topology.declare_server_named_queue(&generated, QueueDeclaration::default());
    assert_eq!(declared, Ok(Declared::Created));
    let text = "queue name 'amq.gen-1' contains reserved prefix 'amq.*'";
    check_text(topology.declare_queue(&generated, QueueDeclaration::default()), text);
    assert!(topology.find_queue(None, &generated).is_ok());
    let text = "queue name 'amq.' contains reserved prefix 'amq.*'";
    check_text(topology.declare_queue(&"amq.".into(), QueueDeclaration::default()), text);
}

#[test]
fn the_broker_names_classic_queues_only() {
    let mut topology = Topology::new();
    let name = Name::from("amq.gen-1");
    let of_type = |queue_type: &str| QueueDeclaration {
        durable: true,
        arguments: Table::from([("x-queue-type", queue_type)]),
        ..QueueDeclaration::default()
    };
    check_text(
        topology.declare_server_named_queue(&name, of_type("quorum")),
        "Cannot declare a server-named queue for type rabbit_quorum_queue",
    );
    check_text(
        topology.declare_server_named_queue(&name, of_type("bogus")),
        "invalid arg 'x-queue-type' for queue 'amq.gen-1' in vhost '/': \
         \"unsupported queue type 'bogus'\"",
    );
    let declared = topology.declare_server_named_queue(&name, of_type("classic"));
    assert_eq!(declared, Ok(Declared::Created));
    // A name that is taken is no error; the broker takes another one.
    let declared = topology.declare_server_named_queue(&name, QueueDeclaration::default());
    assert_eq!(declared, Ok(Declared::Existing));
}

#[test]
fn names_are_at_most_255_bytes_long() {
    let mut topology = Topology::new();
    let (fitting, long) = (Name::from("n".repeat(255)), Name::from("n".repeat(256)));
    queue(&mut topology, &fitting);
    exchange(&mut topology, &fitting);
    let too_long = Err(TopologyError::NameTooLong(Endpoint::Queue(long.clone())));
    assert_eq!(topology.declare_queue(&long, QueueDeclaration::default()), too_long);
    let declaration = ExchangeDeclaration::new(ExchangeKind::Direct);
    let too_long = Err(TopologyError::NameTooLong(Endpoint::Exchange(long.clone())));
    assert_eq!(topology.declare_exchange(&long, declaration), too_long);
}

#[test]
fn exchanges_of_the_broker_are_not_deleted() {
    let mut topology = Topology::new();
    for name in ["amq.direct", "amq.rabbitmq.trace", "amq.mine"] {
        let text = format!("deletion of system exchange '{name}' in vhost '/' not allowed");
        check_text(topology.delete_exchange(&name.into(), &mut Vec::new()), &text);
        check_text(topology.delete_exchange_if_unused(&name.into(), &mut Vec::new()), &text);
    }
    topology.check_invariants();
}

#[test]
fn exchange_types_have_four_names() {
    for kind in ["direct", "fanout", "headers", "topic"] {
        assert_eq!(exchange_kind(kind).unwrap().as_str(), kind);
    }
    check_text(exchange_kind("bogus"), "unknown exchange type 'bogus'");
    check_text(exchange_kind(""), "invalid exchange type ''");
}

#[test]
fn a_redeclaration_changes_nothing() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    exchange(&mut topology, "x");
    bind(&mut topology, &to_queue("x", "q", "k"));
    let declared = topology.declare_queue(&"q".into(), QueueDeclaration::default());
    assert_eq!(declared, Ok(Declared::Existing));
    let declaration = ExchangeDeclaration::new(ExchangeKind::Fanout);
    assert_eq!(topology.declare_exchange(&"x".into(), declaration), Ok(Declared::Existing));
    assert_eq!(topology.binding_count(), 1);
    topology.check_invariants();
}

#[test]
fn a_refused_declaration_makes_nothing() {
    let mut topology = Topology::new();
    let declaration = QueueDeclaration {
        owner: Some(OwnerId(1)),
        arguments: Table::from([("x-expires", 0)]),
        ..QueueDeclaration::default()
    };
    check_text(
        topology.declare_queue(&"q".into(), declaration),
        "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}",
    );
    let declaration = ExchangeDeclaration {
        arguments: Table::from([("alternate-exchange", 1)]),
        ..ExchangeDeclaration::new(ExchangeKind::Direct)
    };
    check_text(
        topology.declare_exchange(&"x".into(), declaration),
        "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'",
    );
    assert_eq!((topology.queue("q"), topology.exchange("x")), (None, None));
    topology.check_invariants();
}

#[test]
fn exclusiveness_is_compared_before_everything_else() {
    let mut topology = Topology::new();
    let owner = OwnerId(1);
    queue(&mut topology, "shared");
    exclusive_queue(&mut topology, "own", owner);
    let mut declare = |name: &str, owner| {
        let declaration = QueueDeclaration { auto_delete: true, owner, ..Default::default() };
        topology.declare_queue(&name.into(), declaration).unwrap_err()
    };
    let locked = |name: &str| TopologyError::Locked(name.into());
    assert_eq!(declare("shared", Some(owner)), locked("shared"));
    assert_eq!(declare("own", Some(OwnerId(2))), locked("own"));
    assert_eq!(declare("own", None), locked("own"));
    assert!(matches!(declare("own", Some(owner)), TopologyError::Mismatch(..)));
}

#[test]
fn an_exclusive_queue_serves_its_owner_only() {
    let mut topology = Topology::new();
    let (owner, other) = (Some(OwnerId(1)), Some(OwnerId(2)));
    exclusive_queue(&mut topology, "q", OwnerId(1));
    let spec = to_queue("amq.direct", "q", "k");
    let mut changes = Vec::new();
    let text = "cannot obtain exclusive access to locked queue 'q' in vhost '/'. \
                It could be originally declared on another connection or the exclusive property \
                value does not match that of the original declaration.";
    check_text(topology.find_queue(other, &"q".into()), text);
    check_text(topology.bind(other, spec.clone(), &mut changes), text);
    // Unbinding what is not bound is nobody's business.
    assert_eq!(topology.unbind(other, &spec, &mut changes), Ok(()));
    assert_eq!(topology.bind(owner, spec.clone(), &mut changes), Ok(()));
    check_text(topology.bind(other, spec.clone(), &mut changes), text);
    check_text(topology.unbind(None, &spec, &mut changes), text);
    assert_eq!(topology.binding_count(), 1);
    assert_eq!(topology.unbind(owner, &spec, &mut changes), Ok(()));
    assert_eq!(topology.binding_count(), 0);
    topology.check_invariants();
}

#[test]
fn a_connection_knows_its_exclusive_queues() {
    let mut topology = Topology::new();
    for (name, owner) in [("b", 1), ("a", 1), ("c", 2)] {
        exclusive_queue(&mut topology, name, OwnerId(owner));
    }
    queue(&mut topology, "shared");
    let of = |topology: &Topology, owner| {
        topology.queues_of(OwnerId(owner)).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(&topology, 1), ["a", "b"]);
    topology.delete_queue(&"a".into(), &mut Vec::new());
    assert_eq!(of(&topology, 1), ["b"]);
    assert_eq!(of(&topology, 2), ["c"]);
    assert_eq!(of(&topology, 3), [""; 0]);
    topology.check_invariants();
}

#[test]
fn binding_looks_up_the_source_first() {
    let mut topology = Topology::new();
    exchange(&mut topology, "x");
    let mut refused = |spec| topology.bind(None, spec, &mut Vec::new());
    check_text(refused(to_queue("nope", "gone", "k")), "no exchange 'nope' in vhost '/'");
    check_text(refused(to_queue("x", "gone", "k")), "no queue 'gone' in vhost '/'");
    check_text(refused(to_exchange("nope", "gone")), "no exchange 'nope' in vhost '/'");
    check_text(refused(to_exchange("x", "gone")), "no exchange 'gone' in vhost '/'");
}

#[test]
fn only_headers_exchanges_look_at_x_match() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    exclusive_queue(&mut topology, "own", OwnerId(1));
    let spec = |source: &str, queue: &str| {
        let arguments = Table::from([("x-match", "bogus")]);
        let destination = Endpoint::Queue(queue.into());
        BindingSpec::new(source.into(), destination, "".into(), &arguments).unwrap()
    };
    let text = "Invalid x-match field value <<\"bogus\">>; \
                expected all, any, all-with-x, or any-with-x";
    for source in ["amq.headers", "amq.match"] {
        check_text(topology.bind(None, spec(source, "q"), &mut Vec::new()), text);
        // Whether the queue is locked is asked later.
        check_text(topology.bind(None, spec(source, "own"), &mut Vec::new()), text);
        // Unbinding does not look at arguments, since there is no such binding.
        assert_eq!(topology.unbind(None, &spec(source, "q"), &mut Vec::new()), Ok(()));
    }
    bind(&mut topology, &spec("amq.topic", "q"));
}

#[test]
fn binding_twice_is_binding_once() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    let spec = to_queue("amq.direct", "q", "k");
    let twice = changes(&mut topology, |topology, changes| {
        topology.bind(None, spec.clone(), changes).unwrap();
        topology.bind(None, spec.clone(), changes).unwrap();
    });
    assert_eq!(twice, [Change::Bound(Arc::new(spec.clone()))]);
    let once = changes(&mut topology, |topology, changes| {
        topology.unbind(None, &spec, changes).unwrap();
        topology.unbind(None, &spec, changes).unwrap();
    });
    assert_eq!(once, [unbound(&spec)]);
}

#[test]
fn unbinding_takes_the_very_binding() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    let spec = |value| {
        let destination = Endpoint::Queue("q".into());
        let arguments = Table::from([("a", value)]);
        BindingSpec::new("amq.direct".into(), destination, "k".into(), &arguments).unwrap()
    };
    let (int, long) = (spec(crate::Value::I32(5)), spec(crate::Value::I64(5)));
    bind(&mut topology, &int);
    bind(&mut topology, &long);
    assert_eq!(topology.binding_count(), 2);
    let changed = changes(&mut topology, |topology, changes| {
        topology.unbind(None, &to_queue("amq.direct", "q", "k"), changes).unwrap();
        topology.unbind(None, &long, changes).unwrap();
    });
    assert_eq!(changed, [unbound(&long)]);
    let left: Vec<_> = topology.bindings_from("amq.direct").map(|spec| (**spec).clone()).collect();
    assert_eq!(left, [int]);
}

#[test]
fn bindings_are_listed_by_either_side_oldest_first() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    exchange(&mut topology, "x");
    let specs = [
        to_queue("x", "q", "z"),
        to_queue("amq.direct", "q", "a"),
        to_queue("x", "q", "b"),
        to_exchange("x", "amq.fanout"),
    ];
    for spec in &specs {
        bind(&mut topology, spec);
    }
    let list = |specs: &mut dyn Iterator<Item = &Arc<BindingSpec>>| {
        specs.map(|spec| spec.key().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(&mut topology.bindings_from("x")), ["z", "b", ""]);
    assert_eq!(list(&mut topology.bindings_from("nope")), [""; 0]);
    assert_eq!(list(&mut topology.bindings_to(&Endpoint::Queue("q".into()))), ["z", "a", "b"]);
    assert_eq!(list(&mut topology.bindings_to(&Endpoint::Exchange("amq.fanout".into()))), [""]);
    assert_eq!(topology.binding_count(), 4);
}

#[test]
fn deleting_what_does_not_exist_changes_nothing() {
    let mut topology = Topology::new();
    let changed = changes(&mut topology, |topology, changes| {
        topology.delete_queue(&"nope".into(), changes);
        topology.delete_exchange(&"nope".into(), changes).unwrap();
        topology.delete_exchange_if_unused(&"nope".into(), changes).unwrap();
        topology.unbind(None, &to_queue("nope", "nope", "k"), changes).unwrap();
    });
    assert_eq!(changed, []);
}

#[test]
fn a_queue_takes_its_bindings_along_and_only_those() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    queue(&mut topology, "other");
    let (first, second, stays) = (
        to_queue("amq.direct", "q", "1"),
        to_queue("amq.topic", "q", "2"),
        to_queue("amq.direct", "other", "1"),
    );
    for spec in [&first, &stays, &second] {
        bind(&mut topology, spec);
    }
    let changed =
        changes(&mut topology, |topology, changes| topology.delete_queue(&"q".into(), changes));
    assert_eq!(changed, [unbound(&first), unbound(&second), Change::QueueDeleted("q".into())]);
    assert_eq!(topology.binding_count(), 1);
    assert_eq!(topology.queue("q"), None);
}

#[test]
fn an_exchange_is_in_use_as_a_source_only() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    exchange(&mut topology, "x");
    let (outgoing, incoming) = (to_queue("x", "q", "k"), to_exchange("amq.fanout", "x"));
    bind(&mut topology, &outgoing);
    bind(&mut topology, &incoming);
    check_text(
        topology.delete_exchange_if_unused(&"x".into(), &mut Vec::new()),
        "exchange 'x' in vhost '/' in use",
    );
    topology.unbind(None, &outgoing, &mut Vec::new()).unwrap();
    let changed = changes(&mut topology, |topology, changes| {
        topology.delete_exchange_if_unused(&"x".into(), changes).unwrap();
    });
    assert_eq!(changed, [unbound(&incoming), exchange_deleted("x")]);
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    auto_delete_exchange(&mut topology, "x");
    let (first, last) = (to_queue("x", "q", "1"), to_queue("x", "q", "2"));
    bind(&mut topology, &first);
    bind(&mut topology, &last);
    let unbind = |spec: &BindingSpec, topology: &mut Topology| {
        changes(topology, |topology, changes| topology.unbind(None, spec, changes).unwrap())
    };
    assert_eq!(unbind(&first, &mut topology), [unbound(&first)]);
    assert_eq!(unbind(&last, &mut topology), [unbound(&last), exchange_deleted("x")]);
    assert_eq!(topology.exchange("x"), None);
}

#[test]
fn an_auto_delete_exchange_that_was_never_bound_stays() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    auto_delete_exchange(&mut topology, "x");
    // Being a destination does not count, and neither does a binding that was not there.
    let incoming = to_exchange("amq.fanout", "x");
    bind(&mut topology, &incoming);
    let changed = changes(&mut topology, |topology, changes| {
        topology.unbind(None, &to_queue("x", "q", "k"), changes).unwrap();
        topology.unbind(None, &incoming, changes).unwrap();
    });
    assert_eq!(changed, [unbound(&incoming)]);
    assert!(topology.exchange("x").is_some());
}

#[test]
fn auto_deletion_runs_up_a_chain_of_exchanges() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    for name in ["a", "b", "c"] {
        auto_delete_exchange(&mut topology, name);
    }
    exchange(&mut topology, "head");
    let chain = [
        to_queue("c", "q", ""),
        to_exchange("b", "c"),
        to_exchange("a", "b"),
        to_exchange("head", "a"),
    ];
    for spec in &chain {
        bind(&mut topology, spec);
    }
    let changed =
        changes(&mut topology, |topology, changes| topology.delete_queue(&"q".into(), changes));
    let expected = [
        unbound(&chain[0]),
        Change::QueueDeleted("q".into()),
        unbound(&chain[1]),
        exchange_deleted("c"),
        unbound(&chain[2]),
        exchange_deleted("b"),
        unbound(&chain[3]),
        exchange_deleted("a"),
    ];
    assert_eq!(changed, expected);
    assert!(topology.exchange("head").is_some(), "it is not an auto-delete one");
}

#[test]
fn auto_deletion_runs_up_a_chain_of_any_length() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    auto_delete_exchange(&mut topology, "0");
    topology.bind(None, to_queue("0", "q", ""), &mut Vec::new()).unwrap();
    for link in 1..20_000_u32 {
        auto_delete_exchange(&mut topology, &link.to_string());
        let spec = to_exchange(&link.to_string(), &(link - 1).to_string());
        topology.bind(None, spec, &mut Vec::new()).unwrap();
    }
    let changed =
        changes(&mut topology, |topology, changes| topology.delete_queue(&"q".into(), changes));
    assert_eq!(changed.len(), 1 + 2 * 20_000);
    assert_eq!(topology.exchanges().len(), 6);
}

#[test]
fn a_deleted_exchange_leaves_its_targets_alone() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    exchange(&mut topology, "x");
    auto_delete_exchange(&mut topology, "source");
    auto_delete_exchange(&mut topology, "target");
    let (before, after, beyond) =
        (to_exchange("source", "x"), to_exchange("x", "target"), to_queue("target", "q", ""));
    for spec in [&before, &after, &beyond] {
        bind(&mut topology, spec);
    }
    let changed = changes(&mut topology, |topology, changes| {
        topology.delete_exchange(&"x".into(), changes).unwrap();
    });
    let expected =
        [unbound(&after), unbound(&before), exchange_deleted("x"), exchange_deleted("source")];
    assert_eq!(changed, expected);
    assert!(topology.exchange("target").is_some());
}

#[test]
fn an_exchange_bound_to_itself_is_unbound_once() {
    let mut topology = Topology::new();
    auto_delete_exchange(&mut topology, "x");
    let spec = to_exchange("x", "x");
    bind(&mut topology, &spec);
    let changed = changes(&mut topology, |topology, changes| {
        topology.delete_exchange(&"x".into(), changes).unwrap();
    });
    assert_eq!(changed, [unbound(&spec), exchange_deleted("x")]);
    auto_delete_exchange(&mut topology, "x");
    bind(&mut topology, &spec);
    let changed = changes(&mut topology, |topology, changes| {
        topology.unbind(None, &spec, changes).unwrap();
    });
    assert_eq!(changed, [unbound(&spec), exchange_deleted("x")]);
}

#[test]
fn a_cycle_of_auto_delete_exchanges_ends() {
    let mut topology = Topology::new();
    for name in ["a", "b"] {
        auto_delete_exchange(&mut topology, name);
    }
    let (forth, back) = (to_exchange("a", "b"), to_exchange("b", "a"));
    bind(&mut topology, &forth);
    bind(&mut topology, &back);
    let changed = changes(&mut topology, |topology, changes| {
        topology.unbind(None, &forth, changes).unwrap();
    });
    // Exchange a lost its last binding; with it goes the binding from b, the last one of that.
    let expected = [unbound(&forth), unbound(&back), exchange_deleted("a"), exchange_deleted("b")];
    assert_eq!(changed, expected);
}

#[test]
fn rebinding_before_unbinding_keeps_an_auto_delete_exchange() {
    let mut topology = Topology::new();
    queue(&mut topology, "q");
    auto_delete_exchange(&mut topology, "x");
    let (old, new) = (to_queue("x", "q", "old"), to_queue("x", "q", "new"));
    bind(&mut topology, &old);
    bind(&mut topology, &new);
    topology.unbind(None, &old, &mut Vec::new()).unwrap();
    assert!(topology.exchange("x").is_some());
}
