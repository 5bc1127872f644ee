//! A client that walks through all there is, over a connection per request.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Orders that are published without looking at each.
const ORDERS: u64 = 100;

/// Asks for everything and checks the answers. Says in how many queues the events have arrived.
pub(crate) fn visit(address: SocketAddr) -> io::Result<u64> {
    let show = |request: &str, (status, body): &(u16, String)| {
        println!("{request:<38} {status} {body}");
    };
    let get = |path: &str| {
        let answer = ask(address, "GET", path, "")?;
        show(&format!("GET {path}"), &answer);
        io::Result::Ok(answer)
    };
    let publish = |key: &str| {
        let event = format!(r#"{{"key": "{key}", "text": "1 hare"}}"#);
        ask(address, "POST", "/publish", &event)
    };
    let show_publish = |key: &str| {
        let answer = publish(key)?;
        show(&format!("POST /publish {key}"), &answer);
        io::Result::Ok(answer)
    };

    let (status, health) = get("/health")?;
    assert!(status == 200 && health.contains(r#""is_up":true"#));

    assert_eq!(show_publish("order.created")?, (202, r#"{"queues":2}"#.into()));
    assert_eq!(show_publish("user.new.admin")?, (202, r#"{"queues":1}"#.into()));
    assert_eq!(show_publish("weather.fine")?, (404, "no queue was reached".into()));
    assert_eq!(publish(&"k".repeat(256))?.0, 422, "keys have at most 255 bytes");
    let (status, _) = ask(address, "POST", "/publish", "no JSON")?;
    assert_eq!(status, 400);

    assert_eq!(get("/quote/hare")?, (200, r#"{"item":"hare","cents":400}"#.into()));
    assert_eq!(get("/quote/unicorn")?.0, 404);

    for _ in 0..ORDERS {
        assert_eq!(publish("order.paid")?.0, 202);
    }
    assert_eq!(get("/health")?.0, 200);
    Ok(2 + 1 + 2 * ORDERS)
}

/// Sends a request and reads the answer: its status and its body.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    match (status, answer.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
        _ => Err(io::Error::other(format!("not HTTP: {answer:?}"))),
    }
}
