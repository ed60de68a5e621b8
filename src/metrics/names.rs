//! What is counted by the limit that decided, and by the action: the names that a limiter has had, and a count for each.
//!
//! A limiter whose limits are changed may get new names. Those that it had stay, with what was counted of them.

use std::sync::Arc;

use super::Disagreements;
use super::tally::{Count, Pair, Verdicts};
use crate::limits::{DEFAULT, Limit, NEW_KEYS};
use crate::settings::Plan;
use crate::trials::{Tried, Verdict};

/// What actions are called together that have no limit of their own.
const OTHER: &str = "other";

/// Names of limits, and of actions, that are told apart. What comes with more is counted with what has no name.
const MOST: usize = 1_024;

/// By whom something is counted: the thread of the callers, or that of the worker.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Here,
    There,
}

/// A name, and what each side has counted of it.
#[derive(Debug)]
struct Named {
    name: Arc<str>,
    sides: [Pair; 2],
}

impl Named {
    fn new(name: Arc<str>) -> Self {
        Self { name, sides: Default::default() }
    }

    fn count(&self) -> Count {
        self.sides.iter().map(Pair::count).sum()
    }
}

/// A limit that is tried, and what each side has counted of it.
#[derive(Debug)]
struct Trial {
    name: Arc<str>,
    sides: [Verdicts; 2],
}

impl Trial {
    fn count(&self) -> Disagreements {
        let both = |verdict| self.sides.iter().map(|side| side.of(verdict)).sum();
        Disagreements {
            agreed: both(Verdict::Agreed),
            would_deny: both(Verdict::WouldDeny),
            would_allow: both(Verdict::WouldAllow),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Names {
    /// In the order in which they are shown.
    limits: Vec<Named>,
    /// Of actions that have, or had, a limit of their own: in the order of their letters.
    actions: Vec<Named>,
    /// All other actions.
    other: [Pair; 2],
    /// Those that are tried, in the order in which they are shown.
    trials: Vec<Trial>,
}

/// Names with what was counted of them.
pub(super) type Counts = Vec<(Arc<str>, Count)>;

impl Names {
    /// Those of `plan`.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut names = Self { limits: Vec::new(), actions: Vec::new(), other: Default::default(), trials: Vec::new() };
        names.add(plan);
        names
    }

    /// Those of `plan` besides.
    pub(super) fn add(&mut self, plan: &Plan) {
        let default = || Arc::from(DEFAULT);
        let name_of = |limit: &Limit| limit.name.clone().unwrap_or_else(default);
        let (trials, in_force): (Vec<&Limit>, Vec<&Limit>) =
            plan.limits.iter().partition(|limit| limit.role.is_trial());
        // What is decided under no limit is shown where a limit without a name would be.
        let of_none = in_force.is_empty().then(default);
        let named = in_force.into_iter().map(name_of).chain(of_none);
        // The limits of actions have no names.
        let of_actions = (!plan.actions.is_empty()).then(default);
        let of_new_keys = plan.new_keys.as_ref().map(|_| Arc::from(NEW_KEYS));
        for name in named.chain(of_actions).chain(of_new_keys) {
            // Always a place for what has no name: what is not counted by another is shown as its.
            let name = if self.limits.len() < MOST { name } else { default() };
            if !self.limits.iter().any(|known| known.name == name) {
                self.limits.push(Named::new(name));
            }
        }
        let mut of_own: Vec<Arc<str>> = plan.own_trials().map(Limit::tried_as).collect();
        of_own.sort_unstable();
        for name in trials.into_iter().map(Limit::tried_as).chain(of_own) {
            if self.trials.len() < MOST && !self.trials.iter().any(|known| known.name == name) {
                self.trials.push(Trial { name, sides: Default::default() });
            }
        }
        for action in plan.actions.keys() {
            if let Err(index) = self.find(action)
                && self.actions.len() < MOST
            {
                self.actions.insert(index, Named::new(action.as_str().into()));
            }
        }
    }

    fn find(&self, action: &str) -> Result<usize, usize> {
        self.actions.binary_search_by(|known| (*known.name).cmp(action))
    }

    /// A decision of the limit of that name for that action.
    pub(super) fn decided(&self, side: Side, limit: Option<&str>, action: Option<&str>, allowed: bool) {
        if let Some(name) = limit
            && let Some(limit) = self.limits.iter().find(|known| *known.name == *name)
        {
            limit.sides[side as usize].add(allowed);
        }
        if let Some(action) = action {
            let sides = self.find(action).map_or(&self.other, |index| &self.actions[index].sides);
            sides[side as usize].add(allowed);
        }
    }

    /// What those that are tried have said of a call.
    pub(super) fn tried(&self, side: Side, tried: &[Tried]) {
        for Tried { name, verdict, .. } in tried {
            if let Some(trial) = self.trials.iter().find(|known| known.name == *name) {
                trial.sides[side as usize].add(*verdict);
            }
        }
    }

    /// By limits, and by actions: the last is all other actions together, shown where there were any. Then what those that are tried
    /// would have changed.
    pub(super) fn counts(&self) -> (Counts, Counts, Vec<(Arc<str>, Disagreements)>) {
        let all = |list: &[Named]| list.iter().map(|named| (named.name.clone(), named.count())).collect();
        let mut actions: Counts = all(&self.actions);
        let others = self.other.iter().map(Pair::count).sum();
        if let Some((_, count)) = actions.iter_mut().find(|(action, _)| **action == *OTHER) {
            *count = *count + others;
        } else if others != Count::default() {
            actions.push((OTHER.into(), others));
        }
        let trials = self.trials.iter().map(|trial| (trial.name.clone(), trial.count())).collect();
        (all(&self.limits), actions, trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Given;
    use crate::settings::Settings;

    /// A plan of one limit and one action with a limit, of these names.
    fn plan(name: &str, action: &str) -> Plan {
        let record = |fields: Vec<(&str, Given)>| {
            Given::Record(fields.into_iter().map(|(name, given)| (name.to_owned(), given)).collect())
        };
        let numbers = || vec![("limit", Given::Number(1.0)), ("window", Given::Number(1_000.0))];
        let named = vec![("name", Given::Text(name.into()))].into_iter().chain(numbers()).collect();
        let options =
            vec![("limits", Given::List(vec![record(named)])), ("actions", record(vec![(action, record(numbers()))]))];
        Settings::read(&record(options)).unwrap().plan
    }

    #[test]
    fn what_was_counted_stays_with_its_name() {
        let mut names = Names::new(&plan("a", "x"));
        names.decided(Side::Here, Some("a"), Some("x"), true);
        names.decided(Side::There, Some("a"), Some("w"), false);
        names.add(&plan("b", "w"));
        names.decided(Side::There, Some("b"), Some("w"), true);
        names.decided(Side::Here, Some("a"), Some("x"), true);
        let (limits, actions, _) = names.counts();
        let shown = |counts: Counts| -> Vec<(String, u64, u64)> {
            counts.into_iter().map(|(name, count)| (name.to_string(), count.allowed, count.denied)).collect()
        };
        assert_eq!(shown(limits), [("a".into(), 2, 1), ("default".into(), 0, 0), ("b".into(), 1, 0)]);
        assert_eq!(shown(actions), [("w".into(), 1, 0), ("x".into(), 2, 0), ("other".into(), 0, 1)]);
    }

    /// However often limits are changed: names that are made up by a program would fill the memory otherwise.
    #[test]
    fn there_is_an_end_to_names() {
        let mut names = Names::new(&plan("a", "x"));
        for number in 0..2 * MOST {
            names.add(&plan(&format!("limit-{number}"), &format!("action-{number}")));
        }
        let (limits, actions, _) = names.counts();
        assert!(limits.len() <= MOST + 1 && actions.len() <= MOST, "{} and {}", limits.len(), actions.len());
        names.decided(Side::Here, Some("limit-2000"), Some("action-2000"), true);
        assert_eq!(names.counts().1.last().unwrap().0.as_ref(), OTHER);
    }
}
