//! What is no rule, and what is said of it.

use super::{limit, list, read, record, text_of};
use crate::error::Class;
use crate::input::Given;
use crate::settings::Settings;

#[test]
fn what_is_no_rule_is_refused_with_a_reason() {
    let extends = |name: &str| record(&[("extends", text_of(name)), ("limit", Given::Number(1.0))]);
    let many: Vec<String> = (0..=100_000).map(|number| format!("user:{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "x".repeat(257);
    let by = record(&[
        ("name", text_of("n")),
        ("by", text_of("user")),
        ("limit", Given::Number(1.0)),
        ("window", text_of("1m")),
    ]);
    let two = |name: &str| record(&[("name", text_of(name)), ("limit", Given::Number(1.0)), ("window", text_of("1m"))]);
    let several = |limits: &[Given], more: (&'static str, Given)| {
        let all = record(&[("limits", Given::List(limits.to_vec())), more]);
        Settings::read(&all).unwrap_err()
    };
    let refused = |fields: &[(&str, Given)]| read(fields).expect_err(&format!("{fields:?} was accepted"));
    for (error, class, says) in [
        (refused(&[("allow", text_of("a"))]), Class::Type, "`allow` must be an array of patterns"),
        (refused(&[("deny", Given::List(vec![Given::Number(1.0)]))]), Class::Type, "`deny[0]` must be a pattern"),
        (refused(&[("deny", list(&[""]))]), Class::Range, "`deny[0]` ('') is a pattern of 0 characters"),
        (refused(&[("deny", list(&[&long]))]), Class::Range, "of 257 characters: give it 1 to 256"),
        (
            refused(&[("deny", list(&["ok", "a*b"]))]),
            Class::Range,
            "`deny[1]` ('a*b') is a pattern whose `*` is not at the end",
        ),
        (refused(&[("allow", list(&["10.0.0.1/8"]))]), Class::Range, "the network 10.0.0.0/8: write that"),
        (
            refused(&[("allow", list(&["a"])), ("deny", list(&["b", "a"]))]),
            Class::Type,
            "`allow[0]` ('a') and `deny[1]` ('a') match the same keys",
        ),
        (
            refused(&[("allow", list(&["/a/:x"])), ("overrides", record(&[("/a/:y", limit(1.0))]))]),
            Class::Type,
            "`allow[0]` ('/a/:x') and `overrides` of '/a/:y' match the same keys",
        ),
        (
            refused(&[("actions", record(&[("/a/:x", limit(1.0)), ("/a/:y", limit(1.0))]))]),
            Class::Type,
            "`actions` of '/a/:x' and `actions` of '/a/:y' match the same actions",
        ),
        (refused(&[("deny", list(&many))]), Class::Range, "up to 100000 patterns, but 100001 were given"),
        (refused(&[("overrides", list(&["a"]))]), Class::Type, "`overrides` must be an object"),
        (
            refused(&[("overrides", record(&[("a", limit(0.0))]))]),
            Class::Range,
            "`overrides.a.limit` must be a whole number",
        ),
        (
            refused(&[("overrides", record(&[("a", record(&[("limt", Given::Number(1.0))]))]))]),
            Class::Type,
            "did you mean `limit`?",
        ),
        (
            refused(&[("overrides", record(&[("a", record(&[("policy", text_of("gold"))]))]))]),
            Class::Range,
            "`overrides.a.policy` is 'gold', which is none of `policies`",
        ),
        (
            refused(&[(
                "overrides",
                record(&[("a", record(&[("policy", text_of("g")), ("limit", Given::Number(1.0))]))]),
            )]),
            Class::Type,
            "were both given",
        ),
        (
            refused(&[(
                "overrides",
                record(&[(
                    "a",
                    record(&[
                        ("limit", Given::Number(1.0)),
                        ("window", text_of("1m")),
                        ("burst", record(&[("extra", Given::Number(1.0)), ("window", text_of("1m"))])),
                    ]),
                )]),
            )]),
            Class::Type,
            "`overrides.a.burst` was given where",
        ),
        (
            refused(&[("policies", record(&[("a", extends("b")), ("b", extends("c")), ("c", extends("b"))]))]),
            Class::Type,
            "in a loop, b → c → b",
        ),
        (refused(&[("policies", record(&[("a", extends("a"))]))]), Class::Type, "in a loop, a → a"),
        (refused(&[("policies", record(&[("a", extends("b"))]))]), Class::Range, "`policies.a.extends` is 'b'"),
        (refused(&[("policies", record(&[("a b", limit(1.0))]))]), Class::Range, "a name is 1 to 64 letters"),
        (
            refused(&[("policies", record(&[("a", record(&[("limit", Given::Number(1.0))]))]))]),
            Class::Type,
            "`policies.a.window` must be a duration",
        ),
        (
            several(std::slice::from_ref(&by), ("deny", list(&["a"]))),
            Class::Type,
            "`deny` must be an object by the fields of the key",
        ),
        (
            several(&[two("x"), two("y")], ("overrides", record(&[("a", limit(1.0))]))),
            Class::Type,
            "`overrides` is for a limiter with one limit",
        ),
    ] {
        let message = error.to_string();
        assert_eq!(error.class(), class, "{message}");
        assert!(message.contains(says), "'{says}' is missing in: {message}");
    }
}
