//! Whatever stands in a file, it is kept, and comes back to the byte.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\/\u{e9}\u{1f980}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z \u{e9}\"]{0,5}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A daemon.json: keys of its own, perhaps runtimes, in any order and layout.
fn daemon() -> impl Strategy<Value = String> {
    let key = "[a-z]{1,3}-[a-z]{1,6}";
    let entries = prop::collection::vec((key, value()), 0..5);
    let runtimes = prop::option::of(prop::collection::vec("[a-z]{1,5}x", 0..3));
    (entries, runtimes, any::<prop::sample::Index>(), 0..3).prop_map(
        |(mut entries, runtimes, at, layout)| {
            if let Some(names) = runtimes {
                let entry = serde_json::json!({"path": "/usr/bin/other"});
                let table = names.into_iter().map(|name| (name, entry.clone()));
                let table = Value::Object(table.collect());
                let at = at.index(entries.len() + 1);
                entries.insert(at, ("runtimes".to_owned(), table));
            }
            let object: Map<String, Value> = entries.into_iter().collect();
            match layout {
                0 => serde_json::to_string(&object).unwrap(),
                1 => serde_json::to_string_pretty(&object).unwrap() + "\n",
                _ => serde_json::to_string_pretty(&object).unwrap().replace('\n', "\r\n\t"),
            }
        },
    )
}

fn parse(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

proptest! {
    /// Ours is added, nothing else changes; it is taken out again, with what is kept
    /// to the byte, without it to the meaning.
    #[test]
    fn daemon_json_comes_back(text in daemon(), other_first: bool) {
        let original = Machine::new(&[(DOCKER_JSON, &text)]);
        let mut machine = original.clone();
        if other_first {
            machine.install_other(Engine::Docker);
        }
        machine.install(Engine::Docker, Others::Refuse);
        let (before, mut after) = (parse(&text), parse(machine.text(DOCKER_JSON)));
        prop_assert_eq!(after.shift_remove("default-runtime"), Some("buildwarden".into()));
        let runtimes = after["runtimes"].as_object_mut().unwrap();
        prop_assert!(runtimes.shift_remove("buildwarden").is_some());
        if runtimes.is_empty() && !before.contains_key("runtimes") {
            after.shift_remove("runtimes");
        }
        prop_assert_eq!(&after, &before);
        let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(keys(&after), keys(&before));

        let mut restored = machine.clone();
        restored.uninstall(Engine::Docker);
        prop_assert_eq!(&restored, &original);
        machine.forget();
        machine.uninstall(Engine::Docker);
        let left = machine.text(DOCKER_JSON);
        let mut left = if left.is_empty() { Map::new() } else { parse(left) };
        let mut before = before;
        // Whether it was there empty is not to be known.
        for object in [&mut left, &mut before] {
            if object.get("runtimes").is_some_and(|value| value == &serde_json::json!({})) {
                object.shift_remove("runtimes");
            }
        }
        prop_assert_eq!(left, before);
    }
}
