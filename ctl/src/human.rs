//! Numbers in words: durations, sizes, counts, levels. Pure, and without any idea of a terminal.

/// Milliseconds in a second.
const MS: u64 = 1000;

/// A span in its two largest units: `45 s`, `13 min`, `2 h 13 min`, `3 d 4 h`.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A span between two times of the same clock; 0 where the clock was set back in between.
pub fn since(then_ms: u64, now_ms: u64) -> String {
    duration(now_ms.saturating_sub(then_ms) / MS)
}

/// How long so many frames last: `0.02 ms`, `85 ms`, `1.5 s`, `2 h 13 min`.
pub fn frames_as_time(frames: u64, sample_rate: u32) -> String {
    if sample_rate == 0 {
        return "unknown time".to_owned();
    }
    let ms = frames as f64 * 1000.0 / f64::from(sample_rate);
    match ms {
        ..10.0 => format!("{} ms", trimmed(ms, 2)),
        ..1000.0 => format!("{ms:.0} ms"),
        ..60_000.0 => format!("{} s", trimmed(ms / 1000.0, 1)),
        _ => duration(frames / u64::from(sample_rate)),
    }
}

/// A span in milliseconds: `50 ms`, `1.5 s`, `2 min`.
pub fn milliseconds(ms: u64) -> String {
    frames_as_time(ms, 1000)
}

/// Frames with their time: `4,800 frames (100 ms)`.
pub fn frames(frames: u64, sample_rate: u32) -> String {
    format!("{} ({})", counted(frames, "frame"), frames_as_time(frames, sample_rate))
}

/// A size in powers of a thousand: `512 B`, `45.2 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 and more would print as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A rate of bytes as what a line must carry: `0 kbit/s`, `384 kbit/s`, `1.5 Mbit/s`.
pub fn bit_rate(bytes_per_second: f64) -> String {
    let kilobits = bytes_per_second * 8.0 / 1000.0;
    if kilobits < 999.5 {
        format!("{kilobits:.0} kbit/s")
    } else {
        format!("{:.1} Mbit/s", kilobits / 1000.0)
    }
}

/// A count with its digits in groups of three: `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and what is counted: `1 listener`, `2 listeners`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A rate without needless zeros: `48 kHz`, `44.1 kHz`.
pub fn kilohertz(hertz: u32) -> String {
    format!("{} kHz", trimmed(f64::from(hertz) / 1000.0, 3))
}

/// A share from 0 to 1 in per cent.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A number with at most so many decimals and no zeros at their end.
pub fn trimmed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number with so many decimals, and never a minus before a zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|character| matches!(character, '0' | '.')) => zero.to_owned(),
        _ => text,
    }
}

/// Milliseconds since the epoch of an RFC 3339 time; `None` where it is none.
pub fn rfc3339_ms(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let days = days_since_epoch(date.next()??, date.next()??, date.next()??)?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let mut time = time.splitn(3, ':');
    let hours: i64 = time.next()?.parse().ok()?;
    let minutes: i64 = time.next()?.parse().ok()?;
    let seconds: f64 = time.next()?.parse().ok()?;
    let offset_minutes = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let offset = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "-" { -offset } else { offset }
        }
    };
    let minutes = days.checked_mul(1440)? + hours * 60 + minutes - offset_minutes;
    let ms = u64::try_from(minutes.checked_mul(60_000)?).ok()?;
    (0.0..61.0).contains(&seconds).then(|| ms + (seconds * 1000.0) as u64)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_two_units() {
        let cases = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (7999, "2 h 13 min")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(86_400 * 3 + 59), "3 d");
        assert_eq!(duration(86_400 * 3 + 4 * 3600), "3 d 4 h");
        assert_eq!(since(2000, 1000), "0 s");
    }

    #[test]
    fn frames_become_time() {
        assert_eq!(frames(4800, 48_000), "4,800 frames (100 ms)");
        assert_eq!(frames(1, 48_000), "1 frame (0.02 ms)");
        assert_eq!(frames_as_time(96, 48_000), "2 ms");
        assert_eq!(frames_as_time(72_000, 48_000), "1.5 s");
        assert_eq!(frames_as_time(48_000 * 7999, 48_000), "2 h 13 min");
        assert_eq!(frames_as_time(1, 0), "unknown time");
        assert_eq!(milliseconds(50), "50 ms");
    }

    #[test]
    fn sizes_and_counts_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(bit_rate(0.0), "0 kbit/s");
        assert_eq!(bit_rate(48_000.0), "384 kbit/s");
        assert_eq!(bit_rate(124_980.0), "1.0 Mbit/s");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "gap"), "1 gap");
        assert_eq!(kilohertz(44_100), "44.1 kHz");
        assert_eq!(kilohertz(48_000), "48 kHz");
        assert_eq!(trimmed(100.0, 0), "100");
        assert_eq!(trimmed(-0.04, 1), "0");
        assert_eq!(fixed(-0.04, 1), "0.0");
        assert_eq!(fixed(-0.05, 1), "-0.1");
    }

    #[test]
    fn times_are_read() {
        assert_eq!(rfc3339_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339_ms("2024-02-29T12:00:00.250Z"), Some(1_709_208_000_250));
        assert_eq!(rfc3339_ms("2024-02-29T14:00:00.25+02:00"), Some(1_709_208_000_250));
        for wrong in ["", "2024-02-29", "2024-13-01T00:00:00Z", "2024-02-29T12:00Z", "x-y-zT1:2:3Z"] {
            assert_eq!(rfc3339_ms(wrong), None, "{wrong}");
        }
    }
}
