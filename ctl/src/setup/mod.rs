//! `setup`: from an installed package to sound that others hear. Asks for the device and shows its meters, asks
//! who may listen, and makes the first token; or does what its options say, without a question.
//!
//! In here: the order of things. What is written is decided in `config_file` and `exposure`, which are pure;
//! how people are asked is `dialog`, how systemd and talasd are told `machine`.

mod config_file;
mod dialog;
mod exposure;
mod machine;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use talas_wire::{DeviceList, Level, Meters, State, Status, TokenMinted};

use crate::args::{Args, Question, SetupWish, TokenWish};
use crate::call::call;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::run::view;
use crate::screen::Screen;
use crate::show;
use dialog::Dialog;
use exposure::Exposure;

/// How long the meters are shown before it is asked whether they are right.
const METERS_FOR: Duration = Duration::from_secs(5);
/// Between two looks at the meters, and at a daemon that starts.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a daemon may take to start and to have sound.
const START_WITHIN: Duration = Duration::from_secs(15);
/// How long the first token is good, in seconds: 30 days.
const TOKEN_FOR_S: u32 = 30 * 86_400;
/// Whom the first token is for, where nobody says.
const SOMEBODY: &str = "listener";

/// Does it.
pub fn run<W: Write>(args: &Args, wish: &SetupWish, screen: &mut Screen<W>) -> Result<()> {
    let asks = wish.is_open();
    if asks && !std::io::stdin().is_terminal() {
        return Err(Error::new(Kind::Usage, "setup asks questions, and there is no terminal to ask them on")
            .hint("say what to do: talasctl setup --device NAME --listen ADDRESS:PORT --token WHO"));
    }
    let mut setup = Setup { args, wish, screen, dialog: Dialog::of_stdin() };
    setup.ensure_may()?;
    if asks { setup.ask() } else { setup.act() }
}

struct Setup<'a, W> {
    args: &'a Args,
    wish: &'a SetupWish,
    screen: &'a mut Screen<W>,
    dialog: Dialog,
}

impl<W: Write> Setup<'_, W> {
    fn connect(&self) -> Result<Client> {
        Client::connect(&self.args.socket(), self.args.timeout)
    }

    /// The files and units are root's, and the daemon knows whom it talks to.
    fn ensure_may(&self) -> Result<()> {
        match self.connect()?.hello().level {
            Level::Admin => Ok(()),
            _ => Err(Error::new(
                Kind::Denied,
                "setup changes the configuration and the service of this machine",
            )
            .hint("sudo talasctl setup")),
        }
    }

    /// Without questions.
    fn act(&mut self) -> Result<()> {
        if let Some(device) = &self.wish.device {
            self.capture_from(device)?;
        }
        if !self.wish.listen.is_empty() {
            self.expose(&Exposure::on(self.wish.listen.clone()))?;
        }
        match &self.wish.token {
            Some(sub) => self.mint(sub),
            None => Ok(()),
        }
    }

    fn ask(&mut self) -> Result<()> {
        self.ask_device()?;
        let question = "\nWho may listen?\n  1  this machine only\n  2  the local network, with a token\n";
        let Some(2) = self.dialog.choose(self.screen, question, 2)? else {
            return self.screen.line("\nThat is all; talasctl status shows how it is.");
        };
        self.expose(&Exposure::local_network())?;
        let sub = self.dialog.line(self.screen, &format!("\nWhom is the first token for? [{SOMEBODY}] "))?;
        self.mint(if sub.is_empty() { SOMEBODY } else { &sub })
    }

    fn ask_device(&mut self) -> Result<()> {
        loop {
            let list: DeviceList = self.connect()?.ask(&call(&Question::Devices))?.read()?;
            if list.devices.is_empty() {
                return self.screen.line("There is no capture device; plug one in, and run setup again.");
            }
            let mut question = "Where does the sound come from?\n".to_owned();
            for (device, number) in list.devices.iter().zip(1..) {
                let what = device.problem.as_deref().unwrap_or(&device.description);
                question += &format!("  {number}  {} - {what}\n", device.name);
            }
            let Some(number) = self.dialog.choose(self.screen, &question, list.devices.len())? else {
                return self.screen.line("The device stays as it is.");
            };
            self.capture_from(&list.devices[number - 1].name)?;
            self.show_meters()?;
            if self.dialog.is_yes(self.screen, "Do the meters follow the sound? [Y/n] ")? {
                return Ok(());
            }
        }
    }

    fn capture_from(&mut self, device: &str) -> Result<()> {
        config_file::change(&self.wish.config, |text| config_file::with_device(text, device))?;
        machine::systemctl(&["restart", "talasd.service"])?;
        let status = self.wait_for_sound()?;
        let how = match (status.state, &status.reason) {
            (State::Running | State::Paused, _) => "it runs".to_owned(),
            (state, reason) => {
                format!("it is {}: {}", state.as_str(), reason.as_deref().unwrap_or("no reason is known"))
            }
        };
        self.say(&crate::text::escape(&format!("Capturing from {device}: {how}.")))
    }

    /// For people; programs get the objects of the daemon alone.
    fn say(&mut self, line: &str) -> Result<()> {
        if self.args.json { Ok(()) } else { self.screen.line(line) }
    }

    /// The status once there is sound, or when there is none in time.
    fn wait_for_sound(&self) -> Result<Status> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let status = self.connect().and_then(|mut client| {
                client.ask(&call(&Question::Status { watch: false }))?.read::<Status>()
            });
            match status {
                Ok(status) if matches!(status.state, State::Running | State::Paused) => return Ok(status),
                result if Instant::now() >= deadline => return result,
                _ => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn show_meters(&mut self) -> Result<()> {
        let mut client = self.connect()?;
        let mut ballistics = show::meters::Ballistics::default();
        let end = Instant::now() + METERS_FOR;
        while Instant::now() < end {
            let meters: Meters = client.ask(&call(&Question::Meters { watch: false }))?.read()?;
            ballistics.follow(&meters);
            let page = show::meters::page(&ballistics, &view(self.screen));
            self.screen.draw(&page)?;
            std::thread::sleep(LOOK_EVERY);
        }
        self.screen.leave()
    }

    fn expose(&mut self, exposure: &Exposure) -> Result<()> {
        let names = machine::names();
        config_file::change(&self.wish.config, |text| config_file::with_hosts(text, &names))?;
        machine::write(Path::new(exposure::DROP_IN), &exposure.drop_in())?;
        machine::announce(exposure)?;
        machine::systemctl(&["daemon-reload"])?;
        // A socket is bound anew only while the service that has it does not run, and somebody who comes back
        // would start it.
        let both = ["talasd-http.socket", "talasd.service"];
        machine::systemctl(&[&["stop"][..], &both].concat())?;
        machine::systemctl(&[&["start"][..], &both].concat())?;
        self.wait_for_sound()?;
        let addresses: Vec<String> = exposure.listen.iter().map(SocketAddr::to_string).collect();
        self.say(&format!("Serving on {}.", addresses.join(" and ")))
    }

    fn mint(&mut self, sub: &str) -> Result<()> {
        let wish = TokenWish::Mint {
            sub: sub.to_owned(),
            roles: vec!["listener".to_owned()],
            for_s: TOKEN_FOR_S,
            audio_id: Vec::new(),
            paths: Vec::new(),
        };
        let mut client = self.connect()?;
        let answer = client.ask(&call(&Question::Token(wish)))?;
        if self.args.json {
            return self.screen.line(answer.json());
        }
        let minted: TokenMinted = answer.read()?;
        let status: Status = client.ask(&call(&Question::Status { watch: false }))?.read()?;
        let page = show::access::minted(&minted, &view(self.screen));
        self.screen.print(&page)?;
        let door = exposure::door(&status.addresses, &machine::names());
        self.screen.line(&format!("To listen: {door}/live.mp3?token={}", minted.token))
    }
}
