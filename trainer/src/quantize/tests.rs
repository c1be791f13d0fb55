use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::calibrate::{Method, Shown, roundings, see, watched};
use super::*;
use crate::agreement::{random_picture, through_tract};
use crate::graph::{Conv, Shape};
use crate::initial::initial;
use crate::onnx::{Form, Operators, Rounding, WeightForm, quantize, write, write_as};
use crate::parameters::Parameters;

const INPUT: Shape = Shape {
    channels: 3,
    height: 12,
    width: 16,
};

/// Convolution, `ReLU`, depthwise convolution, `ReLU`, convolution; channels of very different range.
fn network(seed: u64) -> (Graph, Parameters) {
    let mut g = Graph::new("chain", INPUT);
    let conv = |out, kernel, groups| {
        Op::Conv(Conv {
            groups,
            has_bias: true,
            ..Conv::new(out, kernel)
        })
    };
    let x = g.push("a", conv(6, 3, 1), &[0]);
    let x = g.push("a.relu", Op::Relu, &[x]);
    let x = g.push("b", conv(6, 3, 6), &[x]);
    let x = g.push("b.relu", Op::Relu, &[x]);
    g.push("c", conv(4, 1, 1), &[x]);
    let mut p = initial(&g, seed).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for node in ["a", "b", "c"] {
        for v in &mut p.get_mut(&format!("{node}.bias")).unwrap().values {
            *v = rng.random_range(-0.5..0.5);
        }
    }
    let a = &mut p.get_mut("a.weight").unwrap().values;
    for (c, filter) in a.chunks_mut(27).enumerate() {
        for v in filter {
            *v *= 4.0_f32.powi(c as i32 - 3);
        }
    }
    (g, p)
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    let most = a.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / most
}

#[test]
fn zero_is_kept_and_nothing_moves_by_more_than_half_a_step() {
    for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0)] {
        let r = Rounding::of_range(low, high);
        assert!(r.round(0.0).abs() < f32::EPSILON, "{low} {high}");
        for i in 0..=50 {
            let v = low + (high - low) * i as f32 / 50.0;
            assert!(
                (r.round(v) - v).abs() <= 0.51 * r.scale,
                "{low} {high}: {v}"
            );
        }
        assert!(r.round(high + 10.0) <= high.max(0.0) + r.scale);
    }
}

#[test]
fn equalisation_keeps_the_function_and_evens_the_channels() {
    let (g, mut p) = network(1);
    let picture = random_picture(&g, 1);
    let run = |p: &Parameters| {
        through_tract(&write(&g, p, WeightForm::Float).unwrap(), INPUT, &picture).unwrap()
    };
    let before = run(&p);
    let range = |p: &Parameters, c: usize| {
        let filter = &p["a.weight"].values[c * 27..(c + 1) * 27];
        filter.iter().fold(0.0_f32, |m, v| m.max(v.abs()))
    };
    let unevenness = |p: &Parameters| range(p, 5) / range(p, 0);
    let uneven = unevenness(&p);
    assert_eq!(equalise::equalise(&g, &mut p), 2);
    assert!(apart(&before, &run(&p)) < 1e-5);
    assert!(
        unevenness(&p) < uneven / 4.0,
        "{uneven} -> {}",
        unevenness(&p)
    );
}

#[test]
fn nothing_is_moved_across_a_clamp_or_to_several_readers() {
    let (mut g, p) = network(2);
    g.nodes[2].op = Op::Relu6;
    assert_eq!(equalise::equalise(&g, &mut p.clone()), 1);
    g.push("d", Op::Relu, &[3]);
    assert_eq!(equalise::equalise(&g, &mut p.clone()), 0);
}

#[test]
fn corrected_constants_take_the_mean_error_away() {
    let (g, p) = network(3);
    let pictures: Vec<Vec<f32>> = (0..4).map(|s| random_picture(&g, s)).collect();
    let names = watched(&g);
    let plain = Form {
        weights: WeightForm::Float,
        activations: None,
        shown: &names,
    };
    let float = write_as(&g, &p, plain).unwrap();
    let seen = see(&Shown::load(&float, INPUT, names).unwrap(), &pictures).unwrap();
    // Coarse weights, so that rounding shows: 8-bit rounding of weights one hundredth of the largest.
    let mean_error = |p: &Parameters, reference: &Parameters| -> f64 {
        let rounded = write(&g, p, WeightForm::Int8).unwrap();
        let float = write(&g, reference, WeightForm::Float).unwrap();
        let mut sums = [0.0; 4];
        for picture in &pictures {
            let [a, b] = [&float, &rounded].map(|f| through_tract(f, INPUT, picture).unwrap());
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                sums[i / (12 * 16)] += f64::from(b - a);
            }
        }
        sums.iter().map(|s| s.abs()).sum()
    };
    let mut corrected = p.clone();
    assert!(bias::correct(&g, &mut corrected, &seen) > 0.0);
    let (before, after) = (mean_error(&p, &p), mean_error(&corrected, &p));
    assert!(after < 0.7 * before, "{before} -> {after}");
}

/// The file with integer convolutions against integers multiplied by hand.
#[expect(clippy::too_many_lines, reason = "one computation, spelled out")]
#[test]
fn integer_convolutions_compute_what_their_integers_say() {
    let mut g = Graph::new("one", INPUT);
    let conv = |out| {
        Op::Conv(Conv {
            has_bias: true,
            ..Conv::new(out, 1)
        })
    };
    let x = g.push("a", conv(5), &[0]);
    let x = g.push("a.relu", Op::Relu, &[x]);
    g.push("b", conv(2), &[x]);
    let mut p = initial(&g, 4).unwrap();
    p.get_mut("a.bias").unwrap().values = vec![0.3, -0.2, 0.1, 0.0, -0.4];
    let picture = random_picture(&g, 4);
    let names = watched(&g);
    let plain = Form {
        weights: WeightForm::Float,
        activations: None,
        shown: &names,
    };
    let float = write_as(&g, &p, plain).unwrap();
    let shown = Shown::load(&float, INPUT, names).unwrap();
    let seen = see(&shown, std::slice::from_ref(&picture)).unwrap();
    let rounding = roundings(&g, &seen, Method::Minmax, (-4.0, 4.0)).unwrap();
    let (x, y) = (rounding["picture"], rounding["a"]);
    let (weights, scales) = quantize(&p["a.weight"]);
    let plane = 12 * 16;
    let integer =
        |v: f32, r: Rounding| ((v / r.scale).round() as i32 + i32::from(r.zero)).clamp(-128, 127);
    let by_hand: Vec<f32> = (0..5 * plane)
        .map(|i| {
            let (o, pixel) = (i / plane, i % plane);
            let step = scales[o] * x.scale;
            let mut sum = (p["a.bias"].values[o] / step).round() as i32;
            for c in 0..3 {
                let v = integer(picture[c * plane + pixel], x) - i32::from(x.zero);
                sum += v * i32::from(weights[o * 3 + c]);
            }
            let made = (sum as f32 * step / y.scale).round() as i32 + i32::from(y.zero);
            (made.clamp(-128, 127) - i32::from(y.zero)) as f32 * y.scale
        })
        .collect();
    let shown = ["a".to_owned()];
    let form = Form {
        weights: WeightForm::Int8,
        activations: Some((&rounding, Operators::QLinear)),
        shown: &shown,
    };
    let file = write_as(&g, &p, form).unwrap();
    let loaded = Shown::load(&file, INPUT, shown.to_vec()).unwrap();
    let mut got = Vec::new();
    loaded.run(&picture, |_, v, _| got = v.to_vec()).unwrap();
    // A sum that lies on the edge of a step may be rounded to either side.
    let off = got
        .iter()
        .zip(&by_hand)
        .filter(|(a, b)| (*a - *b).abs() > 1e-5);
    let off: Vec<_> = off.collect();
    assert!(
        off.len() * 100 < got.len(),
        "{} of {}: {:?}",
        off.len(),
        got.len(),
        off.first()
    );
    assert!(off.iter().all(|(a, b)| (*a - *b).abs() < 1.01 * y.scale));
    assert!(by_hand.iter().all(|v| *v >= 0.0) && by_hand.iter().any(|v| *v > 0.5));
}

#[test]
fn what_loses_too_much_is_not_written() {
    use crate::data::cache::CacheWriter;
    use image::{GrayImage, Luma, Rgb, RgbImage};

    let folder = tempfile::tempdir().unwrap();
    let graph = crate::networks::Network::Unet(4).graph(16, 32, 24).unwrap();
    let files = crate::export::untaught(&graph, 5);
    crate::export::save(&files, folder.path()).unwrap();
    let cache = folder.path().join("cache");
    let mut writer = CacheWriter::create(&cache, (64, 32), 24, "test").unwrap();
    for i in 0..4_u8 {
        let picture = RgbImage::from_fn(64, 32, |x, y| Rgb([x as u8 * 4, y as u8 * 8, 60 * i]));
        let mask = GrayImage::from_fn(64, 32, |x, _| Luma([if x < 32 { 3 } else { 1 }]));
        writer.push(&i.to_string(), &picture, &mask).unwrap();
    }
    writer.finish().unwrap();
    let fold = folder.path().join("fold.json");
    let text = r#"{"method":"t","seed":1,"threshold":0.1,"nearest_across":1.0,"held_out":["3"],"scenes":[]}"#;
    std::fs::write(&fold, text).unwrap();
    let out = folder.path().join("out");
    let args = |more: &str| {
        let line = format!(
            "t quantize --model {} --cache {} --fold {} --out {} {more}",
            folder.path().join("landing.toml").display(),
            cache.display(),
            fold.display(),
            out.display()
        );
        let cli = <crate::cli::Cli as clap::Parser>::parse_from(line.split_whitespace());
        let crate::cli::Command::Quantize(args) = cli.command else {
            panic!("`quantize` was asked for");
        };
        args
    };
    let refused = run(&args("--min-agreement 1.01")).unwrap_err().to_string();
    assert!(
        refused.contains("not written") && refused.contains("--min-agreement 1.01"),
        "{refused}"
    );
    assert!(!out.exists());
    run(&args("--min-agreement 0.5 --max-loss 0.5")).unwrap();
    for file in ["qdq.onnx", "qlinear.onnx", "quantization.json"] {
        assert!(out.join(file).exists(), "{file}");
    }
}
