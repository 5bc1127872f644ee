//! The command line of `order_pipeline`, and its ledgers and its audit, which have to find what is
//! wrong.

#[path = "../../examples/order_pipeline/arguments.rs"]
mod arguments;
#[path = "../../examples/order_pipeline/audit.rs"]
mod audit;
#[path = "../../examples/order_pipeline/book.rs"]
mod book;
#[path = "../../examples/order_pipeline/ledger.rs"]
mod ledger;
#[path = "../../examples/order_pipeline/letters.rs"]
mod letters;
#[path = "../../examples/order_pipeline/order.rs"]
mod order;

use std::{sync::Arc, time::Duration};

use arguments::{Settings, parse};
use audit::{Account, Audit};
use book::Book;
use ledger::{Ledger, Repeats};
use letters::{Death, Letter};
use leveret::{
    Broker, DelayedRetry, Delivery, Exchange, Message, Outcome, Queue, Table, Value, WorkersReport,
};

#[track_caller]
fn check(arguments: &[&str], expected: Result<Option<&Settings>, &str>) {
    let parsed = parse(arguments.iter().map(Into::into));
    assert_eq!(parsed.as_ref().map(Option::as_ref).map_err(String::as_str), expected);
}

#[test]
fn options_take_a_number_behind_them_or_behind_a_sign() {
    check(&[], Ok(Some(&Settings { orders: 5_000, seed: 1, durable: None })));
    let settings = Settings { orders: 20, seed: 3, durable: None };
    check(&["--orders", "20", "--seed=3"], Ok(Some(&settings)));
    let settings = Settings { durable: Some("shop".into()), ..settings };
    check(&["--orders=20", "--seed", "3", "--durable", "shop"], Ok(Some(&settings)));
    check(&["--orders", "20", "--help"], Ok(None));
}

#[test]
fn what_cannot_be_understood_is_named() {
    check(&["--orders"], Err("--orders needs a number"));
    check(&["--durable"], Err("--durable needs a directory"));
    check(&["--seed", "many"], Err("--seed many is not a number that fits"));
    check(&["--orders=4294967296"], Err("--orders 4294967296 is not a number that fits"));
    check(&["20"], Err("unknown argument 20"));
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_named_too() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
    let odd = OsString::from_vec(b"\xff".to_vec());
    let problem = parse([odd.clone()].into_iter()).unwrap_err();
    assert_eq!(problem, "unknown argument \u{fffd}");
    let problem = parse(["--seed".into(), odd].into_iter()).unwrap_err();
    assert_eq!(problem, "--seed \u{fffd} is not a number that fits");
}

#[track_caller]
fn check_problems(play: impl FnOnce(&Ledger), expected: &[&str]) {
    let ledger = Ledger::new(3, Repeats::Never);
    play(&ledger);
    assert_eq!(ledger.problems(), expected);
}

/// Comes once, unless it is among those that do not, and is done.
fn do_all(ledger: &Ledger, but: &[u64]) {
    for n in (1..=3).filter(|n| !but.contains(n)) {
        ledger.came(n, false);
        ledger.done(n);
    }
}

#[test]
fn an_order_that_is_lost_is_named_also_where_another_is_done_twice() {
    check_problems(|ledger| do_all(ledger, &[]), &[]);
    let twice_instead_of = |lost| {
        move |ledger: &Ledger| {
            do_all(ledger, &[lost]);
            ledger.came(1, true);
            ledger.done(1);
        }
    };
    check_problems(twice_instead_of(2), &["lost 1 order: 2", "doubled 1 order: 1"]);
}

#[test]
fn an_order_may_come_again_if_that_is_flagged() {
    let come_again = |redelivered| {
        move |ledger: &Ledger| {
            ledger.came(2, false);
            ledger.came(2, redelivered);
            ledger.gave_up(2);
            do_all(ledger, &[2]);
        }
    };
    check_problems(come_again(true), &[]);
    check_problems(come_again(false), &["doubled 1 order: 2"]);
}

#[test]
fn one_that_outlives_its_process_may_be_done_again_if_that_is_flagged() {
    let twice = |is_flagged| {
        let ledger = Ledger::new(3, Repeats::Flagged);
        do_all(&ledger, &[]);
        ledger.came(2, is_flagged);
        ledger.done(2);
        ledger.problems()
    };
    assert!(twice(true).is_empty());
    assert_eq!(twice(false), ["doubled 1 order: 2"]);
}

#[test]
fn a_book_says_what_was_done_and_keeps_it() {
    let broker = Broker::new();
    let book = Book::open(&broker, "stock").unwrap();
    let queue = broker.declare_queue("stock").declare().unwrap();
    for n in 1..=3 {
        queue.send(order::message(n)).unwrap();
    }
    queue.get().unwrap().unwrap().requeue().unwrap();
    for n in 1..=3 {
        let order = queue.get().unwrap().unwrap();
        book.note(n, &order).unwrap();
        order.ack().unwrap();
    }
    for _ in 0..2 {
        let ledger = Ledger::new(3, Repeats::Flagged);
        book.read(&ledger).unwrap();
        assert!(ledger.problems().is_empty());
    }
}

#[test]
fn one_that_is_done_and_a_dead_letter_is_doubled() {
    let both = |ledger: &Ledger| {
        do_all(ledger, &[]);
        ledger.gave_up(3);
    };
    check_problems(both, &["doubled 1 order: 3"]);
}

#[test]
fn what_nobody_ordered_is_a_problem() {
    let strange = |ledger: &Ledger| {
        do_all(ledger, &[]);
        for n in [0, 4] {
            ledger.came(n, false);
        }
        ledger.gave_up(u64::MAX);
    };
    check_problems(strange, &["got 3 times what nobody ordered"]);
}

#[test]
fn so_many_numbers_are_named_and_no_more() {
    let problems = Ledger::new(1_000, Repeats::Never).problems();
    assert_eq!(problems, ["lost 1000 orders: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 990 more"]);
}

/// The letter of an order that died once in the stock, with these headers beside.
fn letter<const N: usize>(reason: &str, headers: [(&str, Value); N]) -> Message {
    let death = Table::from([("queue", "stock"), ("reason", reason)]);
    let letter = order::message(7).with_header("x-death", vec![death.into()]);
    headers.into_iter().fold(letter, |letter, (name, value)| letter.with_header(name, value))
}

#[test]
fn a_letter_says_where_and_why() {
    let cause = || Value::from(Table::from([("error", "sold out")]));
    let death = |reason: &str, cause: Option<&str>| {
        let [queue, reason] = ["stock", reason].map(str::to_owned);
        Ok(Letter { number: 7, death: Death { queue, reason, cause: cause.map(str::to_owned) } })
    };
    let rejected = letter("rejected", [("x-exception", cause())]);
    assert_eq!(Letter::read(&rejected), death("rejected", Some("sold out")));
    assert_eq!(Letter::read(&letter("delivery_limit", [])), death("delivery_limit", None));

    let odd = "whose cause does not go with its reason";
    assert_eq!(Letter::read(&letter("rejected", [])), Err(odd));
    let stale = letter("delivery_limit", [("x-exception", cause())]);
    assert_eq!(Letter::read(&stale), Err(odd));
    assert_eq!(Letter::read(&order::message(7)), Err("that never died"));
    let unnumbered = letter("delivery_limit", [("n", Value::Void)]);
    assert_eq!(Letter::read(&unnumbered), Err("without a number"));
    let nowhere = order::message(7).with_header("x-death", vec![Table::new().into()]);
    assert_eq!(Letter::read(&nowhere), Err("of unknown origin"));
}

const SECOND: Duration = Duration::from_secs(1);

/// A shop with one service that has handled five orders: the second is sold out, the third makes
/// every worker panic, and the fifth is done at the second attempt.
struct Shop {
    broker: Broker,
    failures: Exchange,
    dead: Queue,
    stock: Account,
}

impl Shop {
    /// Something may happen before the orders come.
    fn played(before: impl FnOnce(&Self)) -> Self {
        // Dead letters and retries are at hand as soon as the clock says so.
        let (broker, time) = Broker::manual();
        let failures = broker.declare_exchange("failures").fanout().declare().unwrap();
        let dead = broker.declare_queue("dead").declare().unwrap();
        failures.bind(&dead, "").unwrap();
        let queue = broker
            .declare_queue("stock")
            .dead_letter_to(&failures)
            .delivery_limit(2)
            .delayed_retry(DelayedRetry::exponential(SECOND))
            .declare()
            .unwrap();
        let ledger = Arc::new(Ledger::new(5, Repeats::Never));
        let stock = Account { queue, pool: WorkersReport::default(), ledger, book: None };
        let mut shop = Self { broker, failures, dead, stock };
        before(&shop);
        for n in 1..=5 {
            shop.stock.queue.send(order::message(n)).unwrap();
        }
        // More often than any of them comes back, with longer pauses than it is given.
        for _ in 0..10 {
            while let Some(order) = shop.stock.queue.get().unwrap() {
                shop.serve(order);
            }
            time.advance(10 * SECOND);
        }
        shop
    }

    /// What a worker of a pool does, and counts.
    fn serve(&mut self, order: Delivery) {
        let Account { pool, ledger, .. } = &mut self.stock;
        let n = order::number(&order).unwrap();
        ledger.came(n, order.is_redelivered());
        match (n, order.attempts()) {
            (2, _) => {
                pool.rejected += 1;
                order.settle(Outcome::Reject("sold out".into())).unwrap();
            }
            (3, _) => {
                pool.panicked += 1;
                drop(order);
            }
            (5, 1) => {
                pool.requeued += 1;
                order.requeue().unwrap();
            }
            _ => {
                pool.acked += 1;
                ledger.done(n);
                order.ack().unwrap();
            }
        }
    }

    fn audit(&self) -> Audit {
        let mut audit = Audit::new(5, std::slice::from_ref(&self.stock), &self.dead).unwrap();
        audit.check_close(&self.broker.close(SECOND));
        audit
    }

    /// Takes the oldest dead letter away.
    fn steal(&self) -> Message {
        let letter = self.dead.get().unwrap().unwrap();
        let message = letter.message().clone();
        letter.ack().unwrap();
        message
    }
}

#[track_caller]
fn check_audit(shop: &Shop, expected: &[&str]) {
    assert_eq!(shop.audit().problems, expected);
}

#[test]
fn done_or_a_dead_letter_is_through() {
    let audit = Shop::played(|_| {}).audit();
    assert_eq!(audit.problems, [""; 0]);
    let counts = (audit.enqueued, audit.acked, audit.dead_lettered, audit.held);
    assert_eq!(counts, (5, 3, 2, 0));
    let dead: Vec<_> = audit.dead.iter().map(|(death, n)| format!("{n} × {death}")).collect();
    assert_eq!(dead, ["1 × stock: delivery_limit", "1 × stock: rejected, sold out"]);
}

#[test]
fn a_dead_letter_that_went_nowhere_is_lost() {
    let shop = Shop::played(|shop| shop.failures.unbind(&shop.dead, "").unwrap());
    let problems = [
        // A letter of the third would have told that one panic put nothing back.
        "stock saw given up 2, not 1",
        "stock saw tried again 3, not 4",
        "dead letters of stock are 0, not 2",
        "stock lost 2 orders: 2, 3",
        "dead got 0, not 2",
    ];
    check_audit(&shop, &problems);
    // As if the queue had not had a place for them at all.
    let shop = Shop::played(|shop| shop.failures.delete().unwrap());
    let problems = [
        "stock ended 3, not 5",
        "stock saw given up 0, not 1",
        "stock saw tried again 3, not 4",
        "stock lost 2 orders: 2, 3",
    ];
    check_audit(&shop, &problems);
}

#[test]
fn a_dead_letter_that_is_gone_or_there_twice_is_named() {
    let shop = Shop::played(|_| {});
    let _ = shop.steal();
    check_audit(&shop, &["dead letters of stock are 1, not 2", "stock lost 1 order: 2"]);
    let shop = Shop::played(|_| {});
    let stolen = shop.steal();
    shop.dead.send(stolen.clone()).unwrap();
    shop.dead.send(stolen).unwrap();
    let problems =
        ["dead letters of stock are 3, not 2", "stock doubled 1 order: 2", "dead got 4, not 2"];
    check_audit(&shop, &problems);
}

#[test]
fn a_dead_letter_of_nobody_is_named() {
    let shop = Shop::played(|shop| {
        shop.dead.send(order::message(1)).unwrap();
        shop.dead.send(letter("delivery_limit", [])).unwrap();
    });
    let problems = [
        "dead has a letter that never died",
        "stock got 1 times what nobody ordered",
        "dead letters of stock are 3, not 2",
    ];
    let found = shop.audit().problems;
    assert!(problems.iter().all(|of| found.iter().any(|found| found == of)), "{found:#?}");
}

#[test]
fn an_order_too_many_or_too_few_is_named() {
    let shop = Shop::played(|shop| shop.stock.queue.send(order::message(4)).unwrap());
    let problems = ["stock got 6, not 5", "stock ended 6, not 5", "stock doubled 1 order: 4"];
    check_audit(&shop, &problems);
    let mut shop = Shop::played(|_| {});
    shop.stock.ledger = Arc::new(Ledger::new(6, Repeats::Never));
    let found = Audit::new(6, std::slice::from_ref(&shop.stock), &shop.dead).unwrap().problems;
    assert!(found.contains(&"stock got 5, not 6".to_owned()), "{found:#?}");
    assert!(found.iter().any(|of| of.starts_with("stock lost") && of.contains('6')), "{found:#?}");
}

#[test]
fn what_is_left_when_the_broker_closes_is_a_problem() {
    let shop = Shop::played(|_| {});
    let queue = shop.broker.declare_queue("forgotten").declare().unwrap();
    queue.send(Message::new("")).unwrap();
    let [problem] = &shop.audit().problems[..] else { panic!("there is one") };
    assert!(problem.starts_with("the broker was not empty when it closed"), "{problem}");
}
