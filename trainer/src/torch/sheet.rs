//! Pictures to look at while a run goes on: some held-out ones, their truth, and what the network says.

use std::fs;
use std::path::Path;

use alight::inference::classes::SEMANTIC_DRONE;
use anyhow::{Context as _, Result};
use image::{ImageFormat, Rgb, RgbImage};
use tch::{Kind, no_grad};

use super::loader::Batch;
use super::network::{Mode, Network};
use super::setup::Run;
use super::train::tensors;
use crate::cli::TrainArgs;
use crate::data::augment::{Training, Warp};
use crate::parameters;

/// Rows of the sheet, one a picture.
const ROWS: usize = 6;

/// Writes a sheet after every so many epochs, where the arguments ask for it.
pub(super) fn write_if_due(run: &Run, args: &TrainArgs) -> Result<()> {
    let is_due = |every: usize| run.progress.epoch.is_multiple_of(every);
    if args.samples_every.is_some_and(is_due) {
        write(run, &args.run)?;
    }
    Ok(())
}

/// Writes `samples/epoch-NNNN.png` in the run's folder: a row for each of a few held-out pictures, spread evenly over the fold, with the
/// picture, its truth and the likeliest class by the mean weights, in the colours of the classes (black where the truth is not known).
fn write(run: &Run, folder: &Path) -> Result<()> {
    let weights = run.mean.parameters(&run.network)?;
    let graph = run.network.graph.clone();
    let network = Network::new(graph, &weights, run.device, run.network.compute)?;
    let (width, height) = run.size;
    let rows = ROWS.min(run.held_out.len());
    let mut sheet = RgbImage::new((3 * width) as u32, (rows * height) as u32);
    for row in 0..rows {
        let index = run.held_out.get(row * run.held_out.len() / rows.max(1));
        let sample = index.and_then(|&i| run.set.real.sample(i));
        let sample = sample.context("the fold names a sample that is not there")?;
        let whole = Warp::whole((sample.width, sample.height), run.size);
        let picture = whole.draw(&sample, run.size);
        let says = no_grad(|| likeliest(&network, run, &picture))?;
        let mut put = |column: usize, colour: &dyn Fn(usize) -> Rgb<u8>| {
            for pixel in 0..width * height {
                let (x, y) = (pixel % width + column * width, pixel / width + row * height);
                sheet.put_pixel(x as u32, y as u32, colour(pixel));
            }
        };
        put(0, &|i| colour_at(&picture, i));
        put(1, &|i| class_colour(&picture.mask, i));
        put(2, &|i| class_colour(&says, i));
    }
    let folder = folder.join("samples");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    sheet.write_to(&mut bytes, ImageFormat::Png)?;
    let path = folder.join(format!("epoch-{:04}.png", run.progress.epoch));
    Ok(parameters::write_atomically(&path, bytes.get_ref())?)
}

/// The likeliest class of each pixel, at the picture's size.
fn likeliest(network: &Network, run: &Run, picture: &Training) -> Result<Vec<u8>> {
    let mut batch = Batch::default();
    batch.push(picture);
    let (pictures, _) = tensors(&batch, run.size, run.device);
    let logits = network.forward(&pictures, Mode::Eval)?;
    let size = [picture.height as i64, picture.width as i64];
    let classes = logits
        .upsample_bilinear2d(size, false, None, None)
        .argmax(1, false)
        .to_kind(Kind::Uint8)
        .to_device(tch::Device::Cpu);
    Ok(Vec::<u8>::try_from(classes.contiguous().view(-1))?)
}

fn colour_at(t: &Training, pixel: usize) -> Rgb<u8> {
    let plane = t.width * t.height;
    let channel = |c: usize| t.picture.get(c * plane + pixel).copied().unwrap_or(0.0) as u8;
    Rgb([channel(0), channel(1), channel(2)])
}

fn class_colour(classes: &[u8], pixel: usize) -> Rgb<u8> {
    let class = classes.get(pixel).map(|c| usize::from(*c));
    let known = class.and_then(|c| SEMANTIC_DRONE.get(c));
    Rgb(known.map_or([0; 3], |(_, colour, _)| *colour))
}
