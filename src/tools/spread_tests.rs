//! The laws of the spread log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    value: u64,
    span: u64,
    epoch: u64,
}

impl Extent for Item {
    fn span(&self) -> u64 {
        self.span
    }
    fn bytes(&self) -> usize {
        8
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

fn item(value: u64) -> Item {
    Item { value, span: 10, epoch: 0 }
}

fn small(entries: usize) -> Limits {
    Limits { entries, span: u64::MAX, bytes: usize::MAX }
}

proptest! {
    /// Whatever the pace, a reader gets every entry in order or is told exactly how many it missed.
    #[test]
    fn every_entry_is_read_or_told_missed(
        keep in 1_usize..8,
        steps in prop::collection::vec(any::<bool>(), 1..200),
    ) {
        let (mut writer, log) = spread_log::<Item>(small(keep));
        let mut cursor = log.from_oldest();
        let (mut written, mut expected) = (0, 0);
        for write in steps {
            if write {
                writer.append(item(written));
                written += 1;
                continue;
            }
            match cursor.try_next() {
                Some(Next::Entry(got)) => {
                    prop_assert_eq!(got.value, expected);
                    expected += 1;
                }
                Some(Next::Missed(count)) => {
                    expected += count;
                    prop_assert!(expected + keep as u64 == written, "stands at the oldest kept");
                }
                Some(Next::Closed) => prop_assert!(false, "the writer lives"),
                None => prop_assert_eq!(expected, written),
            }
        }
    }
}

#[test]
fn bounded_by_span_and_bytes_but_the_newest_stays() {
    let (mut writer, log) = spread_log::<Item>(Limits { entries: 100, span: 25, bytes: usize::MAX });
    (0..5).for_each(|n| {
        writer.append(item(n));
    });
    assert_eq!(log.from_oldest().try_next(), Some(Next::Entry(item(3))), "two spans of ten fit into 25");
    writer.append(Item { value: 9, span: 1000, epoch: 0 });
    assert!(matches!(log.from_oldest().try_next(), Some(Next::Entry(Item { value: 9, .. }))));
}

#[test]
fn a_new_epoch_withdraws_everything_and_refuses_the_old() {
    let (mut writer, log) = spread_log::<Item>(small(10));
    let mut cursor = log.from_oldest();
    writer.append(item(1));
    writer.append(item(2));
    log.begin_epoch(1);
    assert!(!writer.append(item(3)), "made before the epoch began");
    assert!(writer.append(Item { epoch: 1, ..item(4) }));
    // Withdrawn on purpose is not "missed by slowness".
    assert!(matches!(cursor.try_next(), Some(Next::Entry(Item { value: 4, .. }))));
    assert_eq!(cursor.try_next(), None);
}

#[tokio::test]
async fn a_sleeping_reader_is_woken_and_closed_follows_the_last_entry() {
    let (mut writer, log) = spread_log::<Item>(small(4));
    let mut cursor = log.from_now();
    let reader = tokio::spawn(async move { (cursor.next().await, cursor.next().await) });
    tokio::task::yield_now().await;
    writer.append(item(7));
    drop(writer);
    assert_eq!(reader.await.expect("joined"), (Next::Entry(item(7)), Next::Closed));
}

#[test]
fn a_sleeper_takes_one_place_however_often_it_is_polled() {
    let (_writer, log) = spread_log::<Item>(small(4));
    let mut cursor = log.from_now();
    let cx = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        assert!(cursor.poll_next(&cx).is_pending());
    }
    assert_eq!(log.shared.lock().sleepers.len(), 1);
    drop(cursor);
    assert!(log.from_now().poll_next(&cx).is_pending());
    assert_eq!(log.shared.lock().sleepers.len(), 1, "the place is used again");
}

#[test]
fn threads_race_and_none_loses_an_entry() {
    const ENTRIES: u64 = 20_000;
    let (mut writer, log) = spread_log::<Item>(small(64));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut cursor = log.from_oldest();
            let done = &done;
            scope.spawn(move || {
                let mut expected = 0;
                loop {
                    match cursor.next_within(Duration::from_secs(5)).expect("something within five seconds") {
                        Next::Entry(entry) => {
                            assert_eq!(entry.value, expected);
                            expected += 1;
                        }
                        Next::Missed(count) => expected += count,
                        Next::Closed => break,
                    }
                }
                assert_eq!(expected, ENTRIES);
                assert!(done.load(Ordering::SeqCst));
            });
        }
        for n in 0..ENTRIES {
            writer.append(item(n));
        }
        done.store(true, Ordering::SeqCst);
        drop(writer);
    });
}

#[test]
fn begins_at_the_newest_that_fits() {
    let (mut writer, log) = spread_log::<Item>(small(10));
    (0..6).for_each(|n| {
        writer.append(item(n));
    });
    let mut cursor = log.from_newest(|entry| entry.value % 4 == 0);
    assert_eq!(cursor.try_next(), Some(Next::Entry(item(4))));
    assert_eq!(log.from_newest(|_| false).try_next(), None);
    assert_eq!(log.from_first(|entry| entry.value >= 3).try_next(), Some(Next::Entry(item(3))));
    assert_eq!(log.from_first(|_| true).try_next(), Some(Next::Entry(item(0))));
    assert_eq!(log.from_first(|_| false).try_next(), None);
}
