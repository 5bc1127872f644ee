//! Running other people's code where its panic must not spread.
//!
//! Handlers, wakers, and the destructors of messages run on threads that have more to do: a worker
//! has further deliveries, the timers have further queues, a close has further threads to join.
//! What panics there has been reported by the panic hook; here it only ends what it was part of.
//! With `panic = "abort"` nothing of this works.

use std::{
    any::Any,
    mem,
    panic::{self, AssertUnwindSafe},
    thread::JoinHandle,
};

/// What was run has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs something, and ends its panic. What it leaves behind is its own: the broker's state is
/// changed under locks only, where no code of others runs.
pub(crate) fn shielded<R>(act: impl FnOnce() -> R) -> Result<R, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(act)).map_err(dispose)
}

/// Waits for a thread to end, however it ends.
pub(crate) fn join(thread: JoinHandle<()>) {
    if let Err(payload) = thread.join() {
        dispose(payload);
    }
}

/// Drops what came with a panic, which may panic in turn. What comes with that is forgotten: it
/// would go on like this for as long as somebody wishes.
fn dispose(payload: Box<dyn Any + Send>) -> Panicked {
    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
    Panicked
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Panics each time it is dropped, with another one of its kind.
    struct Endless;

    impl Drop for Endless {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new(Self));
        }
    }

    #[test]
    fn what_returns_is_handed_out() {
        assert_eq!(shielded(|| 5), Ok(5));
    }

    #[test]
    fn a_panic_ends_here_whatever_comes_with_it() {
        assert_eq!(shielded(|| panic::resume_unwind(Box::new("text"))), Err::<(), _>(Panicked));
        assert_eq!(shielded(|| drop(Endless)), Err(Panicked));
    }

    #[test]
    fn a_thread_is_joined_however_it_ended() {
        join(std::thread::Builder::new().spawn(|| ()).unwrap());
        join(std::thread::Builder::new().spawn(|| drop(Endless)).unwrap());
    }
}
