//! The command line as data: what may be typed, and what is refused before anybody is asked.
//!
//! Not in here: what a command asks the daemon (`call`) and how its answer looks (`show`).

mod access;
mod appliance;
mod tls;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use talas_wire::Fault;

pub use access::{AccessWish, KeyWish, RoleWish, TokenEnd, TokenWish};
pub use appliance::SetupWish;
pub use tls::{SelfSigned, TlsWish};

/// Where the packaged daemon listens.
const SYSTEM_SOCKET: &str = "/run/talas/talasd.sock";
/// Where a daemon run by hand listens, below `XDG_RUNTIME_DIR`.
const USER_SOCKET: &str = "talas/talasd.sock";
/// Longest `--timeout` in seconds; longer is a typing error, or a wish for a watch.
const MAX_TIMEOUT_S: f64 = 86_400.0;
/// How long a self-test may watch, in seconds: in less than one, rates say nothing.
const SELFTEST_S: RangeInclusive<f64> = 1.0..=3600.0;

/// Exit codes are part of the interface, so `--help` names them.
const AFTER_HELP: &str = "\
Exit codes:
  0  done; also a watch ended by Ctrl-C
  1  refused or failed, the reason is on standard error
  2  wrong usage
  3  the daemon cannot be reached
  4  not permitted
  5  the daemon speaks another protocol
  6  the daemon did not answer in time";

/// What the keys do.
const TOP_HELP: &str = "\
Keys:
  q, Ctrl-C   quit
  ↑ ↓ PageUp PageDown Home End   choose a listener
  k           kick the chosen listener, after a yes
  p           pause, or end a pause, after a yes
  s, S        sort by the next column, by the one before
  r           sort the other way round";

/// How effects are written.
const PROCESS_HELP: &str = "\
Effects are applied in order; what is not given has its default:
  talasctl process set high_pass:frequency_hz=80 compressor:threshold_db=-18,ratio=3 limiter";

/// Where the shells look.
const COMPLETIONS_HELP: &str = "\
Where the shells look for it:
  bash  talasctl completions bash > ~/.local/share/bash-completion/completions/talasctl
  zsh   talasctl completions zsh > DIRECTORY/_talasctl, a directory of $fpath
  fish  talasctl completions fish > ~/.config/fish/completions/talasctl.fish";

/// Steers talasd over its control socket.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Args {
    /// The daemon's control socket
    ///
    /// Without it: /run/talas/talasd.sock, or, where that does not exist,
    /// $XDG_RUNTIME_DIR/talas/talasd.sock.
    #[arg(long, global = true, env = "TALAS_CONTROL__SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Print the daemon's objects unchanged, one per line
    #[arg(long, global = true)]
    pub json: bool,

    /// How long to wait for each answer
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = parse_timeout,
          allow_negative_numbers = true)]
    pub timeout: Duration,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One question, and one answer or a watch.
    #[command(flatten)]
    Ask(Question),
    /// Who listens
    Connections {
        /// What to do with one of them; nothing lists them
        #[command(subcommand)]
        wish: Option<ConnectionWish>,
    },
    /// The whole terminal, live: status, meters, gaps, who listens; kick and pause by key
    #[command(after_help = TOP_HELP)]
    Top,
    /// Watch the running appliance, say whether all is well, and what to do where it is not
    Selftest {
        /// For how long
        #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = parse_span,
              allow_negative_numbers = true)]
        watched: Duration,
    },
    /// Set the appliance up: which device, who may listen, the first token; asks where nothing is said
    Setup(SetupWish),
    /// Gather what somebody needs who is to help, in a file without secrets
    SupportBundle {
        /// The file to write, - for standard output; nothing makes one here
        file: Option<PathBuf>,
    },
    /// The certificate of the HTTP door
    #[command(subcommand)]
    Tls(TlsWish),
    /// Print what completes these commands in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages of these commands, for who packages them
    #[command(hide = true)]
    Manual {
        /// The directory to write them to
        directory: PathBuf,
    },
}

/// The commands that are one question.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Is there sound, from what, what was lost, who listens
    Status {
        /// Keep a live view until Ctrl-C
        #[arg(long, short)]
        watch: bool,
    },
    /// Let no captured sound go anywhere; listeners stay connected and hear silence
    Pause,
    /// End a pause
    Resume,
    /// Show or set the quality that listeners get who do not ask for another: of players, the profile; of
    /// live frames, the scale
    Quality {
        /// A profile (high, medium, low, mobile, and what is configured), which also sets the scale that it
        /// stands for, or a scale from 0.1 to 1.0; nothing shows both
        #[arg(value_parser = QualityWish::parse, allow_negative_numbers = true)]
        quality: Option<QualityWish>,
    },
    /// Show or set what is playing, as players show it
    Title {
        /// One line of text; "" for none; nothing shows it
        text: Option<String>,
    },
    /// Show or change what is done to the programme, until the daemon restarts
    #[command(after_help = PROCESS_HELP)]
    Process {
        /// What to do; nothing shows the effects
        #[command(subcommand)]
        wish: Option<ProcessWish>,
    },
    /// Statistics of the live frames and of the daemon
    Stats,
    /// Levels of the captured channels
    Meters {
        /// Keep a live view until Ctrl-C
        #[arg(long, short)]
        watch: bool,
    },
    /// Capture devices, and what each can do
    Devices,
    /// Read the configuration again
    Reload,
    /// Set how much the daemon logs, until it restarts
    Log {
        /// The least important line to log
        level: LogLevel,
    },
    /// Versions of this program and of the daemon
    Version,
    /// Steer a tone source, to rehearse what monitoring does
    #[command(subcommand)]
    Tone(ToneWish),
    /// Tokens that let people in
    #[command(subcommand)]
    Token(TokenWish),
    /// API keys that let machines in
    #[command(subcommand)]
    Key(KeyWish),
    /// Roles, and what each gives
    #[command(subcommand)]
    Role(RoleWish),
    /// Who is let in, and why not
    #[command(subcommand)]
    Access(AccessWish),
}

/// What to do with the effects of the programme.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ProcessWish {
    /// Apply these instead, without a click
    Set {
        /// TYPE or TYPE:NAME=NUMBER,… as in compressor:threshold_db=-18,ratio=3
        #[arg(required = true, value_name = "EFFECT", value_parser = EffectWish::parse)]
        effects: Vec<EffectWish>,
    },
    /// Apply none
    Clear,
    /// Let the sound pass them by, or no longer
    Bypass {
        /// Whether it is to
        state: OnOff,
    },
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Yes
    On,
    /// No
    Off,
}

/// An effect as it is typed; the daemon knows which there are.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectWish {
    /// Its type.
    pub kind: String,
    /// Its parameters that are not left at their defaults.
    pub parameters: Vec<(String, f64)>,
}

impl EffectWish {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        if kind.is_empty() {
            return Err("an effect begins with its type, as in limiter:ceiling_dbtp=-1".to_owned());
        }
        let parameter = |part: &str| {
            let (name, value) = part.split_once('=').filter(|(name, _)| !name.is_empty())?;
            let value = value.parse::<f64>().ok().filter(|value| value.is_finite())?;
            Some((name.to_owned(), value))
        };
        let parameters = rest
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| parameter(part).ok_or_else(|| format!("{part:?} is no parameter: NAME=NUMBER")));
        Ok(Self { kind: kind.to_owned(), parameters: parameters.collect::<Result<_, _>>()? })
    }
}

/// What to do with a connection.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConnectionWish {
    /// Reset one; its client may connect again
    Kick {
        /// Its id, or a beginning that no other id has
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
        id: String,
    },
}

/// Shells that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash, with the package bash-completion
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// What `quality` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum QualityWish {
    /// The profile of this name; the daemon knows which there are.
    Profile(String),
    /// This share of the capture rate.
    Scale(f64),
}

impl QualityWish {
    /// A word that begins with a letter is a profile, so that `nan` and `inf` are not numbers.
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Ok(Self::Profile(text.to_owned()));
        }
        match text.parse::<f64>() {
            Ok(scale) if (0.1..=1.0).contains(&scale) => Ok(Self::Scale(scale)),
            Ok(_) => Err("a scale is a number from 0.1 to 1.0".to_owned()),
            Err(_) => Err("neither a profile's name nor a scale from 0.1 to 1.0".to_owned()),
        }
    }
}

/// Levels of the log, least talkative first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed
    Error,
    /// And what an operator should look at
    Warn,
    /// And what happened
    Info,
    /// And why
    Debug,
    /// And every step
    Trace,
}

impl LogLevel {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What a tone source is to do.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ToneWish {
    /// Set its level
    Level {
        /// dB of full scale, 0 or less
        #[arg(value_name = "DBFS", value_parser = parse_level, allow_negative_numbers = true)]
        dbfs: f64,
    },
    /// Set its frequency
    Frequency {
        /// Hertz
        #[arg(value_name = "HZ", value_parser = parse_frequency, allow_negative_numbers = true)]
        hz: f64,
    },
    /// Let it fall silent; a level ends the silence
    Silence,
    /// Let the device fail in one of the ways that devices have
    Fault {
        /// How it fails
        #[arg(value_parser = fault_parser())]
        fault: Fault,
        /// For how long, in milliseconds
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
        ms: u64,
    },
}

/// The words of faults, each with its meaning for the help.
fn fault_parser() -> impl TypedValueParser<Value = Fault> {
    let meaning = |fault| match fault {
        Fault::Overrun => "Its buffer runs over",
        Fault::Suspend => "The machine sleeps",
        Fault::Stall => "It stays open and delivers nothing",
        Fault::Unplug => "It goes away and comes back",
    };
    let words = Fault::ALL.map(|fault| PossibleValue::new(fault.as_str()).help(meaning(fault)));
    PossibleValuesParser::new(words).try_map(|word| Fault::of_word(&word).ok_or("there is no such fault"))
}

impl Args {
    /// The socket to connect to.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| {
            let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            default_socket(Path::new(SYSTEM_SOCKET), runtime_dir.as_deref())
        })
    }
}

/// The system's daemon where there is one, else the one that this user runs by hand.
///
/// A socket that may not be looked at counts as there: saying so helps more than trying elsewhere.
fn default_socket(system: &Path, runtime_dir: Option<&Path>) -> PathBuf {
    match runtime_dir {
        // The base directory specification: a relative path is invalid and to be ignored.
        Some(dir) if dir.is_absolute() && matches!(system.try_exists(), Ok(false)) => dir.join(USER_SOCKET),
        _ => system.to_owned(),
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MAX_TIMEOUT_S => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("a number of seconds above 0 and up to {MAX_TIMEOUT_S}")),
    }
}

/// `10`, `10s`, `1.5m`: seconds, unless it says minutes.
fn parse_span(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    match number.trim_end().parse::<f64>() {
        Ok(count) if SELFTEST_S.contains(&(count * unit_s)) => Ok(Duration::from_secs_f64(count * unit_s)),
        _ => Err("a time from 1s to 60m".to_owned()),
    }
}

fn parse_level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dbfs) if dbfs.is_finite() && dbfs <= 0.0 => Ok(dbfs),
        _ => Err("a level in dB of full scale is a number, 0 or less".to_owned()),
    }
}

fn parse_frequency(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hz) if hz.is_finite() && hz > 0.0 => Ok(hz),
        _ => Err("a frequency in hertz is a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn quality_is_a_name_or_a_scale() {
        assert_eq!(QualityWish::parse("mobile"), Ok(QualityWish::Profile("mobile".to_owned())));
        assert_eq!(QualityWish::parse("nan"), Ok(QualityWish::Profile("nan".to_owned())));
        assert_eq!(QualityWish::parse("0.1"), Ok(QualityWish::Scale(0.1)));
        assert_eq!(QualityWish::parse("1.0"), Ok(QualityWish::Scale(1.0)));
        for wrong in ["0.09", "1.01", "-0.5", "", "50%", "0,5"] {
            assert!(QualityWish::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_effect_is_a_type_and_its_numbers() {
        let wish = EffectWish::parse("compressor:threshold_db=-18,ratio=3").expect("right");
        assert_eq!(wish.kind, "compressor");
        assert_eq!(wish.parameters, [("threshold_db".to_owned(), -18.0), ("ratio".to_owned(), 3.0)]);
        assert_eq!(EffectWish::parse("limiter").expect("right").parameters, []);
        for wrong in ["", ":ratio=3", "gain:3", "gain:gain_db=loud", "gain:=3", "gain:gain_db=nan"] {
            assert!(EffectWish::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn timeouts_levels_and_frequencies_have_ranges() {
        assert_eq!(parse_timeout("0.3"), Ok(Duration::from_millis(300)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "five"] {
            assert!(parse_timeout(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_span("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_span("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_span("2"), Ok(Duration::from_secs(2)));
        for wrong in ["", "s", "0.5s", "61m", "-5s", "10ms", "nan", "inf"] {
            assert!(parse_span(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_level("-18.5"), Ok(-18.5));
        assert!(parse_level("0.1").is_err());
        assert!(parse_level("-inf").is_err());
        assert_eq!(parse_frequency("440"), Ok(440.0));
        assert!(parse_frequency("0").is_err());
    }

    #[test]
    fn the_system_daemon_comes_before_the_users() {
        let here = Path::new("/");
        let missing = Path::new("/nonexistent/talasd.sock");
        let runtime = Path::new("/run/user/1000");
        assert_eq!(default_socket(here, Some(runtime)), here);
        assert_eq!(default_socket(missing, Some(runtime)), runtime.join("talas/talasd.sock"));
        assert_eq!(default_socket(missing, None), missing);
        assert_eq!(default_socket(missing, Some(Path::new("relative"))), missing);
    }
}
