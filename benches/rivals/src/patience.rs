//! How long a system may take, so that one that hangs is found out.

use std::{sync::mpsc, thread, time::Duration};

use crate::systems::Fault;

/// A system that takes longer for one load has lost a message, or hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Does something in a thread of its own, and waits for it as long as the patience lasts.
pub(crate) fn patiently<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let (sender, receiver) = mpsc::channel();
    // Nobody listens any more after the patience has run out.
    thread::spawn(move || drop(sender.send(work())));
    match receiver.recv_timeout(PATIENCE) {
        Ok(done) => done.map_err(|fault| format!("{name}: {fault}").into()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(format!("{name} has panicked").into()),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("{name} did not end within {} s", PATIENCE.as_secs()).into())
        }
    }
}
