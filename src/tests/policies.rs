//! The policies that a fleet shares, as one script keeps them: against a model that does the obvious with a record of its fields.

use std::cell::RefCell;

use proptest::prelude::*;

use super::server::Server;
use crate::store::redis::policies::{pack, read};
use crate::store::redis::script::Script;

const KEY: &str = "rl:policies:test";
const NOW: u64 = 1_700_000_000_000_000;

/// A Redis, and what the caller has heard last.
struct Kept {
    script: Script,
    client: RefCell<redis::Connection>,
    server: Server,
}

impl Kept {
    fn new() -> Self {
        let server = Server::start();
        // Redis makes such a number of its own, so the clock goes on by a microsecond with each document.
        let clock = "local function present() return tonumber(redis.call('INCR', 'now')) end";
        let script = Script::assemble(&[clock, include_str!("../../lua/policies.lua")]);
        Self { script, client: RefCell::new(server.client()), server }
    }

    fn begin(&self) {
        self.server.say(&["FLUSHALL"]);
        self.server.say(&["SET", "now", &NOW.to_string()]);
    }

    fn ask(&self, asked: &str) -> Vec<String> {
        let command = pack(KEY, asked).command("EVAL", self.script.text());
        read(command.query(&mut self.client.borrow_mut()).unwrap()).unwrap()
    }
}

/// The fields of the hash, in the order in which the script tells them.
const FIELDS: [&str; 4] = ["version", "document", "sum", "at"];

/// What is done to it.
#[derive(Clone, Debug)]
enum Deed {
    /// A caller who knows this version stores a document, where the version is `expected`.
    Publish {
        expected: Option<u64>,
        known: u64,
        document: String,
    },
    /// Somebody writes into a field, or takes it away.
    Tamper(usize, Option<String>),
    /// Redis has lost it, or has something else.
    Lose,
    Usurp,
}

fn deed() -> impl Strategy<Value = Deed> {
    let junk = prop_oneof![
        (0..6u64).prop_map(|number| number.to_string()),
        "[a-z ]{0,3}",
        Just("9".repeat(400)),
        Just((1u64 << 53).to_string()),
        Just("1.5".into()),
    ];
    prop_oneof![
        6 => (proptest::option::of(0..8u64), 0..4u64, "[a-z,+=]{1,8}")
            .prop_map(|(expected, known, document)| Deed::Publish { expected, known, document }),
        2 => (0..4usize, proptest::option::of(junk)).prop_map(|(field, value)| Deed::Tamper(field, value)),
        1 => Just(Deed::Lose),
        1 => Just(Deed::Usurp),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum Model {
    Hash([Option<String>; 4]),
    Other,
}

const NOTHING: Model = Model::Hash([const { None }; 4]);

impl Model {
    fn shown(&self) -> Vec<String> {
        match self {
            Self::Other => vec!["damaged".into()],
            Self::Hash(fields) if fields.iter().all(|field| field.as_ref().is_none_or(String::is_empty)) => {
                // A document that is empty is none; any other field that is there is something.
                let [version, _, sum, at] = fields;
                if [version, sum, at].iter().all(|field| field.is_none()) {
                    vec!["none".into()]
                } else {
                    Self::stored(fields)
                }
            }
            Self::Hash(fields) => Self::stored(fields),
        }
    }

    fn stored(fields: &[Option<String>; 4]) -> Vec<String> {
        let fields = fields.iter().map(|field| field.clone().unwrap_or_default());
        std::iter::once("stored".to_owned()).chain(fields).collect()
    }

    fn version(&self) -> u64 {
        let Self::Hash([Some(version), ..]) = self else { return 0 };
        let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        version.parse().ok().filter(|version| digits && *version < (1 << 53) - 1).unwrap_or(0)
    }
}

proptest! {
    #![proptest_config(super::cases(1))]

    /// Every answer is the model's, and a tag stands for what is stored: the same is told once.
    #[test]
    fn the_script_does_what_a_record_would(
        histories in proptest::collection::vec(proptest::collection::vec(deed(), 1..16), 96..=96),
    ) {
        let kept = Kept::new();
        for history in histories {
            kept.begin();
            let (mut model, mut now, mut tag) = (NOTHING, NOW, String::new());
            for deed in history {
                let before = model.clone();
                match &deed {
                    Deed::Publish { expected, known, document } => {
                        let version = model.version().max(*known);
                        let is_free = model != Model::Other && expected.is_none_or(|expected| expected == version);
                        if is_free {
                            now += 1;
                            let fields = [(version + 1).to_string(), document.clone(), "5a".into(), now.to_string()];
                            model = Model::Hash(fields.map(Some));
                        }
                        let expected = expected.map(|expected| expected.to_string()).unwrap_or_default();
                        let said = kept.ask(&format!("+{expected},{known},5a,{document}"));
                        prop_assert_eq!(&said[1], if is_free { "written" } else { "refused" }, "{:?}", deed);
                        prop_assert_eq!(&said[2..][..model.shown().len()], &model.shown()[..], "{:?}", deed);
                    }
                    Deed::Tamper(field, value) => {
                        if let Model::Hash(fields) = &mut model {
                            fields[*field].clone_from(value);
                            match value {
                                Some(value) => kept.server.say(&["HSET", KEY, FIELDS[*field], value]),
                                None => kept.server.say(&["HDEL", KEY, FIELDS[*field]]),
                            };
                        }
                    }
                    Deed::Lose => {
                        kept.server.say(&["DEL", KEY]);
                        model = NOTHING;
                    }
                    Deed::Usurp => {
                        kept.server.say(&["SET", KEY, "something"]);
                        model = Model::Other;
                    }
                }
                let said = kept.ask(&format!("={tag}"));
                prop_assert_eq!(&said[1], "");
                if said[2] == "same" {
                    // Two documents of one length are told apart by what is written with them, and not where somebody has changed one alone.
                    let alone = matches!(deed, Deed::Tamper(1, _));
                    prop_assert!(alone || model.shown() == before.shown(), "{:?} was not told", deed);
                    prop_assert_eq!(&said[0], &tag);
                } else {
                    prop_assert_eq!(&said[2..][..model.shown().len()], &model.shown()[..], "{:?}", deed);
                    tag.clone_from(&said[0]);
                    prop_assert!(tag.len() < 300, "{} bytes go along with each question", tag.len());
                    prop_assert_eq!(&kept.ask(&format!("={tag}"))[2], "same");
                }
            }
        }
    }
}

#[test]
fn a_document_is_told_on_the_channel_of_its_name() {
    let kept = Kept::new();
    kept.begin();
    let mut listener = redis::Client::open(kept.server.url()).unwrap().get_connection().unwrap();
    let mut heard = listener.as_pubsub();
    heard.psubscribe("rl:*").unwrap();
    assert_eq!(kept.ask("+,0,5a,first")[1], "written");
    assert_eq!(kept.ask("+7,0,5a,refused")[1], "refused");
    assert_eq!(kept.ask("+1,0,5a,second")[1], "written");
    let versions = [(); 2].map(|()| heard.get_message().unwrap());
    assert_eq!(versions.each_ref().map(|message| message.get_channel_name()), [KEY; 2]);
    assert_eq!(versions.map(|message| message.get_payload::<String>().unwrap()), ["1", "2"]);
}
