//! Bodies whose destructor is somebody's code, and calls back into the broker.

use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use leveret::Message;

/// Owns a body, and does something when the last reference to it is gone.
struct Owner<F: FnOnce() + Send + 'static> {
    text: &'static str,
    last_words: Option<F>,
}

impl<F: FnOnce() + Send + 'static> AsRef<[u8]> for Owner<F> {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl<F: FnOnce() + Send + 'static> Drop for Owner<F> {
    fn drop(&mut self) {
        if let Some(last_words) = self.last_words.take() {
            last_words();
        }
    }
}

/// A message that does something when its body dies. The receiver hears of it afterwards.
pub(crate) fn message(
    text: &'static str,
    last_words: impl FnOnce() + Send + 'static,
) -> (Message, Receiver<()>) {
    let (spoken, heard) = mpsc::channel();
    let last_words = move || {
        last_words();
        // The test may have failed already.
        let _ = spoken.send(());
    };
    let body = Bytes::from_owner(Owner { text, last_words: Some(last_words) });
    (Message::new(body), heard)
}
