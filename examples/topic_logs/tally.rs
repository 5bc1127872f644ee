//! The work of the example, apart from its command line.

use std::io::BufRead;

use leveret::{Broker, Exchange, Limits, Message, Subscription};

/// How many lines, and how many bytes of them, are published before the subscribers are asked what
/// they have. A subscriber may lag behind by far more lines; the bytes are in memory meanwhile,
/// once for all subscribers.
const LINES_AT_A_TIME: u64 = 1_024;
const BYTES_AT_A_TIME: usize = 4 << 20;

/// The most bytes of a routing key, as in AMQP.
const KEY_BYTES_MAX: usize = 255;

/// Where a line of the log has its facility and its severity, counted from zero.
const FACILITY: usize = 7;
const SEVERITY: usize = 8;

/// What was counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines that matched, per binding, in the order of the bindings.
    pub(crate) counts: Vec<u64>,
    pub(crate) lines: u64,
    /// Lines without a key: too few columns, or a key that is too long.
    pub(crate) malformed: u64,
}

/// Publishes each line under its key, and counts what a subscriber to each binding receives.
///
/// The error is a text for people: a binding that cannot be, or input that cannot be read.
pub(crate) fn count(mut input: impl BufRead, bindings: &[String]) -> Result<Tally, String> {
    let logs = open_exchange().map_err(|error| error.to_string())?;
    let subscribe = |binding: &String| logs.subscribe(binding).map_err(|error| error.to_string());
    let subscribers = bindings.iter().map(subscribe).collect::<Result<Vec<_>, _>>()?;

    let mut tally = Tally { counts: vec![0; bindings.len()], lines: 0, malformed: 0 };
    let mut line = Vec::new();
    let mut bytes = 0;
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|error| format!("cannot read on after line {}: {error}", tally.lines))? == 0
        {
            break;
        }
        tally.lines += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match key(line) {
            Some(key) => {
                let published = logs.publish(&key, Message::new(line.to_vec()));
                published.map_err(|error| format!("line {}: {error}", tally.lines))?;
            }
            None => tally.malformed += 1,
        }
        bytes += line.len();
        if tally.lines.is_multiple_of(LINES_AT_A_TIME) || bytes >= BYTES_AT_A_TIME {
            tally.receive(&subscribers);
            bytes = 0;
        }
    }
    tally.receive(&subscribers);
    Ok(tally)
}

fn open_exchange() -> leveret::Result<Exchange> {
    let mut limits = Limits::default();
    // A line may be as long as it likes, and have any number of subscribers, for each of which its
    // bytes are accounted. What is in memory is bounded by asking the subscribers in time.
    limits.message_bytes = u64::MAX;
    limits.memory_bytes = u64::MAX;
    Broker::builder().limits(limits).open()?.declare_exchange("logs").topic().declare()
}

/// `<facility>.<severity>` in lower case. Columns are separated by spaces and tabs.
fn key(line: &[u8]) -> Option<String> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut columns = line.split(is_blank).filter(|column| !column.is_empty());
    let facility = columns.nth(FACILITY)?;
    let severity = columns.nth(SEVERITY - FACILITY - 1)?;
    let lower_case = |column| String::from_utf8_lossy(column).to_lowercase();
    let key = format!("{}.{}", lower_case(facility), lower_case(severity));
    (key.len() <= KEY_BYTES_MAX).then_some(key)
}

impl Tally {
    fn receive(&mut self, subscribers: &[Subscription]) {
        for (count, subscriber) in self.counts.iter_mut().zip(subscribers) {
            *count += subscriber.try_iter().count() as u64;
            assert_eq!(subscriber.lost(), 0, "no subscriber lags behind by so much");
        }
    }
}
