//! With a keyboard, and by what assistive technology is told.

use crate::{
    driver::{Browser, Look},
    page::{LOOKS, Pages, root},
};
use serde_json::{Value, json};
use std::fs;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

#[test]
fn the_tree_opens_by_keyboard() {
    let (browser, pages) = (Browser::new(), Pages::new());
    browser.open(&pages.path("one-finding"), Look { width: 1280, height: 800, dark: false });
    browser.press(TAB);
    assert_eq!(
        browser.script("return document.activeElement.hash"),
        "#main",
        "the first is the skip link"
    );
    let is_summary = "return document.activeElement.matches('.tree summary')";
    let tabs = (0..200).position(|_| {
        browser.press(TAB);
        browser.script(is_summary) == json!(true)
    });
    assert!(tabs.is_some(), "no summary of the tree can be focused");
    let state = "return [document.activeElement.parentElement.open,
        getComputedStyle(document.activeElement).outlineStyle,
        document.activeElement.nextElementSibling.checkVisibility({ contentVisibilityAuto: true })]";
    assert_eq!(browser.script(state), json!([true, "solid", true]), "focus is seen");
    browser.press(ENTER);
    assert_eq!(browser.script(state), json!([false, "solid", false]));
    browser.press(ENTER);
    assert_eq!(browser.script(state), json!([true, "solid", true]));
}

#[test]
fn axe_finds_nothing() {
    let (browser, pages) = (Browser::new(), Pages::new());
    let axe = fs::read_to_string(root().join(".cache/axe-core/axe.min.js"))
        .expect(".cache/axe-core/axe.min.js: integration/setup fetches it");
    let check = |what: &str| {
        let found = browser.script_later(
            "const done = arguments[0];
             // It cannot tell what is behind a drawing's text: the same as behind its caption.
             // An arrow between two words looks as they do.
             const judged = ({ target, any }) => !document.querySelector(target[0]).closest('svg')
                 && !any.some(({ data }) => data?.messageKey === 'nonBmp');
             const told = results => results.map(({ id, nodes }) => [id, nodes.filter(judged).map(
                 node => node.html.slice(0, 120) + ' ' + node.failureSummary)]).filter(([, nodes]) => nodes.length);
             axe.run().then(({ violations, incomplete, passes }) => done(
                 { violations: told(violations), incomplete: told(incomplete), passes: passes.map(({ id }) => id) }))",
        );
        let passes = found["passes"].as_array().unwrap();
        for rule in ["color-contrast", "heading-order", "region", "landmark-one-main"] {
            assert!(passes.contains(&json!(rule)), "{what}: {rule} was not judged: {found:#}");
        }
        found
    };
    for (name, page) in pages.all() {
        for look in LOOKS {
            browser.open(&page, look);
            browser.script(&axe);
            browser.script(
                "document.querySelectorAll('details').forEach(details => details.open = true)",
            );
            let found = check(name);
            assert_eq!(found["violations"], json!([]), "{name} at {look:?}: {found:#}");
            assert_eq!(found["incomplete"], json!([]), "{name} at {look:?}: {found:#}");
        }
    }
    // It would find something.
    browser.script("document.querySelector('.lead').style.color = '#444'");
    let found = browser.script_later(
        "axe.run().then(({ violations }) => arguments[0](violations.map(({ id }) => id)))",
    );
    assert!(found.as_array().is_some_and(|ids: &Vec<Value>| !ids.is_empty()), "{found}");
}
