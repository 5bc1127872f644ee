//! Turns a hang into a failure.

use std::{
    panic,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// Far beyond what any test takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a thread of its own, and fails if it is not done in time.
#[track_caller]
pub(crate) fn in_time<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = test();
        // Nobody listens any more once the time is over.
        let _ = done.send(());
        result
    });
    match is_done.recv_timeout(PATIENCE) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => panic!("it hangs: not done within {PATIENCE:?}"),
    }
    match thread.join() {
        Ok(result) => result,
        Err(panic) => panic::resume_unwind(panic),
    }
}
