//! Calls: requests, replies, and the ways a reply does not come.

use std::{
    pin::pin,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use leveret::{Broker, CallError, Error, ErrorKind, Limits, Message, PublishReason};

use crate::{
    task::{Alarm, block_on},
    watchdog::in_time,
};

const LONG: Duration = Duration::from_hours(1);

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[test]
fn a_request_carries_where_to_reply_and_keeps_its_own_id() -> Result {
    let broker = Broker::new();
    let requests = broker.declare_queue("q").declare()?;
    let server = requests.consume().start()?;
    let default = broker.default_exchange();
    let ours = default.request("q", Message::new("1").with_correlation_id("mine"))?;
    let made_up = default.request("q", Message::new("2"))?;
    let [first, second] = [server.try_recv()?, server.try_recv()?];
    assert_eq!(first.correlation_id(), Some("mine"));
    assert!(second.correlation_id().is_some());
    assert_ne!(first.reply_to(), second.reply_to());
    // Replies in the other order find their callers.
    second.reply(Message::new("two"))?;
    first.reply(Message::new("one"))?;
    let reply = ours.wait(Duration::ZERO)?;
    assert_eq!((reply.text(), reply.correlation_id()), (Some("one"), Some("mine")));
    assert_eq!(block_on(made_up)?.text(), Some("two"));
    Ok(())
}

#[test]
fn without_anybody_to_reply_nothing_is_sent() -> Result {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let default = broker.default_exchange();
        let call = |key| default.call(key, Message::new("x"), LONG).unwrap_err();
        assert!(matches!(call("q"), CallError::NoResponder));
        assert_eq!(queue.stats().enqueued, 0);
        assert!(matches!(call("nowhere"), CallError::Unroutable));
        let gone = broker.declare_exchange("x").declare()?;
        gone.delete()?;
        let refused = gone.call("k", Message::new("x"), LONG).unwrap_err();
        assert!(matches!(refused, CallError::Refused(_)), "{refused}");
        let error = Error::from(call("q"));
        assert!(matches!(error.kind(), ErrorKind::NoResponder));
        assert_eq!(error.to_string(), "nobody serves the queues that it reaches");
        Ok(())
    })
}

#[test]
fn a_reply_that_comes_late_is_dropped() -> Result {
    let broker = Broker::new();
    let server = broker.declare_queue("q").declare()?.consume().start()?;
    let error = broker.default_exchange().call("q", Message::new("x"), Duration::ZERO).unwrap_err();
    assert!(matches!(error, CallError::Timeout));
    let request = server.try_recv()?;
    request.reply(Message::new("late"))?;
    request.reply(Message::new("later"))?;
    request.ack()?;

    let pending = broker.default_exchange().request("q", Message::new("x"))?;
    let request = server.try_recv()?;
    request.reply(Message::new("first"))?;
    request.reply(Message::new("second"))?;
    assert_eq!(pending.wait(Duration::ZERO)?.text(), Some("first"));
    Ok(())
}

#[test]
fn a_reply_needs_a_place_to_go() -> Result {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let replies = broker.declare_queue("replies").declare()?;
    queue.send(Message::new("no place"))?;
    queue.send(Message::new("a place that is not there").with_reply_to("gone"))?;
    let request = Message::new("a queue").with_reply_to("replies").with_correlation_id("7");
    queue.send(request)?;
    for _ in 0..2 {
        let error = queue.get()?.expect("it is there").reply(Message::new("r")).unwrap_err();
        assert!(matches!(error.reason(), PublishReason::Unroutable), "{error}");
        assert_eq!(error.into_message().text(), Some("r"));
        queue.get()?.expect("it went back").ack()?;
    }
    let delivery = queue.get()?.expect("it is there");
    delivery.reply(Message::new("r").with_correlation_id("own"))?;
    delivery.reply(Message::new("r"))?;
    for id in ["own", "7"] {
        let reply = replies.get()?.expect("both came");
        assert_eq!(reply.correlation_id(), Some(id));
        reply.ack()?;
    }
    Ok(())
}

#[test]
fn a_task_is_woken_by_the_reply() -> Result {
    let broker = Broker::new();
    let server = broker.declare_queue("q").declare()?.consume().start()?;
    let mut pending = pin!(broker.default_exchange().request("q", Message::new("x"))?);
    let alarm = Alarm::new();
    let waker = alarm.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(pending.as_mut().poll(&mut cx).is_pending());
    assert!(pending.as_mut().poll(&mut cx).is_pending());
    server.try_recv()?.reply(Message::new("r"))?;
    assert_eq!(alarm.rings(), 1);
    let Poll::Ready(reply) = pending.poll(&mut cx) else { panic!("it was woken") };
    assert_eq!(reply?.text(), Some("r"));
    Ok(())
}

#[test]
fn closing_ends_the_wait_for_a_reply() -> Result {
    in_time(|| {
        for is_deletion in [false, true] {
            let broker = Broker::new();
            let vhost = broker.create_vhost("v")?;
            let _server = vhost.declare_queue("q").declare()?.consume().start()?;
            let default = vhost.default_exchange();
            let pending = default.request("q", Message::new("x"))?;
            let waiting = thread::spawn(move || pending.wait(Duration::MAX));
            let mut awaited = Box::pin(default.request("q", Message::new("x"))?);
            let alarm = Alarm::new();
            let waker = alarm.waker();
            let mut cx = Context::from_waker(&waker);
            assert!(awaited.as_mut().poll(&mut cx).is_pending());
            if is_deletion {
                broker.delete_vhost("v")?;
            } else {
                broker.close(LONG);
            }
            let error = waiting.join().expect("it does not panic").unwrap_err();
            assert!(matches!(error, CallError::Closed));
            assert_eq!(alarm.rings(), 1);
            let ended = awaited.as_mut().poll(&mut cx);
            assert!(matches!(ended, Poll::Ready(Err(CallError::Closed))));
            let error = default.call("q", Message::new("x"), LONG).unwrap_err();
            match error {
                CallError::Refused(error) => assert!(is_deletion && error.is_not_found()),
                error => assert!(!is_deletion && matches!(error, CallError::Closed)),
            }
        }
        Ok(())
    })
}

#[test]
fn so_many_replies_are_waited_for_at_a_time() -> Result {
    let mut limits = Limits::default();
    limits.calls = 2;
    let broker = Broker::builder().limits(limits).open()?;
    let queue = broker.declare_queue("q").declare()?;
    let server = queue.consume().start()?;
    let default = broker.default_exchange();
    let waiting =
        [default.request("q", Message::new("1"))?, default.request("q", Message::new("2"))?];
    let error = default.request("q", Message::new("3")).unwrap_err();
    assert!(matches!(error, CallError::Full { limit: "calls", .. }));
    assert_eq!(Error::from(error).to_string(), "no room now, the bound is 'calls'");
    assert_eq!(queue.stats().enqueued, 2);
    drop(waiting);
    assert!(default.request("q", Message::new("4")).is_ok());
    assert_eq!(server.try_iter().map(leveret::Delivery::ack).count(), 3);
    Ok(())
}

#[test]
fn a_call_without_room_says_of_what() -> Result {
    let mut limits = Limits::default();
    limits.memory_bytes = 1_000;
    let broker = Broker::builder().limits(limits).open()?;
    let _server = broker.declare_queue("q").declare()?.consume().start()?;
    let large = Message::new(vec![0; 1_000]);
    let error = broker.default_exchange().request("q", large).unwrap_err();
    assert!(matches!(error, CallError::Full { limit: "memory_bytes", .. }), "{error}");
    assert_eq!(error.to_string(), "no room now, the bound is 'memory_bytes'");
    assert_eq!(Error::from(error).to_string(), "no room now, the bound is 'memory_bytes'");
    Ok(())
}

/// A caller that waits is no queue, and is reached all the same.
#[test]
fn a_mandatory_reply_has_reached_who_waits_for_it() -> Result {
    let broker = Broker::new();
    let queue = broker.declare_queue("q").declare()?;
    let server = queue.consume().start()?;
    let default = broker.default_exchange();
    let ask = || default.request("q", Message::new("?"));
    let address = || -> Result<String> {
        let request = server.try_recv()?;
        let address = request.reply_to().expect("it is a request").to_owned();
        request.ack()?;
        Ok(address)
    };
    let pending = ask()?;
    let routed = default.publish_mandatory(&address()?, Message::new("1"))?;
    assert_eq!((routed.queues, pending.wait(LONG)?.text()), (0, Some("1")));

    let publisher = default.publisher().mandatory().open()?;
    let pending = ask()?;
    let receipt = publisher.publish(&address()?, Message::new("2"))?.wait()?;
    assert_eq!((receipt.queues, pending.wait(LONG)?.text()), (0, Some("2")));

    let pending = ask()?;
    let mut batch = vec![Message::new("3"), Message::new("4").with_header("h", 1)];
    let receipt = publisher.publish_batch(&address()?, &mut batch)?.wait()?;
    assert_eq!((receipt.queues, pending.wait(LONG)?.text()), (0, Some("3")));

    drop(ask()?);
    let gone = address()?;
    let error = default.publish_mandatory(&gone, Message::new("5")).unwrap_err();
    assert!(matches!(error.reason(), PublishReason::Unroutable), "nobody waits there any more");
    batch.push(Message::new("6"));
    let reason = publisher.publish_batch(&gone, &mut batch).unwrap_err();
    assert!(matches!(reason, PublishReason::Unroutable));
    Ok(())
}

#[test]
fn many_callers_get_their_own_replies() -> Result {
    in_time(|| {
        let broker = Broker::new();
        let queue = broker.declare_queue("q").declare()?;
        let server = queue.workers(3, |request| {
            request.reply(Message::new(format!("re: {}", request.text().unwrap_or_default())))
        })?;
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let default = broker.default_exchange();
                thread::spawn(move || {
                    for n in 0..100 {
                        let text = format!("{caller}.{n}");
                        let reply = default.call("q", Message::new(&text), LONG);
                        let reply = reply.expect("somebody serves it");
                        assert_eq!(reply.text(), Some(format!("re: {text}").as_str()));
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("every reply is right");
        }
        assert_eq!(server.stop(LONG).acked, 400);
        Ok(())
    })
}
