//! What is seen, in both themes and widths.

use crate::{
    driver::{Browser, Look},
    page::{LOOKS, Pages, root},
    wait::until,
};
use serde_json::json;
use std::fs;

#[test]
fn the_verdict_is_seen_without_scrolling() {
    let (browser, pages) = (Browser::new(), Pages::new());
    for (name, page) in pages.all() {
        for look in LOOKS {
            browser.open(&page, look);
            let below = browser.script(
                "return [...document.querySelectorAll('h1, .lead, .seen > :first-child, p.seen')]
                   .map(element => [element.className || element.tagName, element.getBoundingClientRect()])
                   .filter(([, box]) => box.top < 0 || box.height === 0 || box.bottom > innerHeight)
                   .map(([name]) => name)",
            );
            assert_eq!(below, json!([]), "{name} at {look:?}");
            let heading = browser.script("return document.querySelector('h1').innerText");
            let verdict = ["Clean", "Findings", "Incomplete"];
            assert!(
                verdict.iter().any(|word| heading.as_str().unwrap().starts_with(word)),
                "{heading}"
            );
        }
    }
}

#[test]
fn nothing_is_wider_than_the_window() {
    let (browser, pages) = (Browser::new(), Pages::new());
    for (name, page) in pages.all() {
        for width in [320, 390, 768, 1280] {
            browser.open(&page, Look { width, height: 800, dark: false });
            // With everything open that can be.
            let wide = browser.script(
                "document.querySelectorAll('details').forEach(details => details.open = true);
                 return document.documentElement.scrollWidth",
            );
            assert!(wide.as_u64().unwrap() <= width.into(), "{name} at {width}: {wide}");
        }
    }
}

#[test]
fn the_themes_differ_and_print_shows_what_is_folded() {
    let (browser, pages) = (Browser::new(), Pages::new());
    let page = pages.path("many");
    let background = "return getComputedStyle(document.body).backgroundColor";
    let [light, dark] = [false, true].map(|dark| {
        browser.open(&page, Look { width: 1280, height: 800, dark });
        browser.script(background)
    });
    assert_ne!(light, dark);

    let hidden = "document.querySelectorAll('details').forEach(details => details.open = false);
        return [...document.querySelectorAll('.leaf')].filter(leaf => !leaf.checkVisibility(
            { contentVisibilityAuto: true })).length";
    assert_ne!(browser.script(hidden), 0);
    browser.devtools(
        "Emulation.setEmulatedMedia",
        json!({ "media": "print", "features": [
        { "name": "prefers-color-scheme", "value": "dark" },
    ] }),
    );
    until("what is folded shows on paper", || (browser.script(hidden) == json!(0)).then_some(()));
    assert_eq!(browser.script(background), "rgb(255, 255, 255)", "paper is white");
}

#[test]
fn screenshots() {
    let (browser, pages) = (Browser::new(), Pages::new());
    let directory = root().join("target/screenshots");
    fs::create_dir_all(&directory).unwrap();
    for (name, page) in pages.all() {
        for look in LOOKS {
            browser.open(&page, look);
            let theme = if look.dark { "dark" } else { "light" };
            let width = look.width;
            for (part, whole) in [("", false), (".whole", true)] {
                let file = directory.join(format!("{name}.{width}.{theme}{part}.png"));
                fs::write(&file, browser.picture(whole)).unwrap();
            }
        }
    }
}
