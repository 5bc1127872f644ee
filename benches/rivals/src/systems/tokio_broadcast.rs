//! tokio's broadcast channel with one receiver. It overwrites what its receiver is too slow for, so
//! the window has to hold its producer back.

use std::thread;

use bytes::Bytes;
use tokio::{runtime::Handle, sync::broadcast};

use super::{Acks, Ends, Fault, Reach, System, Traits};
use crate::load::{Figures, Load, WINDOW};

pub(super) struct TokioBroadcast {
    ends: Ends,
    handle: Handle,
}

impl TokioBroadcast {
    pub(super) fn new(ends: Ends, handle: Handle) -> Self {
        Self { ends, handle }
    }
}

impl System for TokioBroadcast {
    fn traits(&self) -> Traits {
        let name = format!("tokio broadcast({WINDOW}), one receiver");
        Traits { name, ends: self.ends, acks: Acks::None, reach: Reach::Process }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        let (sender, receiver) = broadcast::channel(WINDOW as usize);
        match self.ends {
            Ends::Threads => threads(load, sender, receiver),
            Ends::Tasks => tasks(load, sender, receiver, &self.handle),
        }
    }
}

fn threads(
    load: Load,
    sender: broadcast::Sender<Bytes>,
    mut receiver: broadcast::Receiver<Bytes>,
) -> Result<Figures, Fault> {
    thread::scope(|scope| {
        let (mut outbound, mut inbound) = load.begin();
        scope.spawn(move || {
            while let Some(body) = outbound.next_blocking() {
                if sender.send(Bytes::copy_from_slice(&body)).is_err() {
                    break;
                }
            }
        });
        while inbound.expects_more() {
            inbound.arrived(&receiver.blocking_recv()?);
            inbound.done();
        }
        Ok(inbound.finish())
    })
}

fn tasks(
    load: Load,
    sender: broadcast::Sender<Bytes>,
    mut receiver: broadcast::Receiver<Bytes>,
    handle: &Handle,
) -> Result<Figures, Fault> {
    let (mut outbound, mut inbound) = load.begin();
    handle.spawn(async move {
        while let Some(body) = outbound.next().await {
            if sender.send(Bytes::copy_from_slice(&body)).is_err() {
                break;
            }
        }
    });
    let consumer = handle.spawn(async move {
        while inbound.expects_more() {
            inbound.arrived(&receiver.recv().await?);
            inbound.done();
        }
        Ok(inbound.finish())
    });
    handle.block_on(consumer)?
}
