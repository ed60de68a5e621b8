//! The options that name servers: what is read of them, what is refused, and that no secret is ever shown.

use super::{OPTION, assert_says, number, options, record, refusal, text};
use crate::error::Class;
use crate::input::Given;
use crate::settings::Settings;
use crate::store::redis::{Address, Endpoint, Servers, Topology};

const URL: &str = "ERR_RATE_LIMIT_URL";
const UNKNOWN: &str = "ERR_RATE_LIMIT_UNKNOWN_OPTION";

fn list(texts: &[&str]) -> Given {
    Given::List(texts.iter().map(|each| text(each)).collect())
}

fn servers(fields: &[(&str, Given)]) -> Servers {
    Settings::read(&options(fields)).unwrap().redis.unwrap()
}

fn only(servers: &Servers) -> &Address {
    let Topology::One(address) = &servers.topology else { panic!("{servers:?}") };
    address
}

#[test]
fn a_malformed_url_is_refused_and_no_password_is_shown() {
    for (url, says) in [
        ("localhost:6379", "has no scheme"),
        ("user:hunter2@host", "has no scheme"),
        ("user:hunter2@host://", "has no scheme"),
        ("http://user:hunter2@host", "the scheme 'http'"),
        ("redis://user:hunter2@", "cannot be read"),
        ("redis://", "cannot be read"),
        ("redis:///0", "cannot be read"),
        ("rediss://user:hunter2@host:port", "cannot be read"),
        ("redis://user:hunter2@host:99999", "cannot be read"),
        ("redis://user:hunter2@host/one", "cannot be read"),
        ("redis://user:hunter2:@ho st", "cannot be read"),
        ("", "has no scheme"),
    ] {
        let error = refusal(&[("redisUrl", text(url))]);
        assert_says(&error, Class::Type, URL, &["`redisUrl`", "'redis://user:password@host:6379/0'", says]);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let error = refusal(&[("redisUrl", list(&["redis://host", url]))]);
        assert_says(&error, Class::Type, URL, &["`redisUrl[1]`", says]);
    }
    assert_says(&refusal(&[("redisUrl", number(6_379.0))]), Class::Type, URL, &["`redisUrl`", "6379 was given"]);
}

#[test]
fn a_password_that_was_accepted_is_not_shown_either() {
    for fields in [
        vec![("redisUrl", text("redis://user:hunter2@host"))],
        vec![("redisUrl", list(&["redis://user:hunter2@host"]))],
        vec![(
            "sentinel",
            record(&[
                ("name", text("m")),
                ("urls", list(&["redis://:hunter2@s"])),
                ("username", text("user")),
                ("password", text("hunter2")),
            ]),
        )],
    ] {
        let settings = Settings::read(&options(&fields)).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
    let servers = servers(&[("redisUrl", text("redis://user:hunter2@host"))]);
    assert_eq!(only(&servers).login().password(), Some("hunter2"));
}

#[test]
fn urls_of_servers_are_read() {
    for (url, host, port, database, is_secure) in [
        ("redis://localhost", "localhost", 6_379, 0, false),
        ("valkey://10.0.0.1:7000", "10.0.0.1", 7_000, 0, false),
        ("redis://[::1]:6380/15", "::1", 6_380, 15, false),
        ("redis://:pass@host/2", "host", 6_379, 2, false),
        ("rediss://host/2", "host", 6_379, 2, true),
        ("valkeys://[::1]", "::1", 6_379, 0, true),
    ] {
        let servers = servers(&[("redisUrl", text(url))]);
        let address = only(&servers);
        let endpoint = Endpoint::Tcp { host: host.to_owned(), port };
        assert_eq!(
            (address.endpoint(), address.login().db(), address.is_secure()),
            (&endpoint, database, is_secure),
            "{url}"
        );
        assert_eq!(servers.tls.is_some(), is_secure);
    }
    let socket = servers(&[("redisUrl", text("unix:///run/redis.sock?db=3"))]);
    assert_eq!(only(&socket).endpoint(), &Endpoint::Unix("/run/redis.sock".into()));
    assert_eq!(only(&socket).login().db(), 3);
}

#[test]
fn several_urls_are_a_cluster_and_so_is_one_that_is_called_so() {
    for fields in [
        vec![("redisUrl", list(&["redis://a", "redis://b"]))],
        vec![("redisUrl", list(&["redis://a"]))],
        vec![("redisUrl", text("redis://a")), ("cluster", Given::Flag(true))],
    ] {
        assert!(matches!(servers(&fields).topology, Topology::Cluster(_)), "{fields:?}");
    }
    for fields in [
        vec![("redisUrl", list(&["redis://a"])), ("cluster", Given::Flag(false))],
        vec![("redisUrl", text("redis://a")), ("cluster", Given::Flag(false))],
    ] {
        assert!(matches!(servers(&fields).topology, Topology::One(_)), "{fields:?}");
    }
    for (fields, code, says) in [
        (vec![("redisUrl", list(&["redis://a/1"]))], URL, "database"),
        (vec![("redisUrl", list(&["unix:///a"]))], URL, "unix socket"),
        (vec![("redisUrl", list(&[]))], OPTION, "1 to 100 URLs"),
        (
            vec![("redisUrl", list(&["redis://a", "redis://b"])), ("cluster", Given::Flag(false))],
            OPTION,
            "`cluster: false`",
        ),
        (vec![("redisUrl", text("redis://a")), ("cluster", number(1.0))], OPTION, "`cluster`"),
        (vec![("cluster", Given::Flag(true))], OPTION, "`redisUrl`"),
    ] {
        assert_says(&refusal(&fields), Class::Type, code, &[says]);
    }
}

#[test]
fn sentinels_know_a_master_by_its_name() {
    let urls = ("urls", list(&["redis://s1:26379", "redis://s2:26379"]));
    let name = ("name", text("mymaster"));
    let sentinel = |fields: &[(&str, Given)]| vec![("sentinel", record(fields))];
    let login =
        [name.clone(), urls.clone(), ("username", text("u")), ("password", text("p")), ("database", number(3.0))];
    let Topology::Sentinel { name: given, sentinels, master } = servers(&sentinel(&login)).topology else {
        panic!("it is another topology")
    };
    assert_eq!((given.as_str(), sentinels.len()), ("mymaster", 2));
    let login = master.login();
    assert_eq!((login.username(), login.password(), login.db()), (Some("u"), Some("p"), 3));
    for (fields, code, says) in [
        (sentinel(std::slice::from_ref(&urls)), OPTION, "sentinel.name"),
        (sentinel(std::slice::from_ref(&name)), OPTION, "sentinel.urls"),
        (sentinel(&[name.clone(), ("urls", list(&["redis://s/2"]))]), URL, "sentinel.database"),
        (sentinel(&[name.clone(), ("urls", list(&["nonsense"]))]), URL, "`sentinel.urls[0]`"),
        (sentinel(&[name.clone(), urls.clone(), ("url", text("a"))]), UNKNOWN, "`url`"),
        (sentinel(&[name.clone(), urls.clone(), ("password", number(5.0))]), OPTION, "sentinel.password"),
        (
            [sentinel(&[name.clone(), urls.clone()]), vec![("redisUrl", text("redis://a"))]].concat(),
            OPTION,
            "`redisUrl`",
        ),
        ([sentinel(&[name, urls]), vec![("cluster", Given::Flag(true))]].concat(), OPTION, "`cluster`"),
        (vec![("sentinel", text("redis://s"))], OPTION, "`sentinel`"),
    ] {
        assert_says(&refusal(&fields), Class::Type, code, &[says]);
    }
}

#[test]
fn certificates_are_for_those_who_speak_tls() {
    let tls = |fields: &[(&str, Given)]| vec![("redisUrl", text("rediss://a")), ("tls", record(fields))];
    for (fields, code, says) in [
        (tls(&[("ca", text("nonsense"))]), OPTION, "`tls.ca`"),
        (tls(&[("ca", text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"))]), OPTION, "`tls.ca`"),
        (tls(&[("cert", text("x"))]), OPTION, "go together"),
        (tls(&[("cert", text("x")), ("key", text("hunter2"))]), OPTION, "`tls.key`"),
        (tls(&[("serverName", text("not a name"))]), OPTION, "`tls.serverName`"),
        (tls(&[("ca", number(5.0))]), OPTION, "`tls.ca`"),
        (tls(&[("rejectUnauthorized", Given::Flag(false))]), UNKNOWN, "rejectUnauthorized"),
        (vec![("redisUrl", text("redis://a")), ("tls", record(&[]))], OPTION, "'rediss://'"),
        (vec![("tls", record(&[]))], OPTION, "`redisUrl`"),
        (vec![("redisUrl", text("rediss://a")), ("tls", text("ca"))], OPTION, "`tls`"),
    ] {
        let error = refusal(&fields);
        assert_says(&error, Class::Type, code, &[says]);
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_client_name_is_one_word() {
    let named = |name: Given| vec![("redisUrl", text("redis://a")), ("clientName", name)];
    assert_eq!(servers(&named(text("api-1"))).client_name.as_deref(), Some("api-1"));
    for (name, class) in [
        (text(""), Class::Range),
        (text("two words"), Class::Range),
        (text(&"x".repeat(65)), Class::Range),
        (number(1.0), Class::Type),
    ] {
        assert_says(&refusal(&named(name)), class, OPTION, &["`clientName`"]);
    }
    assert_says(&refusal(&[("clientName", text("a"))]), Class::Type, OPTION, &["`clientName`", "`redisUrl`"]);
}
