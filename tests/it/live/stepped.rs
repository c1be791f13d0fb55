//! What came in real time, taken again on one thread.

use alight::autopilot::companion::Companion;
use alight::autopilot::supervisor::Brief;
use alight::geometry::CameraMount;
use alight::landing::{Landing, LandingConfig};
use alight::pipeline::decide::{Decider, Situation};
use alight::pipeline::live::{TapeEntry, TapedDecision};
use alight::time::MonoTime;

use super::flown::{companion_config, lens};

/// One thread, in the order of the tape: what the closed loop in virtual time does, with what came in real time.
pub(super) struct Stepped {
    companion: Companion,
    decider: Decider,
    /// What the companion said of a moment, asked at another.
    situations: Vec<(MonoTime, MonoTime, Situation)>,
    briefs: Vec<String>,
    bytes: Vec<u8>,
    pub(super) decided: usize,
    pub(super) sites: usize,
}

impl Stepped {
    pub(super) fn new() -> Self {
        let landing = Landing::new(LandingConfig::default()).unwrap();
        Self {
            companion: Companion::new(companion_config()).unwrap(),
            decider: Decider::new(landing, lens(), CameraMount::nadir()),
            situations: Vec::new(),
            briefs: Vec::new(),
            bytes: Vec::new(),
            decided: 0,
            sites: 0,
        }
    }

    pub(super) fn take(&mut self, entry: TapeEntry) {
        match entry {
            TapeEntry::Received(bytes, now) => self.companion.receive(&bytes, now),
            TapeEntry::Gauged(computer) => self.companion.set_computer(computer),
            TapeEntry::Remarked(severity, notice, now) => {
                self.companion.tell(severity, notice, now);
            }
            TapeEntry::Asked(request) => self.companion.request(request),
            TapeEntry::Answered(at, now) => {
                let situation = Situation::of(&self.companion, at, now);
                self.situations.push((at, now, situation));
            }
            TapeEntry::Decided(taped) => self.decide(&taped),
            TapeEntry::Took(brief, now) => {
                let ours = self.briefs.remove(0);
                assert_eq!(format!("{brief:?}"), ours);
                self.companion.decide(*brief, now);
            }
            TapeEntry::Ticked(now, health) => {
                self.companion.set_health(health);
                self.companion.tick(now);
            }
            TapeEntry::Sent(bytes) => {
                self.bytes.clear();
                self.companion.drain(&mut self.bytes);
                assert!(self.bytes == bytes, "other bytes to the autopilot");
            }
        }
    }

    fn decide(&mut self, taped: &TapedDecision) {
        let frame = &taped.frame;
        let (.., situation) = self
            .situations
            .iter()
            .rfind(|(at, now, _)| (*at, *now) == (frame.captured_at, taped.now))
            .expect("it was asked for");
        // Every digit stands in the text.
        assert_eq!(format!("{situation:?}"), format!("{:?}", taped.situation));
        let decided = self
            .decider
            .decide(frame, taped.map.as_ref(), situation, taped.now);
        assert_eq!(
            format!("{:?}", decided.decision),
            format!("{:?}", taped.decision)
        );
        let brief = Brief::of(decided.decision, situation.epoch);
        self.briefs.push(format!("{brief:?}"));
        self.decided += 1;
        self.sites += usize::from(brief.site.is_some());
    }
}
