//! Routing by headers: where a message goes depends on what it says about itself, not on a key.
//!
//! `cargo run --example headers_routing`
//!
//! A binding asks for all of its headers or for any of them. Values match only in their type and
//! value, so the number 1 is not the text "1". A header whose name begins with `x-` counts only
//! if the binding says `all-with-x` or `any-with-x`.

use leveret::{BindingKey, Broker, Message, Queue, Value};

fn main() -> leveret::Result<()> {
    let broker = Broker::new();
    let reports = broker.declare_exchange("reports").headers().declare()?;
    let bound = |name: &str, key: BindingKey| -> leveret::Result<Queue> {
        let queue = broker.declare_queue(name).declare()?;
        reports.bind(&queue, key)?;
        Ok(queue)
    };
    let queues = [
        bound("printer", BindingKey::all([("format", "pdf"), ("type", "report")]))?,
        bound("archive", BindingKey::any([("format", "pdf"), ("type", "log")]))?,
        bound("signed", BindingKey::all([("signature", Value::Void)]))?,
        bound("urgent", BindingKey::all([("level", 1)]))?,
        bound("traced", BindingKey::all([("x-trace", true)]).argument("x-match", "all-with-x"))?,
    ];

    let report = Message::new("report").with_header("format", "pdf").with_header("type", "report");
    let log = Message::new("log").with_header("format", "txt").with_header("type", "log");
    let image = Message::new("image").with_header("format", "png");
    let cases = [
        ("a PDF report", report.clone(), vec!["printer", "archive"]),
        (
            "a signed one",
            report.with_header("signature", "hare"),
            vec!["printer", "archive", "signed"],
        ),
        ("a log", log.clone(), vec!["archive"]),
        ("a log of level 1", log.clone().with_header("level", 1), vec!["archive", "urgent"]),
        ("a log of level \"1\"", log.with_header("level", "1"), vec!["archive"]),
        ("an image", image.clone(), vec![]),
        ("a traced image", image.with_header("x-trace", true), vec!["traced"]),
    ];
    for (what, message, expected) in cases {
        let routed = reports.publish("", message)?;
        let reached = reached(&queues)?;
        let places = if reached.is_empty() { "nobody".into() } else { reached.join(", ") };
        println!("{what:<18} -> {places}");
        assert_eq!(reached, expected);
        assert_eq!(routed.queues as usize, expected.len());
    }
    Ok(())
}

/// The queues that have a message, which is taken out.
fn reached(queues: &[Queue]) -> leveret::Result<Vec<&str>> {
    let mut reached = Vec::new();
    for queue in queues {
        if let Some(delivery) = queue.get()? {
            delivery.ack()?;
            reached.push(queue.name());
        }
    }
    Ok(reached)
}
