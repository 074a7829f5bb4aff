//! The picture: a pure function of what is known, the time, and the size.
//!
//! From the top: what is wrong, the status, meters, gaps, who listens, and what the keys do. Where
//! there are few rows, the list keeps a few of them and the parts above give up theirs from below.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span, Text};
use ratatui::widgets::{Paragraph, Row, Table, TableState};

use talas_wire::State;

use super::listing::{Column, Listener};
use super::model::Model;
use crate::human::{bit_rate, bytes, count, counted, since, trimmed};
use crate::show::{self, View};
use crate::text::{Ink, Line, Page, Piece, SEPARATOR, escape, flow, plain, sentence};

/// The list keeps so many rows, its title and header included, while there are any.
const LEAST_LIST_ROWS: usize = 5;
/// More channels than that are only counted.
const MOST_CHANNELS: usize = 8;
/// More gaps than that push the list off the screen.
const MOST_GAPS: usize = 4;

/// What the picture depends on besides the model and the size.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    /// The same moment, on the clock that is never set.
    pub at: Instant,
    /// Whether colours are wanted.
    pub has_colour: bool,
}

impl Look {
    /// A look at this moment.
    pub fn now(has_colour: bool) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), at: Instant::now(), has_colour }
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, look: &Look) {
    let area = frame.area();
    let columns = usize::from(area.width);
    let view = View { now_ms: look.now_ms, columns: Some(columns) };
    let foot = foot(model, look, columns);
    let room = usize::from(area.height).saturating_sub(foot.len() + LEAST_LIST_ROWS);
    let head = fit(parts(model, &view), room);
    let head_rows = rows(head.len()).min(area.height);
    let foot_rows = rows(foot.len()).min(area.height - head_rows);
    let list_rows = area.height - head_rows - foot_rows;
    let place = |y, height| Rect { y: area.y + y, height, ..area };
    frame.render_widget(text(&head, look), place(0, head_rows));
    list(frame, place(head_rows, list_rows), model, look);
    frame.render_widget(text(&foot, look), place(head_rows + list_rows, foot_rows));
}

fn rows(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}

/// The parts above the list, the most important first.
fn parts(model: &Model, view: &View) -> Vec<Page> {
    let mut first = Page::new();
    let losses = model.losses();
    for why in &losses {
        let said = format!("{why}; trying again");
        first.extend(sentence(Piece::new(Ink::Bad, "! "), Ink::Bad, &said, view.columns));
    }
    if let Some(missed) = show::missed(model.missed) {
        first.extend(sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, &missed, view.columns));
    }
    match &model.status {
        // What is old must not look as if it were so now.
        Some(status) if !losses.is_empty() => {
            let old = show::status::brief(status, view);
            first.push(Line::of(Piece::new(Ink::Faint, "last known:")));
            first.extend(old.iter().map(Line::faint));
        }
        Some(status) => first.extend(show::status::brief(status, view)),
        None => first.push(Line::of(Piece::new(Ink::Faint, "waiting for the daemon"))),
    }
    vec![first, meters(model, view), gaps(model, view)]
}

/// As many lines of the parts as there is room for, with a line between them; the last line says
/// where a part was cut.
fn fit(parts: Vec<Page>, room: usize) -> Page {
    let mut page = Page::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        if !page.is_empty() && page.len() + 2 <= room {
            page.push(Line::default());
        }
        let left = room.saturating_sub(page.len());
        let is_cut = part.len() > left;
        page.extend(part.into_iter().take(if is_cut { left.saturating_sub(1) } else { left }));
        if is_cut {
            page.extend((left > 0).then(|| Line::of(Piece::new(Ink::Faint, "…"))));
            break;
        }
    }
    if page.len() < room {
        page.push(Line::default());
    }
    page
}

fn meters(model: &Model, view: &View) -> Page {
    let mut page = show::meters::page(&model.ballistics, view);
    // The scale is a line, too.
    let more = page.len().saturating_sub(MOST_CHANNELS + 1);
    if more > 0 {
        page.truncate(MOST_CHANNELS + 1);
        page.push(Line::of(Piece::new(Ink::Faint, format!("     and {more} channels more"))));
    }
    page
}

fn gaps(model: &Model, view: &View) -> Page {
    let rate = model.status.as_ref().map_or(0, |status| status.capture.sample_rate);
    let mut page = Page::new();
    for (at, seen) in model.gaps.iter().take(MOST_GAPS).enumerate() {
        let label = if at == 0 { "gaps" } else { "" };
        let mut facts: Vec<Piece> = show::status::last_gap(&seen.gap, rate, view).into();
        if seen.unseen > 0 {
            facts.push(Piece::new(Ink::Warn, format!("and {} just before", counted(seen.unseen, "gap"))));
        }
        let head = Piece::new(Ink::Faint, format!("  {label:10}  "));
        page.extend(flow(head, SEPARATOR, facts, view.columns));
    }
    page
}

/// A question, what was done, or what the keys do.
fn foot(model: &Model, look: &Look, columns: usize) -> Page {
    if let Some(order) = &model.asked {
        let mut page = sentence(Piece::new(Ink::Warn, "? "), Ink::Warn, &order.question(), Some(columns));
        page.push(Line::of(Piece::new(Ink::Strong, "  y")).and(plain(" yes   any other key no")));
        return page;
    }
    if let Some((ink, note)) = model.note(look.at) {
        return sentence(Piece::new(ink, "» "), ink, note, Some(columns));
    }
    let is_paused = model.status.as_ref().is_some_and(|status| status.state == State::Paused);
    let pause = if is_paused { "resume" } else { "pause" };
    let keys =
        [("q", "quit"), ("↑↓", "choose"), ("k", "kick"), ("p", pause), ("s", "sort"), ("r", "reverse")];
    let line = keys.iter().fold(Line::default(), |line, (key, does)| {
        line.and(Piece::new(Ink::Strong, key)).and(Piece::new(Ink::Faint, format!(" {does}   ")))
    });
    vec![line]
}

/// Who listens: a title, a header, and as many rows as there is room for, around the chosen one.
fn list(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let listeners = model.listing.listeners();
    let room = usize::from(area.height).saturating_sub(2);
    let chosen = model.listing.chosen_at();
    let first = chosen.map_or(0, |at| at.saturating_sub(room / 2)).min(listeners.len().saturating_sub(room));
    let shown = &listeners[first..listeners.len().min(first + room)];
    let title = match model.listing.is_known() {
        true => title(listeners.len(), first, shown.len()),
        false => Line::of(Piece::new(Ink::Faint, "nobody is known to listen")),
    };
    frame.render_widget(text(&[title], look), Rect { height: area.height.min(1), ..area });
    if listeners.is_empty() || area.height < 2 {
        return;
    }
    let columns = columns(model, area.width);
    let header = columns.iter().map(|(column, _)| heading(*column, model.listing.order()));
    let header = Row::new(header.collect::<Vec<_>>()).style(style(Ink::Faint, look));
    let id_length = model.listing.id_length();
    let row = |listener: &Listener| {
        let cell = |(column, _): &(Column, Constraint)| {
            let text = Text::from(escape(&cell(*column, listener, id_length, look.now_ms)));
            if is_figure(*column) { text.right_aligned() } else { text }
        };
        Row::new(columns.iter().map(cell).collect::<Vec<_>>())
    };
    let widths = columns.iter().map(|(_, width)| *width);
    let table = Table::new(shown.iter().map(row), widths)
        .header(header)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(chosen.map(|at| at - first));
    frame.render_stateful_widget(table, Rect { y: area.y + 1, height: area.height - 1, ..area }, &mut state);
}

fn title(all: usize, first: usize, shown: usize) -> Line {
    let total = u64::try_from(all).unwrap_or(u64::MAX);
    let title = match all {
        0 => return Line::of(plain("nobody listens")),
        _ => Line::of(Piece::new(Ink::Strong, counted(total, "listener"))),
    };
    match shown < all {
        true => title.and(Piece::new(Ink::Faint, format!(", {} to {} of them", first + 1, first + shown))),
        false => title,
    }
}

/// The columns that a terminal of this width has room for, and how wide they are.
fn columns(model: &Model, width: u16) -> Vec<(Column, Constraint)> {
    let listeners = model.listing.listeners();
    let longest = |text: fn(&Listener) -> usize| listeners.iter().map(text).max().unwrap_or(0);
    let width_of = |column: Column| match column {
        Column::Id => rows(model.listing.id_length()),
        Column::Address => rows(longest(|one| one.info.ip_address.chars().count()).clamp(7, 39)),
        Column::Since | Column::Frames => 10,
        Column::Rate => 12,
        Column::Sent => 8,
        Column::Gaps => 6,
        Column::Client => 0,
    };
    // Narrower than this, they are left out; what changes is worth more than what was always so.
    let needs = |column: Column| match column {
        Column::Id | Column::Rate => 0,
        Column::Frames => 36,
        Column::Gaps => 48,
        Column::Client => 60,
        Column::Address => 76,
        Column::Since => 92,
        Column::Sent => 104,
    };
    let shown = Column::ALL.into_iter().filter(|column| width >= needs(*column));
    let constraint = |column: Column| match column {
        Column::Client => Constraint::Fill(1),
        other => Constraint::Length(width_of(other)),
    };
    shown.map(|column| (column, constraint(column))).collect()
}

const fn is_figure(column: Column) -> bool {
    matches!(column, Column::Since | Column::Frames | Column::Rate | Column::Sent | Column::Gaps)
}

/// The column's title, marked if the list is sorted by it.
fn heading(column: Column, (sorted_by, is_reversed): (Column, bool)) -> Text<'static> {
    let mark = if sorted_by != column {
        ""
    } else if is_reversed {
        "↑"
    } else {
        "↓"
    };
    let text = Text::from(format!("{}{mark}", column.title()));
    if is_figure(column) { text.right_aligned() } else { text }
}

fn cell(column: Column, listener: &Listener, id_length: usize, now_ms: u64) -> String {
    let info = &listener.info;
    let rate = |rate: Option<f64>, text: fn(f64) -> String| rate.map_or("-".to_owned(), text);
    match column {
        Column::Id => info.id.chars().take(id_length).collect(),
        Column::Address => info.ip_address.clone(),
        Column::Since => {
            listener.since_ms.map_or_else(|| info.connected_at.clone(), |then| since(then, now_ms))
        }
        Column::Frames => rate(listener.frames_per_second, |rate| trimmed(rate, 1)),
        Column::Rate => rate(listener.bytes_per_second, bit_rate),
        Column::Sent => bytes(info.bytes_sent),
        Column::Gaps => count(info.errors_count),
        Column::Client => info.user_agent.clone(),
    }
}

/// Our lines as the terminal library's.
fn text(page: &[Line], look: &Look) -> Paragraph<'static> {
    let span = |piece: &Piece| Span::styled(piece.text().to_owned(), style(piece.ink(), look));
    let line = |line: &Line| TextLine::from(line.pieces().iter().map(span).collect::<Vec<_>>());
    Paragraph::new(page.iter().map(line).collect::<Vec<_>>())
}

/// The same colours as the other commands have.
fn style(ink: Ink, look: &Look) -> Style {
    let style = Style::new();
    if !look.has_colour {
        return style;
    }
    match ink {
        Ink::Plain => style,
        Ink::Strong => style.add_modifier(Modifier::BOLD),
        Ink::Faint => style.add_modifier(Modifier::DIM),
        Ink::Good => style.fg(Color::Green),
        Ink::Warn => style.fg(Color::Yellow),
        Ink::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}
