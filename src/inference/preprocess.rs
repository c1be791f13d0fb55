//! Picture -> the network's input tensor. Trainer and runtime use this one code.

use image::RgbImage;

use super::InferenceError;
use super::manifest::{ColourOrder, InputSpec};
use crate::resize::Resizer;

/// Stretches the whole picture to the network's input and normalises it. Owns its buffers.
#[derive(Debug)]
pub struct Preprocessor {
    spec: InputSpec,
    resizer: Resizer<3>,
    /// Interleaved RGB at the network's size.
    resized: Vec<u8>,
    /// `(byte - mean) / std` for every byte, a table a channel.
    tables: [[f32; 256]; 3],
}

impl Preprocessor {
    /// For one network.
    #[must_use]
    pub fn new(spec: &InputSpec) -> Self {
        let mut tables = [[0.0; 256]; 3];
        for ((table, mean), std) in tables.iter_mut().zip(spec.mean).zip(spec.std) {
            for (byte, v) in table.iter_mut().enumerate() {
                *v = (byte as f32 - mean) / std;
            }
        }
        Self {
            resizer: Resizer::default(),
            resized: vec![0; 3 * spec.width * spec.height],
            tables,
            spec: spec.clone(),
        }
    }

    /// Fills `out`, planar `[channel][row][column]`, `3 * height * width` floats.
    ///
    /// The picture is resized with an area-aware filter, so that a large picture is averaged, not sampled: bilinear from half
    /// its size down, as in training.
    ///
    /// # Errors
    /// `Picture` when the picture is empty or `out` has another length.
    pub fn run(&mut self, picture: &RgbImage, out: &mut [f32]) -> Result<(), InferenceError> {
        let (w, h) = picture.dimensions();
        let plane = self.spec.width * self.spec.height;
        if out.len() != 3 * plane {
            return Err(InferenceError::Picture(format!(
                "input buffer of {} floats, not {}",
                out.len(),
                3 * plane
            )));
        }
        if w == 0 || h == 0 {
            return Err(InferenceError::Picture(format!(
                "{w}x{h} pixels are no picture"
            )));
        }
        let size = (self.spec.width, self.spec.height);
        self.resizer
            .run(
                (picture.as_raw(), (w as usize, h as usize)),
                (&mut self.resized, size),
            )
            .map_err(InferenceError::Picture)?;
        for (c, (plane, table)) in out.chunks_exact_mut(plane).zip(&self.tables).enumerate() {
            let source_channel = match self.spec.colour {
                ColourOrder::Rgb => c,
                ColourOrder::Bgr => 2 - c,
            };
            let bytes = self.resized.iter().skip(source_channel).step_by(3);
            for (o, &b) in plane.iter_mut().zip(bytes) {
                *o = table.get(usize::from(b)).copied().unwrap_or(0.0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn spec(width: usize, height: usize, colour: ColourOrder) -> InputSpec {
        InputSpec {
            width,
            height,
            colour,
            mean: [127.0; 3],
            std: [128.0; 3],
        }
    }

    #[test]
    fn a_flat_colour_is_normalised_and_planar() {
        let picture = RgbImage::from_pixel(50, 30, Rgb([127, 255, 0]));
        let mut out = vec![0.0; 3 * 8 * 4];
        Preprocessor::new(&spec(8, 4, ColourOrder::Rgb))
            .run(&picture, &mut out)
            .unwrap();
        assert!(out[..32].iter().all(|v| v.abs() < 1e-6));
        assert!(out[32..64].iter().all(|v| (v - 1.0).abs() < 1e-6));
        assert!(out[64..].iter().all(|v| (v + 127.0 / 128.0).abs() < 1e-6));
        Preprocessor::new(&spec(8, 4, ColourOrder::Bgr))
            .run(&picture, &mut out)
            .unwrap();
        assert!(out[64..].iter().all(|v| v.abs() < 1e-6), "red comes last");
    }

    #[test]
    fn left_stays_left_and_top_stays_top() {
        let picture = RgbImage::from_fn(64, 32, |x, y| {
            Rgb([
                if x < 32 { 255 } else { 0 },
                if y < 16 { 255 } else { 0 },
                0,
            ])
        });
        let mut out = vec![0.0; 3 * 8 * 4];
        Preprocessor::new(&spec(8, 4, ColourOrder::Rgb))
            .run(&picture, &mut out)
            .unwrap();
        assert!(out[0] > 0.9 && out[7] < -0.9, "red is on the left");
        assert!(out[32] > 0.9 && out[32 + 31] < -0.9, "green is on top");
    }

    #[test]
    fn small_pictures_are_scaled_up_and_empty_ones_refused() {
        let mut p = Preprocessor::new(&spec(8, 4, ColourOrder::Rgb));
        let mut out = vec![0.0; 3 * 8 * 4];
        p.run(&RgbImage::from_pixel(1, 1, Rgb([255; 3])), &mut out)
            .unwrap();
        assert!(out.iter().all(|v| (v - 1.0).abs() < 1e-6));
        assert!(p.run(&RgbImage::new(0, 0), &mut out).is_err());
        assert!(p.run(&RgbImage::new(4, 4), &mut out[..5]).is_err());
    }

    #[test]
    fn shrinking_averages_instead_of_sampling() {
        let picture = RgbImage::from_fn(64, 64, |x, y| {
            Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3])
        });
        let mut out = vec![0.0; 3 * 64];
        Preprocessor::new(&spec(8, 8, ColourOrder::Rgb))
            .run(&picture, &mut out)
            .unwrap();
        assert!(
            out.iter().all(|v| v.abs() < 0.05),
            "a checkerboard becomes grey"
        );
    }
}
