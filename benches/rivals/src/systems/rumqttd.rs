//! rumqttd, an MQTT broker that can be embedded, through its link within the process.
//!
//! That link is fixed to quality of service 0: nothing is acked, and what a consumer loses is lost.

use std::{sync::Mutex, thread};

use bytes::Bytes;
use rumqttd::{
    Broker, Config, Notification, RouterConfig,
    local::{LinkRx, LinkTx},
};

use super::{Acks, Ends, Fault, KEY, Reach, System, Traits};
use crate::load::{Figures, Load};

pub(super) struct Rumqttd {
    /// One pair for all loads: the router never forgets a link within the process.
    links: Mutex<(LinkTx, LinkRx)>,
}

impl Rumqttd {
    pub(super) fn start() -> Result<Self, Fault> {
        // As in the configuration that comes with it, but for segments of 1 MiB instead of 100: it
        // keeps what it has carried, and all that is under way fits into one.
        let router = RouterConfig {
            max_connections: 10_010,
            max_outgoing_packet_count: 200,
            max_segment_size: 1 << 20,
            max_segment_count: 10,
            ..RouterConfig::default()
        };
        let broker = Broker::new(Config { router, ..Config::default() });
        let (producer, _) = broker.link("producer")?;
        let (mut subscriber, mut consumer) = broker.link("consumer")?;
        subscriber.subscribe(KEY)?;
        while !matches!(consumer.recv()?, Some(Notification::DeviceAck(_))) {}
        Ok(Self { links: Mutex::new((producer, consumer)) })
    }
}

impl System for Rumqttd {
    fn traits(&self) -> Traits {
        let name = "rumqttd, in-process link (QoS 0)".to_owned();
        Traits { name, ends: Ends::Threads, acks: Acks::None, reach: Reach::Process }
    }

    fn carry(&self, load: Load) -> Result<Figures, Fault> {
        let mut links = self.links.lock().map_err(|_| "an earlier load has failed")?;
        let (producer, consumer) = &mut *links;
        let topic = Bytes::from_static(KEY.as_bytes());
        thread::scope(|scope| {
            let (mut outbound, mut inbound) = load.begin();
            scope.spawn(move || {
                while let Some(body) = outbound.next_blocking() {
                    let body = Bytes::copy_from_slice(&body);
                    producer.publish(topic.clone(), body).expect("the router runs");
                }
            });
            while inbound.expects_more() {
                match consumer.recv()? {
                    Some(Notification::Forward(forward)) => {
                        inbound.arrived(&forward.publish.payload);
                        inbound.done();
                    }
                    Some(Notification::Unschedule) => consumer.ready()?,
                    _ => {}
                }
            }
            Ok(inbound.finish())
        })
    }
}
