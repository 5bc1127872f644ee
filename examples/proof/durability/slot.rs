//! One message in one of the queues that it was published to, and what is known of it there.
//!
//! It can be in two places: at home, and among the dead letters once it died. A crash may undo what
//! was not written, so what is known holds until then; after a crash somebody looks, and it is
//! known again.

use super::{item::Id, place::Place, verdict::Fault};

#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Whether it is there, unless somebody settled it.
    pub(crate) is_certain: bool,
    /// Whether somebody rejected it, or its queue gives way.
    pub(crate) may_die: bool,
    home: Access,
    letter: Access,
    passage: Passage,
}

/// What consumers did with it in a place.
#[derive(Clone, Debug, Default)]
struct Access {
    was_handed_out: bool,
    removal: Option<Removal>,
}

/// How sure it is that a message was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    /// It may have been.
    Intended,
    /// It happens if the transaction does.
    InTransaction(Id),
    /// It was, at that line, and a crash may undo it.
    Returned(u64),
    /// It was, for good.
    Final,
}

/// Whether it went from home to the dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Passage {
    #[default]
    Unknown,
    /// Somebody got it there, and a crash may undo that.
    Seen,
    Final,
}

/// How often it was found, and whether always flagged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) home: Finds,
    pub(crate) letter: Finds,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finds {
    pub(crate) times: u32,
    pub(crate) unflagged: u32,
}

/// What a slot says about the publish or transaction that it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    Happened,
    DidNot,
}

impl Found {
    pub(crate) fn add(&mut self, place: Place, is_redelivered: bool) {
        let finds = match place {
            Place::Home(_) => &mut self.home,
            Place::Letter(_) => &mut self.letter,
        };
        finds.times += 1;
        finds.unflagged += u32::from(!is_redelivered);
    }

    pub(crate) fn is_there(self) -> bool {
        self.home.times + self.letter.times > 0
    }
}

impl Slot {
    pub(crate) fn new(place: Place) -> Self {
        Self { may_die: place.home().gives_way(), ..Self::default() }
    }

    /// Somebody got it.
    pub(crate) fn get(&mut self, place: Place, is_redelivered: bool) -> Vec<(Fault, &'static str)> {
        let mut faults = Vec::new();
        let is_settled = [&self.home, &self.letter].into_iter().any(Access::is_settled);
        if is_settled {
            faults.push((Fault::ResurrectedAck, "was got after it was settled"));
        }
        match place {
            Place::Home(_) => {
                if self.passage != Passage::Unknown {
                    faults.push((Fault::MisplacedLetter, "was got at home after it died"));
                }
                self.letter = Access::default();
                self.passage = Passage::Unknown;
            }
            Place::Letter(_) => {
                if !self.may_die {
                    faults.push((Fault::MisplacedLetter, "is a letter and nobody rejected it"));
                }
                if self.passage == Passage::Unknown {
                    self.passage = Passage::Seen;
                }
            }
        }
        let access = self.access(place);
        if access.was_handed_out && !is_redelivered {
            faults.push((Fault::UnflaggedDuplicate, "was got again without a flag"));
        }
        *access = Access { was_handed_out: true, removal: None };
        faults
    }

    /// Somebody is about to settle it.
    pub(crate) fn intend(&mut self, place: Place, transaction: Option<Id>) {
        let removal = transaction.map_or(Removal::Intended, Removal::InTransaction);
        self.access(place).removal = Some(removal);
    }

    /// Somebody settled it.
    pub(crate) fn remove(&mut self, place: Place, line: u64) {
        self.access(place).removal = Some(Removal::Returned(line));
    }

    /// Somebody settled it for good.
    pub(crate) fn remove_for_good(&mut self, place: Place) {
        self.access(place).removal = Some(Removal::Final);
    }

    /// The transaction in which it was to be settled does not happen.
    pub(crate) fn keep(&mut self, place: Place, transaction: Id) {
        let access = self.access(place);
        if access.removal == Some(Removal::InTransaction(transaction)) {
            access.removal = None;
        }
    }

    /// A crash came. What was settled before the horizon stays so.
    pub(crate) fn crash(&mut self, horizon: u64) {
        for access in [&mut self.home, &mut self.letter] {
            match access.removal {
                Some(Removal::Returned(line)) if line < horizon => {
                    access.removal = Some(Removal::Final);
                }
                Some(Removal::Returned(_)) => access.removal = Some(Removal::Intended),
                _ => {}
            }
        }
        if self.passage == Passage::Seen {
            // What died and was not written may die again, and be another letter.
            self.passage = Passage::Unknown;
            self.letter.was_handed_out = false;
        }
    }

    /// What is wrong with where it was found after a crash. Whoever was settled before the horizon
    /// is so for good.
    pub(crate) fn judge(
        &self,
        home: Place,
        found: Found,
        horizon: u64,
    ) -> Vec<(Fault, &'static str)> {
        let Found { home: at_home, letter: among_letters } = found;
        let mut faults = Vec::new();
        if at_home.times > 1 || among_letters.times > 1 {
            faults.push((Fault::UnflaggedDuplicate, "is there twice"));
        }
        if at_home.times > 0 && among_letters.times > 0 {
            faults.push((Fault::MisplacedLetter, "is at home and among the letters"));
        }
        if at_home.times > 0 && self.passage == Passage::Final {
            faults.push((Fault::MisplacedLetter, "is at home again after it died"));
        }
        if among_letters.times > 0 && !self.may_die {
            faults.push((Fault::MisplacedLetter, "is a letter and nobody rejected it"));
        }
        let is_final = |access: &Access| access.is_final(horizon);
        if found.is_there() && (is_final(&self.home) || is_final(&self.letter)) {
            faults.push((Fault::ResurrectedAck, "is there after it was settled for good"));
        }
        // In a queue that gives way it may have died once more, and be another letter.
        let is_same_letter = !home.home().gives_way() || self.passage == Passage::Final;
        if at_home.unflagged > 0 && self.home.was_handed_out
            || among_letters.unflagged > 0 && self.letter.was_handed_out && is_same_letter
        {
            faults.push((Fault::UnflaggedDuplicate, "was handed out and has no flag"));
        }
        if !found.is_there() && self.is_certain && !self.is_removed() {
            faults.push((Fault::Lost, "was confirmed and is not there"));
        }
        faults
    }

    /// Whether what it was published with has happened, as far as can be told.
    pub(crate) fn evidence(&self, found: Found) -> Option<Evidence> {
        match (found.is_there(), self.is_removed()) {
            (true, _) => Some(Evidence::Happened),
            (false, false) => Some(Evidence::DidNot),
            (false, true) => None,
        }
    }

    /// The same of a transaction in which it was to be settled.
    pub(crate) fn settlement(&self, transaction: Id, found: Found) -> Option<Evidence> {
        let is_of_it =
            |access: &Access| access.removal == Some(Removal::InTransaction(transaction));
        let is_only = is_of_it(&self.home) && self.letter.removal.is_none()
            || is_of_it(&self.letter) && self.home.removal.is_none();
        if found.is_there() {
            return Some(Evidence::DidNot);
        }
        (self.is_certain && is_only).then_some(Evidence::Happened)
    }

    /// It is known where it is.
    pub(crate) fn find(&mut self, home: Place, found: Found) {
        self.is_certain = true;
        for (access, finds) in [(&mut self.home, found.home), (&mut self.letter, found.letter)] {
            access.removal = None;
            // What lacks its flag has been found, once.
            access.was_handed_out &= finds.unflagged == 0;
        }
        if found.letter.times > 0 {
            self.may_die = true;
            self.passage = Passage::Final;
        } else {
            self.may_die = home.home().gives_way();
            self.passage = Passage::Unknown;
            self.letter = Access::default();
        }
    }

    fn is_removed(&self) -> bool {
        self.home.removal.is_some() || self.letter.removal.is_some()
    }

    fn access(&mut self, place: Place) -> &mut Access {
        match place {
            Place::Home(_) => &mut self.home,
            Place::Letter(_) => &mut self.letter,
        }
    }
}

impl Access {
    fn is_settled(&self) -> bool {
        matches!(self.removal, Some(Removal::Returned(_) | Removal::Final))
    }

    fn is_final(&self, horizon: u64) -> bool {
        match self.removal {
            Some(Removal::Final) => true,
            Some(Removal::Returned(line)) => line < horizon,
            Some(Removal::Intended | Removal::InTransaction(_)) | None => false,
        }
    }
}
