//! Names to entities, for those who hold no handle.
//!
//! The names are spread over shards with a lock each, so that looking up one queue does not wait
//! for the declaration of another.

#[cfg(not(loom))]
use std::hash::RandomState;
use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

use crate::{
    Name,
    sync::{Rank, RwLock},
};

/// A model has to take the same way each time.
#[cfg(loom)]
type RandomState = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// How many shards. A power of two well above the cores of one machine; an empty shard is small.
const SHARDS: usize = 16;

type Shard<T> = HashMap<Name, Arc<T>, RandomState>;

/// The queues, or the exchanges, of a virtual host by name.
#[derive(Debug)]
pub(crate) struct Directory<T> {
    shards: [RwLock<Shard<T>>; SHARDS],
    hasher: RandomState,
}

impl<T> Directory<T> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(Rank::Directory, Shard::default())),
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<T>> {
        self.shard(name).read().get(name).cloned()
    }

    pub(crate) fn insert(&self, name: Name, entity: Arc<T>) {
        let former = self.shard(&name).write().insert(name, entity);
        debug_assert!(former.is_none(), "a name is declared once");
    }

    /// Takes a name out. The entity is handed back, so that it is not dropped under the lock.
    pub(crate) fn remove(&self, name: &str) -> Option<Arc<T>> {
        self.shard(name).write().remove(name)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Everything there is, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.read().values().cloned());
        }
        all
    }

    fn shard(&self, name: &str) -> &RwLock<Shard<T>> {
        let hash = self.hasher.hash_one(name);
        let index = usize::try_from(hash % SHARDS as u64).expect("it is below the shard count");
        self.shards.get(index).expect("it is below the shard count")
    }
}
