//! Watches from the client's side.

use super::super::watch::Topic;
use super::*;

fn watch(client: &mut Client, method: &str) -> Value {
    client.say(&json!({ "id": 2, "method": method, "more": true }));
    let mut first = client.hear();
    assert_eq!((&first["id"], &first["more"]), (&json!(2), &json!(true)), "{first}");
    first["result"].take()
}

#[test]
fn a_snapshot_then_changes_until_any_line() {
    let house = open(Limits::default());
    let (mut watching, mut steering) = (house.client(), house.client());
    let first = watch(&mut watching, "status");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    steering.ask("capture.pause", &json!({}));
    let mut reply = watching.hear();
    while reply["result"]["state"] != "paused" {
        assert_eq!(reply["more"], true, "{reply}");
        reply = watching.hear();
    }
    watching.send(b"enough\n{\"id\":3,\"method\":\"version\"}\n");
    while reply.get("more").is_some() {
        reply = watching.hear();
    }
    // The last word is how things stand; the line that ended the watch was not read as a request.
    assert_eq!((&reply["id"], &reply["result"]["state"]), (&json!(2), &json!("paused")));
    let next = watching.hear();
    assert_eq!((&next["id"], next.get("result").is_some()), (&json!(3), true), "{next}");
}

#[test]
fn meters_come_ten_a_second() {
    let house = open(Limits::default());
    let mut client = house.client();
    eventually("running", || client.ask("status", &json!({}))["state"] == "running");
    watch(&mut client, "meters");
    let mut times: Vec<_> = (0..6).map(|_| client.hear()["result"]["timestamp_ms"].as_u64()).collect();
    assert!(times.iter().all(Option::is_some), "no line was missed: {times:?}");
    times.dedup();
    assert_eq!(times.len(), 6, "each line is another");
    // Hanging up ends it, too, with the last word.
    client.lines.get_ref().shutdown(std::net::Shutdown::Write).expect("half closed");
    let mut reply = client.hear();
    while reply.get("more").is_some() {
        reply = client.hear();
    }
    client.expect_end();
}

#[test]
fn a_reader_that_was_slow_is_told_how_much_it_missed() {
    const NEWS: u64 = 200;
    let house = open(Limits::default());
    let mut client = house.client();
    watch(&mut client, "meters");
    let feed = house.shared.feeds.feed(Topic::Meters);
    // Far more than a socket holds.
    let bulk = "x".repeat(50_000);
    for n in 1..=NEWS {
        feed.publish(json!({ "number": n, "bulk": bulk }));
        // The server gets its chance to fill the socket.
        std::thread::sleep(Duration::from_millis(1));
    }
    let (mut got, mut lagged, mut last) = (0, 0, 0);
    while last < NEWS {
        let reply = client.hear();
        let result = &reply["result"];
        lagged += result["lagged"].as_u64().unwrap_or(0);
        got += u64::from(result.get("lagged").is_none());
        if let Some(number) = result["number"].as_u64() {
            assert!(number > last, "in order");
            last = number;
        }
    }
    assert!(lagged > NEWS / 2, "{lagged} of {NEWS} missed");
    // The tone's own meters are among them.
    assert!(got + lagged >= NEWS, "every one came or was counted: {got} + {lagged}");
}

#[test]
fn a_line_too_long_ends_the_watch_and_then_the_conversation() {
    let house = open(Limits::default());
    let mut client = house.client();
    watch(&mut client, "status");
    client.send(&[b'x'; 80_000]);
    let mut reply = client.hear();
    while reply.get("more").is_some() {
        reply = client.hear();
    }
    assert_eq!((&reply["id"], reply.get("result").is_some()), (&json!(2), true));
    assert_eq!(code(&client.hear()), "too_long");
    client.expect_end();
}
