//! Tokens, API keys, roles, sessions, and why somebody is let in or not.

use comfy_table::{Table, presets};
use talas_wire::{
    AccessTest, KeyAdded, KeyInfo, KeyList, LimitUse, RoleList, SessionList, TokenList, TokenMinted,
};

use super::View;
use crate::args::TokenEnd;
use crate::human::{counted, duration, since};
use crate::text::{Ink, Line, Page, Piece, escape, plain};

/// Milliseconds in a second.
const MS: u64 = 1000;

/// A new token: alone on standard output's first line, so that a script can take it.
pub fn minted(minted: &TokenMinted, view: &View) -> Page {
    let left = until(Some(minted.expires_ms), view);
    vec![
        Line::of(plain(&minted.token)),
        Line::of(Piece::new(Ink::Faint, format!("for {}, {left}; its name is {}", minted.sub, minted.jti))),
    ]
}

/// After `token revoke`.
pub fn revoked(end: &TokenEnd) -> Page {
    let text = match (&end.jti, &end.sub) {
        (Some(jti), _) => format!("revoked {jti}: what ran under it ends now"),
        (None, sub) => {
            format!("revoked all tokens of {} up to now", sub.as_deref().unwrap_or("nobody"))
        }
    };
    vec![Line::of(plain(text))]
}

/// The tokens.
pub fn tokens(list: &TokenList, view: &View) -> Page {
    let rows = list.tokens.iter().map(|token| {
        let only: Vec<&str> = token.audio_id.iter().chain(&token.paths).map(String::as_str).collect();
        let state = if token.revoked { "revoked".to_owned() } else { until(Some(token.expires_ms), view) };
        vec![token.jti.clone(), token.sub.clone(), list_of(&token.roles), only.join(" "), state]
    });
    table(
        &["TOKEN", "FOR", "ROLES", "ONLY", "GOOD"],
        rows.collect(),
        "no token was made that is still good",
        view,
    )
}

/// A new key: alone on the first line, so that a script can take it.
pub fn key_added(added: &KeyAdded) -> Page {
    let KeyAdded { key, info } = added;
    vec![
        Line::of(plain(key)),
        Line::of(Piece::new(Ink::Faint, format!("{}: keep it now, it is not shown again", info.name))),
    ]
}

/// After `key remove`.
pub fn key_removed(key: &KeyInfo) -> Page {
    vec![Line::of(plain(format!("removed {} ({}): what ran under it ends now", key.name, key.id)))]
}

/// The keys.
pub fn keys(list: &KeyList, view: &View) -> Page {
    let rows = list.keys.iter().map(|key| {
        let used = key.last_used_ms.map_or_else(|| "never".to_owned(), |then_ms| ago(then_ms, view));
        let from = if key.addresses.is_empty() { "anywhere".to_owned() } else { list_of(&key.addresses) };
        vec![
            key.id.clone(),
            key.name.clone(),
            list_of(&key.permissions),
            from,
            used,
            until(key.expires_ms, view),
        ]
    });
    table(&["KEY", "NAME", "MAY", "FROM", "USED", "GOOD"], rows.collect(), "there is no API key", view)
}

/// The roles.
pub fn roles(list: &RoleList, view: &View) -> Page {
    let rows = list.roles.iter().map(|role| {
        let origin = if role.built_in { "built in" } else { "configured" };
        vec![role.name.clone(), list_of(&role.permissions), origin.to_owned()]
    });
    table(&["ROLE", "MAY", "IS"], rows.collect(), "there is no role", view)
}

/// What runs on.
pub fn sessions(list: &SessionList, view: &View) -> Page {
    let rows = list.sessions.iter().map(|session| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            or_dash(&session.sub),
            session.via.clone(),
            session.route.clone(),
            or_dash(&session.address),
            used(&session.uses),
            since(session.since_ms, view.now_ms),
            until(session.expires_ms, view),
        ]
    });
    let nobody = "nothing runs under a token or key";
    let mut page =
        table(&["WHO", "BY", "ROUTE", "ADDRESS", "STREAMS", "SINCE", "GOOD"], rows.collect(), nobody, view);
    let hidden = list.total.saturating_sub(list.sessions.len() as u64);
    if hidden > 0 {
        page.push(Line::of(Piece::new(Ink::Warn, format!("! and {} more", counted(hidden, "session")))));
    }
    page
}

/// The streams of each that a limit is about, and how many those may be.
fn used(uses: &[LimitUse]) -> String {
    let each = uses.iter().map(|each| match each.most_streams {
        Some(most) => format!("{} {}/{most}", each.of, each.streams),
        None => format!("{} {}", each.of, each.streams),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// How a request would be decided.
pub fn test(test: &AccessTest) -> Page {
    let (ink, word) = if test.allowed { (Ink::Good, "let through") } else { (Ink::Bad, "refused") };
    let steps = test.steps.iter().map(|step| Line::of(Piece::new(Ink::Faint, "- ")).and(plain(step)));
    std::iter::once(Line::of(Piece::new(ink, word))).chain(steps).collect()
}

fn list_of(words: &[String]) -> String {
    words.join(" ")
}

fn ago(then_ms: u64, view: &View) -> String {
    format!("{} ago", since(then_ms, view.now_ms))
}

fn until(expires_ms: Option<u64>, view: &View) -> String {
    match expires_ms {
        None => "for good".to_owned(),
        Some(expires_ms) if expires_ms <= view.now_ms => "expired".to_owned(),
        Some(expires_ms) => format!("{} more", duration((expires_ms - view.now_ms).div_ceil(MS))),
    }
}

/// Cells are escaped before the table measures them: a name with a newline is no new row.
fn table(titles: &[&str], rows: Vec<Vec<String>>, none: &str, view: &View) -> Page {
    if rows.is_empty() {
        return vec![Line::of(plain(none))];
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(titles.to_vec());
    if let Some(columns) = view.columns {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| escape(cell)).collect::<Vec<_>>());
    }
    let mut lines = table.lines();
    let header = lines.next().map(|header| Line::of(Piece::new(Ink::Faint, header)));
    header.into_iter().chain(lines.map(|line| Line::of(plain(line)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View { now_ms: 3_600_000, columns: None };

    fn text(page: &Page) -> String {
        page.iter().map(|line| line.paint(false, None).trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn a_token_stands_alone_on_its_line() {
        let minted_now = TokenMinted {
            token: "a.b.c".to_owned(),
            jti: "id-1".to_owned(),
            sub: "ada".to_owned(),
            expires_ms: VIEW.now_ms + 7_200_000,
        };
        assert_eq!(text(&minted(&minted_now, &VIEW)), "a.b.c\nfor ada, 2 h more; its name is id-1\n");
    }

    #[test]
    fn keys_say_what_they_may_and_when_they_were_used() {
        let key = KeyInfo {
            id: "0badcafe".to_owned(),
            name: "kit\nchen".to_owned(),
            permissions: vec!["listen".to_owned(), "stats".to_owned()],
            addresses: Vec::new(),
            created_ms: 0,
            expires_ms: None,
            last_used_ms: Some(VIEW.now_ms - 60_000),
        };
        assert_eq!(
            text(&keys(&KeyList { keys: vec![key] }, &VIEW)),
            "KEY       NAME       MAY           FROM      USED       GOOD\n\
             0badcafe  kit\\nchen  listen stats  anywhere  1 min ago  for good\n"
        );
        assert_eq!(text(&keys(&KeyList::default(), &VIEW)), "there is no API key\n");
    }

    #[test]
    fn a_test_says_the_outcome_and_each_step() {
        let refused =
            AccessTest { allowed: false, steps: vec!["nothing is shown".to_owned(), "no".to_owned()] };
        assert_eq!(text(&test(&refused)), "refused\n- nothing is shown\n- no\n");
    }
}
