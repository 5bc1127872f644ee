//! Topic exchanges: a binding matches the messages whose routing key its pattern matches.
//!
//! The patterns form a trie: an edge bears a word, `*` or `#`, and the targets of a pattern hang
//! on the node to which its words lead. A key is matched by walking all its words through the
//! trie once, with the set of all nodes that can be reached at that point. Each node is in the set
//! at most once, so the time is bounded by the words of the key times the nodes of the trie,
//! whatever the patterns; walks that try the ways through `#` one after the other take exponential
//! time.
//!
//! Why a node is reached at most once per word: it has one parent, and a word leads from the
//! parent to it in one way. Only a node below `#` is special. Once reached it stays, as `#` takes
//! any further words; so it is put aside for the rest of the walk, and its targets are found at
//! once. If a further `#` stands above it, it may be reached again, and a stamp prevents that.

use std::{collections::HashMap, mem};

use foldhash::fast::RandomState;

use crate::Name;

use super::{
    key_words::{KeyWord, KeyWords},
    pattern::{PatternWord, words},
    routes::{Reached, Routes, Target},
    targets::Targets,
    words::{WordId, Words},
};

/// The bindings of a topic exchange, by pattern.
#[derive(Debug)]
pub(crate) struct TopicRouter<T> {
    /// The nodes of the trie, of which the first is the root.
    nodes: Vec<Node<T>>,
    /// Places in `nodes` that are to be used again. Invariant: their nodes are blank.
    free: Vec<NodeId>,
    /// The edges that bear a word and are not noted in the node that they leave.
    edges: HashMap<(NodeId, WordId), NodeId, RandomState>,
    words: Words,
}

/// The place of a node in the trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NodeId(u32);

impl NodeId {
    const ROOT: Self = Self(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Invariant: every node but the root has a child or a target.
#[derive(Debug)]
struct Node<T> {
    /// The child behind the edge `*`; the root, which is nobody's child, stands for none.
    star: NodeId,
    /// The child behind the edge `#`, likewise.
    hash: NodeId,
    /// One edge that bears a word, and its child, likewise: most nodes have no other.
    word: Option<WordId>,
    child: NodeId,
    /// How many further edges bear a word.
    others: u32,
    /// Whether an edge `#` leads to it or to a node above.
    below_hash: bool,
    /// Where the pattern leads that ends here.
    targets: Targets<T>,
}

impl<T: Target> Node<T> {
    fn new(below_hash: bool) -> Self {
        let (star, hash, child) = (NodeId::ROOT, NodeId::ROOT, NodeId::ROOT);
        let targets = Targets::default();
        Self { star, hash, word: None, child, others: 0, below_hash, targets }
    }

    fn is_leaf(&self) -> bool {
        let (star, hash) = (self.star == NodeId::ROOT, self.hash == NodeId::ROOT);
        star && hash && self.word.is_none() && self.others == 0
    }

    fn is_blank(&self) -> bool {
        self.is_leaf() && self.targets.is_empty()
    }
}

impl<T: Target> TopicRouter<T> {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new(false)],
            free: Vec::new(),
            edges: HashMap::default(),
            words: Words::default(),
        }
    }

    pub(super) fn bind(&mut self, pattern: &Name, target: T) {
        let mut node = NodeId::ROOT;
        for word in words(pattern) {
            let word = PatternWord::from(word);
            node = self.child(node, word).unwrap_or_else(|| self.add_child(node, word));
        }
        self.node_mut(node).targets.add(target);
    }

    pub(super) fn unbind(&mut self, pattern: &str, target: &T) {
        let mut path = Vec::new();
        let mut node = NodeId::ROOT;
        for word in words(pattern).map(PatternWord::from) {
            let child = self.child(node, word);
            debug_assert!(child.is_some(), "what is unbound was bound");
            let Some(child) = child else { return };
            path.push((node, word));
            node = child;
        }
        self.node_mut(node).targets.remove(target);
        while let Some((parent, word)) = path.pop() {
            if !self.node(node).is_blank() {
                break;
            }
            self.remove_child(parent, word);
            self.free.push(node);
            node = parent;
        }
        if self.is_empty() {
            *self = Self::new();
        } else if self.free.len() * 4 > self.nodes.len() * 3 {
            self.close_gaps();
        }
    }

    pub(super) fn route(&self, key: &str, routes: &mut Routes<T>) {
        let Routes { walk, reached: found, .. } = routes;
        walk.start();
        for word in KeyWords::new(key) {
            walk.step(self, self.words.get(word), found);
            if walk.is_over() {
                return;
            }
        }
        walk.finish(self, found);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.node(NodeId::ROOT).is_blank()
    }

    fn child(&self, parent: NodeId, word: PatternWord<'_>) -> Option<NodeId> {
        let child = match word {
            PatternWord::Hash => self.node(parent).hash,
            PatternWord::Literal(text) => {
                let word = self.words.get(KeyWord::of(text))?;
                self.literal_child(parent, self.node(parent), word)?
            }
            PatternWord::Star => self.node(parent).star,
        };
        (child != NodeId::ROOT).then_some(child)
    }

    #[inline]
    fn literal_child(&self, parent: NodeId, node: &Node<T>, word: WordId) -> Option<NodeId> {
        if node.word == Some(word) {
            return Some(node.child);
        }
        if node.others == 0 {
            return None;
        }
        self.edges.get(&(parent, word)).copied()
    }

    fn add_child(&mut self, parent: NodeId, word: PatternWord<'_>) -> NodeId {
        let child = self.add_node(self.node(parent).below_hash || word == PatternWord::Hash);
        match word {
            PatternWord::Hash => self.node_mut(parent).hash = child,
            PatternWord::Literal(text) => {
                let word = self.words.acquire(text);
                let node = self.node_mut(parent);
                if node.word.is_none() {
                    (node.word, node.child) = (Some(word), child);
                } else {
                    node.others += 1;
                    self.edges.insert((parent, word), child);
                }
            }
            PatternWord::Star => self.node_mut(parent).star = child,
        }
        child
    }

    fn add_node(&mut self, below_hash: bool) -> NodeId {
        if let Some(free) = self.free.pop() {
            *self.node_mut(free) = Node::new(below_hash);
            return free;
        }
        let id = u32::try_from(self.nodes.len()).expect("memory ends before the numbers of nodes");
        self.nodes.push(Node::new(below_hash));
        NodeId(id)
    }

    fn remove_child(&mut self, parent: NodeId, word: PatternWord<'_>) {
        match word {
            PatternWord::Hash => self.node_mut(parent).hash = NodeId::ROOT,
            PatternWord::Literal(text) => {
                let word = self.words.get(KeyWord::of(text)).expect("a word on an edge is known");
                self.words.release(text);
                let node = self.node_mut(parent);
                if node.word == Some(word) {
                    (node.word, node.child) = (None, NodeId::ROOT);
                } else {
                    node.others -= 1;
                    self.edges.remove(&(parent, word));
                }
            }
            PatternWord::Star => self.node_mut(parent).star = NodeId::ROOT,
        }
    }

    /// Renumbers the nodes without gaps, once only a fourth of the places is in use: then the cost
    /// spreads over the unbindings before it.
    fn close_gaps(&mut self) {
        let mut is_free = vec![false; self.nodes.len()];
        for id in mem::take(&mut self.free) {
            *is_free.get_mut(id.index()).expect("a node id lies in the trie") = true;
        }
        // The root stays where it is, and with it the mark for no child.
        let mut moved = Vec::with_capacity(self.nodes.len());
        let mut next = NodeId::ROOT;
        for is_free in &is_free {
            moved.push(next);
            next.0 += u32::from(!is_free);
        }
        let moved = |id: NodeId| *moved.get(id.index()).expect("a node id lies in the trie");
        let mut places = is_free.iter();
        self.nodes.retain(|_| places.next() == Some(&false));
        self.nodes.shrink_to_fit();
        for node in &mut self.nodes {
            (node.star, node.hash) = (moved(node.star), moved(node.hash));
            node.child = moved(node.child);
        }
        let edges = mem::take(&mut self.edges);
        self.edges = edges
            .into_iter()
            .map(|((parent, word), child)| ((moved(parent), word), moved(child)))
            .collect();
    }

    fn node(&self, id: NodeId) -> &Node<T> {
        self.nodes.get(id.index()).expect("a node id lies in the trie")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<T> {
        self.nodes.get_mut(id.index()).expect("a node id lies in the trie")
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn check_invariants(&self) {
        let mut others = HashMap::<NodeId, u32>::new();
        // Every edge, with whether the child is to know of a `#` above it.
        let mut edges = Vec::new();
        for (&(parent, _), &child) in &self.edges {
            *others.entry(parent).or_default() += 1;
            edges.push((child, self.node(parent).below_hash));
        }
        for (id, node) in (0..).map(NodeId).zip(&self.nodes) {
            let counted = others.get(&id).copied().unwrap_or_default();
            assert_eq!(node.others, counted, "edges of words are counted");
            let is_noted = node.child != NodeId::ROOT;
            assert_eq!(node.word.is_some(), is_noted, "an edge has a word and a child");
            let is_twice = node.word.is_some_and(|word| self.edges.contains_key(&(id, word)));
            assert!(!is_twice, "an edge is noted in one place");
            edges.extend(is_noted.then_some((node.child, node.below_hash)));
            edges.extend((node.star != NodeId::ROOT).then_some((node.star, node.below_hash)));
            edges.extend((node.hash != NodeId::ROOT).then_some((node.hash, true)));
            node.targets.check_invariants();
        }
        for &(child, below_hash) in &edges {
            assert_eq!(self.node(child).below_hash, below_hash, "a child knows the # above it");
            assert!(!self.node(child).is_blank(), "no branch is dead");
        }
        assert!(self.free.iter().all(|&free| self.node(free).is_blank()), "a free node is blank");
        let placed = edges.iter().map(|&(child, _)| child).chain(self.free.iter().copied());
        let mut placed: Vec<_> = placed.chain([NodeId::ROOT]).map(NodeId::index).collect();
        placed.sort_unstable();
        assert!(placed.into_iter().eq(0..self.nodes.len()), "each node has one place");
        assert!(self.free.len() * 4 <= self.nodes.len() * 3, "room is given back");
        let noted = self.nodes.iter().filter_map(|node| node.word);
        self.words.check_invariants(self.edges.keys().map(|&(_, word)| word).chain(noted));
    }
}

/// The memory of a walk through a topic trie, kept between walks.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The nodes reached by the words so far that are not below an edge `#` directly.
    /// Invariant: no node occurs twice.
    reached: Vec<NodeId>,
    /// Where the next `reached` is made.
    next: Vec<NodeId>,
    kept: Kept,
}

/// What any further words reach.
#[derive(Debug, Default)]
struct Kept {
    /// The nodes directly below an edge `#` of those that the walk has gone on from, and with
    /// children. Invariant: no node occurs twice.
    nodes: Vec<NodeId>,
    /// By node: the last walk that kept it; only for nodes with two or more `#` above them.
    stamps: Vec<u32>,
    /// The current walk. Invariant: no stamp of a former walk is the same, nor is 0.
    epoch: u32,
}

impl Walk {
    /// Begins at the root, which no words reach.
    fn start(&mut self) {
        self.reached.clear();
        self.reached.push(NodeId::ROOT);
        self.kept.start();
    }

    /// Goes on by one word of the key; `None` is a word that no pattern has.
    fn step<T: Target>(
        &mut self,
        trie: &TopicRouter<T>,
        word: Option<WordId>,
        found: &mut Reached<T>,
    ) {
        self.next.clear();
        for &id in &self.reached {
            let node = trie.node(id);
            // A `#` that takes no word leads to where this word is taken, too.
            self.kept.add_below(trie, node, found);
            go_on(trie, id, node, word, &mut self.next);
        }
        for &id in &self.kept.nodes {
            go_on(trie, id, trie.node(id), word, &mut self.next);
        }
        mem::swap(&mut self.reached, &mut self.next);
    }

    /// Whether no further word reaches anything.
    fn is_over(&self) -> bool {
        self.reached.is_empty() && self.kept.nodes.is_empty()
    }

    /// Finds the targets of the nodes that all words of the key reach.
    fn finish<T: Target>(&mut self, trie: &TopicRouter<T>, found: &mut Reached<T>) {
        for &id in &self.reached {
            let node = trie.node(id);
            node.targets.push_all(found);
            self.kept.add_below(trie, node, found);
        }
    }
}

/// Reaches the children of a node that a word leads to.
#[inline]
fn go_on<T: Target>(
    trie: &TopicRouter<T>,
    id: NodeId,
    node: &Node<T>,
    word: Option<WordId>,
    next: &mut Vec<NodeId>,
) {
    if node.star != NodeId::ROOT {
        next.push(node.star);
    }
    if let Some(word) = word
        && let Some(child) = trie.literal_child(id, node, word)
    {
        next.push(child);
    }
}

impl Kept {
    fn start(&mut self) {
        self.nodes.clear();
        self.epoch = self.epoch.checked_add(1).unwrap_or_else(|| {
            self.stamps.fill(0);
            1
        });
    }

    /// Reaches the child behind `#` of a node reached, and finds its targets; and so on.
    #[inline]
    fn add_below<T: Target>(
        &mut self,
        trie: &TopicRouter<T>,
        node: &Node<T>,
        found: &mut Reached<T>,
    ) {
        if node.hash != NodeId::ROOT {
            self.add(trie, node, found);
        }
    }

    fn add<'a, T: Target>(
        &mut self,
        trie: &'a TopicRouter<T>,
        mut node: &'a Node<T>,
        found: &mut Reached<T>,
    ) {
        while node.hash != NodeId::ROOT {
            let (id, child) = (node.hash, trie.node(node.hash));
            // Above the others there is no `#`, so they are reached by one number of words only.
            if node.below_hash && !self.stamp(id) {
                return;
            }
            child.targets.push_all(found);
            if !child.is_leaf() {
                self.nodes.push(id);
            }
            node = child;
        }
    }

    /// Marks a node as kept; says whether it was not before.
    fn stamp(&mut self, id: NodeId) -> bool {
        if self.stamps.len() <= id.index() {
            self.stamps.resize(id.index() + 1, 0);
        }
        let stamp = self.stamps.get_mut(id.index()).expect("the stamps reach up to the node");
        mem::replace(stamp, self.epoch) != self.epoch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::{prelude::*, sample::select};

    use super::{super::pattern::TopicPattern, *};

    /// Texts of up to seven words that often meet, wildcards and empty words among them.
    fn text() -> impl Strategy<Value = String> {
        let long = "a word of more than fifteen bytes";
        let word = select(vec!["a", "a", "b", "", "é", long, "*", "*", "#", "#", "a*", "##"]);
        prop::collection::vec(word, 0..8).prop_map(|words| words.join("."))
    }

    fn routed(router: &TopicRouter<usize>, key: &str) -> BTreeSet<usize> {
        let mut found = Routes::new();
        router.route(key, &mut found);
        found.as_slice().iter().copied().collect()
    }

    fn routed_plainly(bound: &[(String, usize)], key: &str) -> BTreeSet<usize> {
        let matches = |pattern: &str| TopicPattern::parse(pattern).matches(key);
        bound.iter().filter(|(pattern, _)| matches(pattern)).map(|&(_, target)| target).collect()
    }

    fn assert_is_as_new(router: &TopicRouter<usize>) {
        router.check_invariants();
        assert!(router.is_empty());
        assert_eq!((router.nodes.len(), router.nodes.capacity()), (1, 1));
        assert_eq!((router.free.capacity(), router.edges.capacity()), (0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn keys_reach_what_the_plain_matcher_says(
            patterns in prop::collection::vec(text(), 0..12),
            keys in prop::collection::vec(text(), 1..8),
        ) {
            let bound: Vec<_> = patterns.into_iter().zip(0..).collect();
            let mut router = TopicRouter::new();
            for (pattern, target) in &bound {
                router.bind(&Name::from(pattern), *target);
            }
            router.check_invariants();
            for key in keys {
                prop_assert_eq!(routed(&router, &key), routed_plainly(&bound, &key), "{:?}", key);
            }
        }

        #[test]
        fn unbinding_undoes_binding(
            patterns in prop::collection::vec(text(), 1..6),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, 0..5), 0..60),
            key in text(),
        ) {
            let (mut router, mut bound) = (TopicRouter::new(), Vec::new());
            for (index, target, choice) in steps {
                // Binding is the likelier choice; the same binding may come several times.
                if choice < 3 || bound.is_empty() {
                    let pattern = index.get(&patterns).clone();
                    router.bind(&Name::from(&pattern), target);
                    bound.push((pattern, target));
                } else {
                    let (pattern, target) = bound.swap_remove(index.index(bound.len()));
                    router.unbind(&pattern, &target);
                }
                router.check_invariants();
                prop_assert_eq!(routed(&router, &key), routed_plainly(&bound, &key));
            }
            for (pattern, target) in bound {
                router.unbind(&pattern, &target);
                router.check_invariants();
            }
            assert_is_as_new(&router);
        }
    }

    #[test]
    fn a_large_trie_shrinks_and_still_matches() {
        let pattern = |number: usize| Name::from(format!("k{}.*.n{number}.#", number % 50));
        let mut router = TopicRouter::new();
        (0..2_000).for_each(|number| router.bind(&pattern(number), number));
        let nodes = router.nodes.len();
        for number in 0..1_990 {
            router.unbind(&pattern(number), &number);
        }
        router.check_invariants();
        assert!(router.nodes.len() * 10 < nodes, "{} of {nodes} nodes", router.nodes.len());
        for number in 1_990..2_000 {
            let key = format!("k{}.x.n{number}.y.z", number % 50);
            assert_eq!(routed(&router, &key), BTreeSet::from([number]));
            router.unbind(&pattern(number), &number);
        }
        assert_is_as_new(&router);
    }

    #[test]
    fn nodes_and_words_given_back_are_used_again() {
        let mut router = TopicRouter::new();
        router.bind(&Name::from("stays"), 0);
        for round in 0..100 {
            let pattern = Name::from(format!("a.*.b{round}.#"));
            router.bind(&pattern, 1);
            router.unbind(&pattern, &1);
            router.check_invariants();
        }
        assert!(router.nodes.len() <= 1 + 1 + 4, "{} nodes", router.nodes.len());
    }

    /// How many nodes a walk visits at most per word, and in all.
    fn visits(router: &TopicRouter<usize>, key: &str) -> (usize, usize) {
        let (mut walk, mut found) = (Walk::default(), Routes::new());
        let (mut most, mut sum) = (0, 0);
        walk.start();
        for word in KeyWords::new(key) {
            walk.step(router, router.words.get(word), &mut found.reached);
            let visited: Vec<_> = walk.reached.iter().chain(&walk.kept.nodes).collect();
            let distinct: HashSet<_> = visited.iter().collect();
            assert_eq!(distinct.len(), visited.len(), "no node is visited twice");
            most = most.max(visited.len());
            sum += visited.len();
        }
        (most, sum)
    }

    #[test]
    fn many_hashes_take_polynomial_time() {
        let words_max = 128;
        let mut router = TopicRouter::new();
        let middles = ["a", "b", "*", "a.b", "b.*"];
        let bound: Vec<_> = (0..20)
            .map(|number| {
                let from = middles.iter().cycle().skip(number);
                let pattern: Vec<_> = from.step_by(number % 4 + 1).take(12).copied().collect();
                (format!("#.{}.#", pattern.join(".#.")), number)
            })
            .collect();
        for (pattern, target) in &bound {
            router.bind(&Name::from(pattern), *target);
        }
        router.check_invariants();
        let key = ["a", "b", "b", "a"].repeat(words_max / 4).join(".");
        let (most, sum) = visits(&router, &key);
        assert!(most <= router.nodes.len() && sum <= router.nodes.len() * words_max);
        assert_eq!(routed(&router, &key), routed_plainly(&bound, &key));
        assert_eq!(routed(&router, &key).len(), 20, "each pattern has room in the key");
    }

    #[test]
    fn a_walk_ends_where_no_pattern_goes_on() {
        let mut router = TopicRouter::new();
        router.bind(&Name::from("a.b"), 0);
        assert_eq!(visits(&router, &["x"; 100].join(".")), (0, 0));
        assert_eq!(visits(&router, "a.b.c").1, 2);
    }
}
