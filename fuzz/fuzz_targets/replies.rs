//! Whatever answers in Redis's place: its reply is as many answers as there are keys, or an error. None of them is invented.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use std::sync::Arc;

use distributed_rate_limiter::algorithm::Policy;
use distributed_rate_limiter::clock::WallClock;
use distributed_rate_limiter::decision::{Decision, Source};
use distributed_rate_limiter::key::Key;
use distributed_rate_limiter::limits::{By, Limit, Limits};
use distributed_rate_limiter::store::redis::script::{Expected, Packed, read_answers};
use distributed_rate_limiter::store::{Request, Verb, When};
use distributed_rate_limiter_fuzz::{Numbers, ask, is_worded};
use libfuzzer_sys::fuzz_target;
use redis::Value;

fuzz_target!(|input: Input| {
    let Input { reply, expected, calls, failed, numbers } = input;
    match read_answers(reply, &expected) {
        Ok(answers) => {
            assert_eq!(answers.len(), calls);
            if let Some(failed) = failed {
                let errors = answers.iter().filter(|answer| answer.is_err()).count();
                assert!(errors >= failed, "{failed} keys failed, and {errors} are told so");
            }
            let policy = numbers.policy();
            for answer in answers {
                match (answer, policy) {
                    (Ok(outcome), Some(policy)) => drop(Decision::of_one(&policy, &outcome, Source::Redis)),
                    (Ok(_), None) => {}
                    (Err(error), _) => is_worded(&error),
                }
            }
        }
        Err(error) => is_worded(&error),
    }
});

#[derive(Debug)]
struct Input {
    reply: Value,
    expected: Expected,
    calls: usize,
    /// How many keys the reply says have failed, where it was made to be read.
    failed: Option<usize>,
    numbers: Numbers,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let numbers: Numbers = u.arbitrary()?;
        let keys = u.int_in_range(0..=20u8)?;
        if u.ratio(1, 4)? {
            let (expected, calls) = (Expected::of_each(keys.into()), keys.into());
            return Ok(Self { expected, calls, failed: None, numbers, reply: value(u, 3)? });
        }
        let (mut packed, mut failed) = (Vec::new(), 0);
        for _ in 0..keys {
            let status = u.int_in_range(1..=6u8)?;
            failed += usize::from(status == 4);
            packed.push(status);
            packed.extend_from_slice(u.bytes([17, 19, 0, 0, 24, 7][usize::from(status) - 1])?);
            if status == 6 {
                taken(u, &mut packed)?;
            }
        }
        let merged = match numbers.policy() {
            Some(policy) if u.ratio(1, 2)? => Some(several(u, policy, keys)?),
            _ => None,
        };
        let is_merged = merged.is_some();
        let (expected, calls) = merged.unwrap_or_else(|| (Expected::of_each(keys.into()), keys.into()));
        let mut parts = vec![Value::BulkString(packed)];
        for _ in 0..u.int_in_range(0..=4)? {
            parts.push(if u.ratio(7, 8)? { Value::Int(u.int_in_range(-1..=21)?) } else { value(u, 1)? });
            parts.push(if u.ratio(7, 8)? { Value::BulkString(u.arbitrary()?) } else { value(u, 1)? });
        }
        let failed = (!is_merged).then_some(failed);
        Ok(Self { reply: Value::Array(parts), expected, calls, failed, numbers })
    }
}

/// How much was taken of a state, and something that may be one.
fn taken(u: &mut Unstructured<'_>, packed: &mut Vec<u8>) -> Result<()> {
    packed.extend_from_slice(&[0, 0, 0, 0, 0, 0, u.int_in_range(0..=20u8)?]);
    let length = *u.choose(&[0, 10, 20, 25, 27, 30, 37, 49])?;
    packed.extend_from_slice(&[0, length]);
    let state = u.bytes(length.into())?;
    packed.extend(state.iter().enumerate().map(|(index, byte)| if index == 0 { 1 } else { *byte }));
    Ok(())
}

/// Calls on up to so many keys, more than one on some of them; by what their answers are read, and how many there are.
fn several(u: &mut Unstructured<'_>, policy: Policy, keys: u8) -> Result<(Expected, usize)> {
    let limits = Arc::new(Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)]));
    let mut requests = Vec::new();
    for key in 0..keys {
        let verb = Verb::Decide(ask(u, policy.capacity())?);
        let keys = [Key::from_normal(&[b'a' + key])].into_iter().collect();
        let request = Request { limits: limits.clone(), keys, verb, when: When::Now };
        requests.extend((0..u.int_in_range(1..=3u8)?).map(|_| request.clone()));
    }
    Ok((Packed::of(&mut requests.iter(), &WallClock).expected().clone(), requests.len()))
}

fn value(u: &mut Unstructured<'_>, depth: u8) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 7 } else { 9 })? {
        0 => Value::Nil,
        1 => Value::Int(u.arbitrary()?),
        2 => Value::BulkString(u.arbitrary()?),
        3 => Value::SimpleString(u.arbitrary()?),
        4 => Value::Okay,
        5 => Value::Double(u.arbitrary()?),
        6 => Value::Boolean(u.arbitrary()?),
        7 => Value::Int(*u.choose(&[i64::MIN, i64::MAX, 0, 1, -1])?),
        8 => Value::Set(vec![value(u, depth - 1)?]),
        _ => Value::Array((0..u.int_in_range(0..=5)?).map(|_| value(u, depth - 1)).collect::<Result<_>>()?),
    })
}
