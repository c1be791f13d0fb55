//! The files of signing: the key, and the newest time that was signed or heard.
//!
//! A signature carries a time, and whoever checks it refuses one that is not newer than the last: a command that was
//! recorded is not obeyed again. So our time must not go back over a restart, and the clock of a computer without a battery
//! does: it starts in the past until the network tells it the time. Therefore the newest time is kept in a file. While it
//! flies it is written every 10 s, and always 15 s ahead of what was used, so that a power cut loses nothing; a new process
//! begins at this time or at that of the clock, whichever is later. A time that a valid signature of the other side
//! carries counts like one of ours.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::autopilot::signing::{SigningConfig, SigningKey, TICKS_PER_S, time_of_unix};
use crate::time::MonoTime;

/// Between two writings of the time.
const PERIOD: Duration = Duration::from_secs(10);
/// How far the file is ahead of what was used.
const AHEAD: u64 = 15 * TICKS_PER_S;
/// Bytes of a key.
const KEY: usize = 32;
/// Shortest pass phrase, characters.
const SHORTEST: usize = 8;
/// Longest file that can be a key, bytes.
const LONGEST: u64 = 1024;
/// Rights that nobody may have on a key: the group to change it, others anything.
const FORBIDDEN: u32 = 0o027;

/// Why the files of signing cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The key cannot be read.
    #[error(
        "link.signing_key_file: {}: {source}; write 32 random bytes or a pass phrase there, and give the file to the user \
         that runs alight", file.display()
    )]
    Read {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Others may read or change the key.
    #[error(
        "link.signing_key_file: {0}: others may read or change it (mode {mode:03o}): chmod 600 {0}", file.display()
    )]
    Open {
        /// Which file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not a key.
    #[error(
        "link.signing_key_file: {}: {problem}: it must hold the 32 bytes of the key, or a pass phrase of {SHORTEST} \
         characters or more in one line", file.display()
    )]
    NoKey {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The time cannot be kept.
    #[error(
        "link.signing_time_file: {}: {source}; set it to a file in a folder that alight may write to, as \
         /var/lib/alight/signing.time", file.display()
    )]
    Time {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Holds the key, and keeps the time.
#[derive(Debug)]
pub struct Keyring {
    signing: SigningConfig,
    time_file: PathBuf,
    next: Option<MonoTime>,
}

impl Keyring {
    /// Reads the key and the time, which is written at once. Without a `time_file` the time is kept beside the key.
    ///
    /// # Errors
    /// File, key of the configuration, and remedy.
    #[expect(
        clippy::disallowed_methods,
        reason = "signatures carry the calendar's time, which no driver's clock knows"
    )]
    pub fn open(
        key_file: &Path,
        time_file: Option<&Path>,
        accepts_unsigned: bool,
    ) -> Result<Self, KeyringError> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let clock = time_of_unix(unix.map_or(0, |d| d.as_secs()));
        Self::open_at(key_file, time_file, accepts_unsigned, clock)
    }

    fn open_at(
        key_file: &Path,
        time_file: Option<&Path>,
        accepts_unsigned: bool,
        clock: u64,
    ) -> Result<Self, KeyringError> {
        let key = key(key_file)?;
        let time_file = time_file.map_or_else(|| beside(key_file), Path::to_owned);
        let started = clock.max(kept(&time_file)?);
        let mut keyring = Self {
            signing: SigningConfig {
                key,
                link_id: 0,
                started,
                accepts_unsigned,
                newest: Arc::new(AtomicU64::new(started)),
            },
            time_file,
            next: None,
        };
        keyring.write()?;
        Ok(keyring)
    }

    /// For the companion.
    #[must_use]
    pub fn signing(&self) -> SigningConfig {
        self.signing.clone()
    }

    /// Writes the time when it is due; call it every few seconds. A failure is logged: it costs nothing before the next
    /// start.
    pub fn keep(&mut self, now: MonoTime) {
        if self.next.is_some_and(|at| now < at) {
            return;
        }
        self.next = Some(now.after(PERIOD));
        if let Err(e) = self.write() {
            log::error!("{e}");
        }
    }

    fn write(&mut self) -> Result<(), KeyringError> {
        let ahead = self.signing.newest.load(Ordering::Relaxed) + AHEAD;
        replace(&self.time_file, &format!("{ahead}\n")).map_err(|source| KeyringError::Time {
            file: self.time_file.clone(),
            source,
        })
    }
}

/// A file is never half written, not even when power fails.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let new = file.with_added_extension("new");
    let mut to = std::fs::File::create(&new)?;
    to.write_all(text.as_bytes())?;
    to.sync_all()?;
    std::fs::rename(&new, file)
}

fn beside(key_file: &Path) -> PathBuf {
    key_file.with_added_extension("time")
}

/// What the file says; 0 without one.
fn kept(file: &Path) -> Result<u64, KeyringError> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse().unwrap_or_else(|_| {
            log::warn!(
                "link.signing_time_file: {}: holds no time: this computer's clock counts alone",
                file.display()
            );
            0
        })),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(source) => Err(KeyringError::Time {
            file: file.to_owned(),
            source,
        }),
    }
}

/// Text is a pass phrase; 32 bytes that are no text are the key itself.
fn key(file: &Path) -> Result<SigningKey, KeyringError> {
    let read = |source| KeyringError::Read {
        file: file.to_owned(),
        source,
    };
    let about = std::fs::metadata(file).map_err(read)?;
    let no_key = |problem| {
        Err(KeyringError::NoKey {
            file: file.to_owned(),
            problem,
        })
    };
    if !about.is_file() {
        return no_key("it is not a file");
    }
    if about.mode() & FORBIDDEN != 0 {
        return Err(KeyringError::Open {
            file: file.to_owned(),
            mode: about.mode() & 0o777,
        });
    }
    if about.len() > LONGEST {
        return no_key("it is too long");
    }
    let bytes = std::fs::read(file).map_err(read)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim_end);
    match text.filter(|t| !t.chars().any(|c| c.is_control() && c != '\n')) {
        Some("") => no_key("it is empty"),
        Some(phrase) if phrase.contains('\n') => no_key("it has several lines"),
        Some(phrase) if phrase.chars().count() < SHORTEST => no_key("the pass phrase is too short"),
        Some(phrase) => Ok(SigningKey::from_pass_phrase(phrase)),
        None => <[u8; KEY]>::try_from(bytes.as_slice())
            .map(SigningKey::new)
            .or_else(|_| no_key("it is neither text nor 32 bytes")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rstest::rstest;

    use super::*;

    const CLOCK: u64 = time_of_unix(1_800_000_000);

    fn folder_with(key: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signing.key");
        std::fs::write(&file, key).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, file)
    }

    fn binary() -> [u8; KEY] {
        std::array::from_fn(|i| i as u8 * 7)
    }

    #[rstest]
    #[case::phrase(b"correct horse", SigningKey::from_pass_phrase("correct horse"))]
    #[case::phrase_with_its_line_end(
        b"correct horse\r\n",
        SigningKey::from_pass_phrase("correct horse")
    )]
    #[case::phrase_of_32(
        b"01234567890123456789012345678901",
        SigningKey::from_pass_phrase("01234567890123456789012345678901")
    )]
    #[case::bytes(&binary(), SigningKey::new(binary()))]
    fn a_key_is_32_bytes_or_a_pass_phrase(#[case] content: &[u8], #[case] expected: SigningKey) {
        let (_folder, file) = folder_with(content, 0o600);
        assert_eq!(key(&file).unwrap(), expected);
    }

    #[rstest]
    #[case::for_all(b"correct horse", 0o644, &["mode 644", "chmod 600"])]
    #[case::group_may_write(b"correct horse", 0o660, &["mode 660", "chmod 600"])]
    #[case::empty(b"\n", 0o600, &["empty", "32 bytes"])]
    #[case::short(b"abc\n", 0o600, &["too short", "8 characters"])]
    #[case::lines(b"correct\nhorse battery\n", 0o600, &["several lines"])]
    #[case::bytes_31(&[0xff; 31], 0o600, &["neither text nor 32 bytes"])]
    #[case::long(&[b'a'; 2000], 0o600, &["too long"])]
    fn what_is_no_key_is_refused_with_a_remedy(
        #[case] content: &[u8],
        #[case] mode: u32,
        #[case] parts: &[&str],
    ) {
        let (_folder, file) = folder_with(content, mode);
        let message = Keyring::open(&file, None, false).unwrap_err().to_string();
        let name = file.display().to_string();
        for part in parts
            .iter()
            .chain(&["link.signing_key_file", name.as_str()])
        {
            assert!(message.contains(part), "{part} in: {message}");
        }
        assert!(!message.contains("horse"), "{message}");
    }

    #[test]
    fn the_group_may_read_a_key() {
        let (_folder, file) = folder_with(b"correct horse", 0o640);
        assert!(key(&file).is_ok());
    }

    #[test]
    fn missing_files_and_folders_are_named() {
        let (folder, file) = folder_with(b"correct horse", 0o600);
        let none = folder.path().join("none.key");
        let message = Keyring::open(&none, None, false).unwrap_err().to_string();
        assert!(message.contains("none.key"), "{message}");
        let message = Keyring::open(folder.path(), None, false)
            .unwrap_err()
            .to_string();
        assert!(message.contains("not a file"), "{message}");
        let far = folder.path().join("none/signing.time");
        let message = Keyring::open(&file, Some(&far), false)
            .unwrap_err()
            .to_string();
        for part in ["link.signing_time_file", "none/signing.time", "/var/lib"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn time_never_goes_back_over_a_restart_whatever_the_clock_says() {
        let (_folder, file) = folder_with(b"correct horse", 0o600);
        let mut used = 0;
        // The second start is in 1970, the third an hour late, the fourth right again.
        for clock in [
            CLOCK,
            0,
            CLOCK - 3600 * TICKS_PER_S,
            CLOCK + 3600 * TICKS_PER_S,
        ] {
            let mut keyring = Keyring::open_at(&file, None, false, clock).unwrap();
            let signing = keyring.signing();
            assert!(signing.started > used && signing.started >= clock);
            // Power fails just before the next writing.
            let start = signing.started;
            for s in 0..50 {
                used = start + s * TICKS_PER_S + 99_999;
                signing.newest.fetch_max(used, Ordering::Relaxed);
                keyring.keep(MonoTime::from_secs_f64(s as f64));
            }
        }
        // With a right clock nobody runs away.
        let keyring = Keyring::open_at(&file, None, false, CLOCK + 7200 * TICKS_PER_S).unwrap();
        assert_eq!(keyring.signing().started, CLOCK + 7200 * TICKS_PER_S);
    }

    #[test]
    fn a_time_file_that_holds_no_time_leaves_it_to_the_clock() {
        let (folder, file) = folder_with(b"correct horse", 0o600);
        let time = folder.path().join("t");
        std::fs::write(&time, "soon").unwrap();
        let keyring = Keyring::open_at(&file, Some(&time), true, CLOCK).unwrap();
        assert_eq!(keyring.signing().started, CLOCK);
        assert!(keyring.signing().accepts_unsigned);
        let text = std::fs::read_to_string(&time).unwrap();
        assert_eq!(text.trim().parse::<u64>().unwrap(), CLOCK + AHEAD);
    }
}
