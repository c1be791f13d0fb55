//! The board: clock, disk, power, heat, and what the system lets us do. What cannot be read is said, and is no failure.

use std::fs::read_to_string;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::autopilot::examine::{Finding, Grade};
use crate::config::Settings;
use crate::pipeline::live::THROTTLED;

/// Hotter than this, most boards slow down soon.
const HOT_C: f64 = 75.0;
/// Below this the record ends soon, megabytes.
const LITTLE_MB: u64 = 200;

/// All of it.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let mut found = vec![clock(), disk(settings)];
    found.extend(read_to_string(THROTTLED).ok().map(|text| power(&text)));
    found.push(heat());
    found.push(real_time());
    found
}

fn clock() -> Finding {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Finding::new(Grade::Ok, "clock", "synchronised");
    }
    Finding::new(
        Grade::Warn,
        "clock",
        "not known to be synchronised: the times of files may be wrong; no decision depends on them",
    )
}

fn disk(settings: &Settings) -> Finding {
    let Some(folder) = &settings.values.record.folder else {
        return Finding::new(
            Grade::Warn,
            "disk",
            "record.folder is not set: no flight is kept",
        );
    };
    // It may not exist yet: the nearest folder above it that does is on the same disk.
    let there = folder.ancestors().find(|p| p.exists());
    let Some((there, space)) = there.and_then(|p| Some((p, statvfs(p).ok()?))) else {
        return Finding::new(
            Grade::Fail,
            "disk",
            format!("record.folder = \"{}\": not to be found", folder.display()),
        );
    };
    let free_mb = space.blocks_available() * space.fragment_size() / 1_000_000;
    let is_read_only = space
        .flags()
        .contains(nix::sys::statvfs::FsFlags::ST_RDONLY);
    let quota_mb = u64::from(settings.values.record.quota_mb);
    let (grade, text) = if is_read_only {
        (
            Grade::Fail,
            "is read-only: remount it, or set another record.folder".to_owned(),
        )
    } else if free_mb < LITTLE_MB {
        (
            Grade::Fail,
            format!("has {free_mb} MB left: free some, or the record ends soon"),
        )
    } else if free_mb < quota_mb {
        (
            Grade::Warn,
            format!("has {free_mb} MB left, record.quota_mb is {quota_mb}: lower it, or free some"),
        )
    } else {
        (Grade::Ok, format!("has {free_mb} MB left"))
    };
    Finding::new(grade, "disk", format!("{} {text}", there.display()))
}

/// Bits 0 to 3: under-voltage, capped, throttled, soft limit of heat, now; 16 to 19: since the start.
fn power(text: &str) -> Finding {
    let bits = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16);
    let Ok(bits) = bits else {
        return Finding::new(
            Grade::Warn,
            "power",
            format!("{THROTTLED}: {:?}", text.trim()),
        );
    };
    let has = |bit: u32| bits >> bit & 1 != 0;
    if has(0) || has(16) {
        let grade = if has(0) { Grade::Fail } else { Grade::Warn };
        let when = if has(0) { "now" } else { "since the start" };
        return Finding::new(
            grade,
            "power",
            format!(
                "under-voltage {when}: use a 5 V supply of 3 A (Pi 5: 5 A) with short, thick wires"
            ),
        );
    }
    if has(1) || has(2) || has(3) {
        return Finding::new(
            Grade::Warn,
            "power",
            "slowed down now: too hot, or too little power",
        );
    }
    if bits >> 16 != 0 {
        return Finding::new(
            Grade::Warn,
            "power",
            "was slowed down since the start: look at heat and supply",
        );
    }
    Finding::new(Grade::Ok, "power", "no under-voltage, never slowed down")
}

fn heat() -> Finding {
    let zones = std::fs::read_dir("/sys/class/thermal")
        .into_iter()
        .flatten();
    let temperatures = zones.flatten().filter_map(|zone| {
        let text = read_to_string(zone.path().join("temp")).ok()?;
        Some(text.trim().parse::<f64>().ok()? / 1e3)
    });
    match temperatures.reduce(f64::max) {
        None => Finding::new(Grade::Ok, "heat", "this board has no thermometer"),
        Some(c) if c < HOT_C => Finding::new(Grade::Ok, "heat", format!("{c:.0} degrees C")),
        Some(c) => Finding::new(
            Grade::Warn,
            "heat",
            format!("{c:.0} degrees C: cool it, or it slows down in flight"),
        ),
    }
}

/// What the system lets this process do; the service gets its limits from its unit.
fn real_time() -> Finding {
    let limits = read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = |name: &str| {
        let line = limits.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let priority = soft("Max realtime priority").unwrap_or_else(|| "unknown".to_owned());
    let memory = soft("Max locked memory").unwrap_or_else(|| "unknown".to_owned());
    Finding::new(
        Grade::Ok,
        "limits",
        format!(
            "of this shell: real-time priority {priority}, locked memory {memory}; the unit sets the service's own"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_of_a_raspberry_pi_is_understood() {
        for (text, grade, part) in [
            ("0\n", Grade::Ok, "no under-voltage"),
            ("50005", Grade::Fail, "under-voltage now"),
            ("0x50000", Grade::Warn, "under-voltage since"),
            ("4", Grade::Warn, "slowed down now"),
            ("80000", Grade::Warn, "was slowed down"),
            ("what", Grade::Warn, "what"),
        ] {
            let found = power(text);
            assert_eq!(found.grade, grade, "{text}");
            assert!(found.text.contains(part), "{text}: {}", found.text);
        }
    }

    #[test]
    fn a_disk_is_found_though_the_folder_is_not_made_yet() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        assert_eq!(disk(&settings).grade, Grade::Warn);
        settings.values.record.folder = Some(folder.path().join("not/yet"));
        settings.values.record.quota_mb = 1;
        let found = disk(&settings);
        assert!(found.text.contains("MB left"), "{}", found.text);
    }
}
