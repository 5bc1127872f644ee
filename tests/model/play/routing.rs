//! Where a message goes, found by trying everything.

use std::collections::BTreeSet;

use super::step::{Binding, DIRECT, Endpoint, FANOUT, KEYS};

/// The names of the queues that a message reaches.
pub(crate) fn route(
    start: usize,
    key: usize,
    exists: [bool; 3],
    bindings: &[Binding],
) -> BTreeSet<usize> {
    let (mut queues, mut visited) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting = vec![start];
    while let Some(exchange) = waiting.pop() {
        if !visited.insert(exchange) {
            continue;
        }
        let followed: Vec<&Binding> = bindings
            .iter()
            .filter(|binding| binding.source == exchange && matches(exchange, binding.key, key))
            .collect();
        for binding in &followed {
            match binding.to {
                Endpoint::Exchange(next) => waiting.push(next),
                Endpoint::Queue(queue) => {
                    queues.insert(queue);
                }
            }
        }
        if followed.is_empty() && exchange == DIRECT && exists[FANOUT] {
            waiting.push(FANOUT);
        }
    }
    queues
}

fn matches(exchange: usize, bound: usize, key: usize) -> bool {
    match exchange {
        DIRECT => bound == key,
        FANOUT => true,
        _ => words_match(&words(KEYS[bound]), &words(KEYS[key])),
    }
}

/// The empty key has no words.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        (["#", rest @ ..], key) => (0..=key.len()).any(|some| words_match(rest, &key[some..])),
        ([_, ..], []) => false,
        ([word, rest @ ..], [first, others @ ..]) => {
            (*word == "*" || word == first) && words_match(rest, others)
        }
    }
}
