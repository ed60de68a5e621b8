//! Whatever answers in Redis's place: its reply is as many answers as there are keys, or an error. None of them is invented.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use distributed_rate_limiter::decision::{Decision, Source};
use distributed_rate_limiter::store::redis::script::read_answers;
use distributed_rate_limiter_fuzz::{Numbers, is_worded};
use libfuzzer_sys::fuzz_target;
use redis::Value;

fuzz_target!(|input: Input| {
    let Input { reply, keys, failed, numbers } = input;
    match read_answers(reply, keys.into()) {
        Ok(answers) => {
            assert_eq!(answers.len(), usize::from(keys));
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
    keys: u8,
    /// How many keys the reply says have failed, where it was made to be read.
    failed: Option<usize>,
    numbers: Numbers,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let numbers = u.arbitrary()?;
        if u.ratio(1, 4)? {
            return Ok(Self { keys: u.arbitrary()?, failed: None, numbers, reply: value(u, 3)? });
        }
        let keys = u.int_in_range(0..=20u8)?;
        let (mut packed, mut failed) = (Vec::new(), 0);
        for _ in 0..keys {
            let status = u.int_in_range(1..=5u8)?;
            failed += usize::from(status == 4);
            packed.push(status);
            packed.extend_from_slice(u.bytes([17, 19, 0, 0, 24][usize::from(status) - 1])?);
        }
        let mut parts = vec![Value::BulkString(packed)];
        for _ in 0..u.int_in_range(0..=4)? {
            parts.push(if u.ratio(7, 8)? { Value::Int(u.int_in_range(-1..=21)?) } else { value(u, 1)? });
            parts.push(if u.ratio(7, 8)? { Value::BulkString(u.arbitrary()?) } else { value(u, 1)? });
        }
        Ok(Self { reply: Value::Array(parts), keys, failed: Some(failed), numbers })
    }
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
