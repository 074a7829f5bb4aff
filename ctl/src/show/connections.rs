//! Who listens, as a table.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use talas_wire::ConnectionInfo;

use super::View;
use crate::human::{bytes, count, counted, rfc3339_ms, since};
use crate::text::{Ink, Line, Page, Piece, escape, plain};

/// Columns of the table, and how they are set.
const COLUMNS: [(&str, CellAlignment); 8] = [
    ("ID", CellAlignment::Left),
    ("ADDRESS", CellAlignment::Left),
    ("USER", CellAlignment::Left),
    ("SINCE", CellAlignment::Right),
    ("FRAMES", CellAlignment::Right),
    ("SENT", CellAlignment::Right),
    ("GAPS", CellAlignment::Right),
    ("CLIENT", CellAlignment::Left),
];

/// The whole page, for the connections of all the daemon's pages.
pub fn page(connections: &[ConnectionInfo], view: &View) -> Page {
    if connections.is_empty() {
        return vec![Line::of(plain("nobody listens"))];
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(COLUMNS.map(|(title, _)| title));
    if let Some(columns) = view.columns {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    }
    for (column, (_, alignment)) in table.column_iter_mut().zip(COLUMNS) {
        column.set_padding((0, 2)).set_cell_alignment(alignment);
    }
    for connection in connections {
        table.add_row(cells(connection, view));
    }
    let mut lines = table.lines();
    let mut page: Page =
        lines.next().into_iter().map(|header| Line::of(Piece::new(Ink::Faint, header))).collect();
    page.extend(lines.map(|line| Line::of(plain(line))));
    page.push(Line::default());
    let total = u64::try_from(connections.len()).unwrap_or(u64::MAX);
    page.push(Line::of(Piece::new(Ink::Strong, counted(total, "listener"))));
    page
}

/// After `connections kick`.
pub fn kicked(connection: &ConnectionInfo) -> Page {
    let ConnectionInfo { id, ip_address, user_agent, .. } = connection;
    vec![
        Line::of(plain("kicked "))
            .and(Piece::new(Ink::Strong, id))
            .and(plain(format!(": {ip_address}, {user_agent}"))),
    ]
}

/// Cells are escaped before the table measures them: a newline in a client's name is no new row.
fn cells(connection: &ConnectionInfo, view: &View) -> [Cell; 8] {
    let since = match rfc3339_ms(&connection.connected_at) {
        Some(then_ms) => since(then_ms, view.now_ms),
        None => connection.connected_at.clone(),
    };
    [
        connection.id.as_str(),
        &connection.ip_address,
        connection.user_id.as_deref().unwrap_or("-"),
        &since,
        &count(connection.frames_sent),
        &bytes(connection.bytes_sent),
        &count(connection.errors_count),
        &connection.user_agent,
    ]
    .map(|text| Cell::new(escape(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(id: &str, user_agent: &str) -> ConnectionInfo {
        ConnectionInfo {
            id: id.to_owned(),
            user_id: None,
            ip_address: "192.0.2.7".to_owned(),
            user_agent: user_agent.to_owned(),
            connected_at: "1970-01-01T00:10:00Z".to_owned(),
            last_heartbeat: "1970-01-01T01:00:00Z".to_owned(),
            frames_sent: 12_345,
            bytes_sent: 45_200_000,
            errors_count: 0,
            path: "/api/audio/stream".to_owned(),
            kind: "sse".to_owned(),
        }
    }

    fn text(connections: &[ConnectionInfo], columns: Option<usize>) -> String {
        let view = View { now_ms: 3_600_000, columns };
        page(connections, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
    }

    #[test]
    fn a_stranger_writes_no_row_and_moves_no_cursor() {
        let expected = r"ID  ADDRESS    USER   SINCE  FRAMES     SENT  GAPS  CLIENT
c1  192.0.2.7  -     50 min  12,345  45.2 MB     0  VLC/3.0
c2  192.0.2.7  -     50 min  12,345  45.2 MB     0  a\u{1b}[2J\nc3 root

2 listeners
";
        let connections = [listener("c1", "VLC/3.0"), listener("c2", "a\x1b[2J\nc3 root")];
        assert_eq!(text(&connections, None), expected);
    }

    #[test]
    fn a_narrow_terminal_breaks_cells_and_not_lines() {
        let long = listener("c1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        let text = text(&[long], Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("Firefox"), "{text}");
    }

    #[test]
    fn nobody_is_said() {
        assert_eq!(text(&[], None), "nobody listens\n");
    }
}
