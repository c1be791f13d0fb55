//! What the board is busy with: its load, memory and temperature, for the ground. What the system does not tell stays
//! unknown.

use std::fs::read_to_string;

use crate::autopilot::report::Computer;

/// A Raspberry Pi's firmware tells here, in bits, what it had to do about power and heat.
pub const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// Now: frequency capped, throttled, soft limit of heat.
const SLOWED: u32 = 0b1110;

/// Reads them now and then.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    last: Option<Ticks>,
}

/// Time that all cores have spent since the board started, in the system's ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    idle: u64,
    all: u64,
}

impl Gauge {
    /// The load since the last call, and the rest as of now.
    pub(super) fn read(&mut self) -> Computer {
        let ticks = read_to_string("/proc/stat").ok().and_then(|t| ticks(&t));
        let memory = read_to_string("/proc/meminfo").ok();
        let memory = memory.and_then(|t| memory_mib(&t));
        let heat = read_to_string("/sys/class/thermal/thermal_zone0/temp").ok();
        let load = self.last.zip(ticks).and_then(|(then, now)| load(then, now));
        self.last = ticks;
        Computer {
            cpu_percent: load,
            memory_used_mib: memory.map(|(used, _)| used),
            memory_total_mib: memory.map(|(_, total)| total),
            temperature_c: heat.and_then(|t| celsius(&t)),
        }
    }
}

/// Whether the firmware slows the board down now; `false` where nobody tells.
pub(super) fn is_throttled() -> bool {
    read_to_string(THROTTLED).is_ok_and(|text| is_slowed(&text))
}

fn is_slowed(text: &str) -> bool {
    let digits = text.trim().trim_start_matches("0x");
    u32::from_str_radix(digits, 16).is_ok_and(|bits| bits & SLOWED != 0)
}

/// From the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut times = line.split_whitespace().take(8).map(str::parse);
    let (mut idle, mut all) = (0_u64, 0_u64);
    for i in 0..8 {
        let time: u64 = times.next()?.ok()?;
        all = all.checked_add(time)?;
        idle += if matches!(i, 3 | 4) { time } else { 0 };
    }
    Some(Ticks { idle, all })
}

fn load(then: Ticks, now: Ticks) -> Option<u8> {
    let all = now.all.checked_sub(then.all).filter(|t| *t > 0)?;
    let idle = now.idle.checked_sub(then.idle)?.min(all);
    Some((100.0 * (all - idle) as f64 / all as f64).round() as u8)
}

/// In use and in all, mebibytes.
fn memory_mib(meminfo: &str) -> Option<(u32, u32)> {
    let kib = |key: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    let (total, free) = (kib("MemTotal:")?, kib("MemAvailable:")?);
    let used = total.saturating_sub(free);
    Some((
        u32::try_from(used / 1024).ok()?,
        u32::try_from(total / 1024).ok()?,
    ))
}

/// From thousandths of a degree.
fn celsius(text: &str) -> Option<i8> {
    let thousandths: i64 = text.trim().parse().ok()?;
    i8::try_from(thousandths / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_what_was_not_idle_between_two_looks() {
        let at = |text| ticks(text).unwrap();
        let then = at("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3");
        let now = at("cpu  160 0 60 820 60 0 0 0 0 0\n");
        assert_eq!(
            then,
            Ticks {
                idle: 850,
                all: 1000
            }
        );
        assert_eq!(load(then, now), Some(70));
        assert_eq!(load(now, then), None);
        assert_eq!(load(now, now), None);
    }

    #[test]
    fn memory_that_can_be_had_is_not_in_use() {
        let text = "MemTotal:       4194304 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(memory_mib(text), Some((3072, 4096)));
    }

    #[test]
    fn the_firmware_slows_down_now_and_not_once() {
        for (text, is) in [
            ("0", false),
            ("50000\n", false),
            ("0xe0001", false),
            ("4", true),
            ("0x50002", true),
            ("8", true),
            ("x", false),
        ] {
            assert_eq!(is_slowed(text), is, "{text}");
        }
    }

    #[test]
    fn odd_texts_are_unknown() {
        for text in [
            "",
            "cpu ",
            "cpu  1 2 3",
            "cpu  a b c d e f g h",
            "MemTotal: x kB",
        ] {
            assert_eq!(ticks(text), None);
            assert_eq!(memory_mib(text), None);
        }
        assert_eq!(celsius("48123\n"), Some(48));
        assert_eq!(celsius("-5500"), Some(-5));
        assert_eq!(celsius("999999999"), None);
        assert_eq!(celsius("hot"), None);
    }
}
