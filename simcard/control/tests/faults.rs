//! Every fault on command, each with the same law: what the content skips is what the card counts as lost.

mod common;

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use alsa::pcm::State;
use alsa::poll::Flags;
use common::{Ask, Client, PLAIN, Plan, errno, open_error, wait_until};
use talas_simcard_control::Card;

/// Half a second, in whole periods: no test reads so late by accident.
const SMALL_BUFFER: u32 = 50 * 480;
/// Longer than that.
const TOO_LONG: Duration = Duration::from_millis(600);

const PLANS: &[Plan] = &[
    ("ordered", |card| card),
    ("slow", |card| card.buffer_max_frames(SMALL_BUFFER)),
    ("suspended", |card| card),
    ("short", |card| card),
    ("long", |card| card.buffer_max_frames(SMALL_BUFFER)),
    ("pulled", |card| card),
    ("flicked", |card| card),
    ("taken", |card| card),
    ("orphaned", |card| card),
    ("reset", |card| card),
];

fn card(name: &str) -> &'static Card {
    common::card("faults", PLANS, name)
}

fn small_buffer() -> Ask {
    Ask { buffer: SMALL_BUFFER, ..PLAIN }
}

/// Reads on after a loss, and holds the content against the counters.
fn assert_exact_loss(card: &Card, client: &Client, read_until: u32, lost_before: u64) {
    let (first, end) = client.read_ramp(960);
    let counters = card.counters();
    assert_eq!(u64::from(first), counters.start_frame);
    assert_eq!(u64::from(end), counters.end_frame);
    assert_eq!(u64::from(first - read_until), counters.lost - lost_before);
}

fn raw_state(client: &Client) -> State {
    client.pcm.status().expect("a status").get_state()
}

#[test]
fn an_ordered_overrun_loses_what_the_content_skips() {
    let card = card("ordered");
    let client = Client::start("ordered", PLAIN);
    for turn in 1..=3 {
        let (_, end) = client.read_ramp(2400);
        let lost = card.counters().lost;
        card.overrun().expect("an order");
        client.await_flags(Flags::ERR | Flags::IN);
        assert_eq!(client.read_error(), libc::EPIPE);
        assert_eq!(card.counters().overruns, turn);
        client.restart();
        assert_exact_loss(card, &client, end, lost);
    }
}

#[test]
fn a_client_that_does_not_read_overruns() {
    let card = card("slow");
    let client = Client::start("slow", small_buffer());
    assert_eq!(client.pcm.get_params().expect("sizes").0, u64::from(SMALL_BUFFER));
    let (_, end) = client.read_ramp(480);
    sleep(TOO_LONG);
    client.await_flags(Flags::ERR | Flags::IN);
    assert_eq!(raw_state(&client), State::XRun);
    assert_eq!(card.counters().overruns, 1);
    client.restart();
    let (first, _) = client.read_ramp(480);
    assert!(first - end >= SMALL_BUFFER);
    assert_eq!(card.counters().lost, u64::from(first - end));
}

#[test]
fn a_suspended_stream_goes_on_resumed_or_prepared() {
    let card = card("suspended");
    let client = Client::start("suspended", PLAIN);
    for resume in [true, false] {
        let (_, end) = client.read_ramp(960);
        let lost = card.counters().lost;
        card.suspend().expect("an order");
        client.await_flags(Flags::ERR | Flags::IN);
        assert_eq!(client.read_error(), libc::ESTRPIPE);
        assert_eq!(raw_state(&client), State::Suspended);
        if resume {
            client.pcm.resume().expect("resumes");
            assert_eq!(raw_state(&client), State::Running);
        } else {
            client.restart();
        }
        assert_exact_loss(card, &client, end, lost);
    }
    assert_eq!(card.counters().suspends, 2);
}

/// Stalls the card and reads what it had; the frame that would be next.
fn stall(card: &Card, client: &Client) -> u32 {
    let (_, mut end) = client.read_ramp(960);
    card.stall(true).expect("an order");
    // The bell wakes the client this once.
    client.poll(Duration::from_secs(1));
    let rest = client.pcm.avail().expect("frames") as usize;
    if rest > 0 {
        end = client.read_ramp(rest).1;
    }
    end
}

#[test]
fn a_stall_that_fits_the_buffer_loses_nothing() {
    let card = card("short");
    let client = Client::start("short", PLAIN);
    let end = stall(card, &client);
    for _ in 0..3 {
        assert_eq!(client.poll(Duration::from_millis(30)), Flags::empty(), "a stalled card wakes nobody");
        assert_eq!(client.pcm.avail().expect("frames"), 0);
        assert_eq!(raw_state(&client), State::Running);
    }
    card.stall(false).expect("an order");
    client.await_flags(Flags::IN);
    // All of it is there at once.
    assert!(client.pcm.avail().expect("frames") > 3 * 30 * 48);
    let (first, _) = client.read_ramp(9_600);
    assert_eq!((first, card.counters().lost, card.counters().overruns), (end, 0, 0));
}

#[test]
fn a_stall_that_does_not_fit_the_buffer_is_an_overrun() {
    let card = card("long");
    let client = Client::start("long", small_buffer());
    let end = stall(card, &client);
    sleep(TOO_LONG);
    assert_eq!(raw_state(&client), State::Running, "nothing is lost while nothing moves");
    card.stall(false).expect("an order");
    client.await_flags(Flags::ERR | Flags::IN);
    assert_eq!(client.read_error(), libc::EPIPE);
    client.restart();
    let (first, _) = client.read_ramp(480);
    assert_eq!(u64::from(first - end), card.counters().lost);
    assert_eq!(card.counters().overruns, 1);
}

#[test]
fn an_unplugged_card_is_gone_until_it_is_replugged() {
    let card = card("pulled");
    let client = Client::start("pulled", PLAIN);
    let (_, end) = client.read_ramp(960);
    card.unplug().expect("an order");
    client.await_flags(Flags::ERR);
    assert_eq!(client.read_error(), libc::ENODEV);
    assert_eq!(raw_state(&client), State::Disconnected);
    assert_eq!(client.pcm.prepare().map_err(|error| errno(&error)), Err(libc::ENODEV));
    drop(client);
    assert_eq!(open_error("pulled"), libc::ENOENT);
    assert_eq!(open_error("pulled"), libc::ENOENT);
    card.replug().expect("an order");
    let client = Client::start("pulled", PLAIN);
    assert_exact_loss(card, &client, end, 0);
    let counters = card.counters();
    assert_eq!((counters.opens, counters.closes, counters.refusals), (2, 1, 2));
}

#[test]
fn a_stream_that_slept_through_an_unplugging_is_dead_and_in_nobodys_way() {
    let card = card("flicked");
    let sleeper = Client::start("flicked", PLAIN);
    sleeper.read_ramp(480);
    card.unplug().expect("an order");
    card.replug().expect("an order");
    assert_eq!(sleeper.read_error(), libc::ENODEV);
    let client = Client::start("flicked", PLAIN);
    client.read_ramp(480);
    assert_eq!(sleeper.read_error(), libc::ENODEV);
    drop(sleeper);
    assert_eq!(card.owner_pid(), Some(std::process::id()));
    assert_eq!(open_error("flicked"), libc::EBUSY);
}

#[test]
fn a_taken_card_is_busy() {
    let card = card("taken");
    card.busy(true).expect("an order");
    assert_eq!(open_error("taken"), libc::EBUSY);
    card.busy(false).expect("an order");
    let first = Client::open("taken", PLAIN).expect("free again");
    assert_eq!(open_error("taken"), libc::EBUSY);
    assert_eq!(card.owner_pid(), Some(std::process::id()));
    drop(first);
    assert_eq!(card.owner_pid(), None);
    assert_eq!(open_error("taken"), 0);
    assert_eq!(card.counters().refusals, 2);
}

/// A child that dies with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_that_was_killed_keeps_nobody_out() {
    let card = card("orphaned");
    let (variable, path) = card.env();
    let child = Command::new("arecord")
        .args("--quiet -D orphaned -t raw -f S16_LE -r 48000 -c 2 /dev/null".split(' '))
        .env(variable, path)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("arecord, of alsa-utils, runs");
    let child = Killed(child);
    wait_until("arecord to read", || {
        sleep(Duration::from_millis(2));
        card.counters().frames > 0
    });
    assert_eq!(card.owner_pid(), Some(child.0.id()));
    assert_eq!(open_error("orphaned"), libc::EBUSY);
    drop(child);
    assert_eq!(card.owner_pid(), None);
    let client = Client::start("orphaned", PLAIN);
    client.read_ramp(480);
    assert_eq!((card.counters().opens, card.counters().closes), (2, 0));
}

#[test]
fn resetting_drops_what_waits_and_goes_on() {
    let card = card("reset");
    let client = Client::start("reset", PLAIN);
    let (_, end) = client.read_ramp(480);
    wait_until("frames to drop", || client.pcm.avail().expect("frames") > 480);
    client.pcm.reset().expect("resets");
    let (first, _) = client.read_ramp(480);
    assert!(first > end + 480);
    assert_eq!(card.counters().lost, u64::from(first - end));
    assert_eq!(card.counters().overruns, 0);
}
