//! What is about to be written counts as durable.

use crate::store::writer::Shared;

pub(in crate::store) fn begin_commit(shared: &Shared) {
    let told = shared.desk.lock().backlog.last();
    if told > shared.progress.durable() {
        shared.progress.advance(told);
    }
}
