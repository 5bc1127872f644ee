//! Replies, against callers that wait, give up, or lose their broker.

use loom::thread;

use super::{Dropped, EVER, block_on, broker, check, queue};
use crate::{Broker, CallError, Consumer, Message, PendingReply};

/// A request that a server has received, and its caller.
fn request(broker: &Broker) -> (PendingReply, crate::Delivery, Consumer) {
    let server = queue(broker, "q").consume().start().expect("nothing is wrong with it");
    let request = Message::new("?");
    let pending = broker.default_exchange().request("q", request).expect("somebody serves it");
    let received = server.recv().expect("it was delivered");
    (pending, received, server)
}

#[test]
fn a_reply_reaches_the_thread_that_waits() {
    check(|| {
        let broker = broker();
        let (pending, request, _server) = request(&broker);
        let waits = thread::spawn(move || pending.wait(EVER).expect("there is a reply"));
        request.reply(Message::new("!")).expect("it has an address");
        assert_eq!(waits.join().expect("it is told").text(), Some("!"));
    });
}

#[test]
fn one_of_two_replies_reaches_the_task_that_waits() {
    check(|| {
        let broker = broker();
        let (pending, request, _server) = request(&broker);
        let address = request.reply_to().expect("it has an address").to_owned();
        let waits = thread::spawn(move || {
            let mut pending = Box::pin(pending);
            block_on(|cx| pending.as_mut().poll(cx)).expect("there is a reply")
        });
        let exchange = broker.default_exchange();
        let other = thread::spawn(move || {
            drop(exchange.publish(&address, Message::new("other")));
        });
        request.reply(Message::new("one")).expect("it has an address");
        let reply = waits.join().expect("it is told");
        assert!([Some("one"), Some("other")].contains(&reply.text()));
        other.join().expect("it does not wait");
    });
}

#[test]
fn a_reply_that_nobody_waits_for_is_dropped() {
    check(|| {
        let broker = broker();
        let dropped = Dropped::none();
        let (pending, request, _server) = request(&broker);
        let gives_up = thread::spawn(move || drop(pending));
        request.reply(dropped.message("!")).expect("it has an address");
        gives_up.join().expect("it does not wait");
        assert_eq!(dropped.count(), 1);
    });
}

#[test]
fn a_caller_learns_that_the_broker_has_closed() {
    check(|| {
        let broker = broker();
        let server = queue(&broker, "q").consume().start().expect("nothing is wrong with it");
        let exchange = broker.default_exchange();
        let waits = thread::spawn(move || {
            exchange.request("q", Message::new("?")).and_then(|pending| pending.wait(EVER))
        });
        broker.close(EVER);
        let outcome = waits.join().expect("it is told");
        let is_told = matches!(
            outcome,
            Err(CallError::Closed | CallError::NoResponder | CallError::Unroutable)
        );
        assert!(is_told, "{outcome:?}");
        drop(server);
    });
}
