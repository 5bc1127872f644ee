//! Bytes as hexadecimal text.

use std::fmt::Write as _;

/// Two lower-case digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string succeeds");
        text
    })
}

/// The bytes behind an even number of digits.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
            .map(|byte| u8::try_from(byte).map_err(|error| error.to_string()))
            .collect(),
        Some(_) | None => Err(format!("{text:?} is not hexadecimal")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        assert_eq!(encode(&[0, 0x7f, 0xff]), "007fff");
        assert_eq!(decode("007fFF"), Ok(vec![0, 0x7f, 0xff]));
        assert_eq!(decode(""), Ok(vec![]));
        for wrong in ["0", "0g", "0é", "+1"] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
