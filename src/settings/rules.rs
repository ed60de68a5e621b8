//! Who has which limit: the options `overrides`, `allow` and `deny`, and `policies`, which gives limits names.

use std::collections::HashMap;
use std::fmt;

use super::plan::Template;
use super::policies;
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::{Class, Error, Rejection};
use crate::input::{self, Given, contradiction, field, within};
use crate::limits::{By, Limits};
use crate::rules::{Alike, Pattern, Patterns};

/// The most patterns of one limiter, those of all its lists together.
pub const MOST_PATTERNS: usize = 100_000;

/// The longest pattern, in characters.
const LONGEST_PATTERN: usize = 256;

/// The numbers of an override, or of a policy that has a name.
const NUMBERS: [&str; 3] = ["limit", "window", "burst"];

/// What is done with a key that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is not counted, and always allowed.
    Allow,
    /// It is always refused.
    Deny,
    /// It has a limit of its own.
    Limit(Policy),
}

/// The rules of a limiter, by the patterns that keys meet.
#[derive(Clone, Debug)]
pub struct Rules {
    patterns: Patterns,
    each: Vec<Rule>,
    /// The patterns as they were given, for whoever asks which it was.
    texts: Vec<Box<str>>,
}

impl Rules {
    /// The rule of the longest pattern that matches.
    pub fn find(&self, key: &[u8]) -> Option<&Rule> {
        self.patterns.find(key).map(|number| &self.each[number])
    }

    /// The same with its pattern.
    pub fn find_named(&self, key: &[u8]) -> Option<(&str, &Rule)> {
        self.patterns.find(key).map(|number| (&*self.texts[number], &self.each[number]))
    }

    /// The limits that some keys have of their own.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.each.iter().filter_map(|rule| if let Rule::Limit(policy) = rule { Some(policy) } else { None })
    }

    /// The same rules, where every unit counts for so much longer.
    pub(super) fn lasting(mut self, longer: Micros) -> Self {
        for rule in &mut self.each {
            if let Rule::Limit(policy) = rule {
                *policy = policy.lasting(longer);
            }
        }
        self
    }
}

/// Where a pattern was given.
#[derive(Clone, Copy)]
struct Place<'a> {
    list: &'static str,
    /// None in an object, where the pattern is the name.
    index: Option<usize>,
    text: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, index, text } = self;
        match index {
            Some(index) => write!(f, "`{list}[{index}]` ('{text}')"),
            None => write!(f, "`{list}` of '{text}'"),
        }
    }
}

/// The rules that the options give to keys under `limits`, if they give any.
pub(super) fn read(options: &[(String, Given)], limits: &Limits, template: &Template) -> Result<Option<Rules>, Error> {
    let policies = field(options, "policies");
    let named = named(if policies::is_shared(policies) { &Given::Missing } else { policies }, template)?;
    let given = |list| *field(options, list) != Given::Missing;
    if let Some(list) = ["allow", "deny", "overrides"].into_iter().find(|list| given(list))
        && limits.iter().any(|limit| limit.by != By::Key)
    {
        return Err(contradiction(format!(
            "`{list}` is for keys that are one text, and `limits` with a `by` have several fields: give each group of callers a limiter of its own"
        )));
    }
    if given("overrides") && limits.only().is_none() {
        return Err(contradiction(
            "`overrides` is for a limiter with one limit, and several were given: leave out `overrides`, or make a limiter of each".into(),
        ));
    }
    let mut found: Vec<(Place<'_>, Rule)> = Vec::new();
    for (list, rule) in [("allow", Rule::Allow), ("deny", Rule::Deny)] {
        let each = input::or_default(field(options, list), &[][..], |given| match given {
            Given::List(each) => Ok(each),
            other => Err(Error::Option(other.refuse(
                list,
                "an array of patterns such as ['internal:*', '10.0.0.0/8']",
                |_| false,
            ))),
        })?;
        for (index, given) in each.iter().enumerate() {
            let Given::Text(text) = given else {
                let expected = "a pattern such as 'internal:*' or '10.0.0.0/8'";
                return Err(Error::Option(given.refuse(&format!("{list}[{index}]"), expected, |_| false)));
            };
            found.push((Place { list, index: Some(index), text }, rule));
        }
    }
    let expected = "an object such as { 'user:42': { limit: 1000, window: '1m' }, 'partner:*': { policy: 'gold' } }";
    let overrides =
        input::or_default(field(options, "overrides"), &[][..], |given| input::record("overrides", given, expected))?;
    for (text, given) in overrides {
        let policy = read_override(text, given, &named, template)?;
        found.push((Place { list: "overrides", index: None, text }, Rule::Limit(policy)));
    }
    if found.is_empty() {
        return Ok(None);
    }
    let places: Vec<Place<'_>> = found.iter().map(|(place, _)| *place).collect();
    let patterns = compile(&places, "keys")?;
    let texts = places.iter().map(|place| place.text.into()).collect();
    Ok(Some(Rules { patterns, each: found.into_iter().map(|(_, rule)| rule).collect(), texts }))
}

/// The patterns among the names of actions, and what each is called; none where every name is a text that stands for itself.
pub(super) fn routes<'a>(actions: impl Iterator<Item = &'a String>) -> Result<Option<Routes>, Error> {
    let mut names: Vec<String> = actions.cloned().collect();
    names.sort_unstable();
    let places: Vec<Place<'_>> = names.iter().map(|text| Place { list: "actions", index: None, text }).collect();
    let is_plain = |place: &Place<'_>| Ok::<_, Error>(pattern(*place)?.is_plain(place.text));
    if places.iter().map(is_plain).collect::<Result<Vec<_>, _>>()?.into_iter().all(|is_plain| is_plain) {
        return Ok(None);
    }
    let patterns = compile(&places, "actions")?;
    Ok(Some(Routes { patterns, names }))
}

/// The names of actions, by the patterns that these are.
#[derive(Clone, Debug)]
pub struct Routes {
    patterns: Patterns,
    names: Vec<String>,
}

impl Routes {
    /// The name of the longest that matches.
    pub fn find(&self, action: &str) -> Option<&str> {
        self.patterns.find(action.as_bytes()).map(|number| self.names[number].as_str())
    }
}

fn pattern(place: Place<'_>) -> Result<Pattern, Error> {
    let wrong =
        |class, what: String| Error::Option(Rejection { class, message: format!("{place} is a pattern {what}") });
    let length = place.text.chars().count();
    if !(1..=LONGEST_PATTERN).contains(&length) {
        return Err(wrong(Class::Range, format!("of {length} characters: give it 1 to {LONGEST_PATTERN}")));
    }
    Pattern::read(place.text).map_err(|what| wrong(Class::Range, what))
}

fn compile(places: &[Place<'_>], what: &str) -> Result<Patterns, Error> {
    if places.len() > MOST_PATTERNS {
        let message = format!(
            "a limiter has up to {MOST_PATTERNS} patterns, but {} were given: use prefixes and networks",
            places.len()
        );
        return Err(Error::Option(Rejection { class: Class::Range, message }));
    }
    let patterns = places.iter().map(|place| pattern(*place)).collect::<Result<Vec<_>, _>>()?;
    Patterns::new(&patterns).map_err(|Alike(one, other)| {
        let (one, other) = (places[one.min(other)], places[one.max(other)]);
        contradiction(format!("{one} and {other} match the same {what}: leave one of them out"))
    })
}

/// Policies by their names, each read.
type Named<'a> = HashMap<&'a str, Policy>;

fn read_override(text: &str, given: &Given, named: &Named<'_>, template: &Template) -> Result<Policy, Error> {
    let place = format!("overrides.{text}");
    let fields =
        input::record(&place, given, "an object such as { limit: 1000, window: '1m' }, or { policy: 'gold' }")?;
    let known: Vec<&str> = ["policy"].into_iter().chain(NUMBERS).collect();
    input::only_known(&format!("`{place}`"), fields, &known)?;
    let policy = field(fields, "policy");
    if *policy == Given::Missing {
        return build(fields, template).map_err(|error| within(&place, error));
    }
    if let Some(other) = NUMBERS.into_iter().find(|name| *field(fields, name) != Given::Missing) {
        return Err(contradiction(format!(
            "`{place}.policy` and `{place}.{other}` were both given: a policy has its numbers, so leave one of them out"
        )));
    }
    let Given::Text(name) = policy else {
        return Err(Error::Option(policy.refuse(
            &format!("{place}.policy"),
            "the name of one of the `policies`",
            |_| false,
        )));
    };
    named.get(name.as_str()).copied().ok_or_else(|| none_of_policies(&format!("{place}.policy"), name))
}

fn none_of_policies(place: &str, name: &str) -> Error {
    let message = format!("`{place}` is '{name}', which is none of `policies`: give one of that name, or correct it");
    Error::Option(Rejection { class: Class::Range, message })
}

fn build(fields: &[(String, Given)], template: &Template) -> Result<Policy, Error> {
    let [limit, window, burst] = NUMBERS.map(|name| field(fields, name));
    template.build_with(limit, window, burst)
}

/// Reads the policies that have names. What one extends another by is all that it says itself.
fn named<'a>(given: &'a Given, template: &Template) -> Result<Named<'a>, Error> {
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
        let policy = build(&numbers, template).map_err(|error| within(&format!("policies.{name}"), error))?;
        named.insert(name, policy);
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
