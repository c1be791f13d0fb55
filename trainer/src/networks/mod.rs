//! Every network that can be trained: a name, and the graph that it stands for.

pub mod classic;
pub mod effnet;
pub mod layers;
pub mod resnet;
pub mod xception;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use serde::{Serialize, Serializer};

use crate::graph::{Graph, Shape};
use crate::parameters::Metadata;
use effnet::Lite;
use layers::Join;
use resnet::Depth;

/// Parameters whose names start so come from the pretrained file, where they stand without it.
pub const ENCODER_PREFIX: &str = "encoder.";
/// U-Net's base width in the paper.
const UNET_WIDTH: usize = 64;
/// Widths that can be asked for.
const UNET_WIDTHS: std::ops::RangeInclusive<usize> = 4..=128;

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// EfficientNet-Lite encoder, light U-Net decoder.
    Lite(Lite, Join),
    /// U-Net with this many channels at the finest scale.
    Unet(usize),
    /// FCN-8s on VGG-16.
    Fcn8s,
    /// `SegNet` on VGG-16.
    Segnet,
    /// `ResNet` encoder, light U-Net decoder.
    Resnet(Depth),
    /// `DeepLabv3+` on Xception.
    Xception,
}

impl Network {
    /// All of them, U-Net in its original width.
    pub const ALL: [Self; 10] = [
        Self::Lite(Lite::Lite0, Join::Dense),
        Self::Lite(Lite::Lite1, Join::Dense),
        Self::Lite(Lite::Lite2, Join::Dense),
        Self::Lite(Lite::Lite0, Join::Separable),
        Self::Unet(UNET_WIDTH),
        Self::Fcn8s,
        Self::Segnet,
        Self::Resnet(Depth::Resnet18),
        Self::Resnet(Depth::Resnet34),
        Self::Xception,
    ];

    /// Where it comes from.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::Lite(_, Join::Dense) => "EfficientNet-Lite (Tan and Le 2019) in a U-Net",
            Self::Lite(_, Join::Separable) => {
                "the same with a separable decoder: the one for a Raspberry Pi 5"
            }
            Self::Unet(_) => "Ronneberger et al. 2015, with batch norm",
            Self::Fcn8s => "Long et al. 2015, VGG-16 with batch norm, 1024 channels in fc6 and fc7",
            Self::Segnet => "Badrinarayanan et al. 2017",
            Self::Resnet(_) => "ResNet (He et al. 2016) in a U-Net",
            Self::Xception => "DeepLabv3+ (Chen et al. 2018) on Xception (Chollet 2017)",
        }
    }

    /// Rows and columns of its input must be multiples of this.
    #[must_use]
    pub const fn multiple(self) -> usize {
        match self {
            Self::Unet(_) | Self::Xception => 16,
            _ => 32,
        }
    }

    /// Names in a pretrained file that its encoder does not use; `None` where no file of pretrained weights fits.
    #[must_use]
    pub const fn classifier(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Lite(..) => Some(&["_conv_head.", "_bn1.", "_fc."]),
            Self::Resnet(_) => Some(&["fc."]),
            Self::Fcn8s | Self::Segnet => Some(&["classifier."]),
            Self::Unet(_) | Self::Xception => None,
        }
    }

    /// The graph for pictures of `height` x `width` pixels and `classes` classes.
    ///
    /// # Errors
    /// When the size is no multiple of [`Network::multiple`], with the nearest that are.
    pub fn graph(self, height: usize, width: usize, classes: usize) -> Result<Graph> {
        let m = self.multiple();
        for (flag, size) in [("height", height), ("width", width)] {
            let near = ((size + m / 2) / m).max(1) * m;
            ensure!(
                size > 0 && size % m == 0,
                "--{flag} {size}: {self} wants a multiple of {m}, such as {near}"
            );
        }
        let input = Shape {
            channels: 3,
            height,
            width,
        };
        let name = self.to_string();
        Ok(match self {
            Self::Lite(lite, join) => effnet::graph(&name, lite, join, input, classes),
            Self::Unet(base) => classic::unet(&name, base, input, classes),
            Self::Fcn8s => classic::fcn8s(&name, input, classes),
            Self::Segnet => classic::segnet(&name, input, classes),
            Self::Resnet(depth) => resnet::graph(&name, depth, input, classes),
            Self::Xception => xception::graph(&name, input, classes),
        })
    }

    /// The network that a file of trained parameters says it is.
    ///
    /// # Errors
    /// When the file's words name no network, or one that is not known.
    pub fn of_file(file: &Path, words: &Metadata) -> Result<Self> {
        let name = words.get("network").with_context(|| {
            format!(
                "{} does not say of which network it is: was it written by `train`?",
                file.display()
            )
        })?;
        name.parse()
            .map_err(|e: String| anyhow::anyhow!("{}: {e}", file.display()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lite(Lite::Lite0, Join::Dense) => "effnet-lite0-unet",
            Self::Lite(Lite::Lite1, Join::Dense) => "effnet-lite1-unet",
            Self::Lite(Lite::Lite2, Join::Dense) => "effnet-lite2-unet",
            Self::Lite(Lite::Lite0, Join::Separable) => "effnet-lite0-light",
            Self::Lite(Lite::Lite1, Join::Separable) => "effnet-lite1-light",
            Self::Lite(Lite::Lite2, Join::Separable) => "effnet-lite2-light",
            Self::Unet(width) => return write!(f, "unet-{width}"),
            Self::Fcn8s => "fcn8s",
            Self::Segnet => "segnet",
            Self::Resnet(Depth::Resnet18) => "resnet18-unet",
            Self::Resnet(Depth::Resnet34) => "resnet34-unet",
            Self::Xception => "xception-deeplab",
        })
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(width) = name.strip_prefix("unet-").and_then(|w| w.parse().ok()) {
            if UNET_WIDTHS.contains(&width) {
                return Ok(Self::Unet(width));
            }
            return Err(format!(
                "unet-{width}: the width must lie between {} and {}",
                UNET_WIDTHS.start(),
                UNET_WIDTHS.end()
            ));
        }
        let light = [Lite::Lite1, Lite::Lite2].map(|l| Self::Lite(l, Join::Separable));
        let mut all = Self::ALL.into_iter().chain(light);
        all.find(|n| n.to_string() == name).ok_or_else(|| {
            let names = Self::ALL.map(|n| n.to_string());
            format!(
                "unknown network `{name}`; there are {} (and U-Nets of other widths: unet-16)",
                names.join(", ")
            )
        })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A table of all networks at one input size.
///
/// # Errors
/// When the size fits one of them not.
pub fn table(height: usize, width: usize, classes: usize) -> Result<String> {
    use fmt::Write as _;
    let mut text = format!(
        "{:<20} {:>12} {:>8} {:>10}  from\n",
        "network", "parameters", "GMAC", "logits"
    );
    for network in Network::ALL {
        let graph = network.graph(height, width, classes)?;
        let out = graph.shapes()?.last().copied().unwrap_or(graph.input);
        let _ = writeln!(
            text,
            "{:<20} {:>10.2} M {:>8.2} {:>10}  {}",
            network.to_string(),
            graph.size()? as f64 / 1e6,
            graph.macs()? as f64 / 1e9,
            format!("{}x{}", out.width, out.height),
            network.source()
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
