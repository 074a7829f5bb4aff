//! Who listens, gathered from the daemon's pages, and which of them somebody means.
//!
//! Not in here: what the list looks like (`show::connections`).

use talas_wire::{ConnectionInfo, ConnectionPage};

use crate::call;
use crate::client::{Answer, Client};
use crate::error::{Error, Kind, Result};

/// Candidates that are named where a beginning fits several connections.
const CANDIDATES: usize = 3;

/// Asks for pages until there is no next one.
pub fn pages(
    client: &mut Client,
    mut take: impl FnMut(&Answer, Vec<ConnectionInfo>) -> Result<()>,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let answer = client.ask(&call::connections(after.as_deref()))?;
        let ConnectionPage { connections, next, .. } = answer.read()?;
        // An id stands for its place in one order, so each page must end with a new one.
        let is_endless = next.is_some() && (next == after || connections.is_empty());
        take(&answer, connections)?;
        if is_endless {
            return Err(Error::new(Kind::Protocol, "the daemon's pages of connections do not end"));
        }
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// All of them, in the daemon's order.
pub fn all(client: &mut Client) -> Result<Vec<ConnectionInfo>> {
    let mut all = Vec::new();
    pages(client, |_, page| {
        all.extend(page);
        Ok(())
    })?;
    Ok(all)
}

/// The one connection that is meant by an id, or by a beginning that no other id has.
pub fn find(all: Vec<ConnectionInfo>, wish: &str) -> Result<ConnectionInfo> {
    let mut fitting: Vec<ConnectionInfo> = all.into_iter().filter(|one| one.id.starts_with(wish)).collect();
    if let Some(at) = fitting.iter().position(|one| one.id == wish) {
        return Ok(fitting.swap_remove(at));
    }
    match (fitting.pop(), fitting.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => {
            Err(Error::new(Kind::Failed, format!("no connection has an id that begins with {wish}"))
                .hint("who listens? talasctl connections"))
        }
        (Some(last), others) => {
            fitting.push(last);
            let mut named: Vec<&str> = fitting.iter().take(CANDIDATES).map(|one| one.id.as_str()).collect();
            if fitting.len() > CANDIDATES {
                named.push("…");
            }
            let message = format!(
                "{} connections have an id that begins with {wish}: {}",
                others + 1,
                named.join(", ")
            );
            Err(Error::new(Kind::Failed, message).hint("give more of the id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::listener;

    fn listeners(ids: &[&str]) -> Vec<ConnectionInfo> {
        ids.iter().map(|id| listener(id)).collect()
    }

    fn found(ids: &[&str], wish: &str) -> Result<String, String> {
        find(listeners(ids), wish).map(|one| one.id).map_err(|error| error.to_string())
    }

    #[test]
    fn a_beginning_means_the_one_that_has_it() {
        assert_eq!(found(&["abc", "abd", "b"], "abd"), Ok("abd".to_owned()));
        assert_eq!(found(&["abc", "abd", "b"], "b"), Ok("b".to_owned()));
        // A whole id is meant even where others go on from it.
        assert_eq!(found(&["abc", "ab"], "ab"), Ok("ab".to_owned()));
    }

    #[test]
    fn a_beginning_of_several_or_none_means_nobody() {
        let many = found(&["a1", "a2", "a3", "a4"], "a").expect_err("four begin so");
        assert_eq!(
            many,
            "talasctl: 4 connections have an id that begins with a: a1, a2, a3, …\nhint: give more of the id"
        );
        assert!(found(&["a1"], "b").is_err());
        assert!(found(&[], "b").is_err());
    }
}
