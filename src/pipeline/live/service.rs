//! What the service manager hears: ready, alive, how it goes, stopping (systemd's notification protocol, `sd_notify(3)`).
//!
//! *Alive* comes from the thread that judges the others, and only while it judges that everything can still come to a
//! good end: with a stage that is late or broken it goes on, for the vehicle is being handed back in an orderly way; with a
//! control thread that hangs, or a hand-back that takes too long, it stops. A process that is stopped from outside or
//! starved says nothing, and the service manager starts another.

use std::env::var_os;
use std::io;

use sd_notify::{NotifyState, notify};

/// The service manager's ear; without one, nothing is said.
#[derive(Debug)]
pub(super) struct Service {
    is_managed: bool,
    is_ready: bool,
    has_complained: bool,
}

impl Service {
    /// As the environment says (`NOTIFY_SOCKET`).
    pub(super) fn from_env() -> Self {
        Self {
            is_managed: var_os("NOTIFY_SOCKET").is_some(),
            is_ready: false,
            has_complained: false,
        }
    }

    /// The threads run and the configuration is taken: said once.
    pub(super) fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.tell(&[NotifyState::Ready]);
        }
    }

    /// Everything can still come to a good end.
    pub(super) fn alive(&mut self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// One line on how it goes.
    pub(super) fn goes(&mut self, line: &str) {
        self.tell(&[NotifyState::Status(line)]);
    }

    /// The settings are read again; ready is said anew afterwards.
    pub(super) fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(since) => self.tell(&[NotifyState::Reloading, since]),
            Err(e) => self.complain(&e),
        }
    }

    /// It ends, and why.
    pub(super) fn stopping(&mut self, why: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(why)]);
    }

    fn tell(&mut self, states: &[NotifyState<'_>]) {
        if !self.is_managed {
            return;
        }
        if let Err(e) = notify(states) {
            self.complain(&e);
        }
    }

    /// A flight needs no service manager; that it does not listen is said once.
    fn complain(&mut self, e: &io::Error) {
        if !self.has_complained {
            self.has_complained = true;
            log::warn!("the service manager (NOTIFY_SOCKET) does not listen: {e}");
        }
    }
}
