//! Whom a request was about, in one text.

use std::borrow::Cow;

use crate::key;
use crate::limits::By;
use crate::store::Request;

/// A key as it is, or its fields as `field=value,field=value`: first `owner`, then in the order of the limits that count by them.
pub(super) fn of<'a>(request: &'a Request, owner: Option<&str>) -> Cow<'a, [u8]> {
    if let (Some(limit), Some(key)) = (request.limits.iter().next(), request.keys.first())
        && limit.by == By::Key
    {
        return Cow::Borrowed(key.as_bytes());
    }
    let mut fields: Vec<(&str, &[u8])> = Vec::new();
    let mut name = |field, value| {
        if !fields.iter().any(|(known, _)| *known == field) {
            fields.push((field, value));
        }
    };
    for (limit, key) in request.parts() {
        let (whose, own) = key.owner_and_own();
        if let (Some(owner), Some(whose)) = (owner, whose) {
            name(owner, whose);
        }
        if let By::Field(field) = &limit.by
            && !own.is_empty()
        {
            name(field, own);
        }
    }
    if fields.is_empty() {
        return Cow::Borrowed(b"global");
    }
    let texts = fields.into_iter().map(|(field, value)| format!("{field}={}", key::shown(value)));
    Cow::Owned(texts.collect::<Vec<_>>().join(",").into_bytes())
}
