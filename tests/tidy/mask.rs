//! Tells code, comments and literals apart.

/// Splits Rust text into code and comments: two texts with the lines and columns of the original,
/// in which everything else is blank. The insides of strings and characters are in neither, so
/// that a rule never mistakes what a program says for what it does.
pub(crate) fn mask(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut masks = Masks::default();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let name_before = at > 0 && is_name(chars[at - 1]);
        let (kind, length) = match rest {
            ['/', '/', ..] => (Kind::Comment, line_comment(rest)),
            ['/', '*', ..] => (Kind::Comment, block_comment(rest)),
            ['"', ..] => (Kind::Literal, quoted(rest, '"')),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => (Kind::Literal, quoted(rest, '\'')),
            ['r', ..] if !name_before || raw_prefix(&chars, at) => match raw_string(rest) {
                Some(length) => (Kind::Literal, length),
                None => (Kind::Code, 1),
            },
            _ => (Kind::Code, 1),
        };
        masks.push(kind, &rest[..length]);
        at += length;
    }
    (masks.code, masks.comments)
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

#[derive(Default)]
struct Masks {
    code: String,
    comments: String,
}

impl Masks {
    fn push(&mut self, kind: Kind, chars: &[char]) {
        for (at, &char) in chars.iter().enumerate() {
            let blank = if char == '\n' { '\n' } else { ' ' };
            let is_delimiter = at == 0 || at + 1 == chars.len();
            let (code, comment) = match kind {
                Kind::Code => (char, blank),
                Kind::Comment => (blank, char),
                // The quotes stay in the code, as a sign that something stands there.
                Kind::Literal if is_delimiter => (char, blank),
                Kind::Literal => (blank, blank),
            };
            self.code.push(code);
            self.comments.push(comment);
        }
    }
}

/// Whether the `r` at this place continues `b` or `c`, the prefixes of raw byte and C strings.
fn raw_prefix(chars: &[char], at: usize) -> bool {
    matches!(chars[at - 1], 'b' | 'c') && (at < 2 || !is_name(chars[at - 2]))
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter().position(|&char| char == '\n').unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            char if char == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"…"` or `r#"…"#`, or nothing for a name that begins with `r`.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&char| char == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let is_end = |window: &[char]| window[0] == '"' && window[1..].iter().all(|&char| char == '#');
    let inside = &rest[2 + hashes..];
    let end = inside.windows(1 + hashes).position(is_end);
    Some(end.map_or(rest.len(), |at| 2 + hashes + at + 1 + hashes))
}

#[track_caller]
fn check(text: &str, code: &str, comments: &str) {
    let masked = mask(text);
    assert_eq!(masked, (code.to_owned(), comments.to_owned()));
}

#[test]
fn comments_leave_the_code() {
    check("a // b\nc", "a     \nc", "  // b\n ");
    check("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  ");
}

#[test]
fn strings_are_blanked() {
    check(r#"a("// b", c)"#, r#"a("    ", c)"#, "            ");
    check(r#"a("\"", b)"#, r#"a("  ", b)"#, "          ");
    check("r#\"a\"b\"# c", "r      # c", "          ");
    check("br\"\\\" c", "br  \" c", "       ");
}

#[test]
fn lifetimes_are_no_characters() {
    check("<'a>('b', '\\'')", "<'a>(' ', '  ')", "               ");
}

#[test]
fn raw_names_are_no_strings() {
    check("r#type // a", "r#type     ", "       // a");
}
