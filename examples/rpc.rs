//! Remote procedure calls: a request goes to a queue, and the reply comes back to the caller.
//!
//! `cargo run --example rpc`
//!
//! The broker takes care of the address for the reply and of its correlation id (direct reply-to).
//! A call waits for so long and no longer, and says so at once if nobody serves the queue.

use std::{error::Error, time::Duration};

use leveret::{Broker, CallError, Exchange, Message};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::new();
    let requests = broker.declare_queue("fibonacci").declare()?;
    let exchange = broker.default_exchange();

    let nobody = call(&exchange, 30).unwrap_err();
    println!("fibonacci(30): {nobody}");
    assert!(matches!(nobody, CallError::NoResponder));
    assert_eq!(requests.stats().ready, 0, "and nothing was sent");

    let server = requests.workers(2, |request| -> Result<(), Box<dyn Error>> {
        let n = request.text().ok_or("not text")?.parse()?;
        Ok(request.reply(Message::new(fibonacci(n).to_string()))?)
    })?;
    for (n, expected) in [(10, "55"), (30, "832040"), (90, "2880067194370816120")] {
        let reply = call(&exchange, n)?;
        println!("fibonacci({n}) = {}", reply.text().unwrap_or_default());
        assert_eq!(reply.text(), Some(expected));
    }

    // Several calls at a time, each with a reply of its own, whatever their order.
    let pending = [20_u32, 25, 5].map(|n| exchange.request("fibonacci", text(n)));
    for (pending, expected) in pending.into_iter().zip(["6765", "75025", "5"]) {
        assert_eq!(pending?.wait(10 * SECOND)?.text(), Some(expected));
    }
    println!("3 calls at a time, each with its own reply");

    // A request that the server rejects has no reply.
    let late = exchange.call("fibonacci", Message::new("many"), SECOND / 10).unwrap_err();
    println!("fibonacci(many): {late}");
    assert!(matches!(late, CallError::Timeout));

    let report = server.stop(10 * SECOND);
    assert_eq!((report.acked, report.running), (6, 0));
    Ok(())
}

fn call(exchange: &Exchange, n: u32) -> Result<Message, CallError> {
    exchange.call("fibonacci", text(n), 10 * SECOND)
}

fn text(n: u32) -> Message {
    Message::new(n.to_string())
}

fn fibonacci(n: u32) -> u64 {
    (0..n).fold((0_u64, 1_u64), |(a, b), _| (b, a.wrapping_add(b))).0
}
