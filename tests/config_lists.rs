//! Lists of tables in the configuration: `[[live.push]]`, in the file and in the environment; and passwords,
//! which nobody gets to see.

use std::fs;

use talasd::config::{self, Config, Environment, Loaded};
use talasd::error::Result;

/// Loads a file with such text; gone with the directory.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded> {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("talasd.toml");
    fs::write(&file, text).expect("write");
    let environment: Environment = variables.iter().copied().collect();
    config::load(Some(&file), &environment)
}

fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).unwrap_or_else(|error| panic!("{error}")).config
}

#[test]
fn tables_of_a_list_are_read_and_set_by_their_numbers() {
    let file = "[[live.push]]\nurl = 'icecast://a/x'\ngenre = 'Jazz'\n[live]\nflush_ms = 100\n\
                [[live.push]]\nurl = 'https://b:8443/y'\n[live.push.unknown]\n";
    let message = load(file, &[]).expect_err("a table too many").message().to_owned();
    assert!(message.contains("unknown"), "{message}");
    let config = good(&file.replace("[live.push.unknown]", ""), &[("TALAS_LIVE__PUSH__1__GENRE", "Folk")]);
    let shown = |config: &Config| -> Vec<String> {
        let all = config.push.iter();
        all.map(|push| format!("{} {}", push.url.as_ref().expect("set"), push.genre)).collect()
    };
    assert_eq!(shown(&config), ["icecast://a:8000/x Jazz", "https://b:8443/y Folk"]);
    // As inline tables too, and by variables alone.
    let inline = good("live.push = [{ url = 'icecast://a/x' }]", &[]);
    assert_eq!(shown(&inline), ["icecast://a:8000/x "]);
    let variables = [
        ("TALAS_LIVE__PUSH__0__URL", "icecast://a/x"),
        ("TALAS_LIVE__PUSH__1__URL", "icecast://b/x"),
        ("TALAS_LIVE__PUSH__1__PASSWORD", "12345"),
    ];
    let by_variables = good("", &variables);
    assert_eq!(shown(&by_variables), ["icecast://a:8000/x ", "icecast://b:8000/x "]);
    assert_eq!(by_variables.push[1].password.expose(), "12345", "a password of digits is a string");
    assert_eq!(good("", &[]).push, []);
}

#[test]
fn what_is_wrong_with_a_table_is_told_and_no_password_is_in_it() {
    let variables = [
        ("TALAS_LIVE__PUSH", "[]"),
        ("TALAS_LIVE__PUSH__0__PASSWORD", "hack\u{7}me"),
        ("TALAS_LIVE__PUSH__3__URL", "icecast://a/x"),
        ("TALAS_LIVE__PUSH__00__URL", "icecast://a/x"),
    ];
    let error = load("", &variables).expect_err("all wrong");
    let expected = r#"error: `TALAS_LIVE__PUSH` names a list of tables, not a key
 |
 | TALAS_LIVE__PUSH
 | ^^^^^^^^^^^^^^^^ set the keys of its tables by their numbers, as in `TALAS_LIVE__PUSH__0__URL`

error: unknown variable `TALAS_LIVE__PUSH__00__URL`
 |
 | TALAS_LIVE__PUSH__00__URL
 | ^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `TALAS_LIVE__PUSH__0__URL`?

error: wrong value for `live.push.0.password`
 |
 | TALAS_LIVE__PUSH__0__PASSWORD
 | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected one line of at most 256 bytes

error: `live.push.0.url` is missing
 |
 | TALAS_LIVE__PUSH__0__PASSWORD
 | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a `url`: where to send the sound

error: there is no table 2 of [[live.push]]
 |
 | TALAS_LIVE__PUSH__3__URL
 | ^^^^^^^^^^^^^^^^^^^^^^^^ the next one has the number 1

5 errors in the environment"#;
    assert_eq!(error.message(), expected);
}

#[test]
fn a_password_is_in_no_message_and_in_no_print() {
    let file = "[[live.push]]\nurl = 'icecast://a/x'\npassword = 'hackme'\n";
    let config = good(file, &[]);
    let printed = config::print(&config);
    assert!(
        printed.contains("# password is set, and not shown.") && !printed.contains("hackme"),
        "{printed}"
    );
    let mut without = config.clone();
    without.push[0].password = Default::default();
    assert_eq!(good(&printed, &[]), without);
    let keys: Vec<String> =
        config::differences(&config, &without).into_iter().map(|difference| difference.key).collect();
    assert_eq!(keys, ["live.push.0.password"]);
    assert!(!format!("{config:?}").contains("hackme"));
}
