//! What the script answers.

use redis::Value;

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::Micros;
use crate::error::Error;
use crate::store::Answers;
use crate::wire;

/// What is asked of a key, and how often in a row.
pub(super) type Several = Vec<(Ask, u16)>;

/// How many calls these are.
pub(super) fn count(several: &Several) -> usize {
    several.iter().map(|(_, calls)| usize::from(*calls)).sum()
}

/// By what the reply to a call is read.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// How many keys were named.
    pub(super) keys: usize,
    /// Those of which more than one thing was asked, in their order.
    pub(super) merged: Vec<Merged>,
    /// For each answer, the key that it is about.
    pub(super) order: Vec<usize>,
}

impl Expected {
    /// One answer from each of so many keys.
    pub fn of_each(keys: usize) -> Self {
        Self { keys, merged: Vec::new(), order: (0..keys).collect() }
    }
}

/// A key on which several decisions were made.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub(super) key: usize,
    pub(super) policy: Policy,
    pub(super) several: Several,
}

impl Merged {
    /// Reads the answers off the front. Where units were taken, these are mostly what the key counted before, from which follows
    /// what each call is told; where none were, all calls that ask the same are told the same.
    fn read(&self, packed: &mut &[u8]) -> Option<Result<Vec<Outcome>, Error>> {
        match packed.first()? {
            4 => read_outcome(packed).map(|failed| failed.map(|_| Vec::new())),
            6 => {
                wire::take::<1>(packed)?;
                let now = Micros(wire::take::<7>(packed)?);
                let taken = wire::take::<7>(packed)?;
                let length = usize::try_from(wire::take::<4>(packed)?).ok()?;
                let (state, rest) = packed.split_at_checked(length)?;
                *packed = rest;
                Some(self.replay(state, now, taken))
            }
            7 => {
                wire::take::<1>(packed)?;
                let outcomes = (0..count(&self.several)).map(|_| read_outcome(packed)?.ok()).collect::<Option<_>>()?;
                Some(Ok(outcomes))
            }
            _ => {
                let mut outcomes = Vec::new();
                for (_, calls) in &self.several {
                    let outcome = read_outcome(packed)?.ok()?;
                    outcomes.resize(outcomes.len() + usize::from(*calls), outcome);
                }
                Some(Ok(outcomes))
            }
        }
    }

    /// Decides the calls again, one after the other, as the script would have alone.
    fn replay(&self, state: &[u8], now: Micros, taken: u64) -> Result<Vec<Outcome>, Error> {
        let unlike = || Error::State("the value is not the state of a limit".into());
        let mut state =
            if state.is_empty() { self.policy.fresh() } else { self.policy.decode(state).ok_or_else(unlike)? };
        let mut outcomes = Vec::new();
        for (ask, calls) in &self.several {
            outcomes.extend((0..*calls).map(|_| self.policy.step(&mut state, now, *ask)));
        }
        let granted: u64 = outcomes.iter().map(|outcome| outcome.granted).sum();
        if granted == taken { Ok(outcomes) } else { Err(unlike()) }
    }
}

/// The outcomes in the script's reply to a call: the answers, in a list with the failures where there are any.
pub fn read_answers(reply: Value, expected: &Expected) -> Answers {
    let parts = if let Value::Array(parts) = reply { parts } else { vec![reply] };
    let mut parts = parts.into_iter();
    let Some(Value::BulkString(packed)) = parts.next() else {
        return Err(unexpected());
    };
    let mut packed = packed.as_slice();
    let mut answers = Vec::with_capacity(expected.keys);
    let mut shared = Vec::new();
    let mut merged = expected.merged.iter().peekable();
    for key in 0..expected.keys {
        answers.push(match merged.next_if(|merged| merged.key == key) {
            Some(merged) => {
                let outcomes = merged.read(&mut packed).ok_or_else(unexpected)?;
                let (outcomes, answer) = match outcomes {
                    Ok(outcomes) => (outcomes, Ok(Outcome::forgotten(Micros::ZERO))),
                    Err(error) => (Vec::new(), Err(error)),
                };
                shared.push((key, outcomes.into_iter()));
                answer
            }
            None => read_outcome(&mut packed).ok_or_else(unexpected)?,
        });
    }
    while let (Some(Value::Int(request)), Some(Value::BulkString(message))) = (parts.next(), parts.next()) {
        let index = request.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let failed = index.and_then(|index| answers.get_mut(index));
        *failed.ok_or_else(unexpected)? = Err(read_failure(&String::from_utf8_lossy(&message)));
    }
    if !packed.is_empty() {
        return Err(unexpected());
    }
    if shared.is_empty() { Ok(answers) } else { Ok(share_out(&answers, shared, &expected.order)) }
}

/// The answers in the order in which they were asked for. Of a key that failed all are the failure.
fn share_out(
    answers: &[Result<Outcome, Error>],
    mut shared: Vec<(usize, std::vec::IntoIter<Outcome>)>,
    order: &[usize],
) -> Vec<Result<Outcome, Error>> {
    let answer = |key: &usize| {
        answers[*key].clone().map(|alone| {
            let merged = shared.binary_search_by_key(key, |(key, _)| *key).ok();
            merged.and_then(|index| shared[index].1.next()).unwrap_or(alone)
        })
    };
    order.iter().map(answer).collect()
}

fn unexpected() -> Error {
    Error::StoreUnavailable("the script's reply has an unknown form".into())
}

/// Reads one answer off the front. The message of a failed one follows; without it nobody may take it for an admission.
fn read_outcome(packed: &mut &[u8]) -> Option<Result<Outcome, Error>> {
    let status = wire::take::<1>(packed)?;
    let mut outcome = Outcome::forgotten(Micros::ZERO);
    match status {
        1 => {
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
        }
        2 => {
            outcome.allowed = false;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.retry_after = Micros(wire::take::<7>(packed)?);
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
        }
        3 => {}
        4 => return Some(Err(unexpected())),
        5 => {
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
            outcome.delay = Micros(wire::take::<7>(packed)?);
        }
        8 => {
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
            outcome.booked = Micros(wire::take::<7>(packed)?);
        }
        9 => {
            outcome.allowed = wire::take::<1>(packed)? == 1;
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.retry_after = Micros(wire::take::<7>(packed)?);
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
            outcome.delay = Micros(wire::take::<7>(packed)?);
            outcome.booked = Micros(wire::take::<7>(packed)?);
        }
        _ => return None,
    }
    Some(Ok(outcome))
}

/// One key's failure: its own value where that is at fault, otherwise Redis as a whole (OOM, READONLY, NOPERM, MISCONF).
fn read_failure(message: &str) -> Error {
    let message = message.trim_start_matches('-');
    match message.strip_prefix("STATE ") {
        Some(reason) => Error::State(reason.to_owned()),
        None if message.starts_with("WRONGTYPE") => Error::State(message.to_owned()),
        // Other calendars, and other clocks, may be none of its trouble.
        None if message.starts_with("CALENDAR ") => Error::PartUnavailable(message[9..].to_owned()),
        None => Error::StoreUnavailable(message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::FixedWindow;

    /// Calls on the second of three keys: two of one unit, and one of three.
    fn expected() -> Expected {
        let policy = Policy::FixedWindow(FixedWindow::new(4, Micros(1_000), false));
        let merged = Merged { key: 1, policy, several: vec![(Ask::all(1), 2), (Ask::all(3), 1)] };
        Expected { keys: 3, merged: vec![merged], order: vec![1, 0, 1, 2, 1] }
    }

    /// A reply whose second key answers this.
    fn reply(second: &[u8]) -> Value {
        Value::BulkString([&[3], second, &[3]].concat())
    }

    /// That so many units were taken of a key with this state.
    fn taken(units: u8, state: &[u8]) -> Vec<u8> {
        let length = u8::try_from(state.len()).unwrap();
        [&[6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, units, 0, 0, 0, length], state].concat()
    }

    const STATE: [u8; 20] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 1];

    #[test]
    fn each_call_gets_its_own_answer_in_its_place() {
        let answers = read_answers(reply(&taken(2, &STATE)), &expected()).unwrap();
        let told: Vec<_> =
            answers.into_iter().map(|answer| answer.map(|told| (told.allowed, told.remaining))).collect();
        assert_eq!(told, [Ok((true, 2)), Ok((true, 0)), Ok((true, 1)), Ok((true, 0)), Ok((false, 1))]);
    }

    /// Were it believed, calls would be told what Redis has not counted.
    #[test]
    fn what_does_not_follow_from_the_state_is_an_error_of_its_key() {
        let mut other = STATE;
        other[0] = 9;
        for second in [taken(3, &STATE), taken(2, &STATE[1..]), taken(2, &other)] {
            let answers = read_answers(reply(&second), &expected()).unwrap();
            let is_error: Vec<bool> = answers.iter().map(Result::is_err).collect();
            assert_eq!(is_error, [true, false, true, false, true]);
        }
    }

    #[test]
    fn answers_that_were_given_one_by_one_are_taken_so() {
        let each = |remaining| [&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, remaining], &[0; 7][..]].concat();
        let answers = read_answers(reply(&[vec![7], each(5), each(4), each(1)].concat()), &expected()).unwrap();
        let left: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().remaining).collect();
        assert_eq!(left, [5, 0, 4, 0, 1]);
    }

    #[test]
    fn a_reply_that_is_cut_off_is_none() {
        let whole = taken(2, &STATE);
        for length in 0..whole.len() {
            assert!(read_answers(reply(&whole[..length]), &expected()).is_err());
        }
    }
}
