//! Every listener accounted for: what is known of each, and how one is thrown out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::Read;

use common::*;

#[test]
fn health_names_what_is_wrong_and_only_that() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=f32");
    let mut slow = daemon.stream("?max_fps=1").skipping();
    stream.frames(120);
    slow.frame(&mut Vec::new());
    let debug = daemon.get("/api/audio/debug/connections");
    for (id, least_mbps) in [(&stream.id, 1.0), (&slow.id, 0.0)] {
        let health = &debug["connections"][id];
        assert_eq!(health["status"], "healthy", "{health}");
        assert_eq!(health["warnings"].as_array().unwrap().len(), 0);
        assert!((20.0..100.0).contains(&health["latency_ms"].as_f64().unwrap()), "{health}");
        assert!(health["throughput_mbps"].as_f64().unwrap() > least_mbps, "{health}");
        assert_eq!(health["error_rate"], 0.0);
        assert!(health["last_activity"].as_str().unwrap().contains('T'));
    }
    let system = &debug["system_stats"];
    assert!((0.0..=100.0).contains(&system["cpu_usage"].as_f64().unwrap()));
    assert!(system["memory_usage"]["used_bytes"].as_u64().unwrap() > 1_000_000);
    assert!(system["network_stats"]["bytes_sent"].as_u64().unwrap() > 100_000);
    let pipeline = &system["audio_pipeline_health"];
    assert_eq!((&pipeline["acquisition_active"], &pipeline["consumer_count"]), (&true.into(), &2.into()));
    assert!((pipeline["frame_rate"].as_f64().unwrap() - 46.875).abs() < 5.0, "{pipeline}");
    assert!(pipeline["last_error"].is_null());
    assert!(daemon.ctl(&["tone", "fault", "unplug", "--ms", "300"]).status.success());
    stream.until_gap();
    let debug = daemon.get("/api/audio/debug/connections");
    let last_error = &debug["system_stats"]["audio_pipeline_health"]["last_error"];
    assert!(last_error.as_str().unwrap().contains("absent"), "{last_error}");
}

#[test]
fn a_kicked_listener_is_reset_and_the_others_hear_on() {
    let daemon = Setup::tone().start();
    let mut stays = daemon.stream("?encoding=s16");
    let mut goes = daemon.stream("?encoding=s16");
    goes.frames(3);
    let kick = |id: &str| daemon.ask("connections.kick", &serde_json::json!({ "id": id }));
    assert!(kick(&goes.id)["result"].is_object());
    let mut rest = Vec::new();
    let end = goes.into_inner().read_to_end(&mut rest);
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    stays.frames(20);
    eventually("its place is free", || {
        (daemon.get("/api/audio/stats")["connection_count"] == 1).then_some(())
    });
    assert_eq!(kick("01020304-0506-7708-890a-0b0c0d0e0f10")["error"]["code"], "not_found");
    assert_eq!(kick("everybody")["error"]["code"], "bad_params");
    assert_eq!(daemon.events("listener_kicked").len(), 1);
}
