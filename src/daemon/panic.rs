//! A panic ends the process, told: a daemon that lost a thread runs on as a ghost.

use std::panic;

use crate::tools::contain;

/// Installs the hook. Inside `contain` a panic unwinds and becomes an error there.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
        let words = info.payload_as_str().unwrap_or("no words");
        if contain::is_contained() {
            tracing::warn!(
                event = "parser_panicked",
                place,
                reason = words,
                "a parser of stored files panicked"
            );
            return;
        }
        let name = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(
            event = "panic",
            thread = name,
            place,
            reason = words,
            "a thread panicked: talasd ends"
        );
        std::process::abort();
    }));
}
