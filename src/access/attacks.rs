//! What strangers try with tokens. Each of these fails when its guard is taken away.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::claims::Expected;
use super::keyring::{Key, keys_of_jwks};
use super::refusal::Refusal;
use super::token::{MAX_TOKEN_BYTES, verify};
use crate::tools::fuzz::{as_text, fuzz};

const NOW_S: i64 = 1_800_000_000;
const SECRET: &[u8] = b"an honest secret of thirty-two bytes";

/// Keys made for this test with `openssl genpkey`; they open nothing.
const RSA: (&str, &str) = (include_str!("test_keys/rsa.pem"), include_str!("test_keys/rsa.pub.pem"));
const EC: (&str, &str) = (include_str!("test_keys/ec.pem"), include_str!("test_keys/ec.pub.pem"));
const ED: (&str, &str) = (include_str!("test_keys/ed.pem"), include_str!("test_keys/ed.pub.pem"));

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn claims() -> Value {
    json!({ "iss": "talas", "aud": "talas", "sub": "ada", "jti": "1", "exp": NOW_S + 60 })
}

fn sign(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("signed");
    format!("{message}.{signature}")
}

/// A token by the shared secret with this header.
fn with_header(header: &str) -> String {
    sign(header, &claims().to_string(), &EncodingKey::from_secret(SECRET), Algorithm::HS256)
}

/// A token by the shared secret with these claims.
fn with_claims(claims: &str) -> String {
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    sign(header, claims, &EncodingKey::from_secret(SECRET), Algorithm::HS256)
}

fn ask(token: &str, keys: &[Key]) -> Result<String, Refusal> {
    let expected = Expected {
        issuers: vec!["talas".to_owned()],
        audience: "talas".to_owned(),
        leeway_s: 0,
        longest_days: 30,
    };
    verify(token, keys.iter(), &expected, NOW_S).map(|claims| claims.subject)
}

fn secret() -> Vec<Key> {
    vec![Key::secret(SECRET).expect("a key")]
}

fn public() -> Vec<Key> {
    [RSA, EC, ED].iter().map(|(_, pem)| Key::from_pem(pem.as_bytes()).expect("a key")).collect()
}

#[test]
fn each_kind_of_key_opens_for_its_own_signature() {
    let claims = claims().to_string();
    let pem = |pem: &str| pem.as_bytes().to_vec();
    for (name, algorithm, key) in [
        ("RS256", Algorithm::RS256, EncodingKey::from_rsa_pem(&pem(RSA.0)).expect("a key")),
        ("ES256", Algorithm::ES256, EncodingKey::from_ec_pem(&pem(EC.0)).expect("a key")),
        ("EdDSA", Algorithm::EdDSA, EncodingKey::from_ed_pem(&pem(ED.0)).expect("a key")),
    ] {
        let token = sign(&json!({ "alg": name }).to_string(), &claims, &key, algorithm);
        assert_eq!(ask(&token, &public()).as_deref(), Ok("ada"), "{name}");
        assert_eq!(ask(&token, &secret()), Err(Refusal::Algorithm), "{name}");
        assert_eq!(ask(&token, &[]), Err(Refusal::NoKey));
    }
    assert_eq!(ask(&with_claims(&claims), &secret()).as_deref(), Ok("ada"));
}

#[test]
fn no_signature_is_no_signature() {
    let claims = encode(claims().to_string());
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(json!({ "alg": none }).to_string());
        let honest = with_header(r#"{"alg":"HS256"}"#);
        let signature = honest.rsplit('.').next().expect("a signature");
        for token in [format!("{header}.{claims}."), format!("{header}.{claims}.{signature}")] {
            assert!(ask(&token, &[secret(), public()].concat()).is_err(), "{none}: {token}");
        }
    }
    assert_eq!(ask(&with_header("{}"), &secret()), Err(Refusal::Algorithm));
    assert!(ask(&with_header(r#"{"alg":["HS256"]}"#), &secret()).is_err());
}

#[test]
fn a_public_key_is_no_shared_secret() {
    // Whoever knows the public key, which is everybody, signs with its text or its bytes by HS256.
    let pems = [RSA.1, EC.1, ED.1];
    let texts = pems.iter().map(|pem| pem.as_bytes().to_vec());
    let trimmed = pems.iter().map(|pem| pem.trim().as_bytes().to_vec());
    for secret in texts.chain(trimmed) {
        let key = EncodingKey::from_secret(&secret);
        let token = sign(r#"{"alg":"HS256"}"#, &claims().to_string(), &key, Algorithm::HS256);
        assert_eq!(ask(&token, &public()), Err(Refusal::Algorithm));
        // Also where a shared secret stands beside them.
        let all: Vec<Key> = public().into_iter().chain(self::secret()).collect();
        assert_eq!(ask(&token, &all), Err(Refusal::Signature));
    }
}

#[test]
fn an_algorithm_of_the_same_family_is_another_one() {
    let key = EncodingKey::from_secret(SECRET);
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let token = sign(&json!({ "alg": name }).to_string(), &claims().to_string(), &key, algorithm);
        assert_eq!(ask(&token, &secret()), Err(Refusal::Algorithm), "{name}");
    }
    let token = with_header(r#"{"alg":"hs256"}"#);
    assert_eq!(ask(&token, &secret()), Err(Refusal::Algorithm), "names are exact");
}

#[test]
fn a_kid_is_a_name_and_never_a_place() {
    // A key without a name answers to any; that of a set only to its own.
    let named = keys_of_jwks(jwks("one").to_string().as_bytes()).expect("a key");
    let key = EncodingKey::from_ed_pem(ED.0.as_bytes()).expect("a key");
    let token = |kid: Value| {
        sign(
            &json!({ "alg": "EdDSA", "kid": kid }).to_string(),
            &claims().to_string(),
            &key,
            Algorithm::EdDSA,
        )
    };
    assert_eq!(ask(&token(json!("one")), &named).as_deref(), Ok("ada"));
    for kid in [
        "two",
        "../../dev/null",
        "/etc/passwd",
        "one' OR '1'='1",
        "http://evil.example/key",
        "one\u{0}",
        "ONE",
    ] {
        let refused = ask(&token(json!(kid)), &named).expect_err(kid);
        assert!([Refusal::UnknownKey, Refusal::Claim("kid")].contains(&refused), "{kid}: {refused}");
    }
    for kid in [json!(1), json!(["one"]), json!({ "one": 1 }), json!("x".repeat(5000))] {
        assert_eq!(ask(&token(kid), &named), Err(Refusal::Claim("kid")));
    }
    // An empty file as a key: HS256 with nothing.
    let empty = sign(
        r#"{"alg":"HS256","kid":"/dev/null"}"#,
        &claims().to_string(),
        &EncodingKey::from_secret(b""),
        Algorithm::HS256,
    );
    assert_eq!(ask(&empty, &secret()), Err(Refusal::Signature));
}

#[test]
fn a_header_brings_no_key_and_asks_for_nothing() {
    let jwk = jwks("one")["keys"][0].clone();
    let key = EncodingKey::from_ed_pem(ED.0.as_bytes()).expect("a key");
    for header in [
        json!({ "alg": "EdDSA", "jwk": jwk }),
        json!({ "alg": "EdDSA", "jku": "https://evil.example/jwks.json" }),
        json!({ "alg": "EdDSA", "x5u": "https://evil.example/cert.pem" }),
    ] {
        let token = sign(&header.to_string(), &claims().to_string(), &key, Algorithm::EdDSA);
        assert_eq!(ask(&token, &secret()), Err(Refusal::Algorithm));
    }
    for header in [
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","typ":"secevent+jwt"}"#,
    ] {
        assert!(matches!(ask(&with_header(header), &secret()), Err(Refusal::Malformed(_))), "{header}");
    }
    assert!(ask(&with_header(r#"{"alg":"HS256","typ":"at+JWT"}"#), &secret()).is_ok());
}

#[test]
fn twice_is_not_once() {
    for header in [r#"{"alg":"HS256","alg":"none"}"#, r#"{"alg":"none","\u0061lg":"HS256"}"#] {
        assert!(matches!(ask(&with_header(header), &secret()), Err(Refusal::Malformed(_))), "{header}");
    }
    let good = claims().to_string();
    let good = good.trim_end_matches('}');
    for more in [r#""sub":"root""#, r#""exp":9999999999"#, r#""\u0065xp":9999999999"#, r#""jti":"2""#] {
        let token = with_claims(&format!("{good},{more}}}"));
        assert_eq!(ask(&token, &secret()), Err(Refusal::Malformed("its claims")), "{more}");
    }
}

#[test]
fn a_changed_token_is_another_token() {
    let token = with_claims(&claims().to_string());
    let (message, signature) = token.rsplit_once('.').expect("parts");
    let last = signature.chars().last().expect("a character");
    // The last character has bits that mean nothing: only one way of writing them is taken.
    let loose = char::from(last as u8 + 1);
    for wrong in [
        message.to_owned(),
        format!("{message}."),
        format!("{message}.{}", &signature[..signature.len() - 1]),
        format!("{message}.{}", &signature[1..]),
        format!("{message}.{}{loose}", &signature[..signature.len() - 1]),
        format!("{message}.{signature}="),
        format!("{message}.{signature}.{signature}"),
        format!("{message}.{signature} "),
        format!(" {token}"),
        format!("{token}\n"),
        token.to_ascii_uppercase(),
        token.replace('.', ".."),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
    ] {
        assert!(ask(&wrong, &secret()).is_err(), "{wrong:?}");
    }
    let (header, _) = message.split_once('.').expect("parts");
    let mut other = claims();
    other["sub"] = "root".into();
    let forged = format!("{header}.{}.{signature}", encode(other.to_string()));
    assert_eq!(ask(&forged, &secret()), Err(Refusal::Signature));
}

#[test]
fn huge_is_refused_before_it_is_read() {
    let mut huge = claims();
    huge["pad"] = "x".repeat(MAX_TOKEN_BYTES).into();
    assert_eq!(ask(&with_claims(&huge.to_string()), &secret()), Err(Refusal::TooLong));
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let token = with_claims(&format!(r#"{{"sub":"ada","x":{deep}}}"#));
    assert_eq!(ask(&token, &secret()), Err(Refusal::Malformed("its claims")), "and deep is not followed");
}

fn jwks(kid: &str) -> Value {
    // The last 32 bytes of the DER of an Ed25519 key are the key (RFC 8410).
    let der = ED.1.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = base64::prelude::BASE64_STANDARD.decode(der).expect("base64");
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": encode(&der[der.len() - 32..]) }] })
}

#[test]
fn a_poisoned_set_of_keys_gives_no_key() {
    let good = jwks("one")["keys"][0].clone();
    let with = |change: Value| {
        let mut key = good.clone();
        for (name, value) in change.as_object().expect("an object") {
            key[name] = value.clone();
        }
        keys_of_jwks(json!({ "keys": [key] }).to_string().as_bytes()).map(|keys| keys.len()).ok()
    };
    assert_eq!(with(json!({})), Some(1));
    assert_eq!(with(json!({ "alg": "EdDSA", "key_ops": ["verify"] })), Some(1));
    for poison in [
        json!({ "kty": "oct", "k": encode(SECRET) }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "none" }),
        json!({ "alg": "RS256" }),
        json!({ "use": "enc" }),
        json!({ "key_ops": ["sign"] }),
        json!({ "crv": "Ed448" }),
        json!({ "x": "" }),
        json!({ "x": encode([1; 31]) }),
        json!({ "x": "not base64!" }),
        json!({ "kid": 7 }),
    ] {
        assert_eq!(with(poison.clone()), None, "{poison}");
    }
    let short = json!({ "kty": "RSA", "n": encode([0xff; 128]), "e": "AQAB" });
    let padded = json!({ "kty": "RSA", "n": encode([&[0; 128][..], &[0xff; 128]].concat()), "e": "AQAB" });
    for document in [
        json!({ "keys": [short] }),
        json!({ "keys": [padded] }),
        json!({ "keys": vec![good.clone(); 33] }),
        json!({ "keys": [] }),
        json!({ "keys": "one" }),
        json!([]),
        json!("<html>"),
    ] {
        assert!(keys_of_jwks(document.to_string().as_bytes()).is_err(), "{document}");
    }
    assert!(keys_of_jwks(b"<html>").is_err());
    // One bad key does not take the good ones with it.
    let mixed = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }, good] });
    assert_eq!(keys_of_jwks(mixed.to_string().as_bytes()).expect("one is left").len(), 1);
}

#[test]
fn keys_that_can_be_guessed_or_are_secret_are_told() {
    for (key, word) in [
        (Key::secret(b"short"), "32"),
        (Key::from_pem(RSA.0.as_bytes()), "private"),
        (Key::from_pem(b"nothing"), "PEM"),
        (Key::from_pem(include_bytes!("test_keys/rsa1024.pub.pem")), "2048"),
        (Key::from_pem(include_bytes!("test_keys/p384.pub.pem")), "P-256"),
    ] {
        let error = key.expect_err("refused");
        assert!(error.message().contains(word), "{error}");
    }
}

#[test]
fn fuzz_token() {
    let honest =
        [with_claims(&claims().to_string()), with_header(r#"{"typ":"at+JWT","alg":"HS256","kid":"x"}"#)];
    let seeds: Vec<&'static str> = honest.into_iter().map(|token| &*token.leak()).collect();
    let seeds: &'static [&'static str] = seeds.leak();
    const WORDS: &[&str] = &[".", "=", "eyJhbGciOiJub25lIn0", "e30", "AAAA", "_", "-", "\u{0}", " "];
    let all: Vec<Key> = [secret(), public()].concat();
    fuzz(
        seeds,
        WORDS,
        as_text(|token| {
            assert!(ask(token, &all).is_err() || seeds.contains(&token), "a changed token is taken: {token}");
        }),
    );
}

#[test]
fn fuzz_claims() {
    const SEEDS: &[&str] = &[
        r#"{"iss":"talas","aud":"talas","sub":"ada","jti":"1","exp":1800000060}"#,
        r#"{"iss":"talas","aud":["a","talas"],"sub":"ada","exp":1800000060.5,"roles":["x"],"paths":["/a*"],"audio_id":"7"}"#,
    ];
    const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "-1",
        "1e400",
        "1800000060",
        "\"nbf\":",
        "\"sub\":",
        "\\u0000",
        "*",
    ];
    fuzz(
        SEEDS,
        WORDS,
        as_text(|claims| {
            // However it was made: whoever is let in has a name, and time left that is not too long.
            if let Ok(subject) = ask(&with_claims(claims), &secret()) {
                assert!(!subject.is_empty(), "{claims}");
                let object: Value = serde_json::from_str(claims).expect("an object");
                let exp = object["exp"].as_f64().expect("an end");
                assert!(exp > NOW_S as f64 && exp <= (NOW_S + 30 * 86_400) as f64 + 1.0, "{claims}");
            }
        }),
    );
}

#[test]
fn fuzz_jwks() {
    let seed: &'static str = jwks("one").to_string().leak();
    let seeds: &'static [&'static str] = vec![seed].leak();
    const WORDS: &[&str] =
        &["{", "}", "[", "]", ",", "\"", "\"oct\"", "\"kty\":", "\"RSA\"", "null", "AQAB", "\"n\":"];
    fuzz(seeds, WORDS, |bytes| {
        assert!(
            keys_of_jwks(bytes).is_ok_and(|keys| (1..=32).contains(&keys.len()))
                || keys_of_jwks(bytes).is_err()
        );
    });
}
