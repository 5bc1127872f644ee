//! The paths that a Rust text names: in `use` trees and in expressions.

/// One path, as written: `["std", "sync", "Arc"]`; a glob ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Counted from 1.
    pub(crate) line: usize,
    /// How many modules opened within the file enclose the path.
    pub(crate) depth: usize,
    pub(crate) segments: Vec<String>,
}

/// A word, a `::`, or one character of punctuation.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

/// Cuts masked code into tokens.
pub(crate) fn tokens(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |char: char| char.is_alphanumeric() || char == '_';
            let length = if is_word(first) {
                rest.find(|char| !is_word(char)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { line: index + 1, text: rest[..length].to_owned() });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// All paths of masked code, those of one word included.
pub(crate) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut reader = Reader { tokens: &tokens, at: 0, braces: 0, modules: Vec::new() };
    let mut found = Vec::new();
    while let Some(token) = reader.peek(0) {
        if token.is("use") && !reader.next_is(1, "<") {
            reader.at += 1;
            reader.tree(&[], &mut found);
        } else if token.is_word() {
            reader.enter_module();
            reader.plain(&mut found);
        } else {
            reader.punctuation();
        }
    }
    found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    braces: usize,
    /// The depth of braces outside each module that is open.
    modules: Vec<usize>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn next_is(&self, ahead: usize, text: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(text))
    }

    /// Notes that a module begins, when the reader stands at `mod name {`.
    fn enter_module(&mut self) {
        if self.next_is(0, "mod") && self.next_is(2, "{") {
            self.modules.push(self.braces);
        }
    }

    fn punctuation(&mut self) {
        if self.next_is(0, "{") {
            self.braces += 1;
        } else if self.next_is(0, "}") {
            self.braces = self.braces.saturating_sub(1);
            if self.modules.last() == Some(&self.braces) {
                self.modules.pop();
            }
        }
        self.at += 1;
    }

    /// A path outside of a `use`: words joined by `::`.
    fn plain(&mut self, found: &mut Vec<NamedPath>) {
        let line = self.tokens[self.at].line;
        let mut segments = vec![self.tokens[self.at].text.clone()];
        self.at += 1;
        while self.next_is(0, "::") && self.peek(1).is_some_and(Token::is_word) {
            segments.push(self.tokens[self.at + 1].text.clone());
            self.at += 2;
        }
        found.push(NamedPath { line, depth: self.modules.len(), segments });
    }

    /// One tree of a `use`, up to the `,`, `}` or `;` that ends it.
    fn tree(&mut self, prefix: &[String], found: &mut Vec<NamedPath>) {
        let mut segments = prefix.to_vec();
        let mut line = self.peek(0).map_or(0, |token| token.line);
        while let Some(token) = self.peek(0).cloned() {
            if token.is(",") || token.is("}") || token.is(";") {
                break;
            }
            self.at += 1;
            if token.is("{") {
                self.group(&segments, found);
                return;
            } else if token.is("as") {
                self.at += 1;
            } else if token.is_word() || token.is("*") {
                line = token.line;
                segments.push(token.text);
            }
        }
        // `{self}` names the path in front of it.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        found.push(NamedPath { line, depth: self.modules.len(), segments });
    }

    fn group(&mut self, prefix: &[String], found: &mut Vec<NamedPath>) {
        while let Some(token) = self.peek(0) {
            if token.is("}") {
                self.at += 1;
                return;
            } else if token.is(",") {
                self.at += 1;
            } else {
                self.tree(prefix, found);
            }
        }
    }
}

#[track_caller]
fn check(code: &str, expected: &[&str]) {
    let found: Vec<String> = paths(code).iter().map(|path| path.segments.join("::")).collect();
    assert_eq!(found, expected);
}

#[test]
fn use_trees_are_spread_out() {
    check(
        "use std::{fmt, sync::{Arc, Mutex as Lock}};",
        &["std::fmt", "std::sync::Arc", "std::sync::Mutex"],
    );
    check("pub(crate) use self::a::*;", &["pub", "crate", "self::a::*"]);
    check("use a::{self, b}; use c;", &["a", "a::b", "c"]);
}

#[test]
fn paths_in_expressions_are_found() {
    check("a(std::fs::read(b))", &["a", "std::fs::read", "b"]);
    check("Vec::<u8>::new()", &["Vec", "u8", "new"]);
}

#[test]
fn lines_and_modules_are_counted() {
    let found = paths("mod tests {\n    use super::a;\n}\nb");
    let place = |name: &str| {
        let path = found.iter().find(|path| path.segments.last().unwrap() == name).unwrap();
        (path.line, path.depth)
    };
    assert_eq!(place("a"), (2, 1));
    assert_eq!(place("b"), (4, 0));
}
