//! Where functions begin and end.

use crate::paths::{Token, tokens};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Of the name, counted from 1.
    pub(crate) line: usize,
    /// The lines between the braces of the body, the braces' own not counted.
    pub(crate) body_lines: usize,
}

/// The functions of masked code that have a body, those within others included.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let tokens = tokens(code);
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let (keyword, name) = (&pair[0], &pair[1]);
        if !keyword.is("fn") || !name.is_word() {
            continue;
        }
        let Some((first, last)) = body(&tokens[at..]) else { continue };
        let body_lines = (last - first).saturating_sub(1);
        functions.push(Function { name: name.text.clone(), line: name.line, body_lines });
    }
    functions
}

/// The lines of the braces around the body that follows a signature.
fn body(tokens: &[Token]) -> Option<(usize, usize)> {
    let mut signature = 0_i32;
    let open = tokens.iter().position(|token| {
        match token.text.as_str() {
            "(" | "[" => signature += 1,
            ")" | "]" => signature -= 1,
            _ => {}
        }
        signature == 0 && (token.is("{") || token.is(";"))
    })?;
    let mut depth = 0_i32;
    for token in &tokens[open..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return token.is("}").then_some((tokens[open].line, token.line));
        }
    }
    None
}

#[track_caller]
fn check(code: &str, expected: &[(&str, usize, usize)]) {
    let found = functions(code);
    let found: Vec<_> =
        found.iter().map(|found| (found.name.as_str(), found.line, found.body_lines)).collect();
    assert_eq!(found, expected);
}

#[test]
fn bodies_are_measured() {
    check("fn a() {}\n\nfn b() {\n    1;\n    { 2 }\n}", &[("a", 1, 0), ("b", 3, 2)]);
    check("fn a(\n    b: [u8; 2],\n) -> [u8; 2]\nwhere\n    A: B,\n{\n    b\n}", &[("a", 1, 1)]);
}

#[test]
fn declarations_and_pointers_have_none() {
    check("trait A { fn a(&self); fn b() {\n} }\ntype B = fn(u8) -> u8;", &[("b", 1, 0)]);
}
