//! The laws of the spread log between threads, in every order that they can run in. A wake-up that could
//! be lost is a reader that sleeps for ever: loom calls that a deadlock and fails. Its time stands still,
//! so no timeout hides one.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use talas_loom::spread::{Cursor, Extent, Limits, Next, spread_log};

const LONG: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    value: u64,
    epoch: u64,
}

impl Extent for Item {
    fn span(&self) -> u64 {
        1
    }
    fn bytes(&self) -> usize {
        1
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

const fn item(value: u64) -> Item {
    Item { value, epoch: 0 }
}

const fn keeping(entries: usize) -> Limits {
    Limits { entries, span: u64::MAX, bytes: usize::MAX }
}

/// How a reader waits.
#[derive(Clone, Copy)]
enum Waits {
    AsTask,
    AsThread,
}

impl Waits {
    fn next(self, cursor: &mut Cursor<Item>) -> Next<Item> {
        match self {
            Self::AsTask => block_on(cursor.next()),
            Self::AsThread => cursor.next_within(LONG).expect("time stands still"),
        }
    }

    /// Reads to the end: every entry is next in order or told missed. Returns how many there were.
    fn read_all(self, cursor: &mut Cursor<Item>) -> u64 {
        let mut expected = 0;
        loop {
            match self.next(cursor) {
                Next::Entry(entry) => {
                    assert_eq!(entry.value, expected, "in order, none twice, none silently missing");
                    expected += 1;
                }
                Next::Missed(count) => {
                    assert!(count > 0);
                    expected += count;
                }
                Next::Closed => return expected,
            }
        }
    }
}

/// Every order in which three threads are interrupted at most three times at an awkward moment: all
/// orders would take minutes, and faults of this kind need two.
fn with_three_threads(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Polls once with nobody to wake.
fn glance(cursor: &mut Cursor<Item>) -> Poll<Next<Item>> {
    cursor.poll_next(&Context::from_waker(Waker::noop()))
}

#[test]
fn a_reader_is_woken_for_every_entry_and_for_the_end() {
    for reader in [Waits::AsTask, Waits::AsThread] {
        loom::model(move || {
            let (mut writer, log) = spread_log::<Item>(keeping(4));
            let mut cursor = log.from_oldest();
            let writing = thread::spawn(move || {
                assert!(writer.append(item(0)));
                assert!(writer.append(item(1)));
            });
            assert_eq!(reader.read_all(&mut cursor), 2, "all are kept, so none is missed");
            writing.join().expect("written");
        });
    }
}

#[test]
fn a_task_and_a_thread_are_both_woken_by_one_append() {
    with_three_threads(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let (mut task, mut other) = (log.from_oldest(), log.from_oldest());
        let reading = thread::spawn(move || Waits::AsTask.next(&mut task));
        let waiting = thread::spawn(move || Waits::AsThread.next(&mut other));
        assert!(writer.append(item(0)));
        assert_eq!(reading.join().expect("woken"), Next::Entry(item(0)));
        assert_eq!(waiting.join().expect("woken"), Next::Entry(item(0)));
    });
}

#[test]
fn what_a_slow_reader_missed_is_told_exactly() {
    for reader in [Waits::AsTask, Waits::AsThread] {
        loom::model(move || {
            let (mut writer, log) = spread_log::<Item>(keeping(1));
            let mut cursor = log.from_oldest();
            let writing = thread::spawn(move || {
                (0..3).for_each(|value| assert!(writer.append(item(value))));
            });
            assert_eq!(reader.read_all(&mut cursor), 3, "read and missed together are what was written");
            writing.join().expect("written");
        });
    }
}

#[test]
fn one_who_begins_now_gets_all_that_comes_and_nothing_before() {
    loom::model(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        assert!(writer.append(item(0)));
        let writing = thread::spawn(move || {
            assert!(writer.append(item(1)));
            assert!(writer.append(item(2)));
        });
        let mut cursor = log.from_now();
        let mut heard = Vec::new();
        while let Next::Entry(entry) = block_on(cursor.next()) {
            heard.push(entry.value);
        }
        assert!([&[1, 2][..], &[2], &[]].contains(&&heard[..]), "{heard:?}");
        writing.join().expect("written");
    });
}

#[test]
fn after_a_new_epoch_began_nothing_older_is_read() {
    loom::model(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let writing = thread::spawn(move || {
            writer.append(item(0));
            assert!(writer.append(Item { value: 1, epoch: 1 }));
        });
        let mut before = log.from_oldest();
        log.begin_epoch(1);
        for cursor in [&mut before, &mut log.from_oldest()] {
            match cursor.try_next() {
                None | Some(Next::Closed | Next::Entry(Item { epoch: 1, .. })) => {}
                Some(other) => panic!("withdrawn on purpose, and yet {other:?}"),
            }
        }
        writing.join().expect("written");
    });
}

#[test]
fn one_who_sleeps_across_a_new_epoch_is_woken_for_it() {
    with_three_threads(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let mut cursor = log.from_oldest();
        let reading = thread::spawn(move || {
            let mut heard = Vec::new();
            loop {
                match block_on(cursor.next()) {
                    Next::Entry(entry) => heard.push(entry.value),
                    Next::Missed(count) => panic!("{count} were withdrawn, not missed"),
                    Next::Closed => return heard,
                }
            }
        });
        let beginning = thread::spawn(move || log.begin_epoch(1));
        writer.append(item(0));
        beginning.join().expect("begun");
        assert!(writer.append(Item { value: 1, epoch: 1 }));
        drop(writer);
        let heard = reading.join().expect("woken");
        assert!([&[0, 1][..], &[1]].contains(&&heard[..]), "{heard:?}");
    });
}

#[test]
fn an_entry_is_refused_exactly_when_its_epoch_is_over() {
    loom::model(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let control = log.clone();
        let beginning = thread::spawn(move || control.begin_epoch(1));
        let was_taken = writer.append(item(0));
        let before = log.written();
        beginning.join().expect("begun");
        assert_eq!(before, u64::from(was_taken));
        assert!(!writer.append(item(0)), "the epoch is over");
        assert!(writer.append(Item { value: 1, epoch: 1 }));
        assert_eq!(log.written(), u64::from(was_taken) + 1);
    });
}

#[test]
fn a_place_that_a_sleeper_left_wakes_its_next_holder() {
    with_three_threads(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let mut leaves = log.from_oldest();
        assert!(glance(&mut leaves).is_pending());
        let mut comes = log.from_oldest();
        let leaving = thread::spawn(move || drop(leaves));
        let writing = thread::spawn(move || {
            assert!(writer.append(item(0)));
            writer
        });
        assert_eq!(block_on(comes.next()), Next::Entry(item(0)));
        leaving.join().expect("left");
        let writer = writing.join().expect("written");
        let closing = thread::spawn(move || drop(writer));
        assert_eq!(block_on(comes.next()), Next::Closed);
        closing.join().expect("closed");
    });
}

#[test]
fn a_reader_that_changes_its_task_is_woken_in_the_new_one() {
    loom::model(|| {
        let (mut writer, log) = spread_log::<Item>(keeping(4));
        let mut cursor = log.from_oldest();
        assert!(glance(&mut cursor).is_pending(), "sleeps in a task that nobody wakes");
        let reading = thread::spawn(move || block_on(cursor.next()));
        assert!(writer.append(item(0)));
        assert_eq!(reading.join().expect("woken"), Next::Entry(item(0)));
    });
}
