//! The tract backend: the only file that names tract.

use std::io::Cursor;

use image::RgbImage;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_hir::infer::Factoid as _;

use super::manifest::{Form, Manifest, ModelFiles};
use super::preprocess::Preprocessor;
use super::softmax::Calibration;
use super::{InferenceError, SegmentationMap, Segmenter};
use crate::camera::Frame;

/// A network that tract runs on the CPU, one picture at a time.
pub struct TractSegmenter {
    manifest: Manifest,
    state: TypedSimpleState,
    preprocessor: Preprocessor,
    calibration: Calibration,
    input: Tensor,
}

impl std::fmt::Debug for TractSegmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TractSegmenter")
            .field("model", &self.manifest.name)
            .finish_non_exhaustive()
    }
}

impl TractSegmenter {
    /// Loads, checks and plans a network. The hash has been checked by [`ModelFiles`].
    ///
    /// # Errors
    /// `Load` when tract cannot read or plan it, `Shape` when its input or output is not what the manifest says,
    /// `FloatConvolution` when the manifest says `int8` and a convolution would run in float.
    pub fn new(files: &ModelFiles) -> Result<Self, InferenceError> {
        let manifest = files.manifest.clone();
        let file = files.origin.display().to_string();
        let load = |e: TractError| InferenceError::Load {
            file: file.clone(),
            reason: format!("{e:#}"),
        };
        let model = onnx()
            .model_for_read(&mut Cursor::new(&*files.network))
            .map_err(load)?;
        let wanted = [1, 3, manifest.input.height, manifest.input.width];
        check_declared_input(&model, &wanted, &file)?;
        let model = model
            .with_input_fact(0, f32::fact(wanted).into())
            .and_then(InferenceModelExt::into_typed)
            .and_then(TypedModel::into_decluttered)
            .map_err(load)?;
        check_output(&model, &manifest, &file)?;
        if manifest.form == Form::Int8 {
            check_integer_convolutions(&model, &file)?;
        }
        let plan = model
            .into_optimized()
            .and_then(IntoRunnable::into_runnable)
            .map_err(load)?;
        let state = plan.spawn().map_err(load)?;
        Ok(Self {
            preprocessor: Preprocessor::new(&manifest.input),
            calibration: Calibration::new(&manifest),
            input: Tensor::zero::<f32>(&wanted).map_err(load)?,
            state,
            manifest,
        })
    }

    /// First half of [`Segmenter::segment`]: picture -> input tensor.
    ///
    /// # Errors
    /// As [`Preprocessor::run`].
    pub fn preprocess(&mut self, picture: &RgbImage) -> Result<(), InferenceError> {
        let mut plain = self.input.try_as_plain_ram_mut().map_err(run_error)?;
        self.preprocessor
            .run(picture, plain.as_slice_mut::<f32>().map_err(run_error)?)
    }

    /// Second part: the network itself, on the tensor of the last [`TractSegmenter::preprocess`].
    ///
    /// # Errors
    /// `Run` when tract fails.
    pub fn infer(&mut self) -> Result<Logits, InferenceError> {
        let mut outputs = self
            .state
            .run(tvec!(self.input.clone().into_tvalue()))
            .map_err(run_error)?;
        clean_vector_registers();
        if outputs.is_empty() {
            return Err(InferenceError::Run(String::from(
                "the network gave no output",
            )));
        }
        Ok(Logits(outputs.remove(0)))
    }

    /// Last part: logits -> calibrated probabilities of surfaces.
    ///
    /// # Errors
    /// `Run` when the logits are not finite numbers.
    pub fn calibrate(
        &mut self,
        logits: &Logits,
        frame: &Frame,
        out: &mut SegmentationMap,
    ) -> Result<(), InferenceError> {
        let plain = logits.0.try_as_plain_ram().map_err(run_error)?;
        let values = plain.as_slice::<f32>().map_err(run_error)?;
        out.seq = frame.seq;
        out.captured_at = frame.captured_at;
        (out.source_width, out.source_height) = frame.image.dimensions();
        self.calibration.run(values, out)
    }
}

/// What the network answered, not yet calibrated.
#[derive(Debug)]
pub struct Logits(TValue);

impl Segmenter for TractSegmenter {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn segment(&mut self, frame: &Frame, out: &mut SegmentationMap) -> Result<(), InferenceError> {
        self.preprocess(&frame.image)?;
        let logits = self.infer()?;
        self.calibrate(&logits, frame, out)
    }
}

/// Lets the code after the network run at its usual speed.
///
/// tract's AVX-512 kernels return with the upper halves of the vector registers in use; from then on every plain SSE
/// instruction of this thread waits for the one before that wrote the same register, and what follows takes two to three
/// times as long. A search that is long enough to use AVX2 ends with the instruction that cleans them (VZEROUPPER).
fn clean_vector_registers() {
    std::hint::black_box(memchr::memchr(1, std::hint::black_box(&[0; 256])));
}

fn run_error(e: impl std::fmt::Display) -> InferenceError {
    InferenceError::Run(format!("{e:#}"))
}

/// The input as the ONNX file declares it must agree with the manifest, where it is concrete.
fn check_declared_input(
    model: &InferenceModel,
    wanted: &[usize; 4],
    file: &str,
) -> Result<(), InferenceError> {
    let fact = model.input_fact(0).map_err(|e| InferenceError::Load {
        file: file.into(),
        reason: format!("{e:#}"),
    })?;
    let declared: Vec<Option<usize>> = fact
        .shape
        .dims()
        .map(|d| {
            d.concretize()
                .and_then(|d| d.to_i64().ok())
                .and_then(|d| usize::try_from(d).ok())
        })
        .collect();
    let agrees = declared.len() == 4
        && declared
            .iter()
            .zip(wanted)
            .all(|(d, w)| d.is_none_or(|d| d == *w));
    if agrees || fact.shape.is_open() {
        return Ok(());
    }
    Err(InferenceError::Shape {
        file: file.into(),
        key: "input",
        manifest: format!("{wanted:?}"),
        network: format!(
            "{:?}",
            declared.iter().map(|d| d.unwrap_or(0)).collect::<Vec<_>>()
        ),
    })
}

fn check_output(model: &TypedModel, manifest: &Manifest, file: &str) -> Result<(), InferenceError> {
    let fact = model.output_fact(0).map_err(|e| InferenceError::Load {
        file: file.into(),
        reason: format!("{e:#}"),
    })?;
    let found: Option<Vec<usize>> = fact.shape.as_concrete().map(<[usize]>::to_vec);
    let wanted = vec![
        1,
        manifest.classes.len(),
        manifest.output.height,
        manifest.output.width,
    ];
    if found.as_ref() == Some(&wanted) && fact.datum_type == f32::datum_type() {
        return Ok(());
    }
    Err(InferenceError::Shape {
        file: file.into(),
        key: "output",
        manifest: format!("{wanted:?} f32"),
        network: format!("{found:?} {:?}", fact.datum_type),
    })
}

/// QDQ networks load, but tract runs their convolutions in float: slower than a float network, and not what was said.
fn check_integer_convolutions(model: &TypedModel, file: &str) -> Result<(), InferenceError> {
    let float: Vec<&str> = model
        .nodes()
        .iter()
        .filter(|n| n.op_as::<Conv>().is_some_and(|c| c.q_params.is_none()))
        .map(|n| n.name.as_str())
        .collect();
    match float.first() {
        None => Ok(()),
        Some(first) => Err(InferenceError::FloatConvolution {
            file: file.into(),
            count: float.len(),
            first: (*first).to_owned(),
        }),
    }
}
