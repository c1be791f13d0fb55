//! What is believed of a cell after looks and after time.

use super::*;

fn map() -> SemanticMap {
    SemanticMap::new(MapConfig {
        cell_m: 1.0,
        side_m: 10.0,
        ..MapConfig::default()
    })
}

fn secs(s: f64) -> MonoTime {
    MonoTime::from_secs_f64(s)
}

fn look(surface: Surface, p: f32) -> Looks {
    let mut looks = Looks::new();
    looks.len = 1;
    looks.weight[0] = 1.0;
    for (lanes, s) in looks.surfaces.iter_mut().zip(Surface::ALL) {
        lanes[0] = if s == surface { p } else { (1.0 - p) / 8.0 };
    }
    looks
}

const HERE: CellId = CellId { north: 1, east: -2 };

fn observe(map: &mut SemanticMap, id: CellId, look: &Looks, at_s: f64) {
    map.begin_look(secs(at_s));
    map.observe(id, look, secs(at_s), &mut States::new());
    map.mark_seen(&CellRect::spanning(id, id));
}

fn belief(map: &SemanticMap, surface: Surface, at_s: f64) -> f32 {
    map.state(HERE, secs(at_s)).unwrap().belief[surface as usize]
}

#[test]
fn nothing_known_is_unknown() {
    assert!((UNKNOWN[Surface::Unknown as usize] - 1.0).abs() < 1e-6);
}

#[test]
fn a_first_look_is_taken_as_it_is() {
    let mut map = map();
    assert!(map.state(HERE, secs(0.0)).is_none(), "never seen");
    observe(&mut map, HERE, &look(Surface::Soft, 0.9), 0.0);
    assert!((belief(&map, Surface::Soft, 0.0) - 0.9).abs() < 1e-4);
}

#[test]
fn independent_looks_strengthen_and_correlated_ones_hardly_do() {
    let grow = |step_s: f64| {
        let mut map = map();
        for i in 0..3 {
            observe(
                &mut map,
                HERE,
                &look(Surface::Soft, 0.7),
                f64::from(i) * step_s,
            );
        }
        belief(&map, Surface::Soft, 2.0 * step_s)
    };
    assert!(grow(MapConfig::default().look_independence_s) > 0.95);
    assert!(grow(0.02) < 0.78);
    assert!(
        (grow(0.0) - 0.7).abs() < 1e-4,
        "the same moment tells nothing new"
    );
}

#[test]
fn many_equal_looks_in_a_moment_do_not_explain_unknown_ground_away() {
    let mut map = map();
    for i in 0..30 {
        observe(
            &mut map,
            HERE,
            &look(Surface::Unknown, 0.5),
            f64::from(i) / 30.0,
        );
    }
    assert!(belief(&map, Surface::Unknown, 1.0) > 0.5);
}

#[test]
fn looks_can_overturn_what_was_believed_for_long() {
    let mut map = map();
    let apart_s = MapConfig::default().look_independence_s;
    let at = |i: i32| f64::from(i) * apart_s;
    for i in 0..50 {
        observe(&mut map, HERE, &look(Surface::Soft, 0.99), at(i));
    }
    for i in 50..53 {
        observe(&mut map, HERE, &look(Surface::Water, 0.9), at(i));
    }
    assert!(belief(&map, Surface::Water, at(52)) > 0.5);
}

#[test]
fn belief_flows_to_unknown_and_faster_for_what_moves() {
    let mut map = map();
    observe(&mut map, HERE, &look(Surface::Soft, 0.95), 0.0);
    assert!(belief(&map, Surface::Soft, 60.0) < 0.36);
    assert!(belief(&map, Surface::Unknown, 60.0) > 0.6);
    let mut moving = self::map();
    observe(&mut moving, HERE, &look(Surface::Vehicle, 0.95), 0.0);
    assert!(belief(&moving, Surface::Vehicle, 5.0) < 0.36);
    let sum: f32 = moving.state(HERE, secs(5.0)).unwrap().belief.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5);
}

#[test]
fn a_person_is_remembered_for_the_set_time_whatever_is_seen_later() {
    let mut map = map();
    let mut first = look(Surface::Firm, 0.9);
    first.has_person[0] = true;
    observe(&mut map, HERE, &first, 0.0);
    for i in 1..10 {
        observe(&mut map, HERE, &look(Surface::Firm, 0.99), f64::from(i));
    }
    let person = |at_s| {
        let mut states = States::new();
        map.states(HERE, 1, secs(at_s), &mut states);
        states.memory[0].person
    };
    assert!(person(9.99) && person(10.0) && !person(10.01));
}

#[test]
fn rolling_keeps_what_stays_inside_and_forgets_the_rest() {
    let mut map = map();
    let all = map.window();
    map.begin_look(secs(0.0));
    for id in all.cells() {
        let mut work = States::new();
        map.observe(id, &look(Surface::Firm, 0.9), secs(0.0), &mut work);
    }
    map.mark_seen(&all);
    map.recentre(GroundPoint {
        north_m: 3.5,
        east_m: -2.5,
    });
    let moved = map.window();
    assert_eq!((moved.north - all.north, moved.east - all.east), (3, -3));
    for id in moved.cells() {
        let known = map.state(id, secs(0.0)).is_some();
        assert_eq!(known, all.contains(id), "{id:?}");
    }
    map.recentre(GroundPoint {
        north_m: 0.0,
        east_m: 0.0,
    });
    let kept = all.intersection(&moved);
    for id in all.cells() {
        let known = map.state(id, secs(0.0)).is_some();
        assert_eq!(
            known,
            kept.contains(id),
            "what left does not come back: {id:?}"
        );
    }
}

#[test]
fn far_jumps_and_clearing_forget_everything() {
    let mut map = map();
    observe(&mut map, HERE, &look(Surface::Firm, 0.9), 0.0);
    map.recentre(GroundPoint {
        north_m: 1e12,
        east_m: f64::NAN,
    });
    map.recentre(GroundPoint {
        north_m: 0.0,
        east_m: 0.0,
    });
    assert!(map.state(HERE, secs(0.0)).is_none() && map.seen().is_empty());
    observe(&mut map, HERE, &look(Surface::Firm, 0.9), 1.0);
    map.clear();
    assert!(map.state(HERE, secs(1.0)).is_none());
}
