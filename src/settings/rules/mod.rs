//! Who has which limit: the options `overrides`, `allow` and `deny`, and `policies`, which gives limits names.

mod named;
mod overrides;
mod place;
mod routes;

pub use place::MOST_PATTERNS;
pub use routes::Routes;
pub(super) use routes::read as routes;

use std::sync::Arc;

use smallvec::SmallVec;

use self::overrides::Overridable;
use self::place::Place;
use super::plan::Plan;
use super::policies;
use super::template::Template;
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, contradiction, field};
use crate::limits::{By, Limit, Role};
use crate::rules::Patterns;

const ALLOW: &str = "allow";
const DENY: &str = "deny";
const OVERRIDES: &str = "overrides";

/// What is done with a key that is named.
#[derive(Clone, Debug)]
enum Rule {
    /// It is not counted, and always allowed.
    Allow,
    /// It is always refused.
    Deny,
    /// It has limits of its own.
    Limits(Box<[Own]>),
}

/// Numbers that some keys have of their own under one of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The limit's place among the limiter's own.
    pub index: usize,
    /// What decides in the place of its policy.
    pub policy: Policy,
}

/// What all rules together say of a caller.
#[derive(Clone, Debug)]
pub enum Ruling<'a> {
    /// It is not counted, and always allowed.
    Allow,
    /// It is always refused.
    Deny,
    /// It has these limits of its own, each of another index.
    Limits(SmallVec<[&'a Own; 2]>),
}

/// The rules of a limiter: for keys that are one text, or for each field of keys that have several.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Lists>);

/// All rules about one field, or about the whole key, by the patterns that it meets.
#[derive(Clone, Debug)]
struct Lists {
    field: Option<Arc<str>>,
    patterns: Patterns,
    each: Vec<Rule>,
    /// The patterns as they were given, for whoever asks which it was.
    texts: Vec<Box<str>>,
}

impl Rules {
    /// What is said of a caller, of whom `said` knows each field, or without one the key that is one text.
    ///
    /// Of each the longest pattern decides that matches. Of several fields one that is refused has the call refused, otherwise one that is
    /// allowed has it allowed; limits of their own no two fields have in common.
    pub fn find<'k>(&self, said: impl Fn(Option<&str>) -> Option<&'k [u8]>) -> Option<Ruling<'_>> {
        let mut found = None;
        for lists in &self.0 {
            let Some(key) = said(lists.field.as_deref()) else { continue };
            let Some(number) = lists.patterns.find(key) else { continue };
            found = Some(match (&lists.each[number], found) {
                (Rule::Deny, _) => return Some(Ruling::Deny),
                (Rule::Allow, _) | (_, Some(Ruling::Allow)) => Ruling::Allow,
                (Rule::Limits(own), Some(Ruling::Limits(others))) => {
                    Ruling::Limits(others.into_iter().chain(own).collect())
                }
                (Rule::Limits(own), _) => Ruling::Limits(own.iter().collect()),
            });
        }
        found
    }

    /// The patterns by which a caller has fallen under this ruling, as they were given: one of each field that says so.
    pub fn patterns<'k>(&self, said: impl Fn(Option<&str>) -> Option<&'k [u8]>, ruling: &Ruling<'_>) -> Vec<&str> {
        let says_so = |rule: &Rule| {
            matches!(
                (rule, ruling),
                (Rule::Allow, Ruling::Allow) | (Rule::Deny, Ruling::Deny) | (Rule::Limits(_), Ruling::Limits(_))
            )
        };
        let met = self.0.iter().filter_map(|lists| {
            let number = lists.patterns.find(said(lists.field.as_deref())?)?;
            says_so(&lists.each[number]).then(|| &*lists.texts[number])
        });
        met.collect()
    }

    /// The limits that some keys have of their own.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.0.iter().flat_map(|lists| &lists.each).filter_map(Rule::own).flatten().map(|own| &own.policy)
    }

    /// The same rules, where every unit counts for so much longer.
    pub(super) fn lasting(mut self, longer: Micros) -> Self {
        for rule in self.0.iter_mut().flat_map(|lists| &mut lists.each) {
            if let Rule::Limits(each) = rule {
                each.iter_mut().for_each(|own| own.policy = own.policy.lasting(longer));
            }
        }
        self
    }
}

impl Rule {
    fn own(&self) -> Option<&[Own]> {
        if let Self::Limits(each) = self { Some(each) } else { None }
    }
}

/// The rules that the options give to callers under the limits of `plan`, if they give any.
pub(super) fn read(options: &[(String, Given)], plan: &Plan) -> Result<Option<Rules>, Error> {
    let templates = templates(options, plan);
    let policies = field(options, "policies");
    let named = named::read(if policies::is_shared(policies) { &Given::Missing } else { policies }, &templates)?;
    let limits_by = |by: &By| {
        let is_its = |limit: &Limit| limit.by == *by && limit.role != Role::Candidate;
        let all = plan.limits.iter().zip(&templates).enumerate().filter(|(_, (limit, _))| is_its(limit));
        all.map(|(index, (limit, template))| (index, limit, template)).collect()
    };
    let [allow, deny, overrides] = [ALLOW, DENY, OVERRIDES].map(|list| field(options, list));
    let mut said: Vec<Said<'_>> = Vec::new();
    if plan.limits.iter().all(|limit| limit.by == By::Key) || plan.fields().next().is_none() {
        if *overrides != Given::Missing {
            overridden_as_one(plan)?;
        }
        let overridable = Overridable { by: None, limits: limits_by(&By::Key), named: &named };
        said.push(Said { allow, deny, overrides, overridable });
    } else {
        let [allow, deny, overrides] =
            [by_field(ALLOW, allow, plan)?, by_field(DENY, deny, plan)?, by_field(OVERRIDES, overrides, plan)?];
        let mut fields: Vec<&str> = plan.fields().collect();
        fields.sort_unstable();
        fields.dedup();
        for by in fields {
            let overrides = field(overrides, by);
            let limits: Vec<_> = limits_by(&By::Field(by.into()));
            if *overrides != Given::Missing && limits.is_empty() {
                return Err(contradiction(format!(
                    "`{OVERRIDES}.{by}` has limits of its own for none of the `limits`, since none of them counts by `{by}`: leave it out"
                )));
            }
            let overridable = Overridable { by: Some(by), limits, named: &named };
            said.push(Said { allow: field(allow, by), deny: field(deny, by), overrides, overridable });
        }
    }
    let lists: Vec<Lists> = said.iter().filter_map(|said| said.read().transpose()).collect::<Result<_, _>>()?;
    place::at_most(lists.iter().map(|lists| lists.each.len()).sum())?;
    Ok(Some(Rules(lists)).filter(|rules| !rules.0.is_empty()))
}

/// What the numbers of each of the limits make a policy of.
fn templates(options: &[(String, Given)], plan: &Plan) -> Vec<Template> {
    let Given::List(list) = field(options, "limits") else { return vec![plan.template.clone(); plan.limits.len()] };
    let of = |limit: &Limit| {
        let is_its = |fields: &&[(String, Given)]| matches!(field(fields, "name"), Given::Text(name) if limit.name.as_deref() == Some(name));
        let records = list.iter().map(|given| if let Given::Record(fields) = given { &fields[..] } else { &[] });
        let fields = records.into_iter().find(is_its).unwrap_or_default();
        Template::read(fields, options).alike_to(&limit.policy)
    };
    plan.limits.iter().map(of).collect()
}

/// Refuses overrides of a whole key's limit where that has several, or shares one with everybody.
fn overridden_as_one(plan: &Plan) -> Result<(), Error> {
    match plan.limits.replaceable() {
        Some(limit) if limit.by == By::Key => Ok(()),
        Some(_) => Err(contradiction(
            "`overrides` is for limits that count by a key, and this one is shared by all callers: leave out `overrides`".into(),
        )),
        None => Err(contradiction(
            "`overrides` is for a limiter with one limit, and several were given: leave out `overrides`, or make a limiter of each".into(),
        )),
    }
}

/// What a list says of each field of the key. All that it names are fields by which something counts.
fn by_field<'a>(list: &str, given: &'a Given, plan: &Plan) -> Result<&'a [(String, Given)], Error> {
    let example = if list == OVERRIDES {
        "{ user: { 'partner:*': { limit: 1000, window: '1m' } } }"
    } else {
        "{ ip: ['10.0.0.0/8'] }"
    };
    let expected = format!("an object by the fields of the key, such as {example}, since the limits count by these");
    let fields = input::or_default(given, &[][..], |given| input::record(list, given, &expected))?;
    match fields.iter().find(|(name, _)| plan.fields().all(|known| known != name)) {
        Some((name, _)) => {
            let mut known: Vec<String> = plan.fields().map(|known| format!("`{known}`")).collect();
            known.sort_unstable();
            known.dedup();
            Err(Error::UnknownOption(format!(
                "`{list}` has no `{name}`: the fields by which anything is counted are {}",
                known.join(", ")
            )))
        }
        None => Ok(fields),
    }
}

/// What the options say of one field of keys, or of keys that are one text.
struct Said<'a> {
    allow: &'a Given,
    deny: &'a Given,
    overrides: &'a Given,
    overridable: Overridable<'a>,
}

impl Said<'_> {
    fn read(&self) -> Result<Option<Lists>, Error> {
        let by = self.overridable.by;
        let path = |list: &str| by.map_or_else(|| list.to_owned(), |by| format!("{list}.{by}"));
        let [allow, deny, overrides] = [ALLOW, DENY, OVERRIDES].map(path);
        let mut found: Vec<(Place<'_>, Rule)> = Vec::new();
        for (list, given, rule) in [(&allow, self.allow, Rule::Allow), (&deny, self.deny, Rule::Deny)] {
            found.extend(patterns(list, given)?.map(|place| (place, rule.clone())));
        }
        let expected =
            "an object such as { 'user:42': { limit: 1000, window: '1m' }, 'partner:*': { policy: 'gold' } }";
        let records = input::or_default(self.overrides, &[][..], |given| input::record(&overrides, given, expected))?;
        for (text, given) in records {
            let own = self.overridable.read(&format!("{overrides}.{text}"), given)?;
            found.push((Place { list: &overrides, index: None, text }, Rule::Limits(own)));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let (places, each): (Vec<Place<'_>>, Vec<Rule>) = found.into_iter().unzip();
        let patterns = place::compile(&places, "keys")?;
        let texts = places.iter().map(|place| place.text.into()).collect();
        Ok(Some(Lists { field: by.map(Arc::from), patterns, each, texts }))
    }
}

/// The patterns of a list.
fn patterns<'a>(list: &'a str, given: &'a Given) -> Result<impl Iterator<Item = Place<'a>>, Error> {
    let each = input::or_default(given, &[][..], |given| match given {
        Given::List(each) => Ok(each),
        other => {
            let expected = "an array of patterns such as ['internal:*', '10.0.0.0/8']";
            Err(Error::Option(other.refuse(list, expected, |_| false)))
        }
    })?;
    let place = |(index, given): (usize, &'a Given)| match given {
        Given::Text(text) => Ok(Place { list, index: Some(index), text }),
        other => {
            let expected = "a pattern such as 'internal:*' or '10.0.0.0/8'";
            Err(Error::Option(other.refuse(&format!("{list}[{index}]"), expected, |_| false)))
        }
    };
    Ok(each.iter().enumerate().map(place).collect::<Result<Vec<_>, _>>()?.into_iter())
}
