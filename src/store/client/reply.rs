//! What a client answers. It may be anything: the client is somebody else's.

use redis::Value;

use crate::error::Error;
use crate::store::Answers;
use crate::store::redis::script::{self, Expected};

/// A client's answer, as far as anybody asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing at all.
    Nothing,
    /// A number.
    Number(f64),
    /// A string that somebody has decoded.
    Text(String),
    /// Bytes as they came.
    Bytes(Vec<u8>),
    /// Several, one after the other.
    List(Vec<Reply>),
    /// What no store says.
    Other,
}

/// The outcomes in the reply to a call of the script.
pub(super) fn read_answers(reply: Reply, expected: &Expected) -> Answers {
    let answers = if let Reply::List(parts) = &reply { parts.first() } else { Some(&reply) };
    if let Some(Reply::Text(_)) = answers {
        return Err(Error::StoreUnavailable(
            "the client has made a string of the script's reply, which is bytes: its `evalsha` and `eval` must return Buffers"
                .into(),
        ));
    }
    script::read_answers(into_value(reply), expected)
}

/// A reply as Redis itself would give it.
pub(super) fn into_value(reply: Reply) -> Value {
    match reply {
        #[expect(clippy::cast_possible_truncation, reason = "the guard leaves whole numbers of 32 bits")]
        Reply::Number(number) if number.fract() == 0.0 && number.abs() < 2e9 => Value::Int(number as i64),
        // Some clients can be told to give numbers as strings.
        Reply::Text(text) => text.parse().map_or(Value::Nil, Value::Int),
        Reply::Bytes(bytes) => Value::BulkString(bytes),
        Reply::List(parts) => Value::Array(parts.into_iter().map(into_value).collect()),
        Reply::Nothing | Reply::Number(_) | Reply::Other => Value::Nil,
    }
}

/// The longest that is shown of what a client says.
const LONGEST: usize = 200;

/// What a client says when it fails: its first line, cut, and without a password where it quotes a URL.
pub(in crate::store) fn words(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let shown: String = without_password(line).chars().take(LONGEST).collect();
    if shown.is_empty() { "the client failed without a word".into() } else { shown }
}

/// Leaves out whatever stands between `://` and the last `@` of the same word.
fn without_password(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else {
        return line.to_owned();
    };
    let end = rest.find([' ', '\'', '"']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let host = word.rsplit_once('@').map_or(word, |(_, host)| host);
    let hidden = if host.len() < word.len() { "***@" } else { "" };
    format!("{before}://{hidden}{host}{}", without_password(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (said, shown) in [
            ("cannot reach redis://bob:pa55@host:6379/0 now", "cannot reach redis://***@host:6379/0 now"),
            ("'rediss://:p@ss/w0rd@host' and \"redis://x:y@z\"", "'rediss://***@host' and \"redis://***@z\""),
            ("redis://host:6379 refused", "redis://host:6379 refused"),
            ("plain", "plain"),
        ] {
            assert_eq!(words(said), shown);
        }
    }

    #[test]
    fn what_a_client_says_is_cut() {
        assert_eq!(words(&format!("{}\nat line 1", "ä".repeat(300))), "ä".repeat(200));
        assert_eq!(words(""), "the client failed without a word");
    }

    #[test]
    fn strings_are_refused_with_what_to_do() {
        let text = Reply::Text("\u{1}".into());
        for reply in [text.clone(), Reply::List(vec![text])] {
            let error = read_answers(reply, &Expected::of_each(1)).unwrap_err();
            assert!(error.to_string().contains("must return Buffers"), "{error}");
        }
    }

    /// Were it taken for what was forgotten, a call would be admitted that nobody has decided.
    #[test]
    fn a_key_that_failed_without_a_word_has_failed() {
        let nothing_said = Reply::List(vec![Reply::Bytes(vec![3, 4])]);
        let answers = read_answers(nothing_said, &Expected::of_each(2)).unwrap();
        assert!(matches!(&answers[..], [Ok(_), Err(Error::StoreUnavailable(_))]), "{answers:?}");
    }

    #[test]
    fn nonsense_is_an_error() {
        let nonsense = [
            Reply::Nothing,
            Reply::Other,
            Reply::Number(f64::NAN),
            Reply::Number(1e300),
            Reply::Text("OK".into()),
            Reply::Bytes(vec![1]),
            Reply::List(vec![]),
            Reply::List(vec![Reply::Bytes(vec![1, 2, 3])]),
            Reply::List(vec![Reply::Bytes(vec![4]), Reply::Number(9.0), Reply::Bytes(b"out of range".to_vec())]),
            // One less than the smallest number there is.
            Reply::List(vec![
                Reply::Bytes(vec![4]),
                Reply::Text(i64::MIN.to_string()),
                Reply::Bytes(b"before all".to_vec()),
            ]),
        ];
        for reply in nonsense {
            let read = read_answers(reply.clone(), &Expected::of_each(1));
            assert!(matches!(read, Err(Error::StoreUnavailable(_))), "{reply:?} was read as {read:?}");
        }
    }
}
