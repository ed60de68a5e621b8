//! The option `policies`: limits with names, for overrides.

use std::collections::HashMap;

use crate::algorithm::Policy;
use crate::error::{Class, Error, Rejection};
use crate::input::{self, Given, contradiction, field, within};
use crate::settings::template::Template;

/// The numbers of an override, or of a policy that has a name.
pub(super) const NUMBERS: [&str; 3] = ["limit", "window", "burst"];

/// Policies by their names, each with all of its numbers: which limit these are for is known where the name is used.
pub(super) type Named<'a> = HashMap<&'a str, Vec<(String, Given)>>;

pub(super) fn none_of_policies(place: &str, name: &str) -> Error {
    let message = format!("`{place}` is '{name}', which is none of `policies`: give one of that name, or correct it");
    Error::Option(Rejection { class: Class::Range, message })
}

/// The policy of these numbers.
pub(super) fn build(fields: &[(String, Given)], template: &Template) -> Result<Policy, Error> {
    let [limit, window, burst] = NUMBERS.map(|name| field(fields, name));
    template.build_with(limit, window, burst)
}

/// Reads the policies that have names. What one extends another by is all that it says itself. Each fits one of these limits.
pub(super) fn read<'a>(given: &'a Given, templates: &[Template]) -> Result<Named<'a>, Error> {
    let expected =
        "an object such as { gold: { limit: 1000, window: '1m' }, platinum: { extends: 'gold', limit: 5000 } }";
    let records = input::or_default(given, &[][..], |given| input::record("policies", given, expected))?;
    let mut all: HashMap<&str, &[(String, Given)]> = HashMap::new();
    for (name, given) in records {
        let place = format!("policies.{name}");
        let fields = input::record(&place, given, "an object such as { limit: 1000, window: '1m' }")?;
        let known: Vec<&str> = ["extends"].into_iter().chain(NUMBERS).collect();
        input::only_known(&format!("`{place}`"), fields, &known)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(fits) {
            let message =
                format!("`policies` has one called '{name}': a name is 1 to 64 letters, digits, '-', '_' or '.'");
            return Err(Error::Option(Rejection { class: Class::Range, message }));
        }
        all.insert(name, fields);
    }
    let mut named = Named::new();
    for (name, _) in records {
        let numbers = inherited(name, &all)?;
        let mut wrong = None;
        if !templates
            .iter()
            .any(|template| build(&numbers, template).map_err(|error| wrong.get_or_insert(error)).is_ok())
            && let Some(error) = wrong
        {
            return Err(within(&format!("policies.{name}"), error));
        }
        named.insert(name, numbers);
    }
    Ok(named)
}

/// The numbers of a policy, those of the ones that it extends among them.
fn inherited(name: &str, all: &HashMap<&str, &[(String, Given)]>) -> Result<Vec<(String, Given)>, Error> {
    let mut path = vec![name];
    let mut numbers: Vec<(String, Given)> = Vec::new();
    loop {
        let last = path[path.len() - 1];
        let fields = all[last];
        for (name, given) in fields.iter().filter(|(name, given)| name != "extends" && *given != Given::Missing) {
            if *field(&numbers, name) == Given::Missing {
                numbers.push((name.clone(), given.clone()));
            }
        }
        let place = format!("policies.{last}.extends");
        let next = match field(fields, "extends") {
            Given::Missing => return Ok(numbers),
            Given::Text(next) => next.as_str(),
            other => {
                return Err(Error::Option(other.refuse(&place, "the name of another of the `policies`", |_| false)));
            }
        };
        if !all.contains_key(next) {
            return Err(none_of_policies(&place, next));
        }
        if let Some(start) = path.iter().position(|name| *name == next) {
            path.push(next);
            return Err(contradiction(format!(
                "`policies` extend each other in a loop, {}: let one of them stand alone",
                path[start..].join(" → ")
            )));
        }
        path.push(next);
    }
}
