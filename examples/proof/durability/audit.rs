//! The comparison of what was told with what is there.

use std::collections::{BTreeMap, HashMap};

use super::{
    history::History,
    item::Id,
    look::Look,
    order::Order,
    place::{Place, Queue},
    slot::{Evidence, Found},
    verdict::Fault,
};

type Finds = HashMap<(Id, Queue), Found>;

impl History {
    /// Compares, and goes on from what is there: what is not is gone.
    pub(crate) fn audit(&mut self, look: &Look) {
        for text in &look.wrong {
            self.verdict.find(Fault::WrongPayload, text.clone());
        }
        if self.is_declared {
            for queue in &look.missing {
                self.verdict.find(Fault::Lost, format!("the queue {} is gone", queue.name()));
            }
        }
        self.check_order(look);
        let mut finds = Finds::new();
        for sighting in &look.sightings {
            self.meet(sighting.id, sighting.place);
            let key = (sighting.id, sighting.place.home());
            finds.entry(key).or_default().add(sighting.place, sighting.is_redelivered);
        }
        self.check_groups(&finds);
        self.check_slots(&finds);
        self.go_on(&finds);
    }

    fn check_order(&mut self, look: &Look) {
        let mut orders: HashMap<Place, Order> = HashMap::new();
        for sighting in &look.sightings {
            let place = sighting.place;
            if !place.is_ordered(sighting.is_redelivered) {
                continue;
            }
            if let Err(wrong) = orders.entry(place).or_default().add(sighting.id) {
                self.verdict.find(Fault::OrderViolation, format!("{wrong} in {place}"));
            }
        }
    }

    /// All of a publish or transaction has happened, or nothing.
    fn check_groups(&mut self, finds: &Finds) {
        let mut groups: BTreeMap<Id, [Option<String>; 2]> = BTreeMap::new();
        let mut note = |group: Id, evidence: Option<Evidence>, id: Id, queue: Queue| {
            let Some(evidence) = evidence else { return };
            let examples = groups.entry(group).or_default();
            examples[evidence as usize].get_or_insert_with(|| format!("{id} in {}", queue.name()));
        };
        for (id, message) in &self.messages {
            let Some(group) = message.group else { continue };
            for (queue, slot) in &message.slots {
                note(group, slot.evidence(found(finds, *id, *queue)), *id, *queue);
            }
        }
        for (transaction, changes) in &self.transactions {
            for (id, place) in &changes.settled {
                let queue = place.home();
                let slots = self.messages.get(id).into_iter().flat_map(|message| &message.slots);
                for (_, slot) in slots.filter(|(of, _)| *of == queue) {
                    let evidence = slot.settlement(*transaction, found(finds, *id, queue));
                    note(*transaction, evidence, *id, queue);
                }
            }
        }
        for (group, examples) in groups {
            if let [Some(happened), Some(did_not)] = examples {
                let text = format!("{group} has happened to {happened} and not to {did_not}");
                self.verdict.find(Fault::TornFanOut, text);
            }
        }
    }

    fn check_slots(&mut self, finds: &Finds) {
        for (id, message) in &self.messages {
            for (queue, slot) in &message.slots {
                let found = found(finds, *id, *queue);
                for (fault, what) in slot.judge(Place::Home(*queue), found, self.horizon) {
                    self.verdict.find(fault, format!("{id} of {} {what}", queue.name()));
                }
            }
        }
    }

    fn go_on(&mut self, finds: &Finds) {
        self.messages.retain(|id, message| {
            message.group = None;
            message.slots.retain_mut(|(queue, slot)| {
                let found = found(finds, *id, *queue);
                slot.find(Place::Home(*queue), found);
                found.is_there()
            });
            !message.slots.is_empty()
        });
        self.transactions.clear();
    }
}

fn found(finds: &Finds, id: Id, queue: Queue) -> Found {
    finds.get(&(id, queue)).copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
