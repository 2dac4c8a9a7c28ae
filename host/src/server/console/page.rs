//! What all pages have in common.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::access::Notice;

/// A page for somebody who has logged in.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// Whether the script keeps it up to date.
    pub(super) live: bool,
    /// What came of the button that was pressed last.
    pub(super) notice: Option<Notice>,
    /// Links to the parts of the page, by their ids.
    pub(super) parts: &'a [(&'a str, &'a str)],
    /// How the host is, in the head of the page.
    pub(super) state: Markup,
    pub(super) main: Markup,
}

impl Page<'_> {
    pub(super) fn render(self) -> Html<String> {
        let Self { title, live, notice, parts, state, main } = self;
        let body = html! {
            a .skip href="#main" { "Skip to the content" }
            header {
                div .bar {
                    a .brand href="/console" { "larder" }
                    div #state .state data-part { (state) }
                    div .tools {
                        // Of use to the script alone, which shows it.
                        @if live { button #live type="button" hidden { "Pause updates" } }
                        form method="post" action="/console/logout" { button type="submit" { "Log out" } }
                    }
                }
                @if !parts.is_empty() {
                    nav aria-label="Parts of this page" {
                        ul { @for (id, name) in parts { li { a href={ "#" (id) } { (name) } } } }
                    }
                }
            }
            main #main tabindex="-1" {
                p #lost .notice.bad role="alert" hidden {}
                div #notice role="status" data-part {
                    @match &notice {
                        Some(Notice::Done(text)) => p .notice.good { (text) },
                        Some(Notice::Failed(text)) => p .notice.bad { (text) },
                        None => {},
                    }
                }
                (main)
            }
        };
        document(title, live, body)
    }
}

/// A page for anybody, with one heading.
pub(super) fn simple(title: &str, content: Markup) -> Html<String> {
    let body = html! {
        main #main .narrow {
            p .brand { "larder" }
            h1 { (title) }
            (content)
        }
    };
    document(title, false, body)
}

/// A page for anybody, with a sentence.
pub(super) fn plain(title: &str, text: &str) -> Html<String> {
    simple(title, html! { p { (text) } p { a href="/console" { "To the console" } } })
}

fn document(title: &str, live: bool, body: Markup) -> Html<String> {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · larder" }
                link rel="icon" href="/console/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console/console.css";
                script src="/console/console.js" defer {}
            }
            body data-live[live] { (body) }
        }
    };
    Html(document.into_string())
}

/// A part of a page, which the script replaces by itself when it has changed.
pub(super) fn part(id: &str, title: &str, content: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } data-part {
            h2 id={ (id) "-title" } { (title) }
            (content)
        }
    }
}

/// How well something is, in a word that a color underlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Neutral,
}

/// A word with a sign in front and a color around it.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    let (class, sign) = match tone {
        Tone::Good => ("good", "\u{2713}"),
        Tone::Warning => ("warning", "!"),
        Tone::Bad => ("bad", "\u{2717}"),
        Tone::Neutral => ("neutral", "\u{2022}"),
    };
    html! { span .badge.(class) { span aria-hidden="true" { (sign) } " " (word) } }
}
