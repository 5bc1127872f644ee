//! Field tables: the typed, ordered arguments and headers of AMQP.
//!
//! A table keeps the order in which names were inserted and the exact type and width of every
//! value, since AMQP 0-9-1 clients can see both. Names within one table are distinct.

use std::{fmt, slice, vec};

use crate::{Name, message::Value};

/// Named values in order of insertion: the headers of a message, the arguments of a declaration.
///
/// Two tables are equal if they hold equal values under equal names in the same order. Finding a
/// name takes time linear in the number of entries, since tables are small.
///
/// A table may hold tables. How deep is the caller's affair: cloning, comparing, printing and
/// dropping recurse once per level, so a nesting of many thousands of levels exhausts the stack.
///
/// # Examples
///
/// ```
/// use leveret::{Table, Value};
///
/// let mut table = Table::from([("x-max-length", 10)]);
/// assert_eq!(table.insert("x-max-length", 20), Some(Value::I32(10)));
/// assert_eq!(table.get("x-max-length"), Some(&Value::I32(20)));
/// assert_eq!(table.len(), 1);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Table(Vec<(Name, Value)>);

impl Table {
    /// An empty table; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a value and returns the one it replaces, whose place in the order it takes.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut table = leveret::Table::new();
    /// assert_eq!(table.insert("tries", 1), None);
    /// assert_eq!(table.insert("tries", 2), Some(1.into()));
    /// ```
    pub fn insert(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        if let Some((_, found)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            return Some(std::mem::replace(found, value));
        }
        self.0.push((name, value));
        None
    }

    /// Removes a value and returns it; the others keep their order.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut table = leveret::Table::from([("a", 1), ("b", 2)]);
    /// assert_eq!(table.remove("a"), Some(1.into()));
    /// assert_eq!(table, leveret::Table::from([("b", 2)]));
    /// ```
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    /// The value under a name. Names are compared byte by byte.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// How many names the table holds, not counting those in nested tables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the table holds no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and values in order.
    ///
    /// # Examples
    ///
    /// ```
    /// let table = leveret::Table::from([("b", 1), ("a", 2)]);
    /// let names: Vec<_> = table.iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["b", "a"]);
    /// ```
    #[must_use]
    pub fn iter(&self) -> TableIter<'_> {
        TableIter(self.0.iter())
    }

    /// A table of these entries, whose names differ.
    #[allow(dead_code, reason = "only a broker with a store does that")]
    pub(crate) fn from_distinct(entries: Vec<(Name, Value)>) -> Self {
        Self(entries)
    }

    pub(crate) fn entries(&self) -> &[(Name, Value)] {
        &self.0
    }

    /// The same entries ordered by name; nested tables stay as they are.
    ///
    /// Bindings are told apart by their sorted arguments, in which the order given by the client
    /// does not count but the wire types do.
    pub(crate) fn sorted(&self) -> Self {
        let mut entries = self.0.clone();
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self(entries)
    }

    /// What the table costs, looking at most `depth_max` levels deep.
    ///
    /// What lies deeper is not counted, and `depth` is then `depth_max + 1`. The bound also bounds
    /// the recursion, so that no table exhausts the stack.
    pub(crate) fn measure(&self, depth_max: u32) -> TableSize {
        if self.is_empty() {
            return TableSize { bytes: LENGTH_BYTES, ..TableSize::default() };
        }
        let mut size = TableSize::default();
        size.add_table(self, 1, depth_max);
        size
    }

    /// The first name of so many bytes, at any level. Recurses once per level, so the caller has
    /// measured the depth before.
    pub(crate) fn name_of_bytes(&self, bytes: usize) -> Option<&Name> {
        self.0.iter().find_map(
            |(name, value)| {
                if name.len() == bytes { Some(name) } else { name_in(value, bytes) }
            },
        )
    }
}

/// The first name of so many bytes in a value, tables before what follows them.
fn name_in(value: &Value, bytes: usize) -> Option<&Name> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| name_in(item, bytes)),
        Value::Table(table) => table.name_of_bytes(bytes),
        _ => None,
    }
}

/// The cost of a table, by which limits are checked and memory is accounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSize {
    /// Bytes as encoded by AMQP 0-9-1, with the length prefix of the outermost table.
    pub(crate) bytes: u64,
    /// Levels of nesting; 1 for a table without tables and arrays in it, 0 for an empty one.
    pub(crate) depth: u32,
    /// Entries of all tables and items of all arrays.
    pub(crate) entries: u64,
    /// Bytes of the longest name at any level.
    pub(crate) name_bytes_max: usize,
}

/// Bytes of the length that precedes long strings, byte arrays, arrays and tables.
const LENGTH_BYTES: u64 = 4;

impl TableSize {
    fn add_table(&mut self, table: &Table, depth: u32, depth_max: u32) {
        if !self.enter(depth, depth_max) {
            return;
        }
        for (name, value) in &table.0 {
            self.bytes += 1 + name.len() as u64;
            self.name_bytes_max = self.name_bytes_max.max(name.len());
            self.add_value(value, depth, depth_max);
        }
    }

    fn add_array(&mut self, items: &[Value], depth: u32, depth_max: u32) {
        if !self.enter(depth, depth_max) {
            return;
        }
        for item in items {
            self.add_value(item, depth, depth_max);
        }
    }

    /// Counts the frame of a table or array, and says whether its content is to be counted.
    fn enter(&mut self, depth: u32, depth_max: u32) -> bool {
        self.bytes += LENGTH_BYTES;
        self.depth = self.depth.max(depth);
        depth <= depth_max
    }

    fn add_value(&mut self, value: &Value, depth: u32, depth_max: u32) {
        self.entries += 1;
        self.bytes += 1; // The octet that names the type.
        match value {
            Value::Array(items) => self.add_array(items, depth + 1, depth_max),
            Value::Table(table) => self.add_table(table, depth + 1, depth_max),
            Value::Bytes(bytes) | Value::Str(bytes) => {
                self.bytes += LENGTH_BYTES + bytes.len() as u64;
            }
            Value::Void => {}
            Value::Bool(_) | Value::I8(_) | Value::U8(_) => self.bytes += 1,
            Value::I16(_) | Value::U16(_) => self.bytes += 2,
            Value::F32(_) | Value::I32(_) | Value::U32(_) => self.bytes += 4,
            Value::Decimal { .. } => self.bytes += 5,
            Value::F64(_) | Value::I64(_) | Value::Timestamp(_) => self.bytes += 8,
        }
    }
}

/// The entries of a [`Table`] in order, from [`Table::iter`].
#[derive(Clone, Debug)]
pub struct TableIter<'a>(slice::Iter<'a, (Name, Value)>);

impl<'a> Iterator for TableIter<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for TableIter<'_> {}

impl<'a> IntoIterator for &'a Table {
    type Item = (&'a str, &'a Value);
    type IntoIter = TableIter<'a>;

    fn into_iter(self) -> TableIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Table {
    type Item = (Name, Value);
    type IntoIter = vec::IntoIter<(Name, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A name that comes again replaces the former value.
impl<N: Into<Name>, V: Into<Value>> Extend<(N, V)> for Table {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, entries: I) {
        for (name, value) in entries {
            self.insert(name, value);
        }
    }
}

/// A name that comes again replaces the former value.
impl<N: Into<Name>, V: Into<Value>> FromIterator<(N, V)> for Table {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut table = Self::new();
        table.extend(entries);
        table
    }
}

/// A name that comes again replaces the former value.
impl<V: Into<Value>, const N: usize> From<[(&str, V); N]> for Table {
    fn from(entries: [(&str, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn nested(levels: u32) -> Table {
        (1..levels).fold(Table::new(), |inner, _| Table::from([("k", inner)]))
    }

    #[test]
    fn insert_replaces_in_place_and_remove_keeps_the_order() {
        let mut table = Table::from([("b", 1), ("a", 2), ("b", 3), ("c", 4)]);
        assert_eq!(table, Table::from([("b", 3), ("a", 2), ("c", 4)]));
        assert_eq!(table.remove("b"), Some(Value::I32(3)));
        assert_eq!(table.remove("b"), None);
        assert_eq!(table, Table::from([("a", 2), ("c", 4)]));
    }

    #[test]
    fn equality_minds_order_until_sorted() {
        let (left, right) = (Table::from([("a", 1), ("b", 2)]), Table::from([("b", 2), ("a", 1)]));
        assert_ne!(left, right);
        assert_eq!(left.sorted(), right.sorted());
        assert_ne!(Table::from([("a", 1_i32)]).sorted(), Table::from([("a", 1_i64)]).sorted());
    }

    #[test]
    fn sorting_leaves_nested_tables_alone() {
        let inner = Table::from([("z", 1), ("y", 2)]);
        let table = Table::from([("b", inner.clone()), ("a", Table::new())]);
        assert_eq!(table.sorted(), Table::from([("a", Table::new()), ("b", inner)]));
    }

    #[test]
    fn measure_counts_the_bytes_of_the_encoding() {
        // Name (1 + 1) and type octet precede each payload; the table itself begins with 4 bytes.
        let cases: [(Value, u64); 17] = [
            (Value::Void, 0),
            (Value::Bool(true), 1),
            (Value::I8(1), 1),
            (Value::U8(1), 1),
            (Value::I16(1), 2),
            (Value::U16(1), 2),
            (Value::I32(1), 4),
            (Value::U32(1), 4),
            (Value::F32(1.0), 4),
            (Value::Decimal { scale: 1, value: 1 }, 5),
            (Value::I64(1), 8),
            (Value::F64(1.0), 8),
            (Value::Timestamp(1), 8),
            (Value::from("four"), 4 + 4),
            (Value::Bytes(Bytes::from_static(b"five5")), 4 + 5),
            (Value::Array(vec![Value::Void, Value::Bool(true)]), 4 + 1 + 2),
            (Value::Table(Table::from([("é", true)])), 4 + 1 + 2 + 2),
        ];
        for (value, payload) in cases {
            let size = Table::from([("k", value.clone())]).measure(8);
            assert_eq!(size.bytes, 4 + 2 + 1 + payload, "{value:?}");
        }
    }

    #[test]
    fn measure_counts_nested_entries_and_levels() {
        let items = vec![Value::from(1), Value::Array(vec![Value::Void]), nested(1).into()];
        let table = Table::from([("a", Value::Array(items)), ("b", Value::Void)]);
        let size = table.measure(8);
        assert_eq!((size.entries, size.depth), (2 + 3 + 1, 3));
    }

    #[test]
    fn an_empty_table_has_no_level_and_in_another_it_is_one() {
        let empty = TableSize { bytes: 4, depth: 0, entries: 0, name_bytes_max: 0 };
        assert_eq!(Table::new().measure(0), empty);
        assert_eq!(Table::from([("k", Table::new())]).measure(8).depth, 2);
        assert_eq!(Table::from([("k", 1)]).measure(0).depth, 1);
    }

    #[test]
    fn measure_finds_the_longest_name_at_any_level() {
        let inner = Table::from([("four", Value::Void), ("é", Value::Void)]);
        let items = Value::Array(vec![Value::Void, inner.into()]);
        let table = Table::from([("a", items), ("b", Value::from("longer than any name"))]);
        assert_eq!(table.measure(8).name_bytes_max, 4);
        assert_eq!(table.name_of_bytes(4), Some(&Name::from("four")));
        assert_eq!(table.name_of_bytes(2), Some(&Name::from("é")));
        assert_eq!(table.name_of_bytes(3), None);
    }

    #[test]
    fn measure_looks_no_deeper_than_asked() {
        assert_eq!(nested(5).measure(5).depth, 5);
        assert_eq!(nested(5).measure(4).depth, 5);
        assert_eq!(nested(5).measure(3).depth, 4);
        assert_eq!(nested(5).measure(3).entries, 3);
    }
}
