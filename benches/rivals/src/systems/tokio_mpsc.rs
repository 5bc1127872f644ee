//! tokio's bounded channel for one consumer, which holds its producer back by itself.

use std::thread;

use bytes::Bytes;
use tokio::{runtime::Handle, sync::mpsc};

use super::{Acks, Ends, Fault, Reach, System, Traits};
use crate::load::{Figures, Load, WINDOW};

pub(super) struct TokioMpsc {
    ends: Ends,
    handle: Handle,
}

impl TokioMpsc {
    pub(super) fn new(ends: Ends, handle: Handle) -> Self {
        Self { ends, handle }
    }
}

impl System for TokioMpsc {
    fn traits(&self) -> Traits {
        let name = format!("tokio mpsc({WINDOW})");
        Traits { name, ends: self.ends, acks: Acks::None, reach: Reach::Process }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        let (sender, receiver) = mpsc::channel(WINDOW as usize);
        match self.ends {
            Ends::Threads => threads(load, sender, receiver),
            Ends::Tasks => tasks(load, sender, receiver, &self.handle),
        }
    }
}

fn threads(
    load: Load,
    sender: mpsc::Sender<Bytes>,
    mut receiver: mpsc::Receiver<Bytes>,
) -> Result<Figures, Fault> {
    thread::scope(|scope| {
        let (mut outbound, mut inbound) = load.begin();
        scope.spawn(move || {
            while let Some(body) = outbound.next_blocking() {
                if sender.blocking_send(Bytes::copy_from_slice(&body)).is_err() {
                    break;
                }
            }
        });
        while inbound.expects_more() {
            inbound.arrived(&receiver.blocking_recv().ok_or("the producer has gone")?);
            inbound.done();
        }
        Ok(inbound.finish())
    })
}

fn tasks(
    load: Load,
    sender: mpsc::Sender<Bytes>,
    mut receiver: mpsc::Receiver<Bytes>,
    handle: &Handle,
) -> Result<Figures, Fault> {
    let (mut outbound, mut inbound) = load.begin();
    handle.spawn(async move {
        while let Some(body) = outbound.next().await {
            if sender.send(Bytes::copy_from_slice(&body)).await.is_err() {
                break;
            }
        }
    });
    let consumer = handle.spawn(async move {
        while inbound.expects_more() {
            inbound.arrived(&receiver.recv().await.ok_or("the producer has gone")?);
            inbound.done();
        }
        Ok(inbound.finish())
    });
    handle.block_on(consumer)?
}
