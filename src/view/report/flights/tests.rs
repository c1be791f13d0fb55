use super::*;
use crate::inference::classes::Surface;
use crate::record::{CampaignProvenance, FlightResult, StartLine, TakeoverLine, TouchdownLine};

fn line(seed: u64) -> FlightLine {
    FlightLine {
        seed,
        autopilot: if seed.is_multiple_of(2) {
            "ardupilot"
        } else {
            "px4"
        }
        .to_owned(),
        start: StartLine::default(),
        result: FlightResult::Landed,
        success: true,
        reason: None,
        has_place: true,
        touchdown: Some(TouchdownLine {
            north_m: 1.0,
            east_m: 2.0,
            surface: Surface::Soft,
            clear_radius_m: 3.0,
            miss_m: Some(0.2),
            sink_m_s: 0.4,
            person_m: None,
        }),
        person_min_distance_m: Some(8.0),
        decisions: 100,
        site_decisions: 60,
        false_safe_decisions: 1,
        time_s: 50.0,
        aborts: 0,
        reroutes: 0,
        faults: Vec::new(),
        takeover: None,
        events: Vec::new(),
    }
}

fn track() -> Vec<TrackPoint> {
    (0..200)
        .map(|i| TrackPoint {
            at_s: f64::from(i) * 0.25,
            north_m: f64::from(i) * 0.1,
            east_m: 3.0,
            height_m: 30.0 - f64::from(i) * 0.15,
            phase: if i < 50 { "searching" } else { "descending" },
            site_m: (i > 50).then_some([20.0, 3.0]),
            person_m: None,
        })
        .collect()
}

fn page(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_campaign_tells_its_rates_and_failures() {
    let mut lines: Vec<FlightLine> = (0..20).map(line).collect();
    lines[3].success = false;
    lines[3].result = FlightResult::Held;
    lines[3].reason = Some("<b>no</b> safe patch".into());
    let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
    let html = page(|out| campaign(&s, &lines, "2026-01-02", out));
    assert!(html.contains("19 of 20") && html.contains("95 % interval"));
    assert!(html.contains("&lt;b&gt;no&lt;/b&gt; safe patch") && !html.contains("<b>no</b>"));
    assert!(html.contains("no harm") && !html.contains("NaN") && !html.contains("<script"));
}

#[test]
fn a_campaign_with_harm_does_not_hide_it() {
    let mut lines: Vec<FlightLine> = (0..5).map(line).collect();
    if let Some(t) = &mut lines[0].touchdown {
        t.surface = Surface::Water;
    }
    let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
    let html = page(|out| campaign(&s, &lines, "", out));
    assert!(html.contains(">harm<") && !html.contains("no harm"));
}

#[test]
fn a_flight_that_the_pilot_took_is_not_among_the_failures() {
    let mut lines: Vec<FlightLine> = (0..3).map(line).collect();
    lines[1] = FlightLine {
        success: false,
        result: FlightResult::HandedBack,
        reason: Some("pilot took over".into()),
        touchdown: None,
        takeover: Some(TakeoverLine {
            at_s: 3.0,
            phase: "descending".into(),
            way: "switch".into(),
            shown_ms: Some(120.0),
            silent_ms: 90.0,
            commands_after: 0,
        }),
        ..line(1)
    };
    let s = CampaignSummary::of(CampaignProvenance::default(), &lines);
    let html = page(|out| campaign(&s, &lines, "", out));
    assert!(html.contains("Given to the pilot") && !html.contains("no success"));
}

#[test]
fn an_empty_campaign_says_nothing_wrong() {
    let s = CampaignSummary::of(CampaignProvenance::default(), &[]);
    let html = page(|out| campaign(&s, &[], "", out));
    assert!(!html.contains("NaN") && !html.contains("inf"));
}

#[test]
fn a_flight_shows_its_way_and_what_happened() {
    let (l, track) = (line(4), track());
    let s = CampaignSummary::of(CampaignProvenance::default(), std::slice::from_ref(&l));
    let events = [EventLine {
        at_s: 3.25,
        text: "searching at 30.0 m".into(),
    }];
    let ground = GroundPicture {
        jpeg: vec![7; 40],
        box_m: [-50.0, 40.0, 100.0, 80.0],
    };
    let input = FlightInput {
        line: &l,
        track: &track,
        events: &events,
        frames: &[],
        ground: Some(&ground),
        summary: &s,
        date: "2026-01-02",
    };
    let html = page(|out| single(&input, out));
    for part in [
        "It came down as it should",
        "searching at 30.0 m",
        "data:image/jpeg;base64,",
        "Flight 4 on ardupilot",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("NaN") && !html.contains("http"));
    // Nothing flown is no reason to fail.
    let empty = FlightInput {
        track: &[],
        ..input
    };
    assert!(page(|out| single(&empty, out)).contains("Nothing was flown"));
}
