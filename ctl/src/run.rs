//! Runs a command: asks, shows, and follows a watch until somebody ends it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use talas_wire::{ConnectionPage, Meters};

use crate::args::{Args, Command};
use crate::call::{self, Call, call};
use crate::client::{Answer, Client, Event};
use crate::error::{CLIENT_VERSION, Error, Kind, Result};
use crate::screen::Screen;
use crate::show::{self, View};
use crate::text::{Ink, Page, Piece, sentence};

/// A live view is redrawn this often without news, so that the durations in it go on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

type Stdout = Screen<std::io::Stdout>;

/// Does what the command line says.
pub fn run(args: &Args) -> Result<()> {
    let mut screen = Screen::stdout();
    if matches!(args.command, Command::Version) && !args.json {
        // Said before anybody is asked: it is true without a daemon, too.
        screen.line(&format!("talasctl {CLIENT_VERSION}"))?;
    }
    let mut client = Client::connect(&args.socket(), args.timeout)?;
    let question = call(&args.command);
    match &args.command {
        Command::Status { watch: true } | Command::Meters { watch: true } if args.json => {
            pass_on(client, &question, &mut screen)
        }
        Command::Status { watch: true } => follow(client, &question, &mut screen, |answer, view| {
            Ok(show::status::page(&answer.read()?, view))
        }),
        Command::Meters { watch: true } => {
            let mut ballistics = show::meters::Ballistics::default();
            follow(client, &question, &mut screen, |answer, view| {
                let meters: Meters = answer.read()?;
                ballistics.follow(&meters);
                Ok(show::meters::page(&ballistics, view))
            })
        }
        Command::Connections => connections(&mut client, args.json, &mut screen),
        command => {
            let answer = client.ask(&question)?;
            if args.json {
                return screen.line(answer.json());
            }
            let page = show::page(command, &answer, &view(&screen))?;
            screen.print(&page)
        }
    }
}

/// A watch for programs: one object per line.
fn pass_on(client: Client, question: &Call, screen: &mut Stdout) -> Result<()> {
    let mut watch = client.watch(question)?;
    loop {
        match watch.next(None)? {
            Event::Change(answer) | Event::Lagged(_, answer) => screen.line(answer.json())?,
            Event::Quiet => {}
            Event::Over => return Ok(()),
        }
    }
}

/// A watch for people: one page, always of now.
fn follow(
    client: Client,
    question: &Call,
    screen: &mut Stdout,
    mut show: impl FnMut(&Answer, &View) -> Result<Page>,
) -> Result<()> {
    let mut watch = client.watch(question)?;
    let patience = screen.is_live().then_some(REDRAW_EVERY);
    let mut newest = None;
    let mut missed = 0;
    loop {
        match watch.next(patience)? {
            Event::Change(answer) => newest = Some(answer),
            Event::Lagged(changes, _) => missed += changes,
            Event::Quiet => {}
            Event::Over => return screen.leave(),
        }
        if let Some(answer) = &newest {
            let view = view(screen);
            let mut page = show(answer, &view)?;
            page.extend(missed_notice(missed, view.columns));
            screen.draw(&page)?;
        }
    }
}

fn missed_notice(missed: u64, columns: Option<usize>) -> Page {
    if missed == 0 {
        return Page::new();
    }
    let changes = crate::human::counted(missed, "change");
    let text = format!("missed {changes}: this terminal is slower than the news");
    sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, &text, columns)
}

/// Who listens comes in pages, asked for until there is no next one.
fn connections(client: &mut Client, json: bool, screen: &mut Stdout) -> Result<()> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let answer = client.ask(&call::connections(after.as_deref()))?;
        let page: ConnectionPage = answer.read()?;
        if json {
            screen.line(answer.json())?;
        }
        if page.next.is_some() && (page.next == after || page.connections.is_empty()) {
            return Err(Error::new(Kind::Protocol, "the daemon's pages of connections do not end"));
        }
        all.extend(page.connections);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if json {
        return Ok(());
    }
    let page = show::connections::page(&all, &view(screen));
    screen.print(&page)
}

fn view(screen: &Stdout) -> View {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    View { now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), columns: screen.columns() }
}
