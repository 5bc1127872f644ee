//! What most scenarios do by hand: send texts, look at a line, take what is next.

use std::time::Duration;

use leveret::{Delivery, Message, Queue, Result};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn send_all<const N: usize>(queue: &Queue, texts: [&str; N]) -> Result<()> {
    texts.into_iter().try_for_each(|text| Ok(queue.send(Message::new(text))?))
}

/// Takes the next message, which has to be there.
#[track_caller]
pub(crate) fn take(queue: &Queue) -> Delivery {
    queue.get().expect("the queue is there").expect("a message is there")
}

/// The texts of what would be handed out, in that order.
pub(crate) fn line(queue: &Queue) -> Result<Vec<String>> {
    let text = |message: &Message| message.text().unwrap_or_default().to_owned();
    Ok(queue.browse(1_000)?.iter().map(|seen| text(&seen.message)).collect())
}

/// Checks the texts of what would be handed out.
#[track_caller]
pub(crate) fn check_line<const N: usize>(queue: &Queue, expected: [&str; N]) {
    assert_eq!(line(queue).expect("the queue is there"), expected, "{}", queue.name());
}
