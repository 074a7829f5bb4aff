//! Peers of other users. Only root can become one, so that anybody else skips these.

use super::super::methods::METHODS;
use super::*;
use crate::access;
use crate::station::Arrival;
use nix::unistd::Uid;

/// Does something as another user. Only the thread that does it becomes that user: credentials belong
/// to threads, it is the C library that spreads a change over all of them.
#[expect(unsafe_code, reason = "the safe calls change the whole process")]
fn as_user<T: Send>(uid: u32, gid: u32, groups: &[u32], act: impl FnOnce() -> T + Send) -> T {
    let become_user = || {
        // SAFETY: `groups` is readable for its length, the other arguments are plain numbers, and the
        // calls concern the calling thread alone.
        let results = unsafe {
            [
                libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()),
                libc::syscall(libc::SYS_setresgid, gid, gid, gid),
                libc::syscall(libc::SYS_setresuid, uid, uid, uid),
            ]
        };
        assert_eq!(results, [0; 3], "{}", std::io::Error::last_os_error());
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_user();
            act()
        });
        thread.join().expect("no panic as another user")
    })
}

fn is_root() -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}

#[test]
fn the_kernel_says_who_may_what() {
    if !is_root() {
        return;
    }
    let house = open(Limits::default());
    let group = operators().gid.as_raw();
    let many: Vec<u32> = (5000..5300).chain([group]).collect();
    for (uid, gid, groups, level) in [
        (54_321, 54_321, &[][..], "read"),
        (54_321, 54_321, &[54_322, 54_323][..], "read"),
        (54_321, 0, &[0][..], "read"),
        (54_321, group, &[][..], "change"),
        (54_321, 54_321, &[54_322, group][..], "change"),
        (54_321, 54_321, &many[..], "change"),
        (0, 54_321, &[][..], "admin"),
    ] {
        let told = as_user(uid, gid, groups, || house.client().hello["level"].take());
        assert_eq!(told, level, "{uid} {gid} {groups:?}");
    }
}

#[test]
fn each_level_calls_what_the_table_says_and_nothing_else() {
    if !is_root() {
        return;
    }
    let house = open(Limits::default());
    let group = operators().gid.as_raw();
    let _listener = house.shared.station.register(Arrival::test([192, 0, 2, 1], "curl/8"), 0);
    for (level, groups) in [("read", &[][..]), ("change", &[group][..])] {
        let mut client = as_user(54_321, 54_321, groups, || house.client());
        assert_eq!(client.hello["level"], level);
        for method in METHODS {
            // With parameters that no method takes: it is the permission that is asked about.
            let needed = method.rule().map_or("nobody", |rule| access::least_level(rule).as_str());
            let permitted = needed == "read" || needed == level;
            let expected = if permitted { "bad_params" } else { "denied" };
            assert_eq!(client.refused(method.name, &json!({ "surprise": 1 })), expected, "{}", method.name);
        }
        let listener = client.ask("connections", &json!({}))["connections"][0].take();
        let address = if level == "read" { "redacted" } else { "192.0.2.1" };
        assert_eq!(listener["ip_address"], address);
        assert_eq!(listener["user_agent"] == "redacted", level == "read");
    }
}

#[test]
fn strangers_cannot_take_the_seats_of_operators() {
    if !is_root() {
        return;
    }
    let house = open(Limits::default());
    let mut readers = Vec::new();
    for uid in 60_001..60_008 {
        as_user(uid, uid, &[], || readers.extend((0..8).map(|_| house.client())));
    }
    let reply = as_user(60_100, 60_100, &[], || house.stranger().hear());
    assert_eq!(code(&reply), "busy");
    assert!(reply["error"]["message"].as_str().expect("text").contains("kept for operators"), "{reply}");
    let group = operators().gid.as_raw();
    let operators: Vec<_> = as_user(60_100, 60_100, &[group], || (0..4).map(|_| house.client()).collect());
    let _admins: Vec<_> = (0..4).map(|_| house.client()).collect();
    let reply = house.stranger().hear();
    assert!(reply["error"]["message"].as_str().expect("text").contains("all 64"), "{reply}");
    drop(operators);
    eventually("an operator's seat is free", || house.stranger().hear().get("hello").is_some());
}
