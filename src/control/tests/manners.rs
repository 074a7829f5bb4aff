//! What each method answers, and how a client may and may not talk.

use super::*;
use crate::station::Arrival;

#[test]
fn every_look_answers() {
    let house = open(Limits::default());
    let mut client = house.client();
    assert_eq!(client.hello["level"], "admin", "our own user");
    assert_eq!(client.hello["proto"], json!([1, 0]));
    eventually("running", || client.ask("status", &json!({}))["state"] == "running");
    let status: talas_wire::Status =
        serde_json::from_value(client.ask("status", &Value::Null)).expect("a status");
    assert_eq!(status.source.kind, talas_wire::SourceKind::Tone);
    assert_eq!(client.ask("version", &json!({}))["daemon"], env!("CARGO_PKG_VERSION"));
    assert_eq!(client.ask("quality.get", &json!({})), json!({ "profile": "high", "scale": 1.0 }));
    eventually("metered", || {
        client.ask("meters", &json!({}))["channels"].as_array().map(Vec::len) == Some(2)
    });

    let _first = house.shared.station.register(Arrival::test([192, 0, 2, 1], "curl/8"), 0);
    let _second = house.shared.station.register(Arrival::test([192, 0, 2, 2], "mpv"), 0);
    assert_eq!(client.ask("stats", &json!({}))["connection_count"], 2);
    assert_eq!(client.ask("stats", &json!({}))["connections"], json!([]));
    let page = client.ask("connections", &json!({ "limit": 1 }));
    assert_eq!((&page["connections"][0]["ip_address"], &page["total"]), (&json!("192.0.2.1"), &json!(2)));
    let page = client.ask("connections", &json!({ "after": page["next"] }));
    assert_eq!((&page["connections"][0]["user_agent"], &page["next"]), (&json!("mpv"), &Value::Null));
    assert_eq!(client.refused("connections", &json!({ "limit": 201 })), "bad_params");
    assert_eq!(client.refused("connections", &json!({ "after": "x" })), "bad_params");
    assert!(client.ask("devices", &json!({}))["devices"].is_array());
}

#[test]
fn one_device_list_at_a_time() {
    let house = open(Limits::default());
    let probing = house.shared.probing.clone().try_acquire_owned().expect("nobody probes");
    let mut client = house.client();
    assert_eq!(client.refused("devices", &json!({})), "busy");
    drop(probing);
    client.ask("devices", &json!({}));
}

#[test]
fn every_change_changes() {
    let house = open(Limits::default());
    let mut client = house.client();
    assert_eq!(client.ask("capture.pause", &json!({})), json!({ "state": "paused" }));
    assert_eq!(client.ask("status", &json!({}))["state"], "paused");
    client.ask("capture.resume", &json!({}));
    eventually("running", || client.ask("status", &json!({}))["state"] == "running");

    let low = json!({ "profile": "high", "scale": 0.25 });
    assert_eq!(client.ask("quality.set", &json!({ "scale": 0.3 })), low);
    assert_eq!(client.ask("quality.get", &json!({})), low);
    let mobile = json!({ "profile": "mobile", "scale": 0.125 });
    assert_eq!(client.ask("quality.set", &json!({ "profile": "mobile" })), mobile);
    assert_eq!(client.refused("quality.set", &json!({ "profile": "best" })), "not_found");
    assert_eq!(client.ask("title.set", &json!({ "title": " a song " })), json!({ "title": "a song" }));
    assert_eq!(client.ask("title.get", &json!({})), json!({ "title": "a song" }));
    assert_eq!(client.refused("title.set", &json!({ "title": "two\nlines" })), "bad_params");
    for wrong in [json!({}), json!({ "scale": 0.5, "profile": "low" }), json!({ "scale": 7 })] {
        assert_eq!(client.refused("quality.set", &wrong), "bad_params", "{wrong}");
    }
    assert_eq!(client.refused("quality.set", &json!({ "profile": "best" })), "not_found");

    assert_eq!(client.ask("reload", &json!({}))["applied"], json!(["log.level"]));
    let second = client.call("reload", &json!({}));
    assert_eq!(code(&second), "conflict");
    assert_eq!(second["error"]["message"], "talasd.toml:3:1: unknown key");

    assert_eq!(client.ask("log.set", &json!({ "level": "info" })), json!({ "level": "info" }));
    assert_eq!(client.refused("log.set", &json!({ "level": "loud" })), "bad_params");

    let tone = client.ask("tone.set", &json!({ "level_dbfs": -30.5, "silence": true }));
    assert_eq!(tone, json!({ "level_dbfs": -30.5, "frequency_hz": 440.0, "silence": true }));
    assert_eq!(client.refused("tone.set", &json!({ "level_dbfs": 1 })), "bad_params");
    assert_eq!(client.ask("tone.fault", &json!({ "fault": "unplug", "ms": 60_000 })), json!({}));
    eventually("absent", || client.ask("status", &json!({}))["state"] == "absent");
    assert_eq!(client.refused("tone.fault", &json!({ "fault": "fire", "ms": 1 })), "bad_params");
    assert_eq!(client.refused("tone.fault", &json!({ "fault": "stall", "ms": u64::MAX })), "bad_params");
}

#[test]
fn every_method_refuses_what_it_does_not_take() {
    let house = open(Limits::default());
    let mut client = house.client();
    for method in super::super::methods::METHODS {
        let reply = client.call(method.name, &json!({ "surprise": 1 }));
        assert_eq!(code(&reply), "bad_params");
        let message = reply["error"]["message"].as_str().expect("text");
        assert!(message.contains("surprise") && message.contains(method.params), "{message}");
        assert_eq!(client.refused(method.name, &json!([])), "bad_params");
    }
    assert_eq!(client.refused("capture.start", &json!({})), "no_such_method");
    client.say(&json!({ "id": 3, "method": "version", "more": true }));
    assert_eq!(code(&client.hear()), "bad_request", "no watch");
}

#[test]
fn nonsense_is_refused_and_the_conversation_goes_on() {
    let house = open(Limits::default());
    let mut client = house.client();
    client.send(b"GET / HTTP/1.1\r\n\r\n\r\n\xff\xfe\x00\n{\"id\":5,\"method\":\"version\",\"x\":1}\n");
    for id in [0, 0, 5] {
        let reply = client.hear();
        assert_eq!((code(&reply), &reply["id"]), ("bad_request", &json!(id)));
    }
    client.send(b"{\"id\":6,\"method\":\"version\"}\r\n");
    assert_eq!(client.hear()["id"], 6);
}

#[test]
fn a_line_that_is_too_long_ends_the_conversation() {
    let house = open(Limits::default());
    let mut client = house.client();
    client.send(&[b'x'; 100_000]);
    let reply = client.hear();
    assert_eq!((code(&reply), &reply["id"]), ("too_long", &json!(0)));
    client.expect_end();
}

#[test]
fn pipelined_requests_are_answered_in_order_also_to_a_half_closed_client() {
    let house = open(Limits::default());
    let mut client = house.client();
    let methods = ["version", "quality.get", "nothing", "status"];
    let requests: Vec<_> =
        (0..200).map(|id| json!({ "id": id, "method": methods[id % 4] }).to_string()).collect();
    // The last line has no end.
    client.send(requests.join("\n").as_bytes());
    client.lines.get_ref().shutdown(std::net::Shutdown::Write).expect("half closed");
    for id in 0..200 {
        let reply = client.hear();
        assert_eq!((&reply["id"], reply.get("error").is_some()), (&json!(id), id % 4 == 2), "{reply}");
    }
    client.expect_end();
}

#[test]
fn a_daemon_that_has_no_time_is_told_apart_from_one_that_stops() {
    let (orders, mut daemon) = mpsc::channel(1);
    let house = open_with(Limits::default(), orders);
    let (mut first, mut second) = (house.client(), house.client());
    first.say(&json!({ "id": 1, "method": "reload" }));
    eventually("the order waits", || house.shared.orders.capacity() == 0);
    assert_eq!(second.refused("reload", &json!({})), "busy");
    drop(daemon.blocking_recv());
    assert_eq!(code(&first.hear()), "unavailable");
    drop(daemon);
    assert_eq!(second.refused("reload", &json!({})), "unavailable");
}
