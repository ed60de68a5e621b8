//! What a limit is made of whose numbers are given later.

use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{Given, contradiction, field};
use crate::policy;

/// The algorithm and its options for limits of which only the numbers are given.
#[derive(Clone, Debug)]
pub struct Template {
    algorithm: Given,
    /// A windowed limit's extra, which is part of what its keys' states are; a bucket's size is its own limit's.
    burst: Given,
    resolution: Given,
    align: Given,
    /// How much longer than its window each unit counts.
    longer: Micros,
    /// Whether windows are periods of the calendar. Of one key all must be of one kind, since its state is: any where that is not said.
    of_calendar: Option<bool>,
}

impl Template {
    /// Of a limit as `fields` describe it; what they do not say of its algorithm is as in `defaults`.
    pub(super) fn read(fields: &[(String, Given)], defaults: &[(String, Given)]) -> Self {
        let own = |name| match field(fields, name) {
            Given::Missing => field(defaults, name).clone(),
            given => given.clone(),
        };
        Self {
            algorithm: own("algorithm"),
            burst: match field(fields, "burst") {
                extra @ Given::Record(_) => extra.clone(),
                _ => Given::Missing,
            },
            resolution: own("resolution"),
            align: own("align"),
            longer: Micros::ZERO,
            of_calendar: None,
        }
    }

    /// The same for limits whose windows are of the kind of this one's.
    pub(super) fn alike_to(self, policy: &Policy) -> Self {
        Self { of_calendar: Some(matches!(policy, Policy::Calendar(_))), ..self }
    }

    /// The same where every unit counts for so much longer.
    pub(super) fn lasting(self, longer: Micros) -> Self {
        Self { longer, ..self }
    }

    /// The policy of `limit` and `window`, as they were given.
    pub fn build(&self, limit: &Given, window: &Given) -> Result<Policy, Error> {
        self.build_with(limit, window, &Given::Missing)
    }

    /// The same with a burst of its own, where one is given. Without a burst a windowed limit's keys have another state than with
    /// one, so there it is part of the algorithm.
    pub(super) fn build_with(&self, limit: &Given, window: &Given, burst: &Given) -> Result<Policy, Error> {
        if matches!(burst, Given::Record(_)) && self.burst == Given::Missing {
            return Err(contradiction(
                "`burst` was given where the limiter's own limit has none: give that one a `burst`, too, or leave it out".into(),
            ));
        }
        policy::build(&policy::Options {
            limit,
            window,
            algorithm: &self.algorithm,
            burst: if *burst == Given::Missing { &self.burst } else { burst },
            resolution: &self.resolution,
            align: &self.align,
        })
        .and_then(|policy| self.alike(policy))
        .and_then(|policy| self.leased(policy))
    }

    fn alike(&self, policy: Policy) -> Result<Policy, Error> {
        match (self.of_calendar, matches!(policy, Policy::Calendar(_))) {
            (Some(true), false) => Err(contradiction(
                "`window` has a length, but the limiter's own windows are the calendar's: give a `window` such as { calendar: 'day' }, or make a limiter of its own".into(),
            )),
            (Some(false), true) => Err(contradiction(
                "`window` is the calendar's, but the limiter's own windows have a length: give a `window` such as '1d', or make a limiter of its own".into(),
            )),
            _ => Ok(policy),
        }
    }

    /// The window of one of these limits as it was given: where units are leased, each counts for longer.
    pub(super) fn window_of(&self, policy: &Policy) -> Micros {
        let window = policy.window();
        window - (policy.lasting(self.longer).window() - window)
    }

    /// The policy of the same limit and window as another template's, with the algorithm of this one.
    pub(crate) fn rebuild(&self, policy: &Policy) -> Result<Policy, Error> {
        if matches!(policy, Policy::Calendar(_)) {
            return self.alike(*policy);
        }
        #[expect(clippy::cast_precision_loss, reason = "limits end at 2^32, and windows below 2^53 microseconds")]
        let [limit, window] = [policy.numbers()[0] as f64, self.window_of(policy).0 as f64 / 1_000.0];
        self.build(&Given::Number(limit), &Given::Number(window))
    }

    /// The same policy where its units may be leased.
    fn leased(&self, policy: Policy) -> Result<Policy, Error> {
        if self.longer > Micros::ZERO && matches!(policy, Policy::Calendar(_)) {
            return Err(super::lease::not_leased());
        }
        if self.longer > policy.window() { Err(super::lease::too_long()) } else { Ok(policy.lasting(self.longer)) }
    }
}
