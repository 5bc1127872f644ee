//! What one copy costs when an exchange copies each message to many queues, each with a consumer
//! that acks; beside as many bare channels, each given a clone of the message.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};
use leveret::{Broker, Message};

const BODY: [u8; 64] = [7; 64];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .configure_from_args();
    let mut group = criterion.benchmark_group("fan out");
    for copies in [1, 10, 100] {
        group.throughput(Throughput::Elements(copies));
        let channels: Vec<_> = (0..copies).map(|_| crossbeam_channel::unbounded()).collect();
        group.bench_function(BenchmarkId::new("channels", copies), |bencher| {
            bencher.iter(|| {
                let message = Message::new(BODY);
                for (sender, _) in &channels {
                    sender.send(message.clone()).expect("the receiver is alive");
                }
                drop(message);
                for (_, receiver) in &channels {
                    drop(black_box(receiver.recv().expect("one was sent")));
                }
            });
        });
        let broker = Broker::new();
        let exchange = broker.declare_exchange("news").fanout().declare().expect("a new name");
        let consumers: Vec<_> = (0..copies)
            .map(|_| {
                let queue = broker.declare_queue("").declare().expect("the broker is open");
                exchange.bind(&queue, "").expect("both are there");
                queue.consume().prefetch(100).start().expect("the queue is there")
            })
            .collect();
        group.bench_function(BenchmarkId::new("leveret", copies), |bencher| {
            bencher.iter(|| {
                exchange.publish("", Message::new(BODY)).expect("there is room");
                for consumer in &consumers {
                    let delivery = consumer.try_recv().expect("a copy was published");
                    black_box(delivery.body());
                    delivery.ack().expect("the broker is open");
                }
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
