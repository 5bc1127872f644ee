//! The exchanges and queues of the workload.

use leveret::{Broker, Exchange};

use super::{dice::Dice, place::Queue};

/// How many messages `Recent` keeps.
const RECENT_MAX: u64 = 60;

/// How often a message of `Votes` may come back.
const RETURNS_MAX: u32 = 3;

/// Where a publish goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// By the default exchange.
    One(Queue),
    /// By a fanout exchange to `Recent` and `Stock`.
    Pair,
    /// By a fanout exchange to `Audit`, `Mail` and `Votes`.
    Trio,
}

/// The exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    default: Exchange,
    pair: Exchange,
    trio: Exchange,
}

impl Topology {
    /// Declares everything, or finds it.
    pub(crate) fn declare(broker: &Broker) -> leveret::Result<Self> {
        let letters = broker.declare_exchange("letters").fanout().durable().declare()?;
        for queue in Queue::ALL {
            let builder = broker.declare_queue(queue.name()).durable();
            let builder = match queue {
                Queue::Audit | Queue::Dead => builder,
                Queue::Mail => builder.dead_letter_to(&letters),
                Queue::Stock => builder.lazy().dead_letter_to(&letters),
                Queue::Recent => builder.max_length(RECENT_MAX).dead_letter_to(&letters),
                Queue::Votes => {
                    builder.quorum().delivery_limit(RETURNS_MAX).dead_letter_to(&letters)
                }
            };
            builder.declare()?;
        }
        letters.bind(&broker.queue(Queue::Dead.name())?, "")?;
        let fan_out = |route: Route| -> leveret::Result<Exchange> {
            let exchange = broker.declare_exchange(route.exchange()).fanout();
            let exchange = exchange.durable().declare()?;
            for queue in route.queues() {
                exchange.bind(&broker.queue(queue.name())?, "")?;
            }
            Ok(exchange)
        };
        let (pair, trio) = (fan_out(Route::Pair)?, fan_out(Route::Trio)?);
        Ok(Self { default: broker.default_exchange(), pair, trio })
    }

    pub(crate) fn exchange(&self, route: Route) -> &Exchange {
        match route {
            Route::One(_) => &self.default,
            Route::Pair => &self.pair,
            Route::Trio => &self.trio,
        }
    }
}

impl Route {
    pub(crate) fn queues(self) -> Vec<Queue> {
        match self {
            Self::One(queue) => vec![queue],
            Self::Pair => vec![Queue::Recent, Queue::Stock],
            Self::Trio => vec![Queue::Audit, Queue::Mail, Queue::Votes],
        }
    }

    /// The name of its exchange.
    pub(crate) fn exchange(self) -> &'static str {
        match self {
            Self::One(_) => "",
            Self::Pair => "pair",
            Self::Trio => "trio",
        }
    }

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::One(queue) => queue.name(),
            Self::Pair | Self::Trio => "",
        }
    }
}

pub(crate) fn any_route(dice: &mut Dice) -> Route {
    match dice.below(3) {
        0 => Route::Pair,
        1 => Route::Trio,
        _ => any_queue(dice),
    }
}

/// A route to one queue.
pub(crate) fn any_queue(dice: &mut Dice) -> Route {
    Route::One(dice.index(Queue::OPEN.len()).map_or(Queue::Mail, |index| Queue::OPEN[index]))
}
