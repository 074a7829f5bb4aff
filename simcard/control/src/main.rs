//! `talassim`: makes a simulated card and steers it, for people. Everything it does is in the library.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use talas_simcard_control::{Builder, Card, DEFAULT_NAME, Format, plugin, wav};

/// Full scale less 18 dB, where broadcasters line up.
const TONE_PEAK: f64 = 2_147_483_648.0 * 0.125_892_541;

/// Make a simulated sound card, and steer it.
#[derive(Debug, Parser)]
#[command(version, subcommand_precedence_over_arg = true)]
#[command(override_usage = "talassim create DIR [OPTIONS]\n       talassim DIR <COMMAND>")]
struct Cli {
    /// The card's folder.
    dir: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a card in a folder; it plays a tone unless told otherwise.
    Create(Create),
    /// Pull the plug.
    Unplug,
    /// Plug it in again.
    Replug,
    /// Let the hardware pointer stand still, or go on.
    Stall { switch: Switch },
    /// Refuse to be opened, or not.
    Busy { switch: Switch },
    /// Overrun the running stream.
    Overrun,
    /// Suspend the running stream.
    Suspend,
    /// Let the clock run this much faster (or, negative, slower), in parts per million.
    Ppm {
        #[arg(allow_negative_numbers = true)]
        ppm: i32,
    },
    /// Show how it is and what it counted.
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The card's folder.
    dir: PathBuf,
    /// Play this WAV file, at its rate and channel count.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "channels", "hz", "ramp", "seconds"])]
    wav: Option<PathBuf>,
    /// Play the ramp, in which every frame carries its own number.
    #[arg(long, conflicts_with_all = ["hz", "seconds"])]
    ramp: bool,
    /// Frequency of the tone, in Hz; a whole number, so that the loop is seamless.
    #[arg(long, default_value_t = 440)]
    hz: u32,
    /// Length of the tone, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Sample rate, in Hz.
    #[arg(long, default_value_t = 48_000)]
    rate: u32,
    /// Channels.
    #[arg(long, default_value_t = 2)]
    channels: u32,
    /// Formats it offers.
    #[arg(long, value_delimiter = ',', value_parser = format_named, default_value = "S16_LE,S32_LE")]
    formats: Vec<Format>,
    /// Play the content once, then silence.
    #[arg(long)]
    once: bool,
    /// What the PCM is called.
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
    /// Make it the default PCM too.
    #[arg(long)]
    default_pcm: bool,
    /// The plugin; by default it is sought beside this program.
    #[arg(long, value_name = "FILE", env = plugin::VARIABLE)]
    plugin: Option<PathBuf>,
}

fn format_named(name: &str) -> Result<Format, String> {
    let names = || Format::ALL.map(Format::alsa_name).join(", ");
    Format::from_alsa_name(name).ok_or_else(|| format!("one of {}", names()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.action, cli.dir) {
        (Action::Create(args), None) => create(&args),
        (Action::Create(_), Some(_)) => usage(ErrorKind::UnknownArgument, "create comes before its folder"),
        (_, None) => usage(ErrorKind::MissingRequiredArgument, "which card? talassim DIR <COMMAND>"),
        (action, Some(dir)) => Card::open(dir).and_then(|card| steer(&card, &action)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("talassim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

fn create(args: &Create) -> io::Result<()> {
    let card = content(args, Card::builder(&args.dir))?
        .formats(&args.formats)
        .looped(!args.once)
        .name(&args.name)
        .default_pcm(args.default_pcm);
    let card = match &args.plugin {
        Some(path) => card.plugin(path),
        None => card,
    };
    let card = card.create()?;
    let (variable, path) = card.env();
    println!("export {variable}={}", path.display());
    Ok(())
}

fn content(args: &Create, card: Builder) -> io::Result<Builder> {
    if let Some(path) = &args.wav {
        return wav::play(card, path);
    }
    let card = card.rates(&[args.rate]).channels(&[args.channels]);
    Ok(if args.ramp { card.ramp() } else { card.samples_s32(&tone(args)) })
}

fn tone(args: &Create) -> Vec<i32> {
    let step = f64::from(args.hz) * std::f64::consts::TAU / f64::from(args.rate);
    let frame = |n: u32| ((f64::from(n) * step).sin() * TONE_PEAK) as i32;
    let frames = args.rate.saturating_mul(args.seconds.max(1));
    (0..frames).flat_map(|n| std::iter::repeat_n(frame(n), args.channels as usize)).collect()
}

fn steer(card: &Card, action: &Action) -> io::Result<()> {
    match *action {
        Action::Create(_) => Ok(()),
        Action::Unplug => card.unplug(),
        Action::Replug => card.replug(),
        Action::Stall { switch } => card.stall(switch == Switch::On),
        Action::Busy { switch } => card.busy(switch == Switch::On),
        Action::Overrun => card.overrun(),
        Action::Suspend => card.suspend(),
        Action::Ppm { ppm } => card.ppm(ppm),
        Action::Status => {
            print_status(card);
            Ok(())
        }
    }
}

fn print_status(card: &Card) {
    let c = card.counters();
    let plug = if card.is_present() { "plugged in" } else { "unplugged" };
    let busy = if card.is_busy() { ", busy" } else { "" };
    let stalled = if card.is_stalled() { ", stalled" } else { "" };
    let owner = card.owner_pid().map_or("nobody".to_owned(), |pid| format!("process {pid}"));
    println!("card      {plug}{busy}{stalled}, {:+} ppm, open by {owner}", card.clock().ppm);
    println!("opens     {} ({} refused), {} closed", c.opens, c.refusals, c.closes);
    println!("streams   {} started, {} overrun, {} suspended", c.starts, c.overruns, c.suspends);
    println!("frames    {} delivered, {} lost", c.frames, c.lost);
    println!("position  started at {}, read up to {}", c.start_frame, c.end_frame);
}
