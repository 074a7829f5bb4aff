//! Runs a command: asks, shows, and follows a watch until somebody ends it.

use std::io::{BufRead, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use talas_wire::Meters;

use crate::args::{AccessWish, Args, Command, ConnectionWish, Question, SelfSigned, TlsWish};
use crate::call::{self, Call, call};
use crate::client::{Answer, Client, Event};
use crate::completions;
use crate::error::{CLIENT_VERSION, Error, Kind, Result};
use crate::listeners;
use crate::manual;
use crate::screen::Screen;
use crate::self_signed;
use crate::selftest;
use crate::setup;
use crate::show::{self, View};
use crate::support;
use crate::text::{Ink, Page, Piece, sentence};
use crate::top;

/// A live view is redrawn this often without news, so that the durations in it go on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// No token is longer, in bytes.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

type Stdout = Screen<std::io::Stdout>;

/// Does what the command line says.
pub fn run(args: &Args) -> Result<()> {
    let mut screen = Screen::stdout();
    let connect = || Client::connect(&args.socket(), args.timeout);
    match &args.command {
        Command::Ask(question) => ask(args, question, &mut screen),
        Command::Connections { wish: None } => connections(&mut connect()?, args.json, &mut screen),
        Command::Connections { wish: Some(ConnectionWish::Kick { id }) } => {
            kick(&mut connect()?, id, args.json, &mut screen)
        }
        Command::Top => top::run(args, &screen),
        Command::Selftest { watched } => selftest::run(args, *watched, &mut screen),
        Command::Setup(wish) => setup::run(args, wish, &mut screen),
        Command::SupportBundle { file } => support::run(args, file.as_deref(), &mut screen),
        Command::Tls(TlsWish::Show) => show_tls(&mut connect()?, args.json, &mut screen),
        Command::Tls(TlsWish::SelfSigned(wish)) => self_sign(wish, args.json, &mut screen),
        Command::Completions { shell } => screen.text(&completions::script(*shell)?),
        Command::Manual { directory } => manual::write(directory).map(drop),
    }
}

fn ask(args: &Args, question: &Question, screen: &mut Stdout) -> Result<()> {
    if matches!(question, Question::Version) && !args.json {
        // Said before anybody is asked: it is true without a daemon, too.
        screen.line(&format!("talasctl {CLIENT_VERSION}"))?;
    }
    let given = given_token(question)?;
    let mut client = Client::connect(&args.socket(), args.timeout)?;
    let call = call(given.as_ref().unwrap_or(question));
    match question {
        Question::Status { watch: true } | Question::Meters { watch: true } if args.json => {
            pass_on(client, &call, screen)
        }
        Question::Status { watch: true } => {
            follow(client, &call, screen, |answer, view| Ok(show::status::page(&answer.read()?, view)))
        }
        Question::Meters { watch: true } => {
            let mut ballistics = show::meters::Ballistics::default();
            follow(client, &call, screen, |answer, view| {
                let meters: Meters = answer.read()?;
                ballistics.follow(&meters);
                Ok(show::meters::page(&ballistics, view))
            })
        }
        question => {
            let answer = client.ask(&call)?;
            if args.json {
                return screen.line(answer.json());
            }
            let page = show::page(question, &answer, &view(screen))?;
            screen.print(&page)
        }
    }
}

/// The question with the token that stands on standard input, where it says so.
fn given_token(question: &Question) -> Result<Option<Question>> {
    let Question::Access(AccessWish::Test { token, method, path, address }) = question else {
        return Ok(None);
    };
    if token != "-" {
        return Ok(None);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_line(&mut line).map_err(|error| {
        Error::new(Kind::Failed, format!("cannot read the token from standard input: {error}"))
    })?;
    let (token, method, path) = (line.trim().to_owned(), method.clone(), path.clone());
    Ok(Some(Question::Access(AccessWish::Test { token, method, path, address: *address })))
}

fn connections(client: &mut Client, json: bool, screen: &mut Stdout) -> Result<()> {
    if json {
        return listeners::pages(client, |answer, _| screen.line(answer.json()));
    }
    let all = listeners::all(client)?;
    let page = show::connections::page(&all, &view(screen));
    screen.print(&page)
}

fn show_tls(client: &mut Client, json: bool, screen: &mut Stdout) -> Result<()> {
    let answer = client.ask(&call::tls())?;
    match json {
        true => screen.line(answer.json()),
        false => screen.print(&show::tls::page(&answer.read()?, &view(screen))),
    }
}

fn self_sign(wish: &SelfSigned, json: bool, screen: &mut Stdout) -> Result<()> {
    let made = self_signed::make(wish)?;
    match json {
        true => {
            let text = serde_json::to_string(&made);
            screen.line(&text.map_err(|error| Error::new(Kind::Failed, error.to_string()))?)
        }
        false => screen.print(&show::tls::made(&made, &view(screen))),
    }
}

fn kick(client: &mut Client, wish: &str, json: bool, screen: &mut Stdout) -> Result<()> {
    let listener = listeners::find(listeners::all(client)?, wish)?;
    let answer = client.ask(&call::kick(&listener.id))?;
    match json {
        true => screen.line(answer.json()),
        false => screen.print(&show::connections::kicked(&listener)),
    }
}

/// A watch for programs: one object per line.
fn pass_on(client: Client, call: &Call, screen: &mut Stdout) -> Result<()> {
    let mut watch = client.watch(call)?;
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
    call: &Call,
    screen: &mut Stdout,
    mut show: impl FnMut(&Answer, &View) -> Result<Page>,
) -> Result<()> {
    let mut watch = client.watch(call)?;
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
    let notice = |text: String| sentence(Piece::new(Ink::Warn, "! "), Ink::Warn, &text, columns);
    show::missed(missed).map_or_else(Page::new, notice)
}

/// What a page depends on, now and on this screen.
pub fn view<W: std::io::Write>(screen: &Screen<W>) -> View {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    View { now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), columns: screen.columns() }
}
