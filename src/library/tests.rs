use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn library(dirs: &[&Path]) -> Arc<Library> {
    Arc::new(Library::new(Settings { dirs: dirs.iter().map(|dir| (*dir).to_owned()).collect() }))
}

fn file(path: impl AsRef<Path>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("parent")).expect("made");
    fs::write(path, path.to_string_lossy().as_bytes()).expect("written");
}

fn paths(listing: &Listing) -> Vec<String> {
    listing.tracks.iter().map(|track| track.path.to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn lists_what_is_audio_and_inside() {
    let outside = tempfile::tempdir().expect("directory");
    let dir = tempfile::tempdir().expect("directory");
    let root = dir.path();
    file(outside.path().join("secret.mp3"));
    for name in ["b.mp3", "a/c.flac", "a/.hidden.mp3", ".cache/d.mp3", "cover.jpg", "é\n.ogg"] {
        file(root.join(name));
    }
    symlink("b.mp3", root.join("inside.mp3")).expect("link");
    symlink(outside.path().join("secret.mp3"), root.join("out.mp3")).expect("link");
    symlink("../../../../../../../../../../etc/passwd", root.join("passwd.mp3")).expect("link");
    symlink("nowhere", root.join("dangling.mp3")).expect("link");
    symlink("loop.mp3", root.join("loop.mp3")).expect("link");
    symlink(outside.path(), root.join("outside")).expect("link");
    symlink(".", root.join("again")).expect("link");
    symlink("/proc/self/fd/0", root.join("magic.mp3")).expect("link");
    nix::unistd::mkfifo(&root.join("fifo.mp3"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    fs::create_dir(root.join("folder.mp3")).expect("made");
    let listing = library(&[root]).listing().await;
    assert_eq!(paths(&listing), ["a/c.flac", "b.mp3", "inside.mp3", "é\n.ogg"]);
    assert_eq!(listing.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn directories_may_be_missing_double_or_nested() {
    let dir = tempfile::tempdir().expect("directory");
    file(dir.path().join("deep/a.mp3"));
    let (root, deep) = (dir.path(), dir.path().join("deep"));
    let listing = library(&[root, &deep, root, &dir.path().join("missing")]).listing().await;
    assert_eq!(paths(&listing), ["a.mp3", "deep/a.mp3"]);
    assert_eq!(listing.complaints.len(), 1, "{:?}", listing.complaints);
}

#[tokio::test]
async fn the_walk_is_bounded_in_depth() {
    let dir = tempfile::tempdir().expect("directory");
    let deep = |depth: usize| dir.path().join("d/".repeat(depth)).join("a.mp3");
    file(deep(16));
    file(deep(17));
    let listing = library(&[dir.path()]).listing().await;
    assert_eq!(paths(&listing), [format!("{}a.mp3", "d/".repeat(16))]);
    assert_eq!(listing.complaints.len(), 1);
}

#[tokio::test]
async fn pages_go_on_where_they_ended_also_when_that_track_is_gone() {
    let dir = tempfile::tempdir().expect("directory");
    (0..10).for_each(|n| file(dir.path().join(format!("{n}.mp3"))));
    let listing = library(&[dir.path()]).listing().await;
    let (page, next) = listing.page(None, 4);
    assert_eq!((page.len(), page[3].name().as_ref()), (4, "3.mp3"));
    let next = Place::from_token(&next.expect("more").to_token()).expect("a token");
    fs::remove_file(dir.path().join("3.mp3")).expect("removed");
    let listing = library(&[dir.path()]).listing().await;
    let (page, next) = listing.page(Some(&next), 6);
    assert_eq!((page.len(), page[0].name().as_ref(), next), (6, "4.mp3", None));
    assert_eq!(listing.page(Some(&Place::of(&page[5])), 6).0.len(), 0);
}

#[tokio::test]
async fn a_new_file_is_found_and_a_moved_one_is_not() {
    let dir = tempfile::tempdir().expect("directory");
    file(dir.path().join("a.mp3"));
    let library = library(&[dir.path()]);
    let id = library.listing().await.tracks[0].id;
    assert_eq!(library.open(id).await.expect("opened").0.name(), "a.mp3");
    fs::rename(dir.path().join("a.mp3"), dir.path().join("b.mp3")).expect("renamed");
    let unknown = TrackId::new(dir.path(), Path::new("c.mp3"));
    assert_eq!(library.open(unknown).await.expect_err("none").kind(), Kind::NotFound);
    let new = TrackId::new(dir.path(), Path::new("b.mp3"));
    assert_eq!(library.open(new).await.expect_err("within the cache's time").kind(), Kind::NotFound);
    tokio::time::sleep(FRESH).await;
    assert_eq!(library.open(id).await.expect_err("gone").kind(), Kind::NotFound);
    assert_eq!(library.open(new).await.expect("opened").0.name(), "b.mp3");
}

#[tokio::test]
async fn what_took_a_tracks_place_must_be_a_file_inside() {
    let outside = tempfile::tempdir().expect("directory");
    let dir = tempfile::tempdir().expect("directory");
    file(outside.path().join("a.mp3"));
    let path = dir.path().join("deep/a.mp3");
    file(&path);
    let library = library(&[dir.path()]);
    let id = library.listing().await.tracks[0].id;
    let refused = async || library.open(id).await.expect_err("refused").kind();
    fs::remove_file(&path).expect("removed");
    symlink(outside.path().join("a.mp3"), &path).expect("link");
    assert_eq!(refused().await, Kind::NotFound);
    fs::remove_file(&path).expect("removed");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    assert_eq!(refused().await, Kind::NotFound);
    fs::remove_dir_all(dir.path().join("deep")).expect("removed");
    symlink(outside.path(), dir.path().join("deep")).expect("link");
    assert_eq!(refused().await, Kind::NotFound);
}

#[tokio::test]
async fn other_directories_come_into_force_at_once() {
    let (one, other) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    file(one.path().join("a.mp3"));
    file(other.path().join("b.mp3"));
    let library = library(&[one.path()]);
    let id = library.listing().await.tracks[0].id;
    library.apply(Settings { dirs: vec![other.path().to_owned()] });
    assert_eq!(library.open(id).await.expect_err("no longer served").kind(), Kind::NotFound);
    assert_eq!(paths(&*library.listing().await), ["b.mp3"]);
}
