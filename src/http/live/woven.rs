//! A group as one listener gets it: its bytes, and between them the titles for those who want them. Pure.

use bytes::{Buf, Bytes};

use crate::mux::icy::Weaver;
use crate::station::live::Group;

/// A piece of what goes out.
#[derive(Debug)]
pub struct Piece {
    /// The piece.
    pub bytes: Bytes,
    is_sound: bool,
}

/// A group as one listener gets it.
#[derive(Debug)]
pub struct Woven {
    /// The pieces in order.
    pub pieces: Vec<Piece>,
    /// The listener's place between two blocks of titles afterwards.
    pub icy: Option<Weaver>,
    /// The link of a chain that it is in afterwards.
    pub link: Option<u64>,
}

impl Woven {
    /// With titles for those who want them, and what leads from one link of a chain to the next.
    pub fn new(group: &Group, icy: Option<&Weaver>, link: Option<u64>) -> Self {
        let mut pieces = Vec::with_capacity(3);
        if let Some(next) = group.link.as_deref().filter(|next| Some(next.number) != link) {
            // One who has just come has heard no link before it.
            let farewell = link.map(|_| next.farewell.clone());
            let between = farewell.into_iter().chain([next.head.clone()]);
            pieces.extend(between.map(|bytes| Piece { bytes, is_sound: false }));
        }
        let link = group.link.as_ref().map(|link| link.number);
        let Some(weaver) = icy else {
            pieces.push(Piece { bytes: group.bytes.clone(), is_sound: true });
            return Self { pieces, icy: None, link };
        };
        let mut weaver = weaver.clone();
        let title = (group.title.number, &group.title.icy);
        weaver.weave(group.bytes.clone(), title, |bytes, is_sound| pieces.push(Piece { bytes, is_sound }));
        Self { pieces, icy: Some(weaver), link }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    /// What is left after `sent` bytes, and how much of it belongs to a packet that was begun.
    pub fn rest(self, sent: usize, group: &Group) -> (Vec<Bytes>, usize) {
        let (mut at, mut sound, mut begun) = (0, 0, 0);
        for piece in &self.pieces {
            let here = piece.bytes.len().min(sent.saturating_sub(at));
            at += piece.bytes.len();
            sound += if piece.is_sound { here } else { 0 };
        }
        let border = group.border_after(sound);
        // From the sound back to the bytes around it.
        let (mut at, mut heard) = (0, 0);
        for piece in &self.pieces {
            if piece.is_sound {
                let here = piece.bytes.len().min(border - heard);
                heard += here;
                begun = begun.max(if here > 0 { at + here } else { 0 });
            } else if at < sent {
                begun = begun.max(at + piece.bytes.len());
            }
            at += piece.bytes.len();
        }
        let mut rest: Vec<Bytes> = self.pieces.into_iter().map(|piece| piece.bytes).collect();
        skip(&mut rest, sent);
        (rest, begun.saturating_sub(sent))
    }
}

/// Drops the first `sent` bytes.
pub fn skip(rest: &mut Vec<Bytes>, mut sent: usize) {
    rest.retain_mut(|bytes| {
        let here = sent.min(bytes.len());
        bytes.advance(here);
        sent -= here;
        !bytes.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mux::icy;
    use crate::station::live::{Link, Title};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn group(packets: &[usize]) -> Group {
        let mut end = 0;
        let mut borders = Vec::new();
        for packet in packets {
            end += *packet;
            borders.push(u32::try_from(end).expect("small"));
        }
        let title = Title { number: 1, position: 0, text: "x".to_owned(), icy: icy::block("a title") };
        Group {
            epoch: 0,
            position: 0,
            end: 1,
            mono_ns: 0,
            packets: 1,
            clean_start: true,
            title: Arc::new(title),
            link: None,
            bytes: (0..end).map(|n| u8::try_from(n % 251).expect("small")).collect::<Vec<_>>().into(),
            borders: borders.into(),
        }
    }

    #[test]
    fn one_link_leads_to_the_next_and_who_comes_gets_a_head() {
        let link = Link { number: 7, farewell: "bye".into(), head: "head".into() };
        let group = Group { link: Some(Arc::new(link)), bytes: "sound".into(), ..group(&[5]) };
        let heard = |link| {
            let woven = Woven::new(&group, None, link);
            assert_eq!(woven.link, Some(7));
            woven
                .pieces
                .iter()
                .map(|piece| String::from_utf8(piece.bytes.to_vec()).expect("text"))
                .collect::<String>()
        };
        assert_eq!([heard(None), heard(Some(6)), heard(Some(7))], ["headsound", "byeheadsound", "sound"]);
        // Cut in the middle of the head, a player gets the rest of that and no sound.
        let (rest, to_border) = Woven::new(&group, None, Some(6)).rest(4, &group);
        assert_eq!((rest.concat(), to_border), (b"eadsound".to_vec(), 3));
    }

    proptest! {
        #[test]
        fn what_is_left_goes_on_where_it_stopped_and_may_end_at_a_border(
            packets in prop::collection::vec(1_usize..9000, 1..8),
            before in 0_usize..40_000,
            sent in 0_usize..50_000,
            has_titles: bool,
        ) {
            let group = group(&packets);
            let mut weaver = Weaver::default();
            weaver.weave(vec![0; before].into(), (0, &icy::block("")), |_, _| ());
            let woven = || Woven::new(&group, has_titles.then_some(&weaver), None);
            let whole: Vec<u8> = woven().pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
            let is_sound: Vec<bool> =
                woven().pieces.iter().flat_map(|piece| vec![piece.is_sound; piece.bytes.len()]).collect();
            let sent = sent.min(whole.len());
            let (rest, to_border) = woven().rest(sent, &group);
            prop_assert_eq!(&rest.concat(), &whole[sent..]);
            // Cut there, a player has whole packets, and no part of a title.
            let heard = is_sound[..sent + to_border].iter().filter(|is_sound| **is_sound).count();
            prop_assert!(heard == 0 || group.borders.contains(&u32::try_from(heard).expect("small")));
            let is_cut = |at: usize| at > 0 && at < whole.len() && !is_sound[at - 1] && !is_sound[at];
            prop_assert!(!is_cut(sent + to_border), "inside a title");
            // And no more than that.
            let begun = is_sound[..sent].iter().filter(|is_sound| **is_sound).count();
            let most = group.border_after(begun);
            prop_assert!(heard <= most);
        }
    }
}
