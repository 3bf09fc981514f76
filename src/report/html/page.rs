//! What is around every page: its policy, its style, its landmarks.

use crate::{
    escape,
    report::{model::Producer, text::words},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");

/// The page. `sections` are the ids and names of what can be jumped to.
pub(super) fn whole(
    title: &str,
    sections: &[(&str, &str)],
    main: &Markup,
    tool: &Producer,
) -> String {
    // Nothing may be loaded, run or sent; the one style that may be used is known by its hash.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(STYLE)),
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (title) }
                // It is ours, and holds no `<`.
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the verdict" }
                header.top {
                    p.brand { strong { "Buildwarden" } " report" }
                    nav aria-label="Sections" {
                        ul {
                            @for (id, name) in sections {
                                li { a href={ "#" (id) } { (name) } }
                            }
                        }
                    }
                }
                main #main tabindex="-1" { (main) }
                footer {
                    p {
                        "Written by " (words::name(&tool.name)) " " (words::name(&tool.version))
                        ". This page loads nothing and runs no script. Characters that would not show "
                        "are written out, as in "
                        code { "\\x1b" }
                        "."
                    }
                }
            }
        }
    };
    let mut text = escape::defused_markup(&page.into_string()).into_owned();
    text.push('\n');
    text
}

/// A part of the page that can be jumped to.
pub(super) fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 #(id) { (title) }
            (content)
        }
    }
}
