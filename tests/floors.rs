//! The house has floors: a module uses only what is on a lower one, or its own. And the deadline thread
//! does not even name what it may not use.

use std::fs;
use std::path::{Path, PathBuf};

/// Every folder of `src/` with its floor, as `src/lib.rs` draws it.
const FLOORS: &[(&str, u32)] = &[
    ("daemon", 8),
    ("config", 7),
    ("http", 6),
    ("control", 6),
    ("station", 5),
    ("library", 4),
    ("keys", 4),
    ("capture", 3),
    ("mux", 3),
    ("dsp", 2),
    ("codec", 2),
    ("access", 2),
    ("audio", 1),
    ("tools", 1),
    ("error", 0),
];

/// Siblings that stand on each other's shoulders within a floor: the second uses the first.
const STEPS: &[(&str, &str)] = &[
    // The words of sound are told in a log's terms; the tools know nothing of sound.
    ("tools", "audio"),
    // Encodings are made with transforms.
    ("dsp", "codec"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn floor(module: &str) -> u32 {
    let known = FLOORS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("{module} is on no floor: draw it in src/lib.rs and here")).1
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Without comments: prose may name anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that a text names: `crate::x::…` and `crate::{x::…, y}`.
fn names(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(rest.chars().take_while(|c| is_word(*c)).collect());
            continue;
        };
        let mut depth = 0;
        let mut word = String::new();
        let mut at_start = true;
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                    at_start = true;
                }
                c if is_word(c) && depth == 0 && at_start => word.push(c),
                _ => {
                    if !word.is_empty() {
                        found.push(std::mem::take(&mut word));
                        at_start = false;
                    }
                }
            }
        }
        if !word.is_empty() {
            found.push(word);
        }
    }
    found
}

#[test]
fn the_reader_of_imports_reads_imports() {
    let code = "use crate::audio::{Block, Gap};\nuse crate::{\n    access, capture::Settings,\n    tools::{clock, stop}, error\n};\nlet x = crate::dsp::meter();";
    assert_eq!(names(code), ["audio", "access", "capture", "tools", "error", "dsp"]);
}

#[test]
fn modules_use_lower_floors_only() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    let mut edges = 0;
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).expect("under src");
        let module =
            inside.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            continue;
        }
        for used in names(&code(&path)) {
            edges += 1;
            let is_step = STEPS.iter().any(|(lower, upper)| *lower == used && *upper == module);
            if used != module && floor(&used) >= floor(module) && !is_step {
                wrong.push(format!(
                    "{} ({}) uses {used} ({})",
                    inside.display(),
                    floor(module),
                    floor(&used)
                ));
            }
        }
    }
    assert!(edges > 100, "the imports were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_on_a_floor_and_every_floor_is_drawn() {
    let essay = fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    for (module, _) in FLOORS.iter().filter(|(module, _)| *module != "error") {
        assert!(root().join("src").join(module).is_dir(), "{module} has a floor and no folder");
        assert!(essay.contains(&format!("{module}/")), "{module} is not drawn in src/lib.rs");
    }
}

#[test]
fn the_deadline_loop_does_not_name_what_it_may_not_use() {
    let worker = code(&root().join("src/capture/worker.rs"));
    let forbidden = [
        "tokio",
        "tracing",
        "Mutex",
        "RwLock",
        "Condvar",
        "lock(",
        "Vec",
        "vec!",
        "String",
        "format!",
        "Box",
        "Arc",
        "Rc<",
        "HashMap",
        "to_owned",
        "to_string",
        "collect(",
        "clone()",
        "println",
        "mpsc",
    ];
    for word in forbidden {
        assert!(!worker.contains(word), "capture/worker.rs names {word}");
    }
}

#[test]
fn what_the_deadline_loop_calls_neither_locks_nor_logs_nor_allocates() {
    for file in
        ["capture/lane.rs", "capture/timeline.rs", "capture/drift.rs", "dsp/convert.rs", "tools/pulse.rs"]
    {
        let text = code(&root().join("src").join(file));
        // The tests, and in `convert` what the encoders use, may.
        let product =
            text.split("#[cfg(test)]").next().and_then(|text| text.split("pub fn to_s16_le").next());
        for word in
            ["tokio", "tracing", "Mutex", "RwLock", "Condvar", "lock(", "vec!", "format!", "collect(", "mpsc"]
        {
            assert!(!product.is_some_and(|text| text.contains(word)), "{file} names {word}");
        }
    }
}

#[test]
fn nothing_of_the_control_program_depends_on_the_daemon() {
    for manifest in ["ctl/Cargo.toml", "ctl/wire/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).expect("readable");
        for heavy in ["talasd", "alsa", "symphonia", "tokio", "hyper"] {
            let is_named = text.lines().any(|line| line.split(['=', '.', ' ']).next() == Some(heavy));
            assert!(!is_named, "{manifest} depends on {heavy}");
        }
    }
}

#[test]
fn files_and_unsafe_code_stay_small() {
    let mut large = Vec::new();
    let mut with_unsafe = Vec::new();
    for folder in ["src", "ctl", "simcard", "tests"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("readable");
            if text.lines().count() > 500 {
                large.push(path.clone());
            }
            let is_product =
                path.starts_with(root().join("src")) && !path.to_string_lossy().contains("tests");
            if is_product && code(&path).contains("unsafe {") {
                with_unsafe
                    .push(path.strip_prefix(root().join("src")).expect("under src").display().to_string());
            }
        }
    }
    assert!(large.is_empty(), "over 500 lines: {large:?}");
    with_unsafe.sort();
    let allowed = [
        "capture/realtime.rs",
        "capture/worker.rs",
        // C libraries, bound directly.
        "codec/fdk.rs",
        "codec/flac.rs",
        "codec/lame.rs",
        "codec/vorbis.rs",
        "control/peer.rs",
        "daemon/sockets.rs",
        "tools/page_cache.rs",
        "tools/paged_file.rs",
    ];
    for path in &with_unsafe {
        assert!(allowed.contains(&path.as_str()), "{path} has unsafe code: say why here, or do without");
    }
}
