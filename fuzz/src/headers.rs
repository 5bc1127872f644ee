//! Tables for headers exchanges, and the rule by which they match.

use arbitrary::Arbitrary;
use leveret::{Table, Value};

/// More entries than this make no new case, but slow ones.
const ENTRIES_MAX: usize = 6;

/// Names of headers; those that begin with a small `x-` are special, the others are not.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Header {
    A,
    B,
    CapitalX,
    Empty,
    X,
    XDash,
    XMatch,
    XWithoutDash,
}

impl Header {
    fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::CapitalX => "X-c",
            Self::Empty => "",
            Self::X => "x-c",
            Self::XDash => "x-",
            Self::XMatch => "x-match",
            Self::XWithoutDash => "xc",
        }
    }
}

/// The four ways in which a binding may ask.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    All,
    AllWithX,
    Any,
    AnyWithX,
}

/// Numbers at the edges, where types and roundings differ.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    /// 2^53 and a little, where not every integer is a float.
    AboveFloats(u8),
    /// 2^63, the first that fits only where there is no sign.
    AboveSigned,
    /// Any float: fractions, infinities and NaN too.
    Float(f64),
    Largest,
    Small(i8),
    Smallest,
}

impl Number {
    fn whole(self) -> i128 {
        match self {
            Self::AboveFloats(more) => (1 << 53) + i128::from(more % 4),
            Self::AboveSigned => 1 << 63,
            Self::Float(float) => float as i128,
            Self::Largest => i128::from(u64::MAX),
            Self::Small(small) => i128::from(small % 4),
            Self::Smallest => i128::from(i64::MIN),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Float(float) => float,
            Self::AboveFloats(_)
            | Self::AboveSigned
            | Self::Largest
            | Self::Small(_)
            | Self::Smallest => self.whole() as f64,
        }
    }
}

/// A value without values inside.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Leaf {
    Bool(bool),
    Bytes(Text),
    Decimal { scale: bool, value: bool },
    F32(Number),
    F64(Number),
    I16(Number),
    I32(Number),
    I64(Number),
    I8(Number),
    Str(Text),
    Timestamp(Number),
    U16(Number),
    U32(Number),
    U8(Number),
    Void,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Text {
    A,
    B,
    Empty,
    NoUtf8,
}

impl Text {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::A => b"a",
            Self::B => b"b",
            Self::Empty => b"",
            Self::NoUtf8 => b"\xff",
        }
    }
}

impl Leaf {
    /// Whole numbers are cut to the width of the type, so that they stay near to each other.
    fn value(self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Bytes(text) => Value::Bytes(text.bytes().into()),
            Self::Decimal { scale, value } => {
                Value::Decimal { scale: scale.into(), value: value.into() }
            }
            Self::F32(number) => Value::F32(number.float() as f32),
            Self::F64(number) => Value::F64(number.float()),
            Self::I16(number) => Value::I16(number.whole() as i16),
            Self::I32(number) => Value::I32(number.whole() as i32),
            Self::I64(number) => Value::I64(number.whole() as i64),
            Self::I8(number) => Value::I8(number.whole() as i8),
            Self::Str(text) => Value::Str(text.bytes().into()),
            Self::Timestamp(number) => Value::Timestamp(number.whole() as u64),
            Self::U16(number) => Value::U16(number.whole() as u16),
            Self::U32(number) => Value::U32(number.whole() as u32),
            Self::U8(number) => Value::U8(number.whole() as u8),
            Self::Void => Value::Void,
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Content {
    Array(Vec<Leaf>),
    Leaf(Leaf),
    Table(Vec<(Header, Leaf)>),
}

impl Content {
    fn value(&self) -> Value {
        match self {
            Self::Array(items) => Value::Array(items.iter().map(|item| item.value()).collect()),
            Self::Leaf(leaf) => leaf.value(),
            Self::Table(entries) => {
                let entries = entries.iter().map(|(name, leaf)| (name.as_str(), leaf.value()));
                Value::Table(entries.collect())
            }
        }
    }
}

/// The headers of a message.
#[derive(Arbitrary, Clone, Debug)]
pub struct Headers(Vec<(Header, Content)>);

impl Headers {
    pub fn table(&self) -> Table {
        let entries = self.0.iter().take(ENTRIES_MAX);
        entries.map(|(name, content)| (name.as_str(), content.value())).collect()
    }
}

/// The arguments of a binding.
#[derive(Arbitrary, Clone, Debug)]
pub struct Arguments {
    mode: Option<Mode>,
    others: Headers,
}

impl Arguments {
    pub fn table(&self) -> Table {
        let mut table = self.others.table();
        table.remove("x-match");
        let mode = self.mode.map(|mode| match mode {
            Mode::All => "all",
            Mode::AllWithX => "all-with-x",
            Mode::Any => "any",
            Mode::AnyWithX => "any-with-x",
        });
        if let Some(mode) = mode {
            table.insert("x-match", mode);
        }
        table
    }

    /// Whether a message with these headers goes along the binding: the rule, in its own words.
    pub fn match_headers(&self, headers: Option<&Table>) -> bool {
        let mode = self.mode.unwrap_or(Mode::All);
        let arguments = self.table();
        let with_x = matches!(mode, Mode::AllWithX | Mode::AnyWithX);
        let mut agreements = arguments
            .iter()
            .filter(|(name, _)| *name != "x-match" && (with_x || !name.starts_with("x-")))
            .map(|(name, wanted)| {
                let found = headers.and_then(|headers| headers.get(name));
                found.is_some_and(|found| *wanted == Value::Void || agree(wanted, found))
            });
        match mode {
            Mode::All | Mode::AllWithX => agreements.all(|agrees| agrees),
            Mode::Any | Mode::AnyWithX => agreements.any(|agrees| agrees),
        }
    }
}

/// Whether two values have the same content, whatever their types.
fn agree(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Bytes(wanted) | Value::Str(wanted), Value::Bytes(found) | Value::Str(found)) => {
            wanted == found
        }
        (Value::Table(table), Value::Array(items)) | (Value::Array(items), Value::Table(table)) => {
            table.is_empty() && items.is_empty()
        }
        _ => match (whole(wanted), whole(found), float(wanted), float(found)) {
            (Some(wanted), Some(found), _, _) => wanted == found,
            (Some(whole), _, _, Some(float)) | (_, Some(whole), Some(float), _) => {
                same_number(whole, float)
            }
            (_, _, Some(wanted), Some(found)) => wanted == found,
            _ => wanted == found,
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    match *value {
        Value::I16(number) => Some(number.into()),
        Value::I32(number) => Some(number.into()),
        Value::I64(number) => Some(number.into()),
        Value::I8(number) => Some(number.into()),
        Value::Timestamp(number) => Some(number.into()),
        Value::U16(number) => Some(number.into()),
        Value::U32(number) => Some(number.into()),
        Value::U8(number) => Some(number.into()),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match *value {
        Value::F32(number) => Some(number.into()),
        Value::F64(number) => Some(number),
        _ => None,
    }
}

/// All our whole numbers lie within 2^64, where a whole float is an exact `i128`.
fn same_number(whole: i128, float: f64) -> bool {
    float.fract() == 0.0 && float.abs() < 2.0_f64.powi(100) && float as i128 == whole
}
