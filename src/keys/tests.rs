//! The gate with its files and a server of keys on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::gate::now_s;
use super::{Gate, MintWish};
use crate::access::{Guard, Jwt, Permission, Permissions, Refusal, Settings};
use crate::error::Kind;
use crate::tools::lock::lock;
use crate::tools::stop;

const ED: &str = include_str!("../access/test_keys/ed.pem");
const ED_PUBLIC: &str = include_str!("../access/test_keys/ed.pub.pem");

fn gate(dir: &Path, jwt: Jwt) -> Gate {
    let settings = Settings { anonymous: vec![Permission::Stats], jwt, ..Settings::default() };
    Gate::new(&settings, Guard::Token, dir).expect("a gate")
}

fn wish(for_s: u32) -> MintWish {
    let roles = vec!["listener".to_owned()];
    MintWish { subject: "ada".to_owned(), roles, for_s, tracks: Vec::new(), paths: Vec::new() }
}

#[tokio::test]
async fn a_token_made_here_is_good_until_it_is_revoked_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let first = gate(dir.path(), Jwt::default());
    let minted = first.mint(wish(600)).expect("made");
    for _ in 0..2 {
        let pass = first.admit(Some(&minted.token)).await.expect("good, and good from the cache");
        assert_eq!(pass.subject.as_deref(), Some("ada"));
        assert_eq!(pass.permissions, Permissions::of(&[Permission::Listen]));
    }
    let again = gate(dir.path(), Jwt::default());
    assert!(again.admit(Some(&minted.token)).await.is_ok(), "the daemon's own key outlives a restart");
    again.revoke_token(&minted.jti).expect("revoked");
    assert_eq!(again.admit(Some(&minted.token)).await, Err(Refusal::Revoked));
    let after = gate(dir.path(), Jwt::default());
    assert_eq!(after.admit(Some(&minted.token)).await, Err(Refusal::Revoked), "replayed after a restart");
    assert!(after.tokens().tokens.iter().all(|token| token.revoked));
    assert!(!std::fs::read_to_string(dir.path().join("access.json")).expect("kept").contains(&minted.token));
}

#[tokio::test]
async fn a_cached_token_is_revoked_and_a_new_one_of_the_same_second_is_good() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let gate = gate(dir.path(), Jwt::default());
    let old = gate.mint(wish(600)).expect("made");
    assert!(gate.admit(Some(&old.token)).await.is_ok());
    gate.revoke_subject("ada").expect("revoked");
    assert_eq!(gate.admit(Some(&old.token)).await, Err(Refusal::Revoked));
    let new = gate.mint(wish(600)).expect("made");
    assert!(gate.admit(Some(&new.token)).await.is_ok(), "whoever gets a new one is let in at once");
}

#[tokio::test]
async fn who_shows_nothing_is_anybody_and_what_is_no_token_is_nobody() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let gate = gate(dir.path(), Jwt::default());
    let stranger = gate.admit(None).await.expect("anybody");
    assert_eq!(stranger.permissions, Permissions::of(&[Permission::Stats]));
    for nothing in ["", "x", "a.b.c", "talas_", "talas_00000000_AAAA", &"x".repeat(100_000)] {
        assert!(gate.admit(Some(nothing)).await.is_err(), "a worse token is no better than none");
    }
}

#[tokio::test]
async fn keys_are_added_used_and_removed() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let gate = Arc::new(gate(dir.path(), Jwt::default()));
    let listen = [String::from("listen")];
    let added = gate.add_key("kitchen", &listen, &["192.0.2.0/24".to_owned()], None).expect("added");
    assert_eq!(gate.add_key("kitchen", &listen, &[], None).expect_err("taken").kind(), Kind::Conflict);
    for (permissions, addresses) in
        [(&[][..], &[][..]), (&["fly".to_owned()], &[]), (&listen, &["home".to_owned()])]
    {
        assert_eq!(gate.add_key("x", permissions, addresses, None).expect_err("wrong").kind(), Kind::Invalid);
    }
    assert_eq!(gate.api_keys().keys[0].last_used_ms, None);
    let pass = gate.admit(Some(&added.key)).await.expect("good");
    assert_eq!(pass.subject.as_deref(), Some("kitchen"));
    assert!(gate.api_keys().keys[0].last_used_ms.is_some(), "shown before it is written");
    let seat = gate.begin(&pass, "/x", None, || ()).expect("a session");
    let cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(seat.poll_ended(&cx).is_pending());
    gate.remove_key("kitchen").expect("removed");
    assert!(seat.poll_ended(&cx).is_ready(), "what ran under it ends");
    assert_eq!(gate.admit(Some(&added.key)).await, Err(Refusal::UnknownApiKey));
    let kept = std::fs::read_to_string(dir.path().join("access.json")).expect("kept");
    assert!(!kept.contains(&added.key));
}

#[test]
fn a_wish_that_cannot_be_met_is_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let gate = gate(dir.path(), Jwt { longest_days: 1, ..Jwt::default() });
    for (wrong, word) in [
        (MintWish { roles: vec!["boss".to_owned()], ..wish(60) }, "listener, operator"),
        (wish(0), "a second at least"),
        (wish(86_401), "longest_days is 1"),
        (MintWish { subject: String::new(), ..wish(60) }, "1 to 256"),
        (MintWish { paths: vec!["stream".to_owned()], ..wish(60) }, "begins with /"),
    ] {
        let error = gate.mint(wrong).expect_err(word);
        assert!(error.kind() == Kind::Invalid && error.message().contains(word), "{error}");
    }
    assert!(gate.tokens().tokens.is_empty());
}

#[test]
fn a_configured_key_that_is_no_key_stops_the_start() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let short = dir.path().join("short");
    crate::tools::atomic_file::replace(&short, b"short", 0o600).expect("written");
    for jwt in [
        Jwt { key_file: Some(dir.path().join("gone")), ..Jwt::default() },
        Jwt { key_file: Some(short), ..Jwt::default() },
        Jwt { public_keys: vec![dir.path().join("gone.pem")], ..Jwt::default() },
    ] {
        let settings = Settings { jwt, ..Settings::default() };
        assert_eq!(Gate::new(&settings, Guard::Token, dir.path()).expect_err("no key").kind(), Kind::Config);
    }
}

#[test]
fn an_explanation_names_each_step_and_never_the_token() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let gate = gate(dir.path(), Jwt::default());
    let minted = gate.mint(MintWish { tracks: vec!["7".to_owned()], ..wish(60) }).expect("made");
    let explain = |path: &str| gate.explain(Some(&minted.token), "GET", path, None);
    assert!(explain("/stream/7").allowed && explain("/healthz").allowed);
    for (path, word) in [
        ("/stream/8", "other tracks"),
        ("/api/audio/stats", "stats is missing"),
        ("//stream/7", "no row"),
        ("/nowhere", "no row"),
    ] {
        let test = explain(path);
        let told = test.steps.join("\n");
        assert!(!test.allowed && told.contains(word) && !told.contains(&minted.token), "{path}: {told}");
    }
    let forged = format!("{}x", minted.token);
    assert!(gate.explain(Some(&forged), "GET", "/stream/7", None).steps[0].contains("not accepted"));
}

/// A server of keys: what it answers, and how often it was asked.
struct Issuer {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (answers, count) = (answer.clone(), asked.clone());
        std::thread::spawn(move || {
            // Ends with the test's process.
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(lock(&answers).as_bytes());
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, answer: String) {
        *lock(&self.answer) = answer;
    }
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn keys_named(kid: &str) -> String {
    let der: String = ED_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(der).expect("base64");
    let x = BASE64_URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
    http("200 OK", &json!({ "keys": [key] }).to_string())
}

fn token_by(kid: &str) -> String {
    let encode = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "iss": "talas", "aud": "talas", "sub": kid, "exp": now_s() + 60 });
    let message = format!("{}.{}", encode(json!({ "alg": "EdDSA", "kid": kid })), encode(claims));
    let key = EncodingKey::from_ed_pem(ED.as_bytes()).expect("a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("signed");
    format!("{message}.{signature}")
}

async fn settled(issuer: &Issuer, asked: usize) {
    for _ in 0..500 {
        if issuer.asked.load(Ordering::SeqCst) >= asked {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the keys were never asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_issuer_changes_its_keys_and_falls_silent() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let issuer = Issuer::start(keys_named("one"));
    let gate = Arc::new(gate(dir.path(), Jwt { jwks_url: Some(issuer.url.clone()), ..Jwt::default() }));
    let (owner, stop) = stop::pair().expect("descriptors");
    let running = tokio::spawn(gate.clone().run(stop));
    settled(&issuer, 1).await;
    assert!(gate.admit(Some(&token_by("one"))).await.is_ok());
    // Names that nobody has do not make the daemon ask again and again.
    issuer.answers(http("500 No", ""));
    for n in 0..20 {
        let refused = gate.admit(Some(&token_by(&format!("unknown-{n}")))).await;
        assert_eq!(refused, Err(Refusal::UnknownKey));
    }
    assert!(issuer.asked.load(Ordering::SeqCst) <= 2, "out of turn at most once in thirty seconds");
    // Nobody answers: the last good keys stay.
    assert!(gate.admit(Some(&token_by("one"))).await.is_ok());
    drop(owner);
    running.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_keys_that_is_none_gives_none() {
    let long = "x".repeat(300 * 1024);
    for answer in [
        http("200 OK", r#"{"keys":[]}"#),
        http("200 OK", r#"{"keys":[{"kty":"oct","kid":"one","k":"AAAA"}]}"#),
        http("200 OK", "<html>"),
        http("200 OK", &long),
        http("404 Not Found", "{}"),
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/keys\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "garbage\r\n\r\n".to_owned(),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let issuer = Issuer::start(answer);
        let gate = Arc::new(gate(dir.path(), Jwt { jwks_url: Some(issuer.url.clone()), ..Jwt::default() }));
        let (owner, stop) = stop::pair().expect("descriptors");
        let running = tokio::spawn(gate.clone().run(stop));
        settled(&issuer, 1).await;
        assert!(gate.admit(Some(&token_by("one"))).await.is_err());
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1, "and it is not asked again at once");
        drop(owner);
        running.await.expect("no panic");
    }
}
