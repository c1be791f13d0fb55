//! `MAVLink` 2 signatures: SHA-256 over a shared key, the frame and a time that only grows.
//!
//! Time comes from the caller, as everywhere: the moment when our clock started, in the unit of signatures, plus our clock.
//! That it grows over a restart, too, is the work of [`Keyring`](super::link::Keyring), which keeps the newest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mavlink::MAVLinkV2MessageRaw;
use sha2::{Digest, Sha256};

use crate::time::MonoTime;

/// Senders whose newest time is remembered.
const SENDERS: usize = 32;
/// Units of time in a second.
pub(super) const TICKS_PER_S: u64 = 100_000;
/// A sender heard for the first time may be this much behind us: one minute.
const LATE: u64 = 60 * TICKS_PER_S;
/// 1 January 2015 in Unix time, seconds.
const EPOCH_UNIX_S: u64 = 1_420_070_400;
/// A time has 48 bits.
const TIME_MASK: u64 = (1 << 48) - 1;

/// The secret that both sides share.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// The 32 bytes themselves.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From a pass phrase, as the common ground stations make it: its SHA-256.
    #[must_use]
    pub fn from_pass_phrase(phrase: &str) -> Self {
        Self(Sha256::digest(phrase.as_bytes()).into())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// How frames are signed.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    /// The shared secret.
    pub key: SigningKey,
    /// Tells our streams apart if we use several links.
    pub link_id: u8,
    /// When our clock was zero, in 10 microseconds since 1 January 2015: see [`time_of_unix`].
    pub started: u64,
    /// Whether frames without a signature are read, too; a wrong signature is always refused.
    pub accepts_unsigned: bool,
    /// The newest time that was signed or heard, for whoever keeps it.
    pub newest: Arc<AtomicU64>,
}

/// A Unix time in seconds as signatures count it: 10 microseconds since 1 January 2015.
#[must_use]
pub const fn time_of_unix(unix_s: u64) -> u64 {
    unix_s
        .saturating_sub(EPOCH_UNIX_S)
        .saturating_mul(TICKS_PER_S)
}

fn time_at(started: u64, now: MonoTime) -> u64 {
    started.saturating_add((now.as_nanos().max(0) / 10_000) as u64) & TIME_MASK
}

/// Signs what we send.
#[derive(Debug)]
pub(super) struct Signer {
    config: SigningConfig,
    last: u64,
}

impl Signer {
    pub(super) const fn new(config: SigningConfig) -> Self {
        Self { config, last: 0 }
    }

    /// The other side's clock is ahead: ours must not look old to it.
    pub(super) fn not_before(&mut self, time: u64) {
        self.last = self.last.max(time);
    }

    /// Fills in the signature of a message that was serialized for signing.
    pub(super) fn sign(&mut self, raw: &mut MAVLinkV2MessageRaw, now: MonoTime) {
        self.last = time_at(self.config.started, now).max(self.last + 1) & TIME_MASK;
        self.config.newest.fetch_max(self.last, Ordering::Relaxed);
        let bytes = self.last.to_le_bytes();
        *raw.signature_link_id_mut() = self.config.link_id;
        for (to, from) in raw.signature_timestamp_bytes_mut().iter_mut().zip(bytes) {
            *to = from;
        }
        let mut signature = [0; 6];
        raw.calculate_signature(&self.config.key.0, &mut signature);
        raw.signature_value_mut().copy_from_slice(&signature);
    }
}

/// Checks what we receive.
#[derive(Debug)]
pub(super) struct Verifier {
    config: SigningConfig,
    newest: u64,
    /// Link, system, component; the newest time of each.
    senders: Vec<((u8, u32, u8), u64)>,
}

impl Verifier {
    pub(super) fn new(config: SigningConfig) -> Self {
        Self {
            config,
            newest: 0,
            senders: Vec::with_capacity(SENDERS),
        }
    }

    /// Whether a frame without a signature is read, too.
    pub(super) const fn accepts_unsigned(&self) -> bool {
        self.config.accepts_unsigned
    }

    /// The newest time of a valid signature.
    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether the signature is right and not a repetition.
    pub(super) fn is_valid(&mut self, raw: &MAVLinkV2MessageRaw, now: MonoTime) -> bool {
        let time = raw.signature_timestamp();
        let sender = (raw.signature_link_id(), raw.system_id(), raw.component_id());
        let ours = time_at(self.config.started, now).max(self.newest);
        let has_room = self.senders.len() < SENDERS;
        let known = self.senders.iter_mut().find(|(s, _)| *s == sender);
        let is_new = match &known {
            Some((_, last)) => time > *last,
            // Without room there is no memory, and no protection against repetition.
            None => has_room && time.saturating_add(LATE) >= ours,
        };
        let mut signature = [0; 6];
        raw.calculate_signature(&self.config.key.0, &mut signature);
        if !is_new || signature != raw.signature_value() {
            return false;
        }
        match known {
            Some((_, last)) => *last = time,
            None => self.senders.push((sender, time)),
        }
        self.newest = self.newest.max(time);
        self.config.newest.fetch_max(time, Ordering::Relaxed);
        true
    }
}
