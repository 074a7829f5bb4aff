//! Many clients, slow ones, and silent ones.

use std::time::Instant;

use super::*;

#[test]
fn the_ninth_of_one_user_is_told_so_and_a_seat_that_was_left_is_free() {
    let house = open(Limits::default());
    let mut clients: Vec<_> = (0..8).map(|_| house.client()).collect();
    let mut ninth = house.stranger();
    let reply = ninth.hear();
    assert_eq!((code(&reply), &reply["id"]), ("busy", &json!(0)));
    assert!(reply["error"]["message"].as_str().expect("text").contains("already has 8"), "{reply}");
    ninth.expect_end();
    clients.pop();
    eventually("the seat is free", || house.stranger().hear().get("hello").is_some());
}

#[test]
fn a_full_house_is_told() {
    let seats = SeatLimits { all: 3, per_uid: 8, kept: 1 };
    let house = open(Limits { seats, ..Limits::default() });
    let _clients: Vec<_> = (0..3).map(|_| house.client()).collect();
    let reply = house.stranger().hear();
    assert_eq!(code(&reply), "busy");
    assert!(reply["error"]["message"].as_str().expect("text").contains("all 3"), "{reply}");
}

#[test]
fn whoever_says_nothing_for_too_long_is_told_and_closed() {
    let house = open(impatient(1000, 5000));
    let begun = Instant::now();
    let mut silent = house.client();
    let mut trickling = house.client();
    let mut empty = house.client();
    let mut watching = house.client();
    watching.say(&json!({ "id": 1, "method": "status", "more": true }));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(50));
        // Neither a part of a request nor an empty line is a request.
        trickling.send(b"{");
        empty.send(b"\n");
    }
    for client in [&mut silent, &mut trickling, &mut empty] {
        let reply = client.hear();
        assert_eq!((code(&reply), &reply["id"]), ("busy", &json!(0)));
        client.expect_end();
    }
    assert!(begun.elapsed() >= Duration::from_millis(1000));
    // A watch is not silence.
    for _ in 0..3 {
        assert_eq!(watching.hear()["more"], true);
    }
}

#[test]
fn whoever_never_reads_is_hung_up_on_and_costs_nobody_else() {
    let house = open(impatient(60_000, 200));
    let mut deaf = house.client();
    let requests = "{\"id\":1,\"method\":\"status\"}\n".repeat(1000);
    deaf.lines.get_ref().set_write_timeout(Some(Duration::from_millis(50))).expect("set");
    let mut other = house.client();
    let mut slowest = Duration::ZERO;
    let until = Instant::now() + FOREVER;
    // Until our side learns that the other was closed.
    loop {
        let wrote = deaf.lines.get_mut().write(requests.as_bytes());
        if wrote.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            break;
        }
        assert!(Instant::now() < until, "never hung up on");
        let asked = Instant::now();
        other.ask("version", &json!({}));
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn whoever_asks_without_a_pause_leaves_room_for_others() {
    let house = open(Limits::default());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, stop) = (house.client(), stop.clone());
            std::thread::spawn(move || {
                let burst = "{\"id\":1,\"method\":\"version\"}\n".repeat(200);
                while !stop.load(Ordering::Relaxed) {
                    client.send(burst.as_bytes());
                    (0..200).for_each(|_| assert_eq!(client.hear()["id"], 1));
                }
            })
        })
        .collect();
    let mut other = house.client();
    for _ in 0..50 {
        let asked = Instant::now();
        other.ask("status", &json!({}));
        assert!(asked.elapsed() < Duration::from_secs(2));
    }
    stop.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().expect("answered to the end"));
}

#[test]
fn a_stop_is_told_and_does_not_wait_for_who_never_reads() {
    let mut house = open(Limits::default());
    let mut idle = house.client();
    let mut watching = house.client();
    watching.say(&json!({ "id": 4, "method": "meters", "more": true }));
    assert_eq!(watching.hear()["id"], 4);
    let mut deaf = house.client();
    deaf.lines.get_ref().set_nonblocking(true).expect("set");
    let requests = "{\"id\":1,\"method\":\"status\"}\n".repeat(1000);
    // Until it is stuck: its answers fill the socket, and then its requests do.
    let mut stuck = 0;
    while stuck < 20 {
        stuck = if deaf.lines.get_mut().write(requests.as_bytes()).is_ok() { 0 } else { stuck + 1 };
        std::thread::sleep(Duration::from_millis(5));
    }
    let stopped = Instant::now();
    house.close();
    // Not the five seconds for which a line may wait for its reader.
    assert!(stopped.elapsed() < Duration::from_millis(1500), "{:?}", stopped.elapsed());
    let reply = idle.hear();
    assert_eq!((code(&reply), &reply["id"]), ("unavailable", &json!(0)));
    idle.expect_end();
    let mut reply = watching.hear();
    while reply["more"] == true {
        reply = watching.hear();
    }
    assert_eq!((code(&reply), &reply["id"]), ("unavailable", &json!(4)));
    watching.expect_end();
    assert!(UnixStream::connect_addr(&house.address).is_err(), "nobody listens any more");
}
