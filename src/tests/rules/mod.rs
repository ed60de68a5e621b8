//! Patterns, and what rules do to calls.

mod fields;
mod lists;
mod patterns;
mod refused;

use std::sync::Arc;

use crate::clock::{ManualClock, Micros};
use crate::decision::Decision;
use crate::error::Error;
use crate::input::Given;
use crate::limiter::{Called, Deed, Limiter, Trust, Who};
use crate::settings::{CallOptions, Settings};

fn text_of(text: &str) -> Given {
    Given::Text(text.into())
}

fn record(fields: &[(&str, Given)]) -> Given {
    Given::Record(fields.iter().map(|(name, given)| ((*name).into(), given.clone())).collect())
}

fn list(patterns: &[&str]) -> Given {
    Given::List(patterns.iter().map(|text| text_of(text)).collect())
}

fn limit(limit: f64) -> Given {
    record(&[("limit", Given::Number(limit)), ("window", text_of("1m"))])
}

fn read(fields: &[(&str, Given)]) -> Result<Settings, Error> {
    let mut all = vec![("limit", Given::Number(3.0)), ("window", text_of("1m"))];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
    all.extend_from_slice(fields);
    Settings::read(&record(&all))
}

const START: Micros = Micros(1_000_000_000_000);

fn limiter(fields: &[(&str, Given)]) -> Limiter {
    Limiter::in_memory(&read(fields).unwrap(), Arc::new(ManualClock::at(START)))
}

fn ask(limiter: &Limiter, key: &str, options: &CallOptions) -> Decision {
    answer(limiter, &Who::Key(key.as_bytes().into()), options)
}

/// What a call of whomever is told.
fn answer(limiter: &Limiter, given: &Who<'_>, options: &CallOptions) -> Decision {
    match limiter.called(given, Deed::Take, options).unwrap() {
        Called::Counted(request) => limiter.answer_here(&request, Trust::Nothing).unwrap().unwrap(),
        Called::Listed(request, allowed) => limiter.answer_by_list(&request, allowed).unwrap(),
    }
}
