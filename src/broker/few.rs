//! A list that mostly has no item or one, and then allocates nothing.

/// Items in the order in which they came. One is kept in place.
#[derive(Debug)]
pub(crate) struct Few<T> {
    first: Option<T>,
    /// Invariant: empty if there is no first.
    others: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, others: Vec::new() }
    }
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.others.push(item);
        }
    }

    /// Moves all items of a list to the end of this one.
    pub(crate) fn append(&mut self, items: &mut Vec<T>) {
        if items.len() == 1 && self.first.is_none() {
            self.first = items.pop();
        } else {
            items.drain(..).for_each(|item| self.push(item));
        }
    }

    pub(crate) fn for_each(self, mut act: impl FnMut(T)) {
        let Some(first) = self.first else { return };
        act(first);
        self.others.into_iter().for_each(act);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(few: Few<u8>) -> Vec<u8> {
        let mut items = Vec::new();
        few.for_each(|item| items.push(item));
        items
    }

    #[test]
    fn items_keep_their_order() {
        for lists in [[0, 0], [1, 0], [0, 1], [1, 1], [2, 0], [0, 3], [3, 2]] {
            let (mut few, mut all, mut next) = (Few::default(), Vec::new(), 0_u8..);
            for length in lists {
                let mut list: Vec<u8> = next.by_ref().take(length).collect();
                all.extend(&list);
                few.append(&mut list);
                assert!(list.is_empty());
                all.extend(next.next().inspect(|item| few.push(*item)));
            }
            assert_eq!(items(few), all, "{lists:?}");
        }
    }
}
