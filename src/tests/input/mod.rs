//! Bad input: its class, its code, and a sentence that says which option, what was given and what is expected.

mod servers;

use crate::algorithm::{Policy, SlidingWindow, TokenBucket};
use crate::calendar::Unit;
use crate::clock::Micros;
use crate::error::{Class, Error};
use crate::fallback::OnStoreError;
use crate::input::Given;
use crate::policy::{self, MAX_UNITS, MAX_WINDOW};
use crate::settings::{self, CallOptions, Settings};
use crate::store::redis::Topology;

const OPTION: &str = "ERR_RATE_LIMIT_OPTION";
const UNKNOWN: &str = "ERR_RATE_LIMIT_UNKNOWN_OPTION";
const COST: &str = "ERR_RATE_LIMIT_COST";

fn number(number: f64) -> Given {
    Given::Number(number)
}

fn text(text: &str) -> Given {
    Given::Text(text.into())
}

fn record(fields: &[(&str, Given)]) -> Given {
    Given::Record(fields.iter().map(|(name, given)| ((*name).into(), given.clone())).collect())
}

/// The options of a limit of 100 a minute, with others added or in place of these.
fn options(fields: &[(&str, Given)]) -> Given {
    let mut all = vec![("limit", number(100.0)), ("window", text("1m"))];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
    all.extend_from_slice(fields);
    record(&all)
}

fn refusal(fields: &[(&str, Given)]) -> Error {
    Settings::read(&options(fields)).expect_err(&format!("{fields:?} was accepted"))
}

fn policy_of(settings: &Settings) -> Policy {
    settings.plan.limits.only().unwrap().policy
}

fn fallback_of(settings: &Settings) -> Policy {
    settings.plan.limits.only().unwrap().fallback
}

fn cost_of(settings: &Settings, options: &Given) -> Result<u64, Error> {
    let options = CallOptions::read("a call", options, CallOptions::known())?;
    policy::cost("cost", settings.plan.limits.capacity(), options.cost.as_ref())
}

/// Asserts that an error is of this class and code and says all of these.
fn assert_says(error: &Error, class: Class, code: &str, says: &[&str]) {
    let message = error.to_string();
    assert_eq!((error.class(), error.code()), (class, code), "{message}");
    for part in says {
        assert!(message.contains(part), "'{part}' is missing in: {message}");
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let settings = Settings::read(&options(&[])).unwrap();
    let policy = Policy::SlidingWindow(SlidingWindow::new(100, Micros::from_millis(60_000), 32));
    assert_eq!((policy_of(&settings), fallback_of(&settings)), (policy, policy));
    assert!(settings.redis.is_none());
    assert_eq!(settings.plan.prefix, "rl");
    assert_eq!(settings.timeout, Micros::from_millis(100));
    assert_eq!((settings.max_pending, settings.max_memory), (16_384, 64 << 20));
    assert_eq!(settings.on_store_error, OnStoreError::Local);
    assert_eq!(settings.deny_cache, None, "there is nobody to ask");
    let settings = Settings::read(&options(&[("redisUrl", text("redis://localhost"))])).unwrap();
    assert_eq!(settings.deny_cache, Some(Micros::from_millis(1_000)));
}

#[test]
fn what_is_given_is_taken() {
    let settings = Settings::read(&options(&[
        ("algorithm", text("token-bucket")),
        ("burst", number(250.0)),
        ("redisUrl", text("redis://me:secret@cache.example:7000/3")),
        ("prefix", text("api")),
        ("timeout", text("1m")),
        ("maxPending", number(1.0)),
        ("driver", text("loop")),
        ("maxMemory", text("256gb")),
        ("denyCache", text("10s")),
        ("onStoreError", text("throw")),
        ("fallback", record(&[("limit", number(10.0))])),
        ("logger", Given::Other("an object with methods")),
    ]))
    .unwrap();
    let minute = Micros::from_millis(60_000);
    assert_eq!(policy_of(&settings), Policy::TokenBucket(TokenBucket::new(100, minute, 250)));
    assert_eq!(
        fallback_of(&settings),
        Policy::TokenBucket(TokenBucket::new(10, minute, 10)),
        "a bucket as large as its limit"
    );
    assert!(matches!(settings.redis.unwrap().topology, Topology::One(_)));
    assert_eq!(settings.plan.prefix, "api");
    assert_eq!(settings.timeout, minute);
    assert_eq!((settings.max_pending, settings.max_memory), (1, 256 << 30));
    assert_eq!(settings.on_store_error, OnStoreError::Throw);
    assert_eq!(settings.deny_cache, Some(Micros::from_millis(10_000)));
    let settings = options(&[("redisUrl", text("redis://localhost")), ("denyCache", Given::Flag(false))]);
    assert_eq!(Settings::read(&settings).unwrap().deny_cache, None);
}

#[test]
fn the_fallback_takes_from_the_limit_what_it_does_not_say() {
    fn fallback(fields: &[(&str, Given)]) -> Policy {
        fallback_of(&Settings::read(&options(fields)).unwrap())
    }
    let sliding = |limit, ms| Policy::SlidingWindow(SlidingWindow::new(limit, Micros::from_millis(ms), 32));
    assert_eq!(fallback(&[("fallback", record(&[("limit", number(7.0))]))]), sliding(7, 60_000));
    assert_eq!(fallback(&[("fallback", record(&[("window", text("2s"))]))]), sliding(100, 2_000));
    assert_eq!(fallback(&[("fallback", record(&[]))]), sliding(100, 60_000));
    let bucket = [
        ("algorithm", text("token-bucket")),
        ("burst", number(250.0)),
        ("fallback", record(&[("window", text("2s"))])),
    ];
    assert_eq!(fallback(&bucket), Policy::TokenBucket(TokenBucket::new(100, Micros::from_millis(2_000), 250)));
}

#[test]
fn a_fallback_is_shared_where_it_says_so_and_an_actions_where_the_limiters_is() {
    fn are_shared(fields: &[(&str, Given)]) -> [bool; 2] {
        let plan = Settings::read(&options(fields)).unwrap().plan;
        let own = plan.actions.get("a").map_or(plan.limits.clone(), Clone::clone);
        [plan.limits, own].map(|limits| limits.only().unwrap().is_shared)
    }
    let share = || ("fallback", record(&[("share", text("fleet"))]));
    let actions = |fields: &[(&str, Given)]| {
        let numbers = [("limit", number(1.0)), ("window", number(1.0))];
        ("actions", record(&[("a", record(&[&numbers, fields].concat()))]))
    };
    assert_eq!(are_shared(&[]), [false, false]);
    assert_eq!(are_shared(&[("fallback", record(&[("limit", number(5.0))]))]), [false, false]);
    assert_eq!(are_shared(&[share()]), [true, true]);
    assert_eq!(are_shared(&[share(), actions(&[])]), [true, true]);
    assert_eq!(are_shared(&[actions(&[share()])]), [false, true]);
    let cache = [share(), ("cacheClient", Given::Record(vec![]))];
    assert_eq!(Settings::read(&options(&cache)).unwrap_err().code(), "ERR_RATE_LIMIT_UNSUPPORTED");
}

/// Options, the class of their error, and what it must say.
type BadOption<'a> = (&'a [(&'a str, Given)], Class, &'a [&'a str]);

#[test]
fn a_bad_option_is_named_with_what_was_given_and_what_is_expected() {
    let whole_limit = "a whole number from 1 to 4294967296";
    let a_window = "a duration from 1 µs to 3650 days";
    let bucket = ("algorithm", text("token-bucket"));
    let null = Given::Other("null");
    let calendar = |fields: &[(&str, Given)]| ("window", record(fields));
    let day = |fields: &[(&str, Given)]| calendar(&[&[("calendar", text("day"))], fields].concat());
    let table: &[BadOption] = &[
        (&[("limit", Given::Missing)], Class::Type, &["`limit`", whole_limit, "nothing was given"]),
        (&[("limit", number(0.0))], Class::Range, &["`limit`", whole_limit, "0 was given"]),
        (&[("limit", number(-1.0))], Class::Range, &["`limit`", "-1 was given"]),
        (&[("limit", number(1.5))], Class::Range, &["`limit`", "1.5 was given"]),
        (&[("limit", number(f64::NAN))], Class::Range, &["`limit`", "NaN was given"]),
        (&[("limit", number(f64::INFINITY))], Class::Range, &["`limit`", " Infinity was given"]),
        (&[("limit", number(f64::NEG_INFINITY))], Class::Range, &["`limit`", "-Infinity was given"]),
        (&[("limit", number(4_294_967_297.0))], Class::Range, &["`limit`", "4294967297 was given"]),
        (&[("limit", number(1e300))], Class::Range, &["`limit`", whole_limit]),
        (&[("limit", text("100"))], Class::Type, &["`limit`", "the string '100' was given"]),
        (&[("limit", null.clone())], Class::Type, &["`limit`", "null was given"]),
        (&[("window", Given::Missing)], Class::Type, &["`window`", a_window, "nothing was given"]),
        (&[("window", number(0.0))], Class::Range, &["`window`", a_window, "0 was given"]),
        (&[("window", number(-5.0))], Class::Range, &["`window`", "-5 was given"]),
        (&[("window", number(f64::NAN))], Class::Range, &["`window`", "NaN was given"]),
        (&[("window", number(f64::INFINITY))], Class::Range, &["`window`", "Infinity was given"]),
        (&[("window", text("3651d"))], Class::Range, &["`window`", "3650 days", "'3651d' was given"]),
        (&[("window", text("5 parsecs"))], Class::Range, &["`window`", "'10s'", "the string '5 parsecs' was given"]),
        (&[("window", record(&[]))], Class::Type, &["`window`", "{ calendar: 'day'", "an object was given"]),
        (
            &[calendar(&[("calendar", text("year"))])],
            Class::Range,
            &["`window.calendar`", "'day', 'week', 'month'", "'year'"],
        ),
        (&[calendar(&[("calendar", number(1.0))])], Class::Type, &["`window.calendar`", "1 was given"]),
        (
            &[day(&[("timeZone", text("Paris"))])],
            Class::Range,
            &["`window.timeZone`", "'Europe/Paris'", "'Paris' was given"],
        ),
        (&[day(&[("timeZone", text(""))])], Class::Range, &["`window.timeZone`", "'Europe/Paris'", "''"]),
        (&[day(&[("timeZone", number(2.0))])], Class::Type, &["`window.timeZone`", "2 was given"]),
        (&[day(&[("timeZone", null.clone())])], Class::Type, &["`window.timeZone`", "null was given"]),
        (&[day(&[("weekStart", text("monday"))])], Class::Type, &["`window.weekStart`", "leave it out"]),
        (
            &[calendar(&[("calendar", text("week")), ("weekStart", text("friday"))])],
            Class::Range,
            &["`window.weekStart`", "'monday', 'sunday'", "'friday'"],
        ),
        (&[day(&[]), bucket.clone()], Class::Type, &["calendar", "`algorithm: 'fixed-window'`"]),
        (&[day(&[]), ("align", Given::Flag(true))], Class::Type, &["calendar", "no `align`", "leave it out"]),
        (&[day(&[]), ("resolution", number(4.0))], Class::Type, &["calendar", "no `resolution`"]),
        (&[day(&[]), ("burst", number(4.0))], Class::Type, &["calendar", "no `burst`"]),
        (
            &[("algorithm", text("fixed"))],
            Class::Range,
            &[
                "`algorithm`",
                "'sliding-window', 'sliding-counter', 'fixed-window', 'token-bucket', 'leaky-bucket'",
                "'fixed'",
            ],
        ),
        (&[("algorithm", number(1.0))], Class::Type, &["`algorithm`", "'token-bucket'", "1 was given"]),
        (
            &[("burst", number(5.0))],
            Class::Type,
            &["`burst`", "{ extra: 5", "`algorithm: 'token-bucket'`", "5 was given"],
        ),
        (&[bucket.clone(), ("burst", number(0.0))], Class::Range, &["`burst`", whole_limit, "0 was given"]),
        (&[bucket.clone(), ("burst", text("5"))], Class::Type, &["`burst`", "the string '5' was given"]),
        (
            &[bucket.clone(), ("limit", number(1.0)), ("burst", number(4_294_967_296.0))],
            Class::Range,
            &["`burst` / `limit` * `window`", "3650 days", "2982616 days were given"],
        ),
        (&[bucket, ("resolution", number(5.0))], Class::Type, &["`resolution`", "`algorithm: 'sliding-window'`"]),
        (&[("resolution", number(0.0))], Class::Range, &["`resolution`", "from 1 to 1024", "0 was given"]),
        (&[("resolution", number(1_025.0))], Class::Range, &["`resolution`", "from 1 to 1024", "1025 was given"]),
        (&[("resolution", null.clone())], Class::Type, &["`resolution`", "null was given"]),
        (&[("prefix", text(""))], Class::Range, &["`prefix`", "1 to 128 characters", "the string '' was given"]),
        (&[("prefix", text(&"é".repeat(129)))], Class::Range, &["`prefix`", "1 to 128 characters", "ééé…' was given"]),
        (&[("prefix", number(1.0))], Class::Type, &["`prefix`", "1 was given"]),
        (&[("timeout", number(0.5))], Class::Range, &["`timeout`", "from 1 ms to 1 m", "0.5 was given"]),
        (&[("timeout", text("61s"))], Class::Range, &["`timeout`", "from 1 ms to 1 m", "'61s' was given"]),
        (&[("timeout", null.clone())], Class::Type, &["`timeout`", "null was given"]),
        (&[("maxPending", number(0.0))], Class::Range, &["`maxPending`", "from 1 to 1048576", "0 was given"]),
        (&[("maxPending", number(1_048_577.0))], Class::Range, &["`maxPending`", "1048577 was given"]),
        (&[("driver", text("Loop"))], Class::Range, &["`driver`", "'loop', 'thread'", "'Loop' was given"]),
        (&[("driver", number(1.0))], Class::Type, &["`driver`", "1 was given"]),
        (&[("maxMemory", number(0.0))], Class::Range, &["`maxMemory`", "from 64 kb to 256 gb", "0 was given"]),
        (
            &[("denyCache", number(0.5))],
            Class::Range,
            &["`denyCache`", "from 1 ms to 1 m", "or false", "0.5 was given"],
        ),
        (&[("denyCache", Given::Flag(true))], Class::Type, &["`denyCache`", "or false", "a boolean was given"]),
        (&[("maxMemory", text("64MB"))], Class::Range, &["`maxMemory`", "'64mb'", "64MB"]),
        (
            &[("onStoreError", text("ignore"))],
            Class::Range,
            &["`onStoreError`", "'local', 'allow', 'deny', 'throw'", "'ignore'"],
        ),
        (&[("onStoreError", null.clone())], Class::Type, &["`onStoreError`", "null was given"]),
        (&[("fallback", null)], Class::Type, &["`fallback`", "{ limit: 50, window: '1m' }", "null was given"]),
        (
            &[("fallback", record(&[("limit", number(0.0))]))],
            Class::Range,
            &["`fallback.limit`", whole_limit, "0 was given"],
        ),
        (
            &[("fallback", record(&[("window", text("soon"))]))],
            Class::Range,
            &["`fallback.window`", "'soon' was given"],
        ),
    ];
    for (fields, class, says) in table {
        assert_says(&refusal(fields), *class, OPTION, says);
    }
}

#[test]
fn options_that_are_no_object_are_refused() {
    for (given, shown) in
        [(Given::Missing, "nothing was given"), (number(100.0), "100 was given"), (text("100/m"), "the string '100/m'")]
    {
        let error = Settings::read(&given).unwrap_err();
        assert_says(&error, Class::Type, OPTION, &["`options`", "{ limit: 100, window: '1m' }", shown]);
    }
}

#[test]
fn a_misspelt_option_is_an_error_that_suggests_the_right_one() {
    for (given, meant) in [
        ("windwo", "window"),
        ("windows", "window"),
        ("Limit", "limit"),
        ("redisURL", "redisUrl"),
        ("redis_url", "redisUrl"),
        ("maxpending", "maxPending"),
        ("onstoreErrors", "onStoreError"),
        ("busrt", "burst"),
    ] {
        let says = [format!("`{given}`"), format!("did you mean `{meant}`?")];
        assert_says(&refusal(&[(given, number(1.0))]), Class::Type, UNKNOWN, &says.each_ref().map(String::as_str));
    }
}

#[test]
fn a_name_that_is_like_no_other_is_answered_by_all_that_there_are() {
    let error = refusal(&[("colour", text("blue"))]);
    assert_says(
        &error,
        Class::Type,
        UNKNOWN,
        &["`colour`", "limit, window, limits, actions, newKeys, overrides, allow, deny", "redisUrl, cluster", "logger"],
    );
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[test]
fn an_unknown_name_within_the_fallback_is_an_error_too() {
    let error = refusal(&[("fallback", record(&[("limti", number(1.0))]))]);
    assert_says(&error, Class::Type, UNKNOWN, &["`fallback` has no `limti`", "did you mean `limit`?"]);
}

/// The window that these options give, in microseconds.
fn window(given: Given) -> Result<u64, Error> {
    Settings::read(&options(&[("window", given)])).map(|settings| policy_of(&settings).numbers()[1])
}

#[test]
fn durations_are_milliseconds_or_have_a_unit() {
    for (given, micros) in [
        (number(0.001), 1),
        (number(1.0), 1_000),
        (number(1.5), 1_500),
        (number(0.000_6), 1),
        (text("500ms"), 500_000),
        (text("10s"), 10_000_000),
        (text("1m"), 60_000_000),
        (text("1h"), 3_600_000_000),
        (text("1d"), 86_400_000_000),
        (text("1.5s"), 1_500_000),
        (text("0.001ms"), 1),
        (text("0.1s"), 100_000),
        (text("007s"), 7_000_000),
        (text("3650d"), MAX_WINDOW.0),
        (number(315_360_000_000.0), MAX_WINDOW.0),
    ] {
        assert_eq!(window(given.clone()), Ok(micros), "{given}");
    }
}

#[test]
fn other_texts_and_numbers_are_no_durations() {
    let texts = [
        "",
        "5",
        "ms",
        "s5",
        "5 s",
        " 5s",
        "5s ",
        "5S",
        "5 parsecs",
        "5w",
        "5us",
        "+5s",
        "-5s",
        "5e3ms",
        "0x5s",
        ".5s",
        "5.s",
        "1.2.3s",
        "1,5s",
        "1m30s",
        "٣s",
        "0s",
        "0.0004ms",
        "infinitys",
        "NaNs",
        "3650.1d",
    ];
    let numbers = [0.0, -0.0, 0.000_4, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 315_360_000_000.001, 1e300];
    for given in texts.map(text).into_iter().chain(numbers.map(number)) {
        let error = window(given.clone()).expect_err(&format!("{given} was accepted"));
        assert_says(&error, Class::Range, OPTION, &["`window`"]);
    }
}

#[test]
fn a_cost_is_a_whole_number_from_one_to_the_capacity() {
    let settings = Settings::read(&options(&[])).unwrap();
    let cost = |given| cost_of(&settings, &record(&[("cost", given)]));
    assert_eq!(cost_of(&settings, &Given::Missing), Ok(1));
    assert_eq!(cost_of(&settings, &record(&[])), Ok(1));
    assert_eq!(cost(Given::Missing), Ok(1));
    assert_eq!(cost(number(1.0)), Ok(1));
    assert_eq!(cost(number(100.0)), Ok(100));
    for (given, class, shown) in [
        (number(0.0), Class::Range, "0 was given"),
        (number(-1.0), Class::Range, "-1 was given"),
        (number(0.5), Class::Range, "0.5 was given"),
        (number(101.0), Class::Range, "101 was given"),
        (number(f64::NAN), Class::Range, "NaN was given"),
        (text("1"), Class::Type, "the string '1' was given"),
        (Given::Other("null"), Class::Type, "null was given"),
    ] {
        assert_says(&cost(given).unwrap_err(), class, COST, &["`cost`", "a whole number from 1 to 100", shown]);
    }
}

/// A bucket may hold more than comes back in a window, or less, and no call can take what it never holds.
#[test]
fn the_most_that_a_call_may_cost_is_the_burst_of_a_bucket() {
    let bucket = options(&[("algorithm", text("token-bucket")), ("burst", number(3.0))]);
    let settings = Settings::read(&bucket).unwrap();
    let cost = |given| cost_of(&settings, &record(&[("cost", number(given))]));
    assert_eq!(cost(3.0), Ok(3));
    assert_says(&cost(4.0).unwrap_err(), Class::Range, COST, &["`cost`", "from 1 to 3", "4 was given"]);
}

#[test]
fn the_options_of_a_call_are_checked() {
    let settings = Settings::read(&options(&[])).unwrap();
    let misspelt = cost_of(&settings, &record(&[("costs", number(2.0))])).unwrap_err();
    assert_says(&misspelt, Class::Type, UNKNOWN, &["`costs`", "did you mean `cost`?"]);
    let no_object = cost_of(&settings, &number(2.0)).unwrap_err();
    assert_says(&no_object, Class::Type, OPTION, &["`options`", "{ cost: 2 }", "2 was given"]);
}

#[test]
fn the_timeout_of_ready_is_checked() {
    let timeout = |given| settings::read_ready_timeout(&record(&[("timeout", given)]));
    assert_eq!(settings::read_ready_timeout(&Given::Missing), Ok(Micros::from_millis(5_000)));
    assert_eq!(timeout(Given::Missing), Ok(Micros::from_millis(5_000)));
    assert_eq!(timeout(text("1h")), Ok(Micros::from_millis(3_600_000)));
    assert_says(
        &timeout(number(0.0)).unwrap_err(),
        Class::Range,
        OPTION,
        &["`timeout`", "from 1 ms to 60 m", "0 was given"],
    );
    assert_says(&settings::read_ready_timeout(&text("5s")).unwrap_err(), Class::Type, OPTION, &["`options`", "'5s'"]);
}

/// The largest numbers that are accepted stay below 2^53 in every sum and in every field that is packed for Lua.
#[test]
fn the_largest_limits_are_accepted() {
    let most = number(4_294_967_296.0);
    for (algorithm, burst) in [("sliding-window", Given::Missing), ("token-bucket", most.clone())] {
        let settings = Settings::read(&options(&[
            ("limit", most.clone()),
            ("window", text("3650d")),
            ("algorithm", text(algorithm)),
            ("burst", burst),
        ]))
        .unwrap();
        assert_eq!(policy_of(&settings).capacity(), MAX_UNITS);
        assert!(policy_of(&settings).numbers().iter().all(|number| *number < 1 << 53));
        assert_eq!(cost_of(&settings, &record(&[("cost", most.clone())])), Ok(MAX_UNITS));
    }
}

#[test]
fn a_window_may_be_a_calendar_s() {
    let read = |fields: &[(&str, Given)]| Settings::read(&options(&[("window", record(fields))]));
    let told = |fields: &[(&str, Given)]| {
        let described = read(fields).unwrap().plan.described().remove(0);
        let periods = described.calendar.expect("it is one");
        (described.algorithm, periods.unit(), periods.zone())
    };
    let week = ("calendar", text("week"));
    assert_eq!(told(&[("calendar", text("day"))]), ("fixed-window", Unit::Day, "UTC"));
    assert_eq!(told(&[week.clone(), ("weekStart", text("monday"))]), ("fixed-window", Unit::Week, "UTC"));
    assert_eq!(told(&[week, ("weekStart", text("sunday"))]), ("fixed-window", Unit::WeekFromSunday, "UTC"));
    let paris = [("calendar", text("month")), ("timeZone", text("europe/paris"))];
    assert_eq!(told(&paris), ("fixed-window", Unit::Month, "Europe/Paris"));
    let settings = read(&paris).unwrap();
    assert_eq!(settings.plan.limits.only().unwrap().namespace(), "rl:default:calendar:");
    // Of one key all windows are of one kind, since what is remembered is.
    let template = &settings.plan.template;
    assert!(template.build(&number(5.0), &record(&[("calendar", text("day"))])).is_ok());
    let error = template.build(&number(5.0), &text("1d")).unwrap_err();
    assert_says(&error, Class::Type, OPTION, &["`window`", "{ calendar: 'day' }"]);
    let lengths = Settings::read(&options(&[])).unwrap().plan.template;
    let error = lengths.build(&number(5.0), &record(&paris)).unwrap_err();
    assert_says(&error, Class::Type, OPTION, &["`window`", "'1d'"]);
    let cache = Settings::read(&options(&[("window", record(&paris)), ("cacheClient", record(&[]))])).unwrap_err();
    assert_says(&cache, Class::Plain, "ERR_RATE_LIMIT_UNSUPPORTED", &["calendar", "`redisUrl`"]);
}
