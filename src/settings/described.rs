//! What a limiter was made of, told back: headers, metrics and pages name its limits by it.

use std::iter;

use super::plan::Plan;
use crate::algorithm::{Algorithm, FixedWindow, Policy};
use crate::calendar::{Period, Periods};
use crate::clock::{Clock, Micros, WallClock};
use crate::limits::{By, Limit, NEW_KEYS, Role};

/// One limit, in the words of the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its own name, or `default`.
    pub name: String,
    /// The action whose limit it is.
    pub action: Option<String>,
    /// The algorithm's name.
    pub algorithm: &'static str,
    /// Units a window.
    pub limit: u64,
    /// The window; of a calendar's periods the present one.
    pub window: Micros,
    /// The periods, where the windows are a calendar's.
    pub calendar: Option<&'static Periods>,
    /// A bucket's size, or what a windowed limit admits above itself.
    pub burst: Option<Burst>,
    /// The field of the key by which it counts, or `global`; nothing where it counts by the whole key.
    pub by: Option<String>,
    /// `shadow` or `candidate` where it is only tried.
    pub role: Option<&'static str>,
}

/// What one call may take at once, beside the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// So many units in a full bucket, or so many that wait their turn.
    Units(u64),
    /// So many above the limit, which come back over a window of their own.
    Extra(u64, Micros),
}

impl Plan {
    /// The limits, then those of actions by the actions' names, then the one on new keys. None where they are given later.
    pub fn described(&self) -> Vec<Described> {
        if self.is_open && self.actions.is_empty() {
            return Vec::new();
        }
        let mut actions: Vec<_> = self.actions.iter().collect();
        actions.sort_unstable_by_key(|(name, _)| *name);
        let own = (!self.is_open).then_some((None, &self.limits));
        let all = own.into_iter().chain(actions.into_iter().map(|(name, limits)| (Some(name.as_str()), limits)));
        let each = all.flat_map(|(action, limits)| iter::repeat(action).zip(limits.iter()));
        each.map(|(action, limit)| self.describe(action, limit))
            .chain(self.new_keys.iter().map(|limit| Described { name: NEW_KEYS.into(), ..self.describe(None, limit) }))
            .collect()
    }

    /// One limit, of that action where it is of one.
    pub(crate) fn describe(&self, action: Option<&str>, limit: &Limit) -> Described {
        let policy = &limit.policy;
        let numbers = policy.numbers();
        let calendar = if let Policy::Calendar(calendar) = policy { Some(calendar.periods()) } else { None };
        Described {
            name: limit.name.as_deref().unwrap_or("default").to_owned(),
            action: action.map(str::to_owned),
            algorithm: if calendar.is_some() { FixedWindow::NAME } else { policy.name() },
            limit: numbers[0],
            window: match calendar.map(|periods| periods.at(WallClock.now())) {
                Some(Period { begin, end }) => end - begin,
                None => self.template.window_of(policy),
            },
            calendar,
            burst: match (policy, &*numbers) {
                (Policy::TokenBucket(_) | Policy::LeakyBucket(_), &[_, _, burst]) => Some(Burst::Units(burst)),
                (_, &[_, _, _, extra, window]) => Some(Burst::Extra(extra, Micros(window))),
                _ => None,
            },
            by: match &limit.by {
                By::Key => None,
                By::Field(field) => Some(field.to_string()),
                By::Global => Some("global".to_owned()),
            },
            role: match limit.role {
                Role::Shadow => Some("shadow"),
                Role::Candidate => Some("candidate"),
                Role::Bystander | Role::Of(_) | Role::NewKeys => None,
            },
        }
    }
}
