//! The life of one push: connect, introduce itself, send groups until something breaks, wait, begin anew.
//!
//! It is one more subscriber of a rendition, and only while a server takes what it sends: without one, no
//! encoder runs for it. It waits for the server, and nobody waits for it.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::figures::Figures;
use super::link::{self, Link};
use super::patience::{Cause, Patience};
use super::request::{Answer, Introduction, Method, takes_titles, title_head};
use super::settings::Settings;
use super::target::Target;
use crate::error::{Error, Kind, Result};
use crate::station::live::{Cadence, Group, Live, Subscription, Title};
use crate::tools::clock::{WallClock, mono_ns};
use crate::tools::secret::Secret;
use crate::tools::spread::Next;
use crate::tools::stop::Stop;

/// What a server may send while it listens; more is thrown away.
const HEARD_BYTES: usize = 1024;

/// One push.
pub struct Feeder {
    live: Arc<Live>,
    wall: Arc<WallClock>,
    settings: Settings,
    target: Target,
    figures: Arc<Figures>,
    method: Method,
    patience: Patience,
}

/// Why an attempt ended.
struct End {
    cause: Cause,
    reason: String,
    lasted: Duration,
}

impl End {
    fn before(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into(), lasted: Duration::ZERO }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::before(Cause::Passing, error.chain())
    }
}

impl Feeder {
    /// A push at rest.
    pub fn new(
        live: Arc<Live>,
        wall: Arc<WallClock>,
        settings: Settings,
        target: Target,
        figures: Arc<Figures>,
    ) -> Self {
        let (method, patience) = (Method::Put, Patience::default());
        Self { live, wall, settings, target, figures, method, patience }
    }

    /// Runs until one of the stops. `now` ends a wait.
    pub async fn run(mut self, [own, all]: [Stop; 2], now: &Notify) {
        let stopped = async move {
            tokio::select! {
                () = own.stopped() => {}
                () = all.stopped() => {}
            }
        };
        tokio::select! {
            () = stopped => {}
            () = self.go_on(now) => {}
        }
    }

    async fn go_on(&mut self, now: &Notify) {
        loop {
            let end = self.attempt().await;
            let wait = self.patience.wait(end.cause, end.lasted, dice());
            self.tell(&end, wait);
            // Either way it is time.
            let _ = timeout(wait, now.notified()).await;
        }
    }

    fn tell(&mut self, end: &End, wait: Duration) {
        if end.cause == Cause::Again {
            return;
        }
        self.figures.failed(&end.reason, self.wall.now_ms());
        let (push, reason, wait_s) = (self.figures.url(), &end.reason, wait.as_secs_f32().ceil());
        let Some(count) = self.patience.tell(reason, mono_ns()) else { return };
        match end.cause {
            Cause::Refused => tracing::error!(
                event = "push_refused",
                push,
                reason,
                count,
                wait_s,
                "the server does not accept the user or the password"
            ),
            _ => tracing::warn!(
                event = "push_failed",
                push,
                reason,
                count,
                wait_s,
                "the server gets no sound, trying again"
            ),
        }
    }

    /// From connecting to the end of the connection.
    async fn attempt(&mut self) -> End {
        match self.introduce().await {
            Ok((link, heard, password)) => self.feed(link, heard, &password).await,
            Err(end) => end,
        }
    }

    /// Connects and is let in. In the middle is what the server said beyond that.
    async fn introduce(&mut self) -> std::result::Result<(Link, Vec<u8>, Secret), End> {
        let password = self.settings.find_password()?;
        let profile = self.live.profile(&self.settings.profile)?;
        let live_settings = self.live.settings();
        let encoding = profile.encoding_in(self.settings.format.codec());
        let mut link = link::connect(&self.target, self.stall()).await?;
        let introduction = Introduction {
            settings: &self.settings,
            target: &self.target,
            station_name: &live_settings.name,
            encoding: &encoding,
        };
        let head = introduction.head(self.method, &password);
        let answered = link::ask(&mut link, &head).await?;
        match answered {
            Some((answer, heard)) if answer.is_yes() => Ok((link, heard, password)),
            Some((answer, page)) => {
                let words = answer.words(&link::read_page(&mut link, page).await);
                Err(self.refusal(answer.status, format!("the server answers {words}")))
            }
            None => Err(self.refusal(405, "the server closes the connection without an answer".to_owned())),
        }
    }

    /// What a refusal asks for. A server that knows neither method is not asked again at once.
    fn refusal(&mut self, status: u16, reason: String) -> End {
        let cause = match status {
            401 => Cause::Refused,
            400 | 405 | 501 if self.method == Method::Put => Cause::Again,
            _ => Cause::Passing,
        };
        // After a failure of the older method the newer one is first again: the server may have changed.
        self.method = if cause == Cause::Again { Method::Source } else { Method::Put };
        End::before(cause, reason)
    }

    fn stall(&self) -> Duration {
        self.live.settings().lag
    }

    async fn feed(&mut self, link: Link, heard: Vec<u8>, password: &Secret) -> End {
        let key = self.live.key(Some(&self.settings.profile), self.settings.format);
        let is_chained = self.settings.format.can_be_chained();
        let cadence = if is_chained { Cadence::Chained } else { Cadence::Grouped };
        let subscription = match key.and_then(|key| self.live.subscribe(&key, cadence)) {
            Ok(subscription) => subscription,
            Err(error) => return error.into(),
        };
        let began = Instant::now();
        self.patience.connected();
        self.figures.connected(self.wall.now_ms());
        let (push, rendition) = (self.figures.url(), self.figures.rendition());
        tracing::info!(event = "push_connected", push, rendition, "the server takes the sound");
        let (from, to) = split(link);
        let reason = tokio::select! {
            end = self.send(to, subscription, password) => match end {
                Ok(()) => {
                    let end = End::before(Cause::Again, "the profile changed");
                    return End { lasted: began.elapsed(), ..end };
                }
                Err(error) => error.chain(),
            },
            reason = hear(from, heard) => reason,
        };
        End { cause: Cause::Passing, reason, lasted: began.elapsed() }
    }

    /// Sends groups, and titles beside them, until it cannot, or until its profile has become another one that
    /// the server has to be told of anew.
    async fn send(&self, mut to: WriteHalf<Link>, mut source: Subscription, password: &Secret) -> Result<()> {
        let mut titles = Titles::new(self, password);
        self.write(&mut to, &source.head()).await?;
        let mut changes = self.live.changes();
        let mut moving = None;
        let mut cursor = source.begin();
        let mut link = None;
        loop {
            tokio::select! {
                next = cursor.next() => match next {
                    Next::Entry(group) => {
                        if self.live.changes() != changes {
                            changes = self.live.changes();
                            moving = self.live.successor(&source, None);
                            if moving.is_none() && !self.live.is_current(&source.running) {
                                return Ok(());
                            }
                        }
                        if let Some(number) = moving.as_ref().and_then(|next: &Subscription| next.meeting(&group))
                            && let Some(next) = moving.take()
                        {
                            cursor = next.log().from_number(number);
                            source = next;
                            continue;
                        }
                        self.pass_on(&mut to, &group, &mut link).await?;
                        titles.heard(&group.title);
                    }
                    Next::Missed(_) => return Err(lost("the server takes the sound too slowly")),
                    Next::Closed => return Err(lost("the encoding ended")),
                },
                () = titles.turn() => {}
            }
        }
    }

    /// A group, and before it what leads to its link of a chain.
    async fn pass_on(&self, to: &mut WriteHalf<Link>, group: &Group, link: &mut Option<u64>) -> Result<()> {
        if let Some(next) = group.link.as_deref().filter(|next| Some(next.number) != *link) {
            if link.is_some() {
                self.write(to, &next.farewell).await?;
            }
            self.write(to, &next.head).await?;
            *link = Some(next.number);
        }
        self.write(to, &group.bytes).await
    }

    async fn write(&self, to: &mut WriteHalf<Link>, bytes: &[u8]) -> Result<()> {
        let written = async {
            to.write_all(bytes).await?;
            to.flush().await
        };
        match timeout(self.stall(), written).await {
            Ok(Ok(())) => self.figures.sent(bytes.len()),
            Ok(Err(error)) => {
                return Err(Error::caused(Kind::Unavailable, "the connection broke", error));
            }
            Err(_) => {
                let seconds = self.stall().as_secs();
                return Err(lost(&format!("the server took nothing for {seconds} s")));
            }
        }
        Ok(())
    }

    /// Tells the server a title.
    async fn tell_title(&self, title: &str, password: &Secret) -> Result<()> {
        let head = title_head(&self.target, &self.settings.user, password, title);
        let mut link = link::connect(&self.target, self.stall()).await?;
        let answered = link::ask(&mut link, &head).await?;
        let Some((answer, page)) = answered else { return Err(lost("the server does not answer")) };
        if answer.status == 200 {
            return Ok(());
        }
        let words = answer.words(&link::read_page(&mut link, page).await);
        Err(lost(&format!("the server answers {words}")))
    }
}

fn lost(reason: &str) -> Error {
    Error::new(Kind::Unavailable, reason)
}

fn dice() -> u32 {
    // The keys of hash tables are random enough for this.
    RandomState::new().build_hasher().finish() as u32
}

/// Listens to the server, which has nothing to say, until the end. Some say why before they close.
async fn hear(mut from: ReadHalf<Link>, mut heard: Vec<u8>) -> String {
    let mut piece = [0; HEARD_BYTES];
    loop {
        match from.read(&mut piece).await {
            Ok(count @ 1..) => {
                let room = HEARD_BYTES.saturating_sub(heard.len());
                heard.extend_from_slice(&piece[..count.min(room)]);
            }
            Ok(0) => return last_words(&heard, "the server closed the connection"),
            Err(error) => return last_words(&heard, &format!("the connection broke: {error}")),
        }
    }
}

fn last_words(heard: &[u8], otherwise: &str) -> String {
    match Answer::parse(heard) {
        Ok(Some(answer)) if !answer.is_yes() => {
            format!("the server ends with {}", answer.words(&heard[answer.head_bytes..]))
        }
        _ => otherwise.to_owned(),
    }
}

type Telling<'f> = Pin<Box<dyn Future<Output = Result<()>> + 'f>>;

/// Titles on their way to the server: one at a time, and of those that wait only the newest.
struct Titles<'f> {
    feeder: &'f Feeder,
    password: &'f Secret,
    /// The newest that was sent, or is to be.
    newest: Option<Arc<Title>>,
    waits: bool,
    telling: Option<Telling<'f>>,
    has_failed: bool,
}

impl<'f> Titles<'f> {
    fn new(feeder: &'f Feeder, password: &'f Secret) -> Self {
        Self { feeder, password, newest: None, waits: false, telling: None, has_failed: false }
    }

    /// Sound that was sent has this title.
    fn heard(&mut self, title: &Arc<Title>) {
        let is_known = match &self.newest {
            Some(newest) => newest.number == title.number,
            // A server that has just been connected knows of none.
            None => title.text.is_empty(),
        };
        if is_known || !takes_titles(self.feeder.settings.format) {
            return;
        }
        self.newest = Some(title.clone());
        self.waits = true;
    }

    /// Gets on with telling; resolves when a title has been told, never while there is none to tell.
    async fn turn(&mut self) {
        if self.telling.is_none() && self.waits {
            let (feeder, password) = (self.feeder, self.password);
            let title = self.newest.clone();
            self.waits = false;
            self.telling = title.map(|title| -> Telling<'f> {
                Box::pin(async move { feeder.tell_title(&title.text, password).await })
            });
        }
        let Some(telling) = &mut self.telling else { return std::future::pending().await };
        let told = telling.await;
        self.telling = None;
        // A server that takes no titles is told of once in a connection.
        if let Err(error) = told
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let (push, reason) = (self.feeder.figures.url(), error.chain());
            tracing::warn!(event = "push_title_failed", push, reason, "the server was not told the title");
        }
    }
}
