//! The same request again, for another range: what a player does all day, answered past the HTTP library.
//!
//! The first request of a kind is read here and answered by the router, with all its rules, as any other. If the
//! answer is one range of a file, the words of both are kept as a [`Pattern`] for a moment. A request in the same
//! words, byte for byte but for the value of `Range`, then gets the same answer but for the range, as long as
//! the file is the same; nothing of it is parsed or composed again. Whatever else a connection brings is
//! handed to the HTTP library with all that has been read, and the connection stays there.
//!
//! Bytes of the file leave with the head of the answer in one write: long ranges from the page cache itself, short
//! ones, and those of files that cannot be mapped, by way of one piece of memory of each worker. What the socket does
//! not take is not kept: it is read again when its turn comes. So a reader that does not read costs no memory here.

use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, DATE, EXPECT, HeaderName, HeaderValue, RANGE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Response, StatusCode};
use socket2::SockRef;
use tower::ServiceExt;

use super::limit::{self, Rehearsal};
use super::promise::Promise;
use super::range::{self, Selection};
use super::site::Peer;
use super::watched::SHORT_BYTES;
use super::wire::{Offer, Wire};
use crate::access::Standing;
use crate::keys::{Lease, Limiter, Overrun, Parties};
use crate::tools::page_cache;
use crate::tools::paged_file::PagedFile;
use crate::tools::stop::Stop;

/// What requests that are looked at begin with. Of other routes none is worth a second look.
const BEGINNING: &[u8] = b"GET /stream/";
/// Most headers of a request that is looked at.
const MOST_HEADERS: usize = 32;
/// How long a pattern is kept. What a reload or another layer's rules would change is no staler than that, and neither
/// is the date of an answer.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Ranges of so many bytes are sent from the page cache itself: below, a copy costs less than the page's entry in a
/// table.
const PAGED_LEAST_BYTES: u64 = 32 * 1024;
/// Most bytes sent from there at a time: as many as are looked for in the page cache.
const PAGED_BYTES: u64 = 1024 * 1024;
/// Most bytes read and written at a time: they stay in the core's own cache in between.
const PIECE_BYTES: usize = 256 * 1024;
/// What is read at a time where the socket has little room: the rest would be read for nothing.
const SMALL_PIECE_BYTES: usize = 64 * 1024;
/// Bytes that the kernel may hold unsent of a range: two pieces, so that one is there when the other is gone.
const UNSENT_BYTES: u32 = 512 * 1024;

thread_local! {
    static PIECE: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE_BYTES].into_boxed_slice());
}

/// Put into an answer by whoever answers with one range of a file and nothing else.
#[derive(Debug, Clone)]
pub struct OneRange {
    /// The file.
    pub file: Arc<PagedFile>,
    /// What the head of the answer says of it.
    pub promise: Promise,
    /// When anything of it changed last, in seconds and nanoseconds.
    pub changed: (i64, i64),
    /// The bytes.
    pub range: Range<u64>,
    /// For whom each repetition counts.
    pub by: Parties,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The peer left, or is to leave.
    Closed,
    /// Something else came: the wire still has it.
    Unusual,
}

/// A request and its answer, without what differs from one range to another.
#[derive(Debug)]
struct Pattern {
    /// The request up to the value of `Range`.
    before: Vec<u8>,
    /// And from there on.
    after: Vec<u8>,
    /// The answer's status line and headers.
    head: Vec<u8>,
    /// Held by the library, for as long as it keeps files: an idle connection keeps none open.
    file: Weak<PagedFile>,
    promise: Promise,
    changed: (i64, i64),
    by: Parties,
    learnt: Instant,
}

/// What is not sent yet of an answer.
struct Due {
    file: Arc<PagedFile>,
    head: Vec<u8>,
    range: Range<u64>,
    /// Bytes to read at a time: as much as the socket is likely to take.
    piece: usize,
    is_begun: bool,
    /// The file changed before anything was sent: the answer would be wrong.
    is_stale: bool,
}

/// Serves requests for single ranges of files until something else comes, or the end.
///
/// # Errors
/// The socket or the file fails, or the file is no longer the one that was promised: the answer breaks off.
pub async fn serve(
    wire: &mut Wire,
    router: &Router,
    limiter: &Arc<Limiter>,
    peer: &Peer,
    stop: &Stop,
) -> io::Result<End> {
    let mut kept: Option<Pattern> = None;
    while !stop.is_stopped() {
        if wire.ahead().is_empty() && wire.read_ahead().await? == 0 {
            return Ok(End::Closed);
        }
        if let Some(pattern) = kept.take_if(|pattern| pattern.learnt.elapsed() < KEPT_FOR)
            && let Some((range, length)) = pattern.matches(wire.ahead())
            && let Some(file) = pattern.file.upgrade()
        {
            let _in_flight = peer.meter.begin_request();
            let Ok(counted) = Counted::new(limiter, &pattern.by, &range) else { return Ok(End::Unusual) };
            if pattern.send(wire, file, range, &counted).await? {
                wire.take_ahead(length);
                kept = Some(pattern);
                continue;
            }
        }
        let Some(asked) = parse(wire.ahead()) else { return Ok(End::Unusual) };
        let _in_flight = peer.meter.begin_request();
        let length = asked.length;
        let Some((pattern, file, range)) = learn(wire.ahead(), asked, router, peer).await else {
            return Ok(End::Unusual);
        };
        let Ok(counted) = Counted::new(limiter, &pattern.by, &range) else { return Ok(End::Unusual) };
        if !pattern.send(wire, file, range, &counted).await? {
            return Ok(End::Unusual);
        }
        wire.take_ahead(length);
        kept = Some(pattern);
    }
    Ok(End::Closed)
}

/// An answer that was counted as the router's would be.
struct Counted {
    standing: Option<Standing>,
    /// The place of a long one among the streams of its client.
    _lease: Option<Lease>,
}

impl Counted {
    /// Counts it. What is over a limit is the router's to refuse.
    fn new(limiter: &Arc<Limiter>, by: &Parties, range: &Range<u64>) -> Result<Self, Overrun> {
        let is_long = range.end - range.start > SHORT_BYTES;
        let lease = is_long.then(|| limiter.begin_stream(by, false)).transpose()?;
        Ok(Self { standing: limiter.request(by)?, _lease: lease })
    }
}

/// A request of the simplest kind.
struct Asked {
    request: Request<Body>,
    /// Where the value of its `Range` is in what was read.
    value: Range<usize>,
    /// How much of what was read it is.
    length: usize,
}

/// Has a request answered by the router: the pattern of both, the file and the range. `None` where the answer is
/// not one range of a file.
async fn learn(
    read: &[u8],
    asked: Asked,
    router: &Router,
    peer: &Peer,
) -> Option<(Pattern, Arc<PagedFile>, Range<u64>)> {
    let Asked { mut request, value, length } = asked;
    request.extensions_mut().insert(peer.clone());
    request.extensions_mut().insert(Rehearsal);
    // The answer's body is not used.
    let Ok(answer) = router.clone().oneshot(request).await;
    let OneRange { file, promise, changed, range, by } = answer.extensions().get::<OneRange>()?.clone();
    let pattern = Pattern {
        before: read[..value.start].to_vec(),
        after: read[value.end..length].to_vec(),
        head: head(&answer)?,
        file: Arc::downgrade(&file),
        promise,
        changed,
        by,
        learnt: Instant::now(),
    };
    Some((pattern, file, range))
}

/// A complete request for one range set, without a query, a body, or wishes for the connection. Whatever is
/// not that is read once more by the HTTP library, so asking the router must do no harm.
fn parse(read: &[u8]) -> Option<Asked> {
    if !read.starts_with(BEGINNING) {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(read) {
        Ok(httparse::Status::Complete(length)) if parsed.version == Some(1) => length,
        _ => return None,
    };
    let path = parsed.path.filter(|path| !path.contains('?'))?;
    let mut request = Request::get(path).body(Body::empty()).ok()?;
    let mut value = None;
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if is_of_the_connection(&name, header.value) {
            return None;
        }
        if name == RANGE {
            let begin = header.value.as_ptr().addr() - read.as_ptr().addr();
            let is_second = value.replace(begin..begin + header.value.len()).is_some();
            if is_second {
                return None;
            }
        }
        request.headers_mut().append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(Asked { request, value: value?, length })
}

/// Whether a header is about more than the answer: a body that follows, or how the connection goes on.
fn is_of_the_connection(name: &HeaderName, value: &[u8]) -> bool {
    let others = [&CONTENT_LENGTH, &TRANSFER_ENCODING, &UPGRADE, &EXPECT, &TE, &TRAILER];
    others.contains(&name) || (name == CONNECTION && !value.eq_ignore_ascii_case(b"keep-alive"))
}

/// The head of an answer without the lines that a range decides, and without its end.
fn head(answer: &Response<Body>) -> Option<Vec<u8>> {
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let mut head = b"HTTP/1.1 206 Partial Content\r\n".to_vec();
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    for (name, value) in answer.headers() {
        if ![CONTENT_LENGTH, CONTENT_RANGE, DATE].contains(name) {
            line(name.as_str(), value.as_bytes());
        }
    }
    line(DATE.as_str(), httpdate::fmt_http_date(SystemTime::now()).as_bytes());
    Some(head)
}

impl Pattern {
    /// The range that a request of this pattern asks for, and its length.
    fn matches(&self, read: &[u8]) -> Option<(Range<u64>, usize)> {
        let rest = read.strip_prefix(self.before.as_slice())?;
        let (value, rest) = rest.split_at(rest.iter().position(|byte| *byte == b'\r')?);
        let behind = rest.strip_prefix(self.after.as_slice())?;
        match range::select(str::from_utf8(value).ok()?, self.promise.size()) {
            Selection::Single(range) => Some((range, read.len() - behind.len())),
            _ => None,
        }
    }

    /// Sends the answer; `false` if the file has changed and nothing was sent.
    async fn send(
        &self,
        wire: &mut Wire,
        file: Arc<PagedFile>,
        range: Range<u64>,
        counted: &Counted,
    ) -> io::Result<bool> {
        let mut head = Vec::with_capacity(self.head.len() + 256);
        head.extend_from_slice(&self.head);
        let (length, content_range) =
            (range.end - range.start, range::content_range(&range, self.promise.size()));
        for (name, value) in counted.standing.iter().flat_map(limit::fields) {
            write!(head, "{name}: {value}\r\n")?;
        }
        write!(head, "content-length: {length}\r\ncontent-range: {content_range}\r\n\r\n")?;
        if length > u64::from(wire.unsent_bytes()) {
            wire.hold_unsent(UNSENT_BYTES);
        }
        let mut due = Due { file, head, range, piece: PIECE_BYTES, is_begun: false, is_stale: false };
        while !due.range.is_empty() {
            match wire.offer(|socket| self.offer(socket, &mut due)).await? {
                Offer::Written { .. } => {}
                Offer::Nothing if due.is_stale => return Ok(false),
                Offer::Nothing => self.send_from_disk(wire, &mut due).await?,
            }
        }
        Ok(true)
    }

    /// Writes the head and as much of the file as the page cache has and goes at a time.
    fn offer(&self, socket: &SockRef<'_>, due: &mut Due) -> io::Result<Offer> {
        if let Some(offer) = self.offer_pages(socket, due)? {
            return Ok(offer);
        }
        PIECE.with_borrow_mut(|piece| {
            let length = usize::try_from(due.range.end - due.range.start).unwrap_or(usize::MAX);
            let space = &mut piece[..length.min(due.piece)];
            let Some(read) = page_cache::read(&due.file, space, due.range.start)? else {
                return Ok(Offer::Nothing);
            };
            self.write(socket, due, &space[..read])
        })
    }

    /// Writes the head and the next bytes from the page cache itself, if they are many and all there.
    fn offer_pages(&self, socket: &SockRef<'_>, due: &mut Due) -> io::Result<Option<Offer>> {
        let Range { start, end } = due.range;
        let length = (end - start).min(PAGED_BYTES);
        if length < PAGED_LEAST_BYTES || !page_cache::holds(&due.file, start, length) {
            return Ok(None);
        }
        if !due.is_begun && self.finds_stale(due)? {
            return Ok(Some(Offer::Nothing));
        }
        let sent = due.file.send(&**socket, &due.head, &(start..start + length));
        if !matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            // Also the better reason where the place is gone.
            self.promise.check(&due.file)?;
        }
        let Some(written) = sent? else { return Ok(None) };
        let offered = due.head.len() + usize::try_from(length).unwrap_or(usize::MAX);
        due.took(written);
        Ok(Some(Offer::Written { is_all: written == offered }))
    }

    /// Looks, before anything is sent, whether the file is the one that the head is about, and notes if not.
    fn finds_stale(&self, due: &mut Due) -> io::Result<bool> {
        due.is_stale = !self.promise.is_kept(&due.file, self.changed)?;
        Ok(due.is_stale)
    }

    /// As [`Self::offer`], for what a disk has to be waited for.
    async fn send_from_disk(&self, wire: &mut Wire, due: &mut Due) -> io::Result<()> {
        let (file, Range { start, end }) = (due.file.clone(), due.range.clone());
        let length = usize::try_from(end - start).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            let read = file.read_at(&mut piece, start)?;
            piece.truncate(read);
            io::Result::Ok(piece)
        });
        let piece = reading.await.map_err(io::Error::other)??;
        let end = start + piece.len() as u64;
        loop {
            let sent = usize::try_from(due.range.start - start).unwrap_or(usize::MAX);
            wire.offer(|socket| self.write(socket, due, &piece[sent..])).await?;
            if due.is_stale || due.range.start >= end {
                return Ok(());
            }
        }
    }

    /// Writes what is left of the head and then these bytes, which are the next; but first looks whether the
    /// file that they were read from is the one that the head is about.
    fn write(&self, socket: &SockRef<'_>, due: &mut Due, bytes: &[u8]) -> io::Result<Offer> {
        if due.is_begun {
            self.promise.check(&due.file)?;
        } else if self.finds_stale(due)? {
            return Ok(Offer::Nothing);
        }
        if bytes.is_empty() {
            return Err(Promise::cut());
        }
        let offered = due.head.len() + bytes.len();
        let written = socket.send_vectored(&[IoSlice::new(&due.head), IoSlice::new(bytes)])?;
        let is_all = written == offered;
        due.took(written);
        due.piece = if is_all { PIECE_BYTES } else { written.clamp(SMALL_PIECE_BYTES, PIECE_BYTES) };
        Ok(Offer::Written { is_all })
    }
}

impl Due {
    /// The socket took so many bytes.
    fn took(&mut self, bytes: usize) {
        let of_head = bytes.min(self.head.len());
        self.head.drain(..of_head);
        self.range.start += (bytes - of_head) as u64;
        self.is_begun = true;
    }
}
