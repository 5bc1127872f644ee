//! An exchange and those who delete it.

use loom::thread;

use super::{broker, check};

#[test]
fn deleting_twice_spares_a_successor() {
    check(|| {
        let broker = broker();
        let exchange = broker.declare_exchange("x").declare().expect("the name is free");
        let deletes = {
            let exchange = exchange.clone();
            thread::spawn(move || exchange.delete())
        };
        exchange.delete().expect("it is nobody's but ours");
        broker.declare_exchange("x").declare().expect("the name is free");
        deletes.join().expect("it does not wait").expect("it is nobody's but ours");
        broker.exchange("x").expect("nobody has deleted the second one");
    });
}
