//! One pattern, read.

use std::cmp::Reverse;

use super::network::{self, Network};

/// What matches keys, or actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Literals, with what may stand between them.
    Text(Text),
    /// All addresses of a network.
    Network(Network),
}

/// Literal parts with one segment of a path between each and the next, and perhaps any rest at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// At least one, which may be empty.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) has_rest: bool,
}

impl Text {
    /// What makes one longer than another. Two that match one text and are equally long here are the same: where their parts are
    /// equally long, each stands at the same place of that text.
    pub(super) fn length(&self) -> (usize, Reverse<bool>, Vec<usize>) {
        let lengths: Vec<usize> = self.parts.iter().map(Vec::len).collect();
        (lengths.iter().sum(), Reverse(self.has_rest), lengths)
    }
}

impl Pattern {
    /// Reads one. An error is what is wrong with it and what to do, after "is '…', ".
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(network) = network::read(text)? {
            return Ok(Self::Network(network));
        }
        let mut parts = vec![Vec::new()];
        let mut has_rest = false;
        let mut before = None;
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let after = &rest[sign.len_utf8()..];
            match sign {
                '*' if after.is_empty() => {
                    has_rest = true;
                    rest = after;
                }
                '*' => return Err("whose `*` is not at the end: write `\\*` for the sign itself".to_owned()),
                '\\' => match after.chars().next() {
                    Some(escaped) if "*:/\\".contains(escaped) => {
                        append(&mut parts, escaped);
                        rest = &after[1..];
                    }
                    _ => {
                        return Err(
                            "whose `\\` stands before none of `*`, `:`, `/` and `\\`: write `\\\\` for the sign itself"
                                .to_owned(),
                        );
                    }
                },
                ':' if before == Some('/') => {
                    let end = after.find('/').unwrap_or(after.len());
                    if !is_name(&after[..end]) {
                        return Err(
                            "whose `:` after a `/` begins no name of letters, digits and `_` that is the whole segment: write `\\:` for the sign itself".to_owned(),
                        );
                    }
                    parts.push(Vec::new());
                    rest = &after[end..];
                }
                literal => {
                    append(&mut parts, literal);
                    rest = after;
                }
            }
            before = Some(sign);
        }
        Ok(Self::Text(Text { parts, has_rest }))
    }

    /// Whether it matches one text alone, which is spelt as it is.
    pub fn is_plain(&self, text: &str) -> bool {
        matches!(self, Self::Text(Text { parts, has_rest: false }) if parts.len() == 1 && parts[0] == text.as_bytes())
    }
}

fn append(parts: &mut [Vec<u8>], sign: char) {
    let part = parts.last_mut().expect("there is always one");
    part.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
