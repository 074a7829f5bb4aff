//! Every key, described once: its table, its name, how it is written, what it means.
//!
//! [`describe`] walks the keys in the order of the shipped file. Whoever reads, prints, lists or
//! compares a configuration is a [`Keys`] and is walked past them; nothing else knows a key by name,
//! but for the rules that hold between keys.

use std::net::SocketAddr;

use crate::access::{self, Mode, Network};
use crate::capture::settings::{self as capture, AlsaSettings, FileSettings, SourceSettings, ToneSettings};
use crate::tools::journal::{self, Verbosity};
use crate::{control, http, library, station};

use super::effects::EFFECTS;
use super::form::{Form, List, Real, Seconds, Switch, Whole, Word, whole};
use super::roles::RoleTable;
use super::text::{
    ADDRESS, ADDRESS_OR_NONE, DEVICE, DIRECTORY, FILE, FILE_OR_NONE, GROUP, HEADER, HOST, METHOD, NAME,
    NETWORK, ORIGIN, PERMISSION, SOCKET_PATH, SOUND_FILE, Text, URL_OR_NONE,
};
use super::{Config, limits, live};

/// Whoever goes past the keys.
pub(super) trait Keys {
    /// A table begins: the keys that follow are its own. `chosen` is false for the table of a source
    /// that this configuration does not use; its keys come all the same, with values of no meaning.
    fn table(&mut self, name: &str, chosen: bool, about: &'static str);

    /// The table of this number in the list `[[list]]` begins, as above; its name is `list.number`. A list
    /// without tables has a first one that is not chosen.
    fn row(&mut self, list: &'static str, (number, chosen): (usize, bool), about: &'static str) {
        self.table(&format!("{list}.{number}"), chosen, about);
    }

    /// A key of the table that began last.
    fn key<T>(&mut self, name: &'static str, value: &mut T, form: &impl Form<T>, about: &'static str);
}

/// Tables and keys that are promised and not built yet: a file written for a later version should
/// hear that, not "unknown".
pub(super) const NOT_BUILT: [&str; 15] = [
    "alerts",
    "analytics",
    "archive",
    "cache",
    "cluster",
    "events",
    "grpc",
    "hls",
    "http.chunk_bytes",
    "http.read_ahead_bytes",
    "library.max_file_size",
    "library.upload_dir",
    "soundcloud",
    "store",
    "transcode",
];

/// The whole configuration.
pub(super) fn describe(keys: &mut impl Keys, config: &mut Config) {
    http(keys, &mut config.http);
    control(keys, &mut config.control);
    log(keys, &mut config.log);
    capture(keys, &mut config.capture);
    process(keys, &mut config.process);
    super::analysis::describe(keys, &mut config.analysis);
    live::describe(keys, &mut config.live, &mut config.push);
    library(keys, &mut config.library);
    access(keys, &mut config.access);
}

fn http(keys: &mut impl Keys, http: &mut http::settings::Settings) {
    const LISTEN: List<Text<SocketAddr>> =
        List { each: ADDRESS, of: "addresses \"IP:PORT\"", needs_one: true };
    const HOSTS: List<Text<String>> = List { each: HOST, of: "host names or IP addresses", needs_one: false };
    const PROXIES: List<Text<Network>> =
        List { each: NETWORK, of: "addresses or ranges of them", needs_one: false };
    keys.table("http", true, "The HTTP door.");
    keys.key(
        "listen",
        &mut http.listen,
        &LISTEN,
        "TCP addresses to listen on. A socket inherited from systemd replaces them.",
    );
    keys.key(
        "metrics_listen",
        &mut http.metrics_listen,
        &ADDRESS_OR_NONE,
        "A TCP address of its own for /metrics, /healthz and /readyz; /metrics is not on the others\n\
         then.",
    );
    keys.key(
        "hosts",
        &mut http.hosts,
        &HOSTS,
        "Further names under which the door is reached, beside the loopback names and the addresses\n\
         it listens on. A request that names another host is refused (DNS rebinding).",
    );
    keys.key(
        "trusted_proxies",
        &mut http.trusted_proxies,
        &PROXIES,
        "Proxies in front of the door, as addresses or ranges such as \"10.0.0.0/8\". Only from these are\n\
         Forwarded and X-Forwarded-For, -Proto and -Host believed. With any, access.mode \"auto\" is\n\
         \"token\" on loopback addresses, too.",
    );
    keys.key(
        "sse_heartbeat_s",
        &mut http.sse_heartbeat,
        &Seconds(whole(1, 60)),
        "Time between two heartbeats of an event stream, in seconds.",
    );
    keys.key(
        "stale_after_s",
        &mut http.stale_after,
        &Seconds(whole(10, 86_400)),
        "A connection whose peer accepts no byte for so many seconds is reset.",
    );
    keys.key("max_json_mb", &mut http.max_json_mb, &whole(1, 100), "Largest JSON body of a request, in MiB.");
    keys.key(
        "max_url_kb",
        &mut http.max_url_kb,
        &whole(1, 60),
        "Longest path and query of a request, in KiB; a token may stand in it.",
    );
    keys.key(
        "max_head_kb",
        &mut http.max_head_kb,
        &whole(8, 1024),
        "Largest head of a request, in KiB: its first line and all its fields.",
    );
    keys.key(
        "max_streams",
        &mut http.max_streams,
        &whole(0, 1_000_000),
        "Streams at a time; 0 sets no limit of its own.",
    );
    tls(keys, &mut http.tls);
    cors(keys, &mut http.cors);
}

fn tls(keys: &mut impl Keys, tls: &mut http::settings::Tls) {
    const LISTEN: List<Text<SocketAddr>> =
        List { each: ADDRESS, of: "addresses \"IP:PORT\"", needs_one: false };
    keys.table(
        "http.tls",
        true,
        "TLS. With a certificate and its key, the addresses of http.listen speak it.",
    );
    keys.key(
        "cert",
        &mut tls.cert,
        &FILE_OR_NONE,
        "The certificate, followed by those that vouch for it, in PEM. When the file changes, new\n\
         connections are shown the new one.",
    );
    keys.key(
        "key",
        &mut tls.key,
        &FILE_OR_NONE,
        "Its private key, in PEM: a file that others cannot read, mode 0600 or 0640.",
    );
    keys.key(
        "redirect_listen",
        &mut tls.redirect_listen,
        &LISTEN,
        "TCP addresses without TLS, such as \"0.0.0.0:80\", where every request is sent to the same\n\
         address by https.",
    );
    keys.key(
        "hsts_max_age_s",
        &mut tls.hsts_max_age,
        &Seconds(whole(0, 63_072_000)),
        "For how many seconds browsers are told to come by TLS only (HSTS); 0 tells them nothing. They\n\
         hold on to it: not with a certificate that they do not trust by themselves.",
    );
}

fn cors(keys: &mut impl Keys, cors: &mut http::settings::Cors) {
    keys.table("http.cors", true, "Which web pages may use the API from a browser, and how.");
    keys.key(
        "origins",
        &mut cors.origins,
        &List { each: ORIGIN, of: "origins \"scheme://host[:port]\"", needs_one: false },
        "Origins of the pages.",
    );
    keys.key(
        "methods",
        &mut cors.methods,
        &List { each: METHOD, of: "methods of HTTP", needs_one: false },
        "Methods they may use.",
    );
    keys.key(
        "headers",
        &mut cors.headers,
        &List { each: HEADER, of: "names of headers", needs_one: false },
        "Headers they may send.",
    );
    keys.key("credentials", &mut cors.credentials, &Switch, "Whether they may send credentials.");
}

fn control(keys: &mut impl Keys, control: &mut control::settings::Settings) {
    keys.table("control", true, "The control socket, by which talasctl speaks to the daemon.");
    keys.key(
        "socket",
        &mut control.socket,
        &SOCKET_PATH,
        "Its path. A socket inherited from systemd replaces it.",
    );
    keys.key(
        "group",
        &mut control.group,
        &GROUP,
        "Members of this group may steer the daemon; everybody may look.",
    );
}

fn log(keys: &mut impl Keys, log: &mut journal::Settings) {
    const LEVEL: Word<Verbosity> = Word { words: &Verbosity::ALL, later: &[] };
    keys.table("log", true, "The log: the journal under systemd, stderr elsewhere.");
    keys.key("level", &mut log.level, &LEVEL, "The least severe level that is written.");
}

fn capture(keys: &mut impl Keys, capture: &mut capture::Settings) {
    const CHANNEL: Whole = whole(0, 31);
    keys.table("capture", true, "Capturing sound.");
    keys.key(
        "sample_rate",
        &mut capture.sample_rate,
        &whole(8000, 384_000),
        "Frames per second, in Hz and exactly: a device that cannot is refused.",
    );
    keys.key(
        "channels",
        &mut capture.channels,
        &whole(1, 32),
        "Channels to ask the device for. One that has more or fewer is taken as it is.",
    );
    keys.key(
        "block_frames",
        &mut capture.block_frames,
        &whole(64, 16_384).multiple_of(8),
        "Frames of a block of the frame API.",
    );
    keys.key(
        "channel_a",
        &mut capture.channel_a,
        &CHANNEL,
        "The captured channel shown as channel_a, counted from 0.",
    );
    keys.key(
        "channel_b",
        &mut capture.channel_b,
        &CHANNEL,
        "The captured channel shown as channel_b, counted from 0; a mono device feeds both.",
    );
    keys.key(
        "period_ms",
        &mut capture.period_ms,
        &whole(1, 100),
        "Wanted time between two wakes of the capture thread, in ms; the nearest that divides the\n\
         block is taken. Shorter is less delay and more work.",
    );
    keys.key(
        "buffer_ms",
        &mut capture.buffer_ms,
        &whole(50, 10_000),
        "Wanted device buffer, in ms: how long the capture thread may be held up before sound is\n\
         lost. Four periods at least. It adds no delay.",
    );
    keys.key(
        "realtime_priority",
        &mut capture.realtime_priority,
        &whole(0, 98),
        "SCHED_FIFO priority of the capture thread; 0 asks for none.",
    );
    keys.key(
        "required",
        &mut capture.required,
        &Switch,
        "End with exit code 4 instead of waiting when the source cannot be opened at start.",
    );
    source(keys, &mut capture.source);
}

fn source(keys: &mut impl Keys, source: &mut SourceSettings) {
    let (mut no_alsa, mut no_file, mut no_tone) =
        (AlsaSettings::default(), FileSettings::default(), ToneSettings::default());
    // Stands in the shipped file, where an empty path would teach nothing.
    no_file.path = "programme.flac".into();
    let (mut alsa, mut file, mut tone) = (None, None, None);
    match source {
        SourceSettings::Alsa(chosen) => alsa = Some(chosen),
        SourceSettings::File(chosen) => file = Some(chosen),
        SourceSettings::Tone(chosen) => tone = Some(chosen),
    }
    keys.table(
        "capture.alsa",
        alsa.is_some(),
        "Sound from a sound card. Exactly one of [capture.alsa], [capture.file] and [capture.tone] may\n\
         be given; this one is taken where none is.",
    );
    let alsa = alsa.unwrap_or(&mut no_alsa);
    keys.key(
        "device",
        &mut alsa.device,
        &DEVICE,
        "The device; `talasctl devices` lists the names that stay the same across boots.",
    );
    keys.table("capture.file", file.is_some(), "Sound from a file, played in real time, instead of a card.");
    file_source(keys, file.unwrap_or(&mut no_file));
    keys.table("capture.tone", tone.is_some(), "A test tone instead of a card.");
    tone_source(keys, tone.unwrap_or(&mut no_tone));
}

fn file_source(keys: &mut impl Keys, file: &mut FileSettings) {
    keys.key(
        "path",
        &mut file.path,
        &SOUND_FILE,
        "A sound file: WAV, AIFF, FLAC, Ogg, MP4, Matroska, MP3, AAC, and with ffmpeg installed most others.\nRelative to the directory of the configuration file.",
    );
    keys.key(
        "loop",
        &mut file.repeat,
        &Switch,
        "Begin anew at its end; otherwise the source is absent from there on.",
    );
}

fn tone_source(keys: &mut impl Keys, tone: &mut ToneSettings) {
    const FREQUENCY: Real = Real {
        expects: "a number of Hz above 0, below half the sample rate",
        // The upper end hangs on another key; the rules between keys have it.
        judge: |hertz| hertz > 0.0 && hertz.is_finite(),
    };
    const LEVEL: Real =
        Real { expects: "a level in dBFS of at most 0, or -inf", judge: |level| level <= 0.0 };
    keys.key("frequency_hz", &mut tone.frequency_hz, &FREQUENCY, "Frequency of the sine.");
    keys.key("level_dbfs", &mut tone.level_dbfs, &LEVEL, "Its peak; -inf is digital silence.");
}

fn process(keys: &mut impl Keys, process: &mut station::processing::Settings) {
    keys.table("process", true, "What is done to the programme before anybody hears it.");
    keys.key(
        "effects",
        &mut process.effects,
        &EFFECTS,
        "Effects in the order in which they are applied, as in\n\
         [{ type = \"high_pass\", frequency_hz = 80 }, { type = \"compressor\" }, { type = \"limiter\" }].\n\
         The types are gain, high_pass, low_pass, notch, peaking, low_shelf, high_shelf, compressor,\n\
         limiter, loudness and reverb; docs/effects.md has their parameters.",
    );
}

fn library(keys: &mut impl Keys, library: &mut library::Settings) {
    keys.table("library", true, "The library: audio files that are served as they are.");
    keys.key(
        "dirs",
        &mut library.dirs,
        &List { each: DIRECTORY, of: "paths of directories", needs_one: false },
        "Directories of audio files, all that is below them included; a relative one starts at the\n\
         directory of the configuration file. Hidden files are left out, and links that lead out.",
    );
}

fn access(keys: &mut impl Keys, access: &mut access::Settings) {
    const MODE: Word<Mode> =
        Word { words: &[("auto", Mode::Auto), ("open", Mode::Open), ("token", Mode::Token)], later: &[] };
    keys.table("access", true, "Who may do what.");
    keys.key(
        "mode",
        &mut access.mode,
        &MODE,
        "How callers of the HTTP door are told apart. \"token\": by tokens and API keys. \"open\": not\n\
         at all, so the door must be on loopback addresses only. \"auto\": \"open\" where all sockets,\n\
         inherited ones included, are on loopback, else \"token\".",
    );
    keys.key(
        "anonymous",
        &mut access.anonymous,
        &List { each: PERMISSION, of: "permissions", needs_one: false },
        "What everybody may do without a token: \"listen\" makes a public radio.",
    );
    keys.key(
        "roles",
        &mut access.roles,
        &RoleTable,
        "Roles beside listener, operator, admin, service and metrics, each with its permissions.",
    );
    jwt(keys, &mut access.jwt);
    limits::describe(keys, &mut access.limits);
}

fn jwt(keys: &mut impl Keys, jwt: &mut access::Jwt) {
    keys.table("access.jwt", true, "Tokens (JWT): who may make them, and the keys they are checked with.");
    keys.key(
        "key_file",
        &mut jwt.key_file,
        &FILE_OR_NONE,
        "A file with the secret for HS256, of 32 bytes or more and mode 0600. Without it: systemd's\n\
         credential talasd.jwt, else a key that the daemon makes for itself.",
    );
    keys.key(
        "public_keys",
        &mut jwt.public_keys,
        &List { each: FILE, of: "paths of PEM files", needs_one: false },
        "Public keys of other issuers: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.",
    );
    keys.key("jwks_url", &mut jwt.jwks_url, &URL_OR_NONE, "Where another issuer publishes its keys (JWKS).");
    keys.key(
        "issuers",
        &mut jwt.issuers,
        &List { each: NAME, of: "names", needs_one: true },
        "Who may have made a token, as it says in `iss`. The first is this daemon's own name.",
    );
    keys.key(
        "audience",
        &mut jwt.audience,
        &NAME,
        "For whom a token must have been made, as it says in `aud`.",
    );
    keys.key(
        "leeway_s",
        &mut jwt.leeway,
        &Seconds(whole(0, 300)),
        "By how many seconds another issuer's clock may differ. This daemon's own tokens have none.",
    );
    keys.key(
        "longest_days",
        &mut jwt.longest_days,
        &whole(1, 3660),
        "How long a token may last from now. What was revoked is remembered for as long.",
    );
}
