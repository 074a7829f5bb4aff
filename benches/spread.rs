//! What it costs the writer of a spread log to append an entry, with listeners asleep at its end. What
//! the woken listeners do then is theirs and is not in these figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

use divan::Bencher;
use talasd::tools::spread::{Cursor, Extent, Limits, spread_log};

/// An entry as a rendition has it: shared bytes.
#[derive(Clone)]
struct Entry(Arc<[u8]>);

impl Extent for Entry {
    fn span(&self) -> u64 {
        1024
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Counts instead of running a task.
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    divan::main();
}

/// Reads all there is and falls asleep.
fn sleep(cursor: &mut Cursor<Entry>, cx: &Context<'_>) {
    while cursor.poll_next(cx).is_ready() {}
}

// One append for each sample: the sleepers must be asleep again before the next.
#[divan::bench(args = [0, 1, 500], sample_count = 5000, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, sleepers: usize) {
    // Two seconds of blocks, as a rendition keeps them; full, so that each append also evicts.
    let (mut writer, log) = spread_log(Limits { entries: 94, span: u64::MAX, bytes: usize::MAX });
    let bytes: Arc<[u8]> = vec![0; 6000].into();
    (0..200).for_each(|_| assert!(writer.append(Entry(bytes.clone()))));
    let mut cursors: Vec<_> = (0..sleepers).map(|_| log.from_now()).collect();
    let waker = Waker::from(Arc::new(Woken(AtomicU64::new(0))));
    bencher
        .with_inputs(|| {
            let cx = Context::from_waker(&waker);
            cursors.iter_mut().for_each(|cursor| sleep(cursor, &cx));
            Entry(bytes.clone())
        })
        .bench_local_values(|entry| writer.append(entry));
}
