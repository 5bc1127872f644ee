//! What is in the queues, seen without touching it.

use std::{
    error::Error,
    fmt,
    path::Path,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use leveret::{Broker, Durability};

use super::{
    item::{self, Id},
    memory::Memory,
    place::{Place, Queue},
};

/// How long letters on their way and pauses before a retry may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that was seen, queue by queue, in the order in which it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) missing: Vec<Queue>,
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) place: Place,
    pub(crate) id: Id,
    pub(crate) is_redelivered: bool,
}

/// Opens what a life left.
pub(crate) fn open(store: &Path, level: Durability, memory: Memory) -> leveret::Result<Broker> {
    Broker::builder().store(store).durability(level).limits(memory.limits()).open()
}

impl Look {
    pub(crate) fn new(broker: &Broker) -> Result<Self, Box<dyn Error>> {
        wait_until_calm(broker)?;
        let mut look = Self::default();
        for queue in Queue::ALL {
            let Ok(handle) = broker.queue(queue.name()) else {
                look.missing.push(queue);
                continue;
            };
            let stats = handle.stats();
            if !stats.is_conserved() {
                return Err(format!("{} does not add up: {stats:?}", queue.name()).into());
            }
            let most = usize::try_from(stats.ready)?;
            for seen in handle.browse(most)? {
                let place = place(queue, &seen.message);
                match item::read(&seen.message).and_then(|id| Ok((id, place?))) {
                    Ok((id, place)) => {
                        let is_redelivered = seen.is_redelivered;
                        look.sightings.push(Sighting { place, id, is_redelivered });
                    }
                    Err(wrong) => look.wrong.push(format!("{wrong} in {}", queue.name())),
                }
            }
        }
        Ok(look)
    }

    /// Says how the next look differs, before which nobody did anything. More flags are allowed:
    /// what a crash leaves in doubt has one.
    pub(crate) fn difference(&self, next: &Self) -> Option<String> {
        let Self { missing, sightings, wrong } = self;
        let mut pairs = sightings.iter().zip(&next.sightings);
        if let Some((one, other)) = pairs.find(|(one, other)| !one.may_become(other)) {
            return Some(format!("first {one}, then {other}"));
        }
        if sightings.len() != next.sightings.len() {
            let (one, other) = (sightings.len(), next.sightings.len());
            return Some(format!("first {one} messages, then {other}"));
        }
        let is_same = (missing, wrong) == (&next.missing, &next.wrong);
        (!is_same).then(|| format!("first {missing:?} {wrong:?}, then others"))
    }
}

impl Sighting {
    fn may_become(&self, next: &Self) -> bool {
        let is_more = self.is_redelivered <= next.is_redelivered;
        (self.place, self.id) == (next.place, next.id) && is_more
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, id, is_redelivered } = self;
        write!(f, "{place} {id} {}", u8::from(*is_redelivered))
    }
}

/// Where a message is that was found in a queue.
pub(crate) fn place(queue: Queue, message: &leveret::Message) -> Result<Place, String> {
    if queue != Queue::Dead {
        return Ok(Place::Home(queue));
    }
    let of = item::died_in(message).and_then(Queue::named);
    of.map(Place::Letter).ok_or_else(|| "a letter that died nowhere".to_owned())
}

/// Nothing is on its way.
fn wait_until_calm(broker: &Broker) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    loop {
        let stats = broker.stats();
        if stats.delayed + stats.moving + stats.unacked == 0 {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("it does not come to rest: {stats:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for queue in &self.missing {
            writeln!(f, "missing {}", queue.name())?;
        }
        for sighting in &self.sightings {
            writeln!(f, "{sighting}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "wrong {wrong}")?;
        }
        f.write_str("end\n")
    }
}

impl FromStr for Look {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut look = Self::default();
        let text = text.strip_suffix("end\n").ok_or("the look at the queues has no end")?;
        for line in text.lines() {
            let strange = || format!("{line:?} is no sight");
            let (first, rest) = line.split_once(' ').ok_or_else(strange)?;
            match first {
                "missing" => look.missing.push(Queue::named(rest).ok_or_else(strange)?),
                "wrong" => look.wrong.push(rest.to_owned()),
                place => {
                    let (id, flag) = rest.split_once(' ').ok_or_else(strange)?;
                    let (place, id) = (place.parse()?, id.parse()?);
                    look.sightings.push(Sighting { place, id, is_redelivered: flag == "1" });
                }
            }
        }
        Ok(look)
    }
}
