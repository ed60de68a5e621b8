//! Which server has which slot.

use redis::Value;

/// A server by its host and its port.
pub(super) type Place = (String, u16);

/// The masters of a cluster. Slots are in no order, and there may be some that nobody has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    ranges: Vec<(u16, u16, Place)>,
}

impl Map {
    /// Reads what `CLUSTER SLOTS` answers. `asked` is the host that was asked, whose name the answer may leave out.
    pub(super) fn read(reply: &Value, asked: &str) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let ranges: Option<Vec<_>> = ranges.iter().map(|range| read_range(range, asked)).collect();
        ranges.map(|ranges| Self { ranges })
    }

    /// Who has `slot`.
    pub(super) fn owner(&self, slot: u16) -> Option<&Place> {
        self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., place)| place)
    }

    /// Everybody who has a slot, some of them more than once.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.ranges.iter().map(|(.., place)| place)
    }
}

/// First slot, last slot, the master, its replicas; of each server the host, the port, and more.
fn read_range(range: &Value, asked: &str) -> Option<(u16, u16, Place)> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else { return None };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?,
        Value::BulkString(_) | Value::Nil => asked,
        _ => return None,
    };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, (host.to_owned(), u16::try_from(*port).ok()?)))
}

/// Reads `host:port` as a redirection has it. `asked` is the host that gave it, whose name may be left out.
pub(super) fn read_place(text: &str, asked: &str) -> Option<Place> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() || host == "?" { asked } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn server(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), bulk("id"), Value::Array(vec![])])
    }

    #[test]
    fn slots_are_found_with_those_who_have_them() {
        let range = |first, last, servers: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], servers].concat())
        };
        let reply = Value::Array(vec![
            range(0, 5_460, vec![server(bulk("10.0.0.1"), 7_000), server(bulk("10.0.0.4"), 7_003)]),
            range(5_461, 5_461, vec![server(bulk(""), 7_001)]),
            range(5_462, 10_000, vec![server(Value::Nil, 7_002)]),
        ]);
        let map = Map::read(&reply, "asked").unwrap();
        for (slot, owner) in [
            (0, Some(("10.0.0.1", 7_000))),
            (5_460, Some(("10.0.0.1", 7_000))),
            (5_461, Some(("asked", 7_001))),
            (10_000, Some(("asked", 7_002))),
            (10_001, None),
        ] {
            assert_eq!(map.owner(slot).map(|(host, port)| (host.as_str(), *port)), owner, "{slot}");
        }
        assert_eq!(map.places().count(), 3);
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for reply in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(-1), Value::Int(1), server(bulk("a"), 1)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1), server(bulk("a"), 70_000)])]),
        ] {
            assert_eq!(Map::read(&reply, "asked"), None, "{reply:?}");
        }
        assert_eq!(Map::read(&Value::Array(vec![]), "asked"), Some(Map::default()));
    }

    #[test]
    fn redirections_name_a_place() {
        for (text, place) in [
            ("10.0.0.1:7000", Some(("10.0.0.1", 7_000))),
            (":7000", Some(("asked", 7_000))),
            ("?:7000", Some(("asked", 7_000))),
            ("[::1]:7000", Some(("::1", 7_000))),
            ("::1:7000", Some(("::1", 7_000))),
            ("nowhere", None),
            ("a:b", None),
        ] {
            let read = read_place(text, "asked");
            assert_eq!(read.as_ref().map(|(host, port)| (host.as_str(), *port)), place, "{text}");
        }
    }
}
