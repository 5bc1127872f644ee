//! Settling on a channel: what is outstanding under which tag, and transactions, which put it off.
//!
//! Each step happens under the lock of the channel as a whole, so that a close by another thread
//! comes before or after it.

use std::sync::Arc;

use super::{ChannelState, Mode, Origin, Outstanding, Resumed, delivered};
use crate::{
    Error, ErrorKind, Result,
    broker::{
        cell::QueueCell,
        event::{Delivered, DeliveryTag},
        tx::{TxBuffer, TxOutline, TxSettlement},
    },
    engine::{
        channel::UnknownTag,
        queue::{Handed, Settlement, UnackedKey},
    },
};

impl ChannelState {
    /// Takes out what a tag stands for, oldest first, to be settled now. In a transaction it is
    /// kept for the commit, and there is nothing to settle now.
    pub(crate) fn settle(
        &self,
        tag: DeliveryTag,
        multiple: bool,
        settlement: Settlement,
        tx_steps_max: usize,
    ) -> Result<Vec<(u64, Outstanding)>> {
        let mut state = self.state.lock();
        state.life.check_open()?;
        let taken = if multiple {
            state.tags.take_through(tag.0)
        } else {
            state.tags.take(tag.0).map(|outstanding| vec![(tag.0, outstanding)])
        };
        let taken = taken.map_err(|UnknownTag(delivery_tag)| {
            Error::plain(ErrorKind::UnknownDelivery { delivery_tag })
        })?;
        match &mut state.mode {
            Mode::Plain | Mode::Confirm(_) => Ok(taken),
            Mode::Tx(buffer) if buffer.len() < tx_steps_max => {
                buffer.settle(TxSettlement { settlement, taken });
                Ok(Vec::new())
            }
            Mode::Tx(_) => {
                state.tags.restore(taken);
                Err(Error::plain(ErrorKind::Full { limit: "transaction_steps" }))
            }
        }
    }

    /// Says what the commit of the transaction would cause.
    pub(crate) fn outline_tx(&self) -> Result<TxOutline> {
        let mut state = self.state.lock();
        state.life.check_open()?;
        Ok(state.mode.tx()?.outline())
    }

    /// Takes out the transaction, for its commit; `None` if another thread has changed it since
    /// the outline was made.
    pub(crate) fn take_tx(&self, outline: &TxOutline) -> Result<Option<TxBuffer>> {
        let mut state = self.state.lock();
        state.life.check_open()?;
        let buffer = state.mode.tx()?;
        Ok(buffer.is_as_in(outline).then(|| buffer.take()))
    }

    /// Forgets the transaction: what it would settle is outstanding again. The rest comes back, to
    /// be dropped.
    pub(crate) fn roll_back(&self) -> Result<TxBuffer> {
        let mut state = self.state.lock();
        state.life.check_open()?;
        let mut buffer = state.mode.tx()?.take();
        for TxSettlement { taken, .. } in buffer.settlements.drain(..) {
            state.tags.restore(taken);
        }
        Ok(buffer)
    }

    /// Gives a got message its tag.
    pub(crate) fn push_got(
        &self,
        message: &Handed,
        outstanding: Option<(Arc<QueueCell>, UnackedKey)>,
        ready: u64,
    ) -> Delivered {
        let delivery_tag = {
            let mut state = self.state.lock();
            match outstanding {
                None => state.tags.skip(),
                Some((cell, key)) => {
                    let origin = Origin::Get(state.tags.peek());
                    state.tags.push(Outstanding { cell, key, origin })
                }
            }
        };
        Delivered {
            message_count: Some(u32::try_from(ready).unwrap_or(u32::MAX)),
            ..delivered(&message.held, message.is_redelivered(), delivery_tag)
        }
    }

    /// Takes out everything outstanding, oldest first.
    pub(crate) fn take_all(&self) -> Vec<(u64, Outstanding)> {
        self.state.lock().tags.take_all()
    }

    /// Gives the window room back for deliveries that are settled, before their queues are told.
    pub(crate) fn release(&self, settled: &[(u64, Outstanding)]) -> Resumed {
        let consumed = settled
            .iter()
            .filter(|(_, outstanding)| matches!(outstanding.origin, Origin::Consumer(_)))
            .count();
        let mut state = self.state.lock();
        state.window.release(u32::try_from(consumed).expect("fewer than 2^32 deliveries"));
        Resumed { cells: std::mem::take(&mut state.blocked), room_of: None }
    }

    /// Whether the channel as a whole has a window.
    pub(crate) fn has_window(&self) -> bool {
        self.state.lock().window.is_limited()
    }

    /// Changes the window of the channel; `None` is unlimited.
    pub(crate) fn set_window(&self, limit: Option<u32>) -> Resumed {
        let mut state = self.state.lock();
        let unsettled = state.tags.len();
        state.window.set_limit(limit, unsettled);
        Resumed { cells: std::mem::take(&mut state.blocked), room_of: None }
    }
}

impl Mode {
    fn tx(&mut self) -> Result<&mut TxBuffer> {
        match self {
            Self::Tx(buffer) => Ok(buffer),
            Self::Plain | Self::Confirm(_) => {
                let reason = "channel is not transactional";
                Err(Error::plain(ErrorKind::WrongMode { reason }))
            }
        }
    }
}
