//! Exchanges, queues, bindings and virtual hosts that outlive their broker.

use leveret::{Broker, ErrorKind, Message};

use super::folder::{Folder, PATIENCE};

fn reopened(folder: &Folder, broker: Broker) -> Broker {
    broker.close(PATIENCE);
    drop(broker);
    folder.open()
}

#[test]
fn what_was_declared_is_durable_when_the_call_returns() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = broker.declare_exchange("x").topic().durable().declare().unwrap();
    assert!(folder.crashed().open().exchange("x").is_ok());
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    assert!(folder.crashed().open().queue("q").is_ok());
    let binding = exchange.bind(&queue, "a.*").unwrap();
    let routed = |broker: &Broker| {
        broker.exchange("x").unwrap().publish("a.b", Message::new("")).unwrap().queues
    };
    assert_eq!(routed(&folder.crashed().open()), 1);
    binding.unbind().unwrap();
    assert_eq!(routed(&folder.crashed().open()), 0);
    queue.delete().unwrap();
    assert!(folder.crashed().open().queue("q").is_err());
    exchange.delete().unwrap();
    assert!(folder.crashed().open().exchange("x").is_err());
}

#[test]
fn what_is_transient_is_gone() {
    let folder = Folder::new();
    let broker = folder.open();
    let lasting = broker.declare_exchange("lasting").durable().declare().unwrap();
    let brief = broker.declare_exchange("brief").declare().unwrap();
    let queue = broker.declare_queue("lasting").durable().declare().unwrap();
    let brief_queue = broker.declare_queue("brief").declare().unwrap();
    lasting.bind(&brief_queue, "k").unwrap();
    brief.bind(&queue, "k").unwrap();
    lasting.bind(&queue, "k").unwrap();
    drop((lasting, brief, queue, brief_queue));
    let broker = reopened(&folder, broker);
    let report = broker.recovery_report();
    assert_eq!((report.exchanges, report.queues, report.bindings), (1, 1, 1));
    assert!(broker.exchange("brief").is_err() && broker.queue("brief").is_err());
}

#[test]
fn bindings_come_back_with_their_arguments_and_predeclared_ends() {
    let folder = Folder::new();
    let broker = folder.open();
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    let headers = broker.exchange("amq.headers").unwrap();
    let inner = broker.declare_exchange("inner").fanout().durable().declare().unwrap();
    let key = leveret::BindingKey::from("").argument("x-match", "all").argument("kind", "a");
    headers.bind(&inner, key).unwrap();
    inner.bind(&queue, "").unwrap();
    drop((queue, headers, inner));
    let broker = reopened(&folder, broker);
    let headers = broker.exchange("amq.headers").unwrap();
    let routed = |kind: &str| {
        headers.publish("", Message::new("").with_header("kind", kind)).unwrap().queues
    };
    assert_eq!((routed("a"), routed("b")), (1, 0));
}

#[test]
fn declarations_are_compared_with_what_came_back() {
    let folder = Folder::new();
    let broker = folder.open();
    broker.declare_queue("q").durable().max_length(7).declare().unwrap();
    let broker = reopened(&folder, broker);
    assert!(broker.declare_queue("q").durable().max_length(7).declare().is_ok());
    let error = broker.declare_queue("q").durable().max_length(8).declare().unwrap_err();
    assert!(error.is_mismatch(), "{error}");
}

#[test]
fn a_successor_gets_nothing_of_a_deleted_queue() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = broker.declare_exchange("x").durable().declare().unwrap();
    for round in 0..3 {
        let queue = broker.declare_queue("q").durable().declare().unwrap();
        exchange.bind(&queue, &*format!("key {round}")).unwrap();
        for n in 0..5 {
            queue.send(Message::new(format!("{round} {n}")).persistent()).unwrap();
        }
        queue.delete().unwrap();
    }
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    queue.send(Message::new("own").persistent()).unwrap();
    drop((exchange, queue));
    let broker = reopened(&folder, broker);
    let report = broker.recovery_report();
    assert_eq!((report.queues, report.bindings, report.messages), (1, 0, 1));
}

#[test]
fn virtual_hosts_come_back_with_all_they_hold() {
    let folder = Folder::new();
    let broker = folder.open();
    for name in ["one", "two"] {
        let vhost = broker.create_vhost(name).unwrap();
        let queue = vhost.declare_queue("q").durable().declare().unwrap();
        vhost.exchange("amq.direct").unwrap().bind(&queue, name).unwrap();
        queue.send(Message::new(name).persistent()).unwrap();
    }
    let broker = reopened(&folder, broker);
    let vhost = broker.vhost("two").unwrap();
    assert_eq!(vhost.queue("q").unwrap().get().unwrap().unwrap().text(), Some("two"));
    broker.delete_vhost("one").unwrap();
    let crashed = folder.crashed().open();
    let error = crashed.vhost("one").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound { .. }));
    assert_eq!(crashed.recovery_report().queues, 1);
}

#[test]
fn generated_names_are_not_given_twice() {
    let folder = Folder::new();
    let broker = folder.open();
    let connection = broker.connect(leveret::ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    let declare = |channel: &leveret::Channel| {
        let declare = leveret::QueueDeclare { durable: true, ..leveret::QueueDeclare::default() };
        channel.queue_declare(declare).unwrap().queue
    };
    let mut names = vec![declare(&channel), declare(&channel)];
    drop((channel, connection));
    let broker = reopened(&folder, broker);
    let connection = broker.connect(leveret::ConnectOptions::default()).unwrap();
    let channel = connection.open_channel().unwrap();
    names.extend((0..4).map(|_| declare(&channel)));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6);
}

#[test]
fn auto_delete_exchanges_take_their_bindings_along() {
    let folder = Folder::new();
    let broker = folder.open();
    let exchange = broker.declare_exchange("x").durable().auto_delete().declare().unwrap();
    let queue = broker.declare_queue("q").durable().declare().unwrap();
    exchange.bind(&queue, "k").unwrap();
    queue.delete().unwrap();
    let crashed = folder.crashed().open();
    assert!(crashed.exchange("x").is_err(), "its last binding has gone");
    assert_eq!(crashed.recovery_report(), leveret::RecoveryReport::default());
}
