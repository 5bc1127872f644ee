//! Operations that wait. The clock is moved by hand, from deadline to deadline.

use std::time::Duration;

use super::super::fields::Fields;
use super::super::json::{Json, Object};
use super::super::lane::{Pushed, named};
use super::super::player::{Failure, Played, Player};

/// The shortest step of the clock, so that every wait comes to an end.
const STEP_MIN: Duration = Duration::from_millis(1);
/// The longest wait: messages that keep coming in a circle must not keep a step going for ever.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// When a wait ends before its time is over.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// As soon as so many wanted things are there, and never later than the time given.
    Count(usize),
    /// When every publish is confirmed. Each confirm that comes gives the full time again.
    Confirmed,
    /// Not before. Each wanted thing that comes gives the full time again.
    Quiet,
}

pub(super) fn sleep(player: &mut Player, fields: &Fields) -> Played {
    let ms = fields.integer("ms")?.ok_or_else(|| "sleep needs ms".to_owned())?;
    player.clock.advance(Duration::from_millis(ms));
    Ok(Object::new())
}

pub(super) fn drain(player: &mut Player, fields: &Fields) -> Played {
    let consumer = fields.get("consumer").map(|_| fields.text("consumer")).transpose()?;
    let wanted = |pushed: &Pushed| match pushed {
        Pushed::Deliver(delivered) => {
            consumer.is_none_or(|tag| delivered.consumer_tag.as_deref() == Some(tag))
        }
        _ => false,
    };
    let quiet_ms = if fields.get("count").is_some() { 2000 } else { 250 };
    let unordered = fields.flag("unordered")?;
    let delivered = collect(player, fields, quiet_ms, wanted)?;
    let deliveries = delivered.iter().map(|pushed| {
        let mut delivery = Json::Object(pushed.fields());
        if unordered {
            delivery.remove("delivery_tag");
        }
        delivery
    });
    Ok(named([("deliveries", Json::List(deliveries.collect()))]))
}

pub(super) fn returns(player: &mut Player, fields: &Fields) -> Played {
    let returned = collect(player, fields, 100, |pushed| matches!(pushed, Pushed::Return(_)))?;
    let returns = returned.iter().map(|pushed| Json::Object(pushed.fields()));
    Ok(named([("returns", Json::List(returns.collect()))]))
}

pub(super) fn notifications(player: &mut Player, fields: &Fields) -> Played {
    let cancelled = collect(player, fields, 250, |pushed| matches!(pushed, Pushed::Cancel(_)))?;
    let tags = cancelled.into_iter().filter_map(|pushed| match pushed {
        Pushed::Cancel(tag) => Some(Json::Text(tag)),
        _ => None,
    });
    Ok(named([("cancelled", Json::List(tags.collect()))]))
}

pub(super) fn events(player: &mut Player, fields: &Fields) -> Played {
    let all = collect(player, fields, 300, |_| true)?;
    let events = all.iter().map(|pushed| {
        let mut event = named([("kind", Json::from(pushed.kind()))]);
        event.extend(pushed.fields());
        Json::Object(event)
    });
    Ok(named([("events", Json::List(events.collect()))]))
}

pub(super) fn wait_confirms(player: &mut Player, fields: &Fields) -> Played {
    player.let_write();
    let is_confirm = |pushed: &Pushed| matches!(pushed, Pushed::Ack(_) | Pushed::Nack(_));
    wait(player, fields, 1000, Until::Confirmed, is_confirm)?;
    let lane = player.lane(fields)?;
    let (mut acks, mut nacks) = (Vec::new(), Vec::new());
    for pushed in lane.take(is_confirm) {
        match pushed {
            Pushed::Ack(number) => acks.push(number),
            Pushed::Nack(number) => nacks.push(number),
            _ => {}
        }
    }
    acks.sort_unstable();
    nacks.sort_unstable();
    let unconfirmed = numbers(lane.unconfirmed());
    let (acks, nacks) = (numbers(acks), numbers(nacks));
    Ok(named([("acks", acks), ("nacks", nacks), ("unconfirmed", unconfirmed)]))
}

fn numbers(numbers: impl IntoIterator<Item = u64>) -> Json {
    Json::List(numbers.into_iter().map(Json::from).collect())
}

/// Waits for what is wanted, as `count` and `quiet_ms` say, and takes it.
fn collect(
    player: &mut Player,
    fields: &Fields,
    quiet_ms: u64,
    wanted: impl Fn(&Pushed) -> bool,
) -> Result<Vec<Pushed>, Failure> {
    let until = fields.integer("count")?.map_or(Until::Quiet, Until::Count);
    wait(player, fields, quiet_ms, until, &wanted)?;
    Ok(player.lane(fields)?.take(wanted))
}

/// Moves the clock until the wait is over, at most `quiet_ms` without anything wanted coming.
fn wait(
    player: &mut Player,
    fields: &Fields,
    quiet_ms: u64,
    until: Until,
    wanted: impl Fn(&Pushed) -> bool,
) -> Result<(), Failure> {
    let quiet = Duration::from_millis(fields.integer("quiet_ms")?.unwrap_or(quiet_ms));
    let (mut left, mut total) = (quiet, Duration::ZERO);
    let mut seen = player.lane(fields)?.count(&wanted);
    loop {
        let over = match until {
            Until::Count(count) => seen >= count,
            Until::Confirmed => player.lane(fields)?.unconfirmed().len() == 0,
            Until::Quiet => false,
        };
        if over || left.is_zero() || total >= WAIT_MAX {
            return Ok(());
        }
        let next = player.clock.next_deadline().unwrap_or(left);
        let step = next.max(STEP_MIN).min(left);
        player.clock.advance(step);
        player.collect();
        left -= step;
        total += step;
        let count = player.lane(fields)?.count(&wanted);
        if count > seen && !matches!(until, Until::Count(_)) {
            left = quiet;
        }
        seen = count;
    }
}
