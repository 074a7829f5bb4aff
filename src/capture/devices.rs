//! Which capture devices there are, under names that stay the same across boots, and what each can do.

use std::collections::BTreeSet;
use std::fs;

use alsa::device_name::HintIter;
use alsa::pcm::{HwParams, PCM};
use alsa::{Card, Ctl, Direction};
use talas_wire::{Ability, Device, DeviceList, Span};

use super::pcm::{alsa_format, device_error};
use crate::audio::SampleFormat;

/// Rates that are asked about.
const COMMON_RATES: [u32; 11] =
    [8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// Names from ALSA's configuration that are worth showing beside the cards' own: everything else there is
/// another way to the same device.
fn is_worth_showing(name: &str) -> bool {
    const ALIASES: [&str; 17] = [
        "null",
        "samplerate",
        "speexrate",
        "jack",
        "oss",
        "speex",
        "upmix",
        "vdownmix",
        "lavrate",
        "hw",
        "plughw",
        "sysdefault",
        "front",
        "dsnoop",
        "usbstream",
        "surround",
        "iec958",
    ];
    let family = name.split(':').next().unwrap_or(name);
    !ALIASES.contains(&family)
}

/// Lists the devices; `in_use` is the one the daemon captures from. Opens each for a moment, so call it
/// from a thread that may block.
pub fn list(in_use: Option<&str>) -> DeviceList {
    let _quiet = alsa::Output::local_error_handler();
    let mut seen = BTreeSet::new();
    let mut found = card_devices();
    found.extend(hinted_devices());
    found.extend(in_use.map(|name| (name.to_owned(), "from capture.alsa.device".to_owned())));
    found.retain(|(name, _)| seen.insert(name.clone()));
    let devices = found.into_iter().map(|(name, description)| probe(name, description, in_use)).collect();
    DeviceList { devices }
}

fn card_devices() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for card in alsa::card::Iter::new().flatten() {
        let Ok(control) = Ctl::from_card(&card, false) else { continue };
        let Ok(id) = control.card_info().and_then(|info| info.get_id().map(str::to_owned)) else { continue };
        let longname = card.get_longname().unwrap_or_default();
        for device in capture_devices_of(&card) {
            // By the card's id: its number depends on the order in which cards were found.
            found.push((format!("hw:CARD={id},DEV={device}"), longname.clone()));
        }
    }
    found
}

fn capture_devices_of(card: &Card) -> Vec<u32> {
    let folder = format!("/proc/asound/card{}", card.get_index());
    let mut devices: Vec<u32> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("pcm")?.strip_suffix('c')?.parse().ok())
        .collect();
    devices.sort_unstable();
    devices
}

fn hinted_devices() -> Vec<(String, String)> {
    let Ok(hints) = HintIter::new(None, c"pcm") else { return Vec::new() };
    hints
        .filter(|hint| hint.direction != Some(Direction::Playback))
        .filter_map(|hint| {
            let description = hint.desc.unwrap_or_default().replace('\n', ", ");
            hint.name.filter(|name| is_worth_showing(name)).map(|name| (name, description))
        })
        .collect()
}

fn probe(name: String, description: String, in_use: Option<&str>) -> Device {
    let in_use = in_use == Some(name.as_str());
    if in_use {
        // Ours: what was granted is in the status, and a second open would be refused.
        return Device { name, description, in_use, ability: None, problem: None };
    }
    let asked = PCM::new(&name, Direction::Capture, true).and_then(|pcm| ability(&pcm));
    let (ability, problem) = match asked {
        Ok(ability) => (Some(ability), None),
        Err(error) => (None, Some(device_error(&name, &error).message().to_owned())),
    };
    Device { name, description, in_use, ability, problem }
}

fn ability(pcm: &PCM) -> alsa::Result<Ability> {
    let params = HwParams::any(pcm)?;
    params.set_rate_resample(false)?;
    let frames = |value: alsa::pcm::Frames| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(Ability {
        formats: SampleFormat::BEST_FIRST
            .into_iter()
            .filter(|format| params.test_format(alsa_format(*format)).is_ok())
            .map(|format| format.name().to_owned())
            .collect(),
        rates: COMMON_RATES.into_iter().filter(|rate| params.test_rate(*rate).is_ok()).collect(),
        channels: Span { min: params.get_channels_min()?, max: params.get_channels_max()? },
        period_frames: Span {
            min: frames(params.get_period_size_min()?),
            max: frames(params.get_period_size_max()?),
        },
    })
}

/// ` by NAME (PID)` for the programs that hold a card's capture devices, as far as `/proc` tells; else
/// nothing.
pub fn holders(device: &str) -> String {
    let Some(card) = device.split("CARD=").nth(1).and_then(|rest| rest.split(',').next()) else {
        return " by another program".to_owned();
    };
    let pids: BTreeSet<u32> = fs::read_dir(format!("/proc/asound/{card}"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pcm"))
        .filter_map(|entry| fs::read_to_string(entry.path().join("sub0/status")).ok())
        .filter_map(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("owner_pid")?.split(':').nth(1)?.trim().parse().ok())
        })
        .collect();
    let names: Vec<String> = pids
        .into_iter()
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (process {pid})", name.trim())
        })
        .collect();
    if names.is_empty() { " by another program".to_owned() } else { format!(" by {}", names.join(", ")) }
}
