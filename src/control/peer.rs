//! Who is connected, as the kernel says, and what that allows.
//!
//! `SO_PEERCRED` and `SO_PEERGROUPS` tell what the peer was when it connected; nothing the peer says
//! itself counts. The `gid` of `SO_PEERCRED` alone would miss members whose operators' group is not
//! their primary one, which is nearly all of them.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Group, Uid};
use talas_wire::Level;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// How long the number of the operators' group is believed: a group that was just made is known after
/// this, and a stranger who connects in a loop does not keep the name service busy.
const BELIEVED: Duration = Duration::from_secs(3);
/// How long the name service may take. Without an answer nobody is an operator by group.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the kernel shows of users and groups that have no number in our user namespace. It stands for
/// anybody, so it is never our own user nor the operators' group.
const OVERFLOW_ID: u32 = 65_534;
/// Supplementary groups asked for at first; few users have more.
const USUAL_GROUPS: usize = 64;

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// Its process; 0 where it is outside our PID namespace.
    pub pid: i32,
    /// What it may do.
    pub level: Level,
}

/// What decides about levels.
#[derive(Debug)]
pub struct Authority {
    own_uid: u32,
    group: String,
    operators: Mutex<Operators>,
}

#[derive(Debug, Default)]
struct Operators {
    gid: Option<u32>,
    asked: Option<Instant>,
    /// A question that the name service has not answered. There is only ever one: a name service that
    /// hangs must not cost a thread for each connection.
    pending: Option<JoinHandle<Option<u32>>>,
}

impl Authority {
    /// Authority of the members of a group, beside root and the user of this process.
    pub fn new(group: &str) -> Self {
        Self { own_uid: Uid::effective().as_raw(), group: group.to_owned(), operators: Mutex::default() }
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The kernel does not say.
    pub async fn identify(&self, stream: &UnixStream) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let pid = credentials.pid().unwrap_or(0);
        // Root does not wait for a name service.
        let mut level = level_of(uid, &[], self.own_uid, None);
        if level < Level::Admin {
            let mut groups = peer_groups(stream)?;
            groups.push(credentials.gid());
            level = level_of(uid, &groups, self.own_uid, self.operators().await);
        }
        Ok(Peer { uid, pid, level })
    }

    /// The operators' group, if there is one.
    async fn operators(&self) -> Option<u32> {
        let mut operators = self.operators.lock().await;
        if operators.asked.is_some_and(|asked| asked.elapsed() < BELIEVED) {
            return operators.gid;
        }
        let group = self.group.clone();
        let pending =
            operators.pending.get_or_insert_with(|| tokio::task::spawn_blocking(move || number(&group)));
        let gid = match tokio::time::timeout(PATIENCE, pending).await {
            Ok(answer) => {
                operators.pending = None;
                answer.unwrap_or(None)
            }
            Err(_) => {
                tracing::warn!(
                    event = "group_unknown",
                    group = self.group,
                    "the name service does not answer"
                );
                None
            }
        };
        // At most one line for each time the group comes or goes.
        if operators.gid.is_some() != gid.is_some() || operators.asked.is_none() {
            self.tell(gid);
        }
        operators.gid = gid;
        operators.asked = Some(Instant::now());
        gid
    }

    fn tell(&self, gid: Option<u32>) {
        let group = self.group.as_str();
        match gid {
            Some(gid) => tracing::debug!(event = "operators", group, gid, "members of the group may steer"),
            None => {
                tracing::info!(event = "operators", group, "no such group: only root and our user may steer")
            }
        }
    }
}

/// The number of a group. Blocks for as long as the name service likes.
fn number(group: &str) -> Option<u32> {
    // A name service that fails is like a group that is not there: it gives nobody rights.
    Group::from_name(group).ok().flatten().map(|group| Gid::as_raw(group.gid))
}

/// What somebody with these numbers may do.
fn level_of(uid: u32, groups: &[u32], own_uid: u32, operators: Option<u32>) -> Level {
    if uid == 0 || (uid == own_uid && uid != OVERFLOW_ID) {
        return Level::Admin;
    }
    match operators {
        Some(gid) if gid != OVERFLOW_ID && groups.contains(&gid) => Level::Change,
        _ => Level::Read,
    }
}

/// Supplementary groups of the peer when it connected.
fn peer_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; USUAL_GROUPS];
    match ask_groups(stream, &mut groups) {
        // Too many for the room: the kernel said how many there are, and that does not change any more.
        Err((error, count)) if error.raw_os_error() == Some(libc::ERANGE) => {
            groups.resize(count, 0);
            let count = ask_groups(stream, &mut groups).map_err(|(error, _)| error)?;
            groups.truncate(count);
        }
        Err((error, _)) => return Err(error),
        Ok(count) => groups.truncate(count),
    }
    Ok(groups)
}

/// Fills in the groups and returns how many; where the room is too small, how many there are.
#[expect(unsafe_code, reason = "neither std nor nix knows SO_PEERGROUPS")]
fn ask_groups(stream: &UnixStream, groups: &mut [libc::gid_t]) -> Result<usize, (io::Error, usize)> {
    let mut bytes = libc::socklen_t::try_from(size_of_val(groups)).unwrap_or(0);
    // SAFETY: the descriptor is open while `stream` is borrowed; `groups` is writable for `bytes` bytes,
    // any content of it is a valid gid_t, and the kernel writes nothing beyond the length it is given.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    let count = bytes as usize / size_of::<libc::gid_t>();
    if result == 0 { Ok(count) } else { Err((io::Error::last_os_error(), count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_give_the_level() {
        let daemon = 990;
        for (uid, groups, operators, expected) in [
            (0, &[][..], None, Level::Admin),
            (daemon, &[][..], None, Level::Admin),
            (1000, &[1000, 44, 700][..], Some(700), Level::Change),
            (1000, &[1000, 44][..], Some(700), Level::Read),
            (1000, &[1000, 700][..], None, Level::Read),
            // Group root is not user root.
            (1000, &[0][..], Some(700), Level::Read),
            // Everybody who has no number here looks alike.
            (65_534, &[65_534][..], Some(65_534), Level::Read),
        ] {
            assert_eq!(level_of(uid, groups, daemon, operators), expected, "{uid} {groups:?}");
        }
        assert_eq!(level_of(65_534, &[], 65_534, None), Level::Read, "a daemon that runs as nobody");
    }

    #[tokio::test]
    async fn the_kernel_tells_our_own_groups() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let mut told = peer_groups(&ours).expect("told");
        let mut own: Vec<u32> =
            nix::unistd::getgroups().expect("groups").iter().map(|g| g.as_raw()).collect();
        told.sort_unstable();
        own.sort_unstable();
        assert_eq!(told, own);
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_nobodys() {
        let authority = Authority::new("no-such-group-of-talas");
        assert_eq!(authority.operators().await, None);
        let known = Group::from_gid(Gid::from_raw(0)).expect("asked").expect("group 0 has a name");
        assert_eq!(Authority::new(&known.name).operators().await, Some(0));
    }
}
