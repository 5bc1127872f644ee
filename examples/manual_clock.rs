//! Testing one's own code: a broker per test, and half an hour that passes in no time.
//!
//! `cargo run --example manual_clock`
//!
//! [`Shop`] stands for code of yours: the baskets of a web shop, one queue each, which go away when
//! they were not touched for half an hour. It is given a broker, so its tests give it one whose
//! clock they move themselves. No test waits, starts a container or gets in another one's way, and
//! each runs the same every time. In a project of yours they would be `#[test]`s.

use std::time::Duration;

use leveret::{Broker, Message};

const MINUTE: Duration = Duration::from_mins(1);

/// How long an untouched basket stays.
const PATIENCE: Duration = Duration::from_mins(30);

/// The code under test.
struct Shop {
    broker: Broker,
}

impl Shop {
    fn new(broker: &Broker) -> Self {
        Self { broker: broker.clone() }
    }

    /// Touches the basket, and makes it if there is none.
    fn put(&self, customer: &str, item: &str) -> leveret::Result<()> {
        let basket = self.broker.declare_queue(customer).expires_after(PATIENCE).declare()?;
        Ok(basket.send(Message::new(item))?)
    }

    /// Empties the basket. `None` if it has gone away.
    fn check_out(&self, customer: &str) -> leveret::Result<Option<Vec<String>>> {
        let basket = match self.broker.queue(customer) {
            Ok(basket) => basket,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut items = Vec::new();
        while let Some(item) = basket.get()? {
            items.push(item.text().unwrap_or_default().to_owned());
            item.ack()?;
        }
        Ok(Some(items))
    }
}

fn a_basket_keeps_what_was_put_into_it() -> leveret::Result<()> {
    let (broker, _time) = Broker::manual();
    let shop = Shop::new(&broker);
    shop.put("anna", "carrots")?;
    shop.put("anna", "clover")?;
    assert_eq!(shop.check_out("anna")?, Some(vec!["carrots".into(), "clover".into()]));
    assert_eq!(shop.check_out("ben")?, None);
    Ok(())
}

fn an_untouched_basket_goes_away_after_half_an_hour() -> leveret::Result<()> {
    let (broker, time) = Broker::manual();
    let shop = Shop::new(&broker);
    shop.put("anna", "carrots")?;
    shop.put("ben", "clover")?;
    assert_eq!(time.next_deadline(), Some(PATIENCE));

    // To the millisecond, which no test with a sleep in it could say.
    time.advance(29 * MINUTE);
    time.advance(Duration::from_millis(59_999));
    assert_eq!(shop.check_out("ben")?, Some(vec!["clover".into()]));
    time.advance(Duration::from_millis(1));
    assert_eq!(shop.check_out("anna")?, None);
    assert_eq!(shop.check_out("ben")?, Some(vec![]), "checking out touched it");
    Ok(())
}

fn touching_a_basket_starts_its_half_hour_again() -> leveret::Result<()> {
    let (broker, time) = Broker::manual();
    let shop = Shop::new(&broker);
    for item in ["carrots", "clover", "dandelion"] {
        shop.put("anna", item)?;
        time.advance(29 * MINUTE);
    }
    assert_eq!(time.elapsed(), 87 * MINUTE);
    assert_eq!(shop.check_out("anna")?.map(|items| items.len()), Some(3));
    Ok(())
}

fn main() -> leveret::Result<()> {
    a_basket_keeps_what_was_put_into_it()?;
    println!("a basket keeps what was put into it");
    an_untouched_basket_goes_away_after_half_an_hour()?;
    println!("an untouched basket goes away after half an hour");
    touching_a_basket_starts_its_half_hour_again()?;
    println!("touching a basket starts its half hour again");
    Ok(())
}
