//! Where the plugin is, and building it from within a test.

use std::env;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The plugin's file name.
pub const FILE_NAME: &str = "libasound_module_pcm_talassim.so";
/// Environment variable that names the plugin's file.
pub const VARIABLE: &str = "TALASSIM_PLUGIN";
/// The workspace's package that it is built from.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

/// The plugin as `TALASSIM_PLUGIN` names it, or beside this program, or, for a test, one folder up.
pub fn find() -> io::Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        return Path::new(&path).canonicalize();
    }
    let program = env::current_exe()?;
    let found =
        program.ancestors().skip(1).take(2).map(|dir| dir.join(FILE_NAME)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!("{FILE_NAME} is not beside this program: build it, or name it in {VARIABLE}");
        io::Error::new(ErrorKind::NotFound, message)
    })
}

/// Builds the plugin into the folder and with the profile of the running test, once per process.
///
/// Cargo builds a library of this kind for nobody's dependency, so a test has to ask for it.
pub fn build() -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_now().map_err(|error| error.to_string()));
    built.clone().map_err(io::Error::other)
}

fn build_now() -> io::Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE) {
        return Path::new(&path).canonicalize();
    }
    // target/<profile>/deps/<test>
    let test = env::current_exe()?;
    let profile_dir = test.ancestors().nth(2).ok_or_else(|| io::Error::other("not run by cargo test"))?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => return Err(io::Error::other("not run by cargo test")),
    };
    let target_dir = profile_dir.parent().unwrap_or(profile_dir);
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", "talas-simcard", "--manifest-path", MANIFEST])
        .args(["--profile", profile, "--target-dir"])
        .arg(target_dir)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("building the plugin: cargo ended with {status}")));
    }
    profile_dir.join(FILE_NAME).canonicalize()
}
