//! A place for one thing: the newest wins, and what was overtaken is counted.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// Puts things there; the older one goes.
#[derive(Debug, Clone)]
pub(super) struct Put<T> {
    to: Sender<T>,
    oldest: Receiver<T>,
}

/// Takes them.
#[derive(Debug, Clone)]
pub(super) struct Take<T>(Receiver<T>);

/// Both ends of an empty place.
pub(super) fn latest<T>() -> (Put<T>, Take<T>) {
    let (to, from) = bounded(1);
    let put = Put {
        to,
        oldest: from.clone(),
    };
    (put, Take(from))
}

impl<T> Put<T> {
    /// Puts it there. Comes back with how many older ones had to go.
    pub(super) fn put(&self, thing: T) -> u64 {
        let (mut thing, mut overtaken) = (thing, 0);
        while let Err(TrySendError::Full(back)) = self.to.try_send(thing) {
            overtaken += u64::from(self.oldest.try_recv().is_ok());
            thing = back;
        }
        overtaken
    }
}

impl<T> Take<T> {
    /// Waits for the newest.
    pub(super) fn take(&self, patience: Duration) -> Option<T> {
        self.0.recv_timeout(patience).ok()
    }

    /// The newest, if there is one.
    pub(super) fn try_take(&self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_and_the_overtaken_are_counted() {
        let (put, take) = latest();
        assert_eq!(take.try_take(), None::<u32>);
        assert_eq!([put.put(1), put.put(2), put.put(3)], [0, 1, 1]);
        assert_eq!(take.take(Duration::ZERO), Some(3));
        assert_eq!(take.try_take(), None);
        assert_eq!(put.put(4), 0);
    }
}
