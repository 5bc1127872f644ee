//! What is left of exchanges, queues and bindings, put in order.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::report::SalvageReport;
use crate::{
    Name,
    engine::definition::QueueDeclaration,
    store::record::{End, Entity, Recovered, Serial},
};

/// What the names begin with of what is made for lack of a declaration.
const NAME: &str = "leveret.salvaged.";

/// Which entities there are, and which queues messages may come into.
#[derive(Debug, Default)]
pub(super) struct Estate {
    pub(super) entities: Vec<(Serial, Entity)>,
    queues: HashSet<Serial>,
}

impl Estate {
    /// Leaves out what was deleted, and makes what messages are without.
    pub(super) fn of(recovered: &mut Recovered, report: &mut SalvageReport) -> Self {
        let mut entities = std::mem::take(&mut recovered.entities);
        let gone = drop_predecessors(&mut entities);
        let mut made = missing_vhosts(&entities, &gone);
        let filled: BTreeSet<Serial> =
            recovered.messages.iter().map(|message| message.id.queue).collect();
        let known: HashSet<Serial> = entities.iter().map(|(serial, _)| *serial).collect();
        let missing = filled.iter().filter(|queue| !known.contains(queue) && !gone.contains(queue));
        let mut names = Names::of(&entities);
        made.extend(missing.map(|queue| (*queue, Made::Queue)));
        for (serial, what) in made {
            report.made += 1;
            let name = names.of_made(serial);
            report.tell(|| format!("the declaration of {name} is lost"));
            entities.push((serial, what.entity(name)));
        }
        drop_loose(&mut entities, report);
        let is_queue = |(serial, entity): &(Serial, Entity)| {
            matches!(entity, Entity::Queue { .. }).then_some(*serial)
        };
        let queues = entities.iter().filter_map(is_queue).collect();
        entities.sort_unstable_by_key(|(serial, _)| *serial);
        for (_, entity) in &entities {
            match entity {
                Entity::VirtualHost { .. } => report.vhosts += 1,
                Entity::Exchange { .. } => report.exchanges += 1,
                Entity::Queue { .. } => report.queues += 1,
                Entity::Binding { .. } => report.bindings += 1,
                Entity::Used { .. } => {}
            }
        }
        Self { entities, queues }
    }

    /// Whether messages of a queue have a place.
    pub(super) fn has_queue(&self, queue: Serial) -> bool {
        self.queues.contains(&queue)
    }
}

/// What is made.
#[derive(Clone, Copy, Debug)]
enum Made {
    Queue,
    VirtualHost,
}

impl Made {
    fn entity(self, name: Name) -> Entity {
        match self {
            Self::Queue => {
                let declaration = QueueDeclaration { durable: true, ..QueueDeclaration::default() };
                Entity::Queue { vhost: None, name, declaration }
            }
            Self::VirtualHost => Entity::VirtualHost { name },
        }
    }
}

/// The names that are taken, wherever.
struct Names(HashSet<Name>);

impl Names {
    fn of(entities: &[(Serial, Entity)]) -> Self {
        let name = |(_, entity): &(Serial, Entity)| match entity {
            Entity::VirtualHost { name } | Entity::Queue { name, .. } => Some(name.clone()),
            Entity::Exchange { .. } | Entity::Binding { .. } | Entity::Used { .. } => None,
        };
        Self(entities.iter().filter_map(name).collect())
    }

    fn of_made(&mut self, serial: Serial) -> Name {
        let mut name = format!("{NAME}{serial}");
        while !self.0.insert(Name::from(name.as_str())) {
            name.push('.');
        }
        Name::from(name.as_str())
    }
}

/// Drops what was deleted as far as that can be seen: something later has its name. Says what.
fn drop_predecessors(entities: &mut Vec<(Serial, Entity)>) -> HashSet<Serial> {
    let mut newest = HashMap::new();
    let mut gone = HashSet::new();
    entities.sort_unstable_by_key(|(serial, _)| *serial);
    for (serial, entity) in &*entities {
        let known = match entity {
            Entity::VirtualHost { name } => (0, None, name),
            Entity::Exchange { vhost, name, .. } => (1, *vhost, name),
            Entity::Queue { vhost, name, .. } => (2, *vhost, name),
            Entity::Binding { .. } | Entity::Used { .. } => continue,
        };
        gone.extend(newest.insert(known, *serial));
    }
    let lost: Vec<Serial> = entities
        .iter()
        .filter(|(_, entity)| vhost(entity).is_some_and(|vhost| gone.contains(&vhost)))
        .map(|(serial, _)| *serial)
        .collect();
    gone.extend(lost);
    entities.retain(|(serial, _)| !gone.contains(serial));
    gone
}

fn vhost(entity: &Entity) -> Option<Serial> {
    match entity {
        Entity::Exchange { vhost, .. }
        | Entity::Queue { vhost, .. }
        | Entity::Binding { vhost, .. } => *vhost,
        Entity::VirtualHost { .. } | Entity::Used { .. } => None,
    }
}

fn missing_vhosts(entities: &[(Serial, Entity)], gone: &HashSet<Serial>) -> Vec<(Serial, Made)> {
    let known: HashSet<Serial> = entities.iter().map(|(serial, _)| *serial).collect();
    let named = entities.iter().filter_map(|(_, entity)| vhost(entity));
    let missing: BTreeSet<Serial> =
        named.filter(|vhost| !known.contains(vhost) && !gone.contains(vhost)).collect();
    missing.into_iter().map(|vhost| (vhost, Made::VirtualHost)).collect()
}

/// Drops bindings without both ends, and what is said of queues that are not there.
fn drop_loose(entities: &mut Vec<(Serial, Entity)>, report: &mut SalvageReport) {
    let known: HashSet<Serial> = entities.iter().map(|(serial, _)| *serial).collect();
    let is_there = |end: &End| match end {
        End::Predeclared(_) => true,
        End::Exchange(serial) | End::Queue(serial) => known.contains(serial),
    };
    entities.retain(|(_, entity)| match entity {
        Entity::Binding { source, destination, key, .. } => {
            let is_whole = is_there(source) && is_there(destination);
            if !is_whole {
                report.bindings_lost += 1;
                report.tell(|| format!("an end of a binding with the key {key:?} is lost"));
            }
            is_whole
        }
        Entity::Used { queue, .. } => known.contains(queue),
        Entity::VirtualHost { .. } | Entity::Exchange { .. } | Entity::Queue { .. } => true,
    });
}
