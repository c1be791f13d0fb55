use super::*;
use crate::graph::ParameterKind;

/// Trained values whose names start with `prefix`.
fn size(graph: &Graph, prefix: &str) -> usize {
    let specs = graph.parameters().unwrap();
    let ours = specs
        .iter()
        .filter(|p| p.name.starts_with(prefix) && p.kind.is_trained());
    ours.map(|p| p.shape.iter().product::<usize>()).sum()
}

#[test]
fn every_network_fits_together_at_both_sizes_and_keeps_its_name() {
    for network in Network::ALL {
        for (h, w) in [(128, 192), (256, 384)] {
            let g = network.graph(h, w, 24).unwrap();
            let out = *g.shapes().unwrap().last().unwrap();
            assert_eq!(out.channels, 24, "{network}");
            assert!(
                h % out.height == 0 && out.height * w == out.width * h,
                "{network}"
            );
            let specs = g.parameters().unwrap();
            let heads = specs.iter().filter(|p| p.name == "decoder.head.bias");
            assert_eq!(
                heads.count(),
                1,
                "{network}: logit adjustment needs its head"
            );
        }
        assert_eq!(network.to_string().parse(), Ok(network));
        let odd = network.graph(100, 192, 24).unwrap_err().to_string();
        assert!(
            odd.contains("--height 100") && odd.contains("such as 96"),
            "{odd}"
        );
    }
}

#[test]
fn names_that_are_not_known_are_answered_with_those_that_are() {
    let text = Network::from_str("resnet50").unwrap_err();
    assert!(
        text.contains("`resnet50`") && text.contains("resnet34-unet"),
        "{text}"
    );
    assert!(
        Network::from_str("unet-1000")
            .unwrap_err()
            .contains("between 4 and 128")
    );
    assert_eq!(Network::from_str("unet-8"), Ok(Network::Unet(8)));
}

#[test]
fn encoders_have_the_published_size() {
    let of = |name: &str| {
        name.parse::<Network>()
            .unwrap()
            .graph(256, 384, 24)
            .unwrap()
    };
    // 4 652 008 published, less the head (320 x 1280 + 2 x 1280) and the classifier (1280 x 1000 + 1000).
    let lite0 = of("effnet-lite0-unet");
    assert_eq!(
        size(&lite0, ENCODER_PREFIX),
        4_652_008 - 412_160 - 1_281_000
    );
    assert!(lite0.macs().unwrap() < 2_200_000_000);
    // torchvision's figures, less the classifier of 512 x 1000 + 1000.
    assert_eq!(
        size(&of("resnet18-unet"), ENCODER_PREFIX),
        11_689_512 - 513_000
    );
    assert_eq!(
        size(&of("resnet34-unet"), ENCODER_PREFIX),
        21_797_672 - 513_000
    );
    // torchvision's vgg16_bn, less its classifier: 14 714 688 in convolutions, 2 x 4 224 in batch norms.
    for name in ["segnet", "fcn8s"] {
        assert_eq!(
            size(&of(name), ENCODER_PREFIX),
            14_714_688 + 8_448,
            "{name}"
        );
    }
    // Keras' Xception has 20.86 M without its classifier. DeepLab's has a third separable convolution in each block of entry and
    // exit, and one more after them.
    let more = 128 * 128 + 256 * 256 + 728 * 728 + 1024 * 1024 + 1536 * 1536;
    let xception = size(&of("xception-deeplab"), ENCODER_PREFIX) as f64 - f64::from(more);
    assert!((xception / 20.86e6 - 1.0).abs() < 0.01, "{xception}");
    // The paper's, for two classes and without batch norm: 31.03 M.
    let unet = size(&Network::Unet(64).graph(256, 384, 2).unwrap(), "") as f64;
    assert!((unet / 31.03e6 - 1.0).abs() < 0.01, "{unet}");
    // SegNet's paper gives 29.5 M.
    let segnet = size(&of("segnet"), "") as f64;
    assert!((segnet / 29.5e6 - 1.0).abs() < 0.02, "{segnet}");
}

#[test]
fn the_light_one_needs_half_the_multiplications() {
    let macs = |name: &str| {
        name.parse::<Network>()
            .unwrap()
            .graph(256, 384, 24)
            .unwrap()
            .macs()
            .unwrap()
    };
    assert!(2 * macs("effnet-lite0-light") < macs("effnet-lite0-unet") * 5 / 4);
    let scales = Network::Xception.graph(128, 192, 24).unwrap();
    let weights = scales.parameters().unwrap();
    assert!(
        weights
            .iter()
            .any(|p| p.kind == ParameterKind::ConvWeight && p.shape[0] == 2048)
    );
}
