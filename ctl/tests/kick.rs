//! `connections kick`: whom it means, what it asks, what it says.

mod support;

use support::{Daemon, assert_output, run};

const ADA: &str = "0199a1b2-0000-7000-8000-00000000000a";
const BOB: &str = "0199a1b3-0000-7000-8000-00000000000b";

fn page(ids: &[&str]) -> String {
    let connection = |id: &&str| {
        format!(
            r#"{{"id":"{id}","user_id":null,"ip_address":"192.0.2.7","user_agent":"VLC\u001b/3.0","connected_at":"2026-01-01T00:00:00Z","last_heartbeat":"2026-01-01T00:00:00Z","frames_sent":1,"bytes_sent":2,"errors_count":0}}"#
        )
    };
    let connections: Vec<String> = ids.iter().map(connection).collect();
    format!(r#"{{"connections":[{}],"next":null,"total":{}}}"#, connections.join(","), ids.len())
}

const LIST: &str = "{\"id\":1,\"method\":\"connections\",\"params\":{\"limit\":100}}\n";

fn kick(id: &str) -> String {
    format!("{{\"id\":2,\"method\":\"connections.kick\",\"params\":{{\"id\":\"{id}\"}}}}\n")
}

#[test]
fn the_one_that_an_id_begins_is_kicked() {
    for wish in [BOB, "0199a1b3"] {
        let daemon = Daemon::answering(&[&page(&[ADA, BOB]), "{}"]);
        let output = run(&daemon.socket, &["connections", "kick", wish]);
        assert_eq!(daemon.asked(), [LIST.to_owned(), kick(BOB)]);
        assert_output(&output, 0, &format!("kicked {BOB}: 192.0.2.7, VLC\\u{{1b}}/3.0\n"), "");
    }
    let daemon = Daemon::answering(&[&page(&[ADA]), "{}"]);
    let output = run(&daemon.socket, &["--json", "connections", "kick", "0199"]);
    assert_eq!(daemon.asked(), [LIST.to_owned(), kick(ADA)]);
    assert_output(&output, 0, "{}\n", "");
}

#[test]
fn a_beginning_of_two_kicks_nobody() {
    let daemon = Daemon::answering(&[&page(&[ADA, BOB])]);
    let said = format!(
        "talasctl: 2 connections have an id that begins with 0199a1b: {ADA}, {BOB}\nhint: give more of the id\n"
    );
    assert_output(&run(&daemon.socket, &["connections", "kick", "0199a1b"]), 1, "", &said);
    assert_eq!(daemon.asked(), [LIST]);
}

#[test]
fn a_beginning_of_none_kicks_nobody() {
    let daemon = Daemon::answering(&[&page(&[ADA])]);
    let said =
        "talasctl: no connection has an id that begins with b\nhint: who listens? talasctl connections\n";
    assert_output(&run(&daemon.socket, &["connections", "kick", "b"]), 1, "", said);
    assert_eq!(daemon.asked(), [LIST]);
}

#[test]
fn an_empty_id_is_wrong_usage() {
    let output = run("/nonexistent".as_ref(), &["connections", "kick", ""]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_denial_is_passed_on() {
    let list = page(&[ADA]);
    let daemon = Daemon::start(move |talk| {
        talk.say(support::HELLO);
        talk.listen();
        talk.say(&format!(r#"{{"id":1,"result":{list}}}"#));
        talk.listen();
        talk.say(r#"{"id":2,"error":{"code":"denied","message":"connections.kick needs level change"}}"#);
    });
    let output = run(&daemon.socket, &["connections", "kick", ADA]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("talasctl: not permitted: connections.kick needs level change\n"), "{said}");
}
