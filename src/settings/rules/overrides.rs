//! What an override says: numbers, or the name of a policy that has them, for one limit or for each of several.

use super::Own;
use super::named::{self, NUMBERS, Named};
use crate::algorithm::Policy;
use crate::error::Error;
use crate::input::{self, Given, contradiction, field, within};
use crate::limits::{DEFAULT, Limit};
use crate::settings::template::Template;

/// The field of an override that says of which limits it has numbers.
const LIMITS: &str = "limits";

const NUMBERS_OR_POLICY: &str = "an object such as { limit: 1000, window: '1m' }, or { policy: 'gold' }";

/// Those limits of which there may be overrides by one field of the key.
pub(super) struct Overridable<'a> {
    /// The field; none where the key is one text, and there is one limit.
    pub(super) by: Option<&'a str>,
    /// Their places among all, and what their numbers make a policy of.
    pub(super) limits: Vec<(usize, &'a Limit, &'a Template)>,
    pub(super) named: &'a Named<'a>,
}

impl Overridable<'_> {
    /// Reads what was given at `place`.
    pub(super) fn read(&self, place: &str, given: &Given) -> Result<Box<[Own]>, Error> {
        let fields = input::record(place, given, NUMBERS_OR_POLICY)?;
        let known: Vec<&str> = self.by.map(|_| LIMITS).into_iter().chain(["policy"]).chain(NUMBERS).collect();
        input::only_known(&format!("`{place}`"), fields, &known)?;
        let each = field(fields, LIMITS);
        if *each != Given::Missing {
            if let Some((other, _)) = fields.iter().find(|(name, given)| name != LIMITS && *given != Given::Missing) {
                return Err(contradiction(format!(
                    "`{place}.{LIMITS}` and `{place}.{other}` were both given: each of the limits has its own numbers, so leave one of them out"
                )));
            }
            return self.read_each(&format!("{place}.{LIMITS}"), each);
        }
        match self.limits[..] {
            [(index, _, template)] => {
                Ok([Own { index, policy: read_numbers(place, fields, self.named, template)? }].into())
            }
            _ => Err(contradiction(format!(
                "`{place}` is for one limit, and {} count by `{}`: say which, as in {{ limits: {{ {}: {{ limit: 1000, window: '1m' }} }} }}",
                self.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and "),
                self.by.unwrap_or_default(),
                self.names().next().unwrap_or(DEFAULT),
            ))),
        }
    }

    /// Numbers by the names of the limits that have them.
    fn read_each(&self, place: &str, given: &Given) -> Result<Box<[Own]>, Error> {
        let records = input::record(place, given, "an object such as { day: { limit: 1000, window: '1d' } }")?;
        let those = || self.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if records.is_empty() {
            return Err(contradiction(format!("`{place}` names no limit: name one or more of {}", those())));
        }
        let each = records.iter().map(|(name, given)| {
            let Some(number) = self.names().position(|known| known == name) else {
                let by = self.by.unwrap_or_default();
                return Err(Error::UnknownOption(format!(
                    "`{place}` has no `{name}`: the limits that count by `{by}` are {}",
                    those()
                )));
            };
            let place = format!("{place}.{name}");
            let fields = input::record(&place, given, NUMBERS_OR_POLICY)?;
            let known: Vec<&str> = ["policy"].into_iter().chain(NUMBERS).collect();
            input::only_known(&format!("`{place}`"), fields, &known)?;
            let (index, _, template) = self.limits[number];
            Ok(Own { index, policy: read_numbers(&place, fields, self.named, template)? })
        });
        each.collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|(_, limit, _)| limit.name.as_deref().unwrap_or(DEFAULT))
    }
}

fn read_numbers(
    place: &str,
    fields: &[(String, Given)],
    named: &Named<'_>,
    template: &Template,
) -> Result<Policy, Error> {
    let policy = field(fields, "policy");
    if *policy == Given::Missing {
        return named::build(fields, template).map_err(|error| within(place, error));
    }
    if let Some(other) = NUMBERS.into_iter().find(|name| *field(fields, name) != Given::Missing) {
        return Err(contradiction(format!(
            "`{place}.policy` and `{place}.{other}` were both given: a policy has its numbers, so leave one of them out"
        )));
    }
    let place = format!("{place}.policy");
    let Given::Text(name) = policy else {
        return Err(Error::Option(policy.refuse(&place, "the name of one of the `policies`", |_| false)));
    };
    let numbers = named.get(name.as_str()).ok_or_else(|| named::none_of_policies(&place, name))?;
    named::build(numbers, template).map_err(|error| within(&format!("policies.{name}"), error))
}
