//! Receiving from a queue by way of a mailbox: without waiting, waiting as a thread, as a task.
//!
//! What lies in the mailbox is received under the mailbox's lock alone. Only who finds it empty
//! goes to the queue. A thread waits with the lock of the queue, at whose tray it is noted, so that
//! whoever puts a message in knows whether to wake.

use std::task::{Context, Poll};

use crossbeam_channel::Receiver;

use super::{
    aftermath::Aftermath,
    cell::tray_of,
    consumer::{ConsumerCore, EndReason, RecvError, RecvTimeoutError, TryRecvError},
    mailbox::{Parcel, Receipt, Taken, Tray},
    outlet::Outlet,
    patience,
};
use crate::{
    clock::{HostDeadline, Leisure},
    engine::queue::{ConsumerId, Effects, QueueCore, Settlement},
    sync::MutexGuard,
};

impl ConsumerCore {
    /// Takes a message if one is there.
    #[inline]
    pub(crate) fn try_receive(&self) -> Result<Parcel, TryRecvError> {
        let mut taken = self.mailbox.taken();
        if let Some(parcel) = taken.next() {
            return Ok(parcel);
        }
        match self.take_handed(&mut taken) {
            Some(parcel) => Ok(parcel),
            None => self.receive_told(taken),
        }
    }

    fn receive_told(&self, mut taken: MutexGuard<'_, Taken>) -> Result<Parcel, TryRecvError> {
        let mut after = Aftermath::default();
        let received = self.fetch_told(&mut taken, &mut after);
        drop(taken);
        after.run(&self.cell);
        received
    }

    /// Waits for a message.
    pub(crate) fn receive(&self, until: HostDeadline) -> Result<Parcel, RecvTimeoutError> {
        loop {
            let arrivals = self.mailbox.arrivals();
            let leisure = until.leisure();
            let is_idle = self.mailbox.taken().is_idle(arrivals);
            // Without a look at the queue, which others may be at work on.
            if is_idle && self.watch(leisure, arrivals) {
                continue;
            }
            match self.try_receive() {
                Ok(parcel) => return Ok(parcel),
                Err(TryRecvError::Ended(reason)) => return Err(RecvTimeoutError::Ended(reason)),
                Err(TryRecvError::Empty) => {}
            }
            if !is_idle && self.watch(leisure, arrivals) {
                continue;
            }
            let mut after = Aftermath::default();
            let received = self.wait(until, &mut after);
            after.run(&self.cell);
            if let Some(received) = received {
                return received;
            }
        }
    }

    /// Waits awake for a while, and says whether anything has arrived.
    fn watch(&self, leisure: Leisure, arrivals: u64) -> bool {
        patience::watch(leisure, || self.mailbox.arrivals() != arrivals)
    }

    /// Waits for a first message and takes what is there then, up to `max`. Each is put away under
    /// the lock of the mailbox.
    pub(crate) fn receive_batch(
        &self,
        max: usize,
        until: HostDeadline,
        mut put: impl FnMut(Parcel),
    ) -> Result<(), RecvTimeoutError> {
        if max == 0 {
            return self.mailbox.ended().map_or(Ok(()), |end| Err(RecvTimeoutError::Ended(end)));
        }
        put(self.receive(until)?);
        let mut left = max - 1;
        let mut after = Aftermath::default();
        {
            let mut taken = self.mailbox.taken();
            left -= taken.take(left, &mut put);
            while left > 0
                && let Ok(parcel) = self.fetch(&mut taken, &mut after)
            {
                put(parcel);
                left -= 1 + taken.take(left - 1, &mut put);
            }
        }
        after.run(&self.cell);
        Ok(())
    }

    /// Takes a message, or has the task woken when there is one.
    pub(crate) fn poll_receive(&self, cx: &Context<'_>) -> Poll<Result<Parcel, RecvError>> {
        // Cloned and dropped outside of the locks, since wakers are somebody else's code.
        let waker = cx.waker().clone();
        let mut after = Aftermath::default();
        let mut registered = None;
        let mut has_acks = false;
        let received = {
            let mut taken = self.mailbox.taken();
            if let Some(parcel) = taken.next().or_else(|| self.take_handed(&mut taken)) {
                return Poll::Ready(Ok(parcel));
            }
            self.cell.with_aftermath(&mut after, |core, effects| {
                let Some(tray) = tray_of(core, self.id()) else {
                    return Poll::Ready(Err(RecvError(self.reason())));
                };
                let Some(parcel) = tray.take(&mut taken) else {
                    registered = Some(tray.waiting.register(waker));
                    has_acks = self.cell.begin_urgency(tray);
                    return Poll::Pending;
                };
                self.settle_on_receipt(&parcel, core, effects);
                Poll::Ready(Ok(parcel))
            })
        };
        after.run(&self.cell);
        drop(registered);
        if has_acks {
            // What they let through wakes the task.
            self.cell.tell_acks();
        }
        received
    }

    /// A channel that has a token when messages may wait, and disconnects at the end.
    pub(crate) fn token(&self) -> &Receiver<()> {
        let mut after = Aftermath::default();
        let mut has_acks = false;
        let token = self.mailbox.token.get_or_init(|| {
            let (sender, receiver) = crossbeam_channel::bounded(1);
            let taken = self.mailbox.taken();
            let mut state = self.cell.lock(&mut after);
            if let Some(tray) = state.tray(self.id()) {
                if !taken.is_empty() || !tray.is_empty() {
                    // The channel is new, so it has room.
                    let _ = sender.try_send(());
                }
                tray.token = Some(sender);
                has_acks = self.cell.begin_urgency(tray);
            }
            receiver
        });
        after.run(&self.cell);
        if has_acks {
            self.cell.tell_acks();
        }
        token
    }

    /// Takes the next message out of the tray, and what is behind it into the empty mailbox.
    fn fetch(&self, taken: &mut Taken, after: &mut Aftermath) -> Result<Parcel, TryRecvError> {
        match self.take_handed(taken) {
            Some(parcel) => Ok(parcel),
            None => self.fetch_told(taken, after),
        }
    }

    /// Takes what was handed over already, in which acks have no say: the queue need not be told.
    #[inline]
    fn take_handed(&self, taken: &mut Taken) -> Option<Parcel> {
        match self.receipt {
            Receipt::Acks => None,
            Receipt::Hands => {
                let mut state = self.cell.untold();
                let (tray, has_credit) = state.tray_with_credit(self.id())?;
                let parcel = tray.take(taken);
                if has_credit {
                    tray.note_credit(taken);
                }
                parcel
            }
        }
    }

    /// Takes what there is once the queue has been told of all acks.
    fn fetch_told(&self, taken: &mut Taken, after: &mut Aftermath) -> Result<Parcel, TryRecvError> {
        self.cell.with_aftermath(after, |core, effects| {
            let tray =
                tray_of(core, self.id()).ok_or_else(|| TryRecvError::Ended(self.reason()))?;
            let parcel = tray.take(taken).ok_or(TryRecvError::Empty)?;
            self.settle_on_receipt(&parcel, core, effects);
            Ok(parcel)
        })
    }

    /// Waits at the tray. `None` if it has to be looked at again from the beginning, once what is
    /// left to do is done.
    fn wait(
        &self,
        until: HostDeadline,
        after: &mut Aftermath,
    ) -> Option<Result<Parcel, RecvTimeoutError>> {
        let taken = self.mailbox.taken();
        let mut state = self.cell.lock(after);
        let tray = state.tray(self.id())?;
        // Somebody else may wait for what is left to do here.
        if !taken.is_empty() || !tray.is_empty() || after.has_changed() {
            return None;
        }
        tray.waiting.threads += 1;
        if self.cell.begin_urgency(tray) {
            tray.waiting.threads -= 1;
            self.cell.relax(tray);
            return None;
        }
        drop(taken);
        let parcel = loop {
            let Some(left) = until.left() else { break None };
            state.wait(&self.mailbox.arrived, left);
            match state.tray(self.id()).map(Tray::next) {
                None => return Some(Err(RecvTimeoutError::Ended(self.reason()))),
                Some(None) => {}
                Some(parcel) => break parcel,
            }
        };
        let tray = state.tray(self.id())?;
        tray.waiting.threads -= 1;
        self.cell.relax(tray);
        let Some(parcel) = parcel else { return Some(Err(RecvTimeoutError::Timeout)) };
        self.cell.tell_time(&mut state, after);
        self.cell.act(&mut state, after, |core, effects| {
            self.settle_on_receipt(&parcel, core, effects);
        });
        Some(Ok(parcel))
    }

    /// Settles what counts as done by being received.
    fn settle_on_receipt(
        &self,
        parcel: &Parcel,
        core: &mut QueueCore<Outlet>,
        effects: &mut Effects,
    ) {
        if self.receipt == Receipt::Acks {
            core.settle(&[parcel.key], Settlement::AcceptOnReceipt, effects);
        }
    }

    fn id(&self) -> ConsumerId {
        *self.id.get().expect("nobody receives before the consumer has started")
    }

    /// Why there is no tray any more.
    fn reason(&self) -> EndReason {
        self.mailbox.ended().expect("whoever takes the tray away has noted why")
    }
}
