//! Capture devices and what each can do.
//!
//! A paragraph for each, its name first and alone: it is what one copies into the configuration.

use talas_wire::{Ability, Device, DeviceList, Span};

use super::View;
use crate::human::{count, trimmed};
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, flow, plain};

/// Below a device's name.
const INDENT: &str = "    ";

/// The whole page.
pub fn page(list: &DeviceList, view: &View) -> Page {
    if list.devices.is_empty() {
        return vec![Line::of(plain("no capture devices"))];
    }
    let paragraphs: Vec<Page> = list.devices.iter().map(|device| paragraph(device, view)).collect();
    paragraphs.join(&Line::default())
}

fn paragraph(device: &Device, view: &View) -> Page {
    let mark = if device.in_use { Piece::new(Ink::Good, "● ") } else { plain("  ") };
    let name = Line::of(mark).and(Piece::new(Ink::Strong, &device.name));
    let mut page = vec![if device.in_use { name.and(Piece::new(Ink::Good, "  in use")) } else { name }];
    if !device.description.is_empty() {
        page.push(Line::of(plain(INDENT)).and(plain(&device.description)));
    }
    if let Some(ability) = &device.ability {
        page.extend(flow(plain(INDENT), SEPARATOR, abilities(ability), view.columns));
    }
    if let Some(problem) = &device.problem {
        page.push(Line::of(plain(INDENT)).and(Piece::new(Ink::Warn, problem)));
    }
    page
}

fn abilities(ability: &Ability) -> Vec<Piece> {
    let rates: Vec<String> = ability.rates.iter().map(|&rate| trimmed(f64::from(rate) / 1000.0, 3)).collect();
    let channels = if ability.channels.max == 1 { "channel" } else { "channels" };
    let mut facts = Vec::new();
    if !ability.formats.is_empty() {
        facts.push(plain(ability.formats.join(", ")));
    }
    if !rates.is_empty() {
        facts.push(plain(format!("{} kHz", rates.join(", "))));
    }
    facts.push(plain(format!("{} {channels}", span(ability.channels))));
    facts.push(plain(format!("period {} frames", span(ability.period_frames))));
    facts
}

fn span(span: Span) -> String {
    let (min, max) = (count(span.min.into()), count(span.max.into()));
    if min == max { min } else { format!("{min} to {max}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(list: &DeviceList) -> String {
        let view = View { now_ms: 0, columns: Some(80) };
        page(list, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn each_device_has_its_paragraph() {
        let interface = Device {
            name: "hw:CARD=Device,DEV=0".to_owned(),
            description: "USB Audio Device".to_owned(),
            in_use: true,
            ability: Some(Ability {
                formats: vec!["S24_3LE".to_owned(), "S16_LE".to_owned()],
                rates: vec![44_100, 48_000, 96_000],
                channels: Span { min: 1, max: 2 },
                period_frames: Span { min: 32, max: 16_384 },
            }),
            problem: None,
        };
        let webcam = Device {
            name: "hw:CARD=C920,DEV=0".to_owned(),
            description: "HD Pro Webcam".to_owned(),
            in_use: false,
            ability: None,
            problem: Some("in use by another program".to_owned()),
        };
        let expected = "\
● hw:CARD=Device,DEV=0  in use
    USB Audio Device
    S24_3LE, S16_LE · 44.1, 48, 96 kHz · 1 to 2 channels
    period 32 to 16,384 frames

  hw:CARD=C920,DEV=0
    HD Pro Webcam
    in use by another program
";
        assert_eq!(text(&DeviceList { devices: vec![interface, webcam] }), expected);
    }

    #[test]
    fn none_is_said() {
        assert_eq!(text(&DeviceList::default()), "no capture devices\n");
    }
}
