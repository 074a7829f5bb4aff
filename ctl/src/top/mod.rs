//! `top`: the appliance on a whole terminal, live.
//!
//! News of the daemon (`links`), keys and signals come through one channel into the model (`model`,
//! `listing`), and the model is drawn (`draw`); only `links` and `terminal` touch the world.

mod draw;
#[cfg(test)]
mod draw_tests;
mod links;
mod listing;
mod model;
mod terminal;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::Args;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::screen::Screen;

use draw::Look;
use links::Reach;
use model::{Act, Model, News, Order};
use terminal::FullScreen;

/// Redrawn this often without news, so that the durations go on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);
/// Redrawn no more often than this, however much happens: a slow terminal shows less, not later.
const REDRAW_AFTER: Duration = Duration::from_millis(50);

/// Anything that the view must look at.
#[derive(Debug)]
pub enum Happening {
    /// From the daemon.
    News(News),
    /// A key, or another size.
    Input(Event),
    /// The terminal gives no more keys.
    InputEnded(std::io::Error),
    /// A signal asks to end.
    Ended,
}

/// Shows the appliance until somebody leaves.
pub fn run<W: std::io::Write>(args: &Args, screen: &Screen<W>) -> Result<()> {
    if args.json {
        return Err(Error::new(Kind::Usage, "top is for people and has no JSON")
            .hint("for programs: talasctl --json status --watch, meters --watch, connections"));
    }
    if !screen.is_live() {
        return Err(Error::new(Kind::Usage, "top needs a terminal").hint("elsewhere: talasctl status"));
    }
    let reach = Reach { socket: args.socket(), patience: args.timeout };
    // Whoever is not there, or speaks another protocol, is better told on a plain screen.
    drop(Client::connect(&reach.socket, reach.patience)?);
    let (happenings, happened) = mpsc::channel();
    end_by_signal(&happenings)?;
    let mut full_screen = FullScreen::enter()?;
    read_keys(&happenings)?;
    let orders = links::begin(&reach, &happenings).map_err(|error| terminal::failed(&error))?;
    show(&mut full_screen, &happened, &orders, screen.has_colour())
}

fn show(
    full_screen: &mut FullScreen,
    happened: &Receiver<Happening>,
    orders: &Sender<Order>,
    has_colour: bool,
) -> Result<()> {
    let mut model = Model::default();
    loop {
        let look = Look::now(has_colour);
        let drawn = full_screen.terminal.draw(|frame| draw::draw(frame, &model, &look));
        drawn.map_err(|error| terminal::failed(&error))?;
        let first = match happened.recv_timeout(REDRAW_EVERY) {
            Ok(happening) => happening,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let is_over = take(&mut model, first, orders)?;
        // All that has come meanwhile is one picture.
        let until = Instant::now() + REDRAW_AFTER;
        let mut rest = || happened.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        if is_over || take_all(&mut model, &mut rest, orders)? {
            return Ok(());
        }
    }
}

/// Takes what has happened until there is nothing more; says whether the view is over.
fn take_all(
    model: &mut Model,
    next: &mut dyn FnMut() -> Option<Happening>,
    orders: &Sender<Order>,
) -> Result<bool> {
    while let Some(happening) = next() {
        if take(model, happening, orders)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says whether the view is over.
fn take(model: &mut Model, happening: Happening, orders: &Sender<Order>) -> Result<bool> {
    match happening {
        Happening::News(news) => model.hear(news, Instant::now()),
        Happening::Input(Event::Key(key)) => match model.press(key, Instant::now()) {
            Act::Stay => {}
            // The thread that carries it out lives as long as the process.
            Act::Do(order) => drop(orders.send(order)),
            Act::Quit => return Ok(true),
        },
        // Another size is seen by the next draw.
        Happening::Input(_) => {}
        Happening::InputEnded(error) => return Err(terminal::failed(&error)),
        Happening::Ended => return Ok(true),
    }
    Ok(false)
}

/// From here on a signal leaves in order; a second one ends the process even while its output is
/// blocked.
fn end_by_signal(happenings: &Sender<Happening>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| terminal::failed(&error))?;
    let happenings = happenings.clone();
    spawn("signals", move || {
        let mut came = false;
        for _ in signals.forever() {
            if came || happenings.send(Happening::Ended).is_err() {
                terminal::abandon();
            }
            came = true;
        }
    })
}

fn read_keys(happenings: &Sender<Happening>) -> Result<()> {
    let happenings = happenings.clone();
    spawn("keys", move || {
        loop {
            let (happening, is_last) = match event::read() {
                Ok(event) => (Happening::Input(event), false),
                Err(error) => (Happening::InputEnded(error), true),
            };
            if happenings.send(happening).is_err() || is_last {
                return;
            }
        }
    })
}

/// A thread that ends with the process: it waits for somebody who may never come.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|error| terminal::failed(&error))
}
