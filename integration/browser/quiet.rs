//! What a page does: nothing.

use crate::{
    driver::{Browser, Look},
    page::Pages,
};
use serde_json::json;

const LOOK: Look = Look { width: 1280, height: 800, dark: false };

#[test]
fn nothing_is_loaded_and_the_console_is_silent() {
    let (browser, pages) = (Browser::new(), Pages::new());
    browser.requests();
    for (name, page) in pages.all() {
        browser.open(&page, LOOK);
        assert_eq!(browser.requests(), [format!("file://{}", page.display())], "{name}");
        assert_eq!(browser.log("browser"), [json!(null); 0], "{name}");
    }
}

/// Whatever could get into a page, it could neither run nor call.
#[test]
fn the_policy_of_the_page_allows_nothing() {
    let (browser, pages) = (Browser::new(), Pages::new());
    browser.open(&pages.path("hostile"), LOOK);
    browser.requests();
    let tries = [
        (
            "script-src",
            "const e = document.createElement('script'); e.textContent = 'window.ran = 1'; document.body.append(e)",
        ),
        (
            "script-src",
            "document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click()",
        ),
        (
            "style-src",
            "const e = document.createElement('style'); e.textContent = 'h1 { display: none }'; document.body.append(e)",
        ),
        ("style-src", "document.querySelector('h1').setAttribute('style', 'display: none')"),
        ("img-src", "new Image().src = 'http://198.51.100.7/x.png'"),
        ("connect-src", "fetch('http://198.51.100.7/x').catch(() => 0)"),
        ("font-src", "new FontFace('x', 'url(http://198.51.100.7/x)').load().catch(() => 0)"),
        (
            "frame-src",
            "const e = document.createElement('iframe'); e.src = 'http://198.51.100.7/'; document.body.append(e)",
        ),
        (
            "base-uri",
            "const e = document.createElement('base'); e.href = 'http://198.51.100.7/'; document.head.append(e)",
        ),
        (
            "form-action",
            "const e = document.createElement('form'); e.action = 'http://198.51.100.7/'; document.body.append(e); e.submit()",
        ),
    ];
    for (directive, script) in tries {
        let refused = browser.script_later(&format!(
            "const done = arguments[0];
             document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective), {{ once: true }});
             {{ {script} }}"
        ));
        assert!(refused.as_str().unwrap().starts_with(directive), "{script}: {refused}");
    }
    assert_eq!(browser.script("return window.ran ?? null"), json!(null));
    assert_eq!(
        browser.script("return getComputedStyle(document.querySelector('h1')).display"),
        "flex"
    );
    assert_eq!(browser.requests(), [""; 0]);
}

#[test]
fn it_is_the_same_without_script() {
    let (browser, pages) = (Browser::new(), Pages::new());
    for (name, page) in pages.all() {
        let [with, without] = [false, true].map(|disabled| {
            let switch = json!({ "value": disabled });
            browser.devtools("Emulation.setScriptExecutionDisabled", switch);
            browser.open(&page, LOOK);
            browser.picture(true)
        });
        assert!(with == without, "{name}");
    }
}
