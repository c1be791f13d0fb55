//! H.264 samples of a container in, RGB pictures in display order out.
//!
//! The decoder hands out pictures without saying which sample each came from. With B-frames they come later than, and in
//! another order than, their samples, but always in display order: so each picture that comes out belongs to the
//! earliest-shown sample that is still inside. A sample that cannot be decoded empties the decoder and starts a fresh one at the
//! next key frame: what would be decoded in between refers to a picture that is not there.

use std::collections::{BTreeMap, BTreeSet};

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, decode_nal};
use image::RgbImage;
use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;

use crate::camera::picture::check_size;

use super::yuv::{Colour, Planes, to_rgb};

const NAL_SLICE: u8 = 1;
const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What an MP4's `avcC` box says.
#[derive(Debug, Clone, Default)]
pub(super) struct AvcConfig {
    /// Bytes of each NAL unit's length field: 1, 2 or 4 (3 is not allowed, but harmless).
    pub(super) length_size: usize,
    /// Sequence, then picture parameter sets, without start codes.
    pub(super) parameter_sets: Vec<Vec<u8>>,
}

/// A picture, or why there is none.
pub(super) type Decoded = Result<RgbImage, String>;

/// Decodes samples and puts the results into display order.
pub(super) struct H264Decoder {
    decoder: Option<Decoder>,
    config: AvcConfig,
    colour_words: (Option<u8>, bool),
    /// Ranks of the samples inside the decoder.
    inside: BTreeSet<u64>,
    /// Finished, by rank.
    finished: BTreeMap<u64, Decoded>,
    /// The rank to hand out next.
    next: u64,
    /// No more samples come, so that ranks may be missing.
    is_finished: bool,
    /// The NAL units of one sample with start codes; kept for its memory.
    stream: Vec<u8>,
}

impl H264Decoder {
    pub(super) fn new(config: AvcConfig) -> Self {
        let colour_words = config
            .parameter_sets
            .iter()
            .find_map(|set| colour_words(set))
            .unwrap_or_default();
        Self {
            decoder: None,
            config,
            colour_words,
            inside: BTreeSet::new(),
            finished: BTreeMap::new(),
            next: 0,
            is_finished: false,
            stream: Vec::new(),
        }
    }

    /// The next result in display order, if it is certain already.
    pub(super) fn pop(&mut self) -> Option<(u64, Decoded)> {
        if self.is_finished {
            self.next = *self.finished.first_key_value()?.0;
        }
        let decoded = self.finished.remove(&self.next)?;
        let rank = self.next;
        self.next += 1;
        Some((rank, decoded))
    }

    /// A sample that is not there; `rank` is its place in display order.
    pub(super) fn skip(&mut self, rank: u64, reason: String) {
        self.empty();
        self.finished.insert(rank, Err(reason));
    }

    /// Decodes the next sample in decoding order; `rank` is its place in display order.
    pub(super) fn feed(&mut self, rank: u64, is_key: bool, sample: &[u8]) {
        let has_idr = match self.write_stream(sample) {
            Ok(has_idr) => has_idr,
            Err(reason) => return self.skip(rank, reason),
        };
        if self.decoder.is_none() {
            if !(is_key || has_idr) {
                let reason = "it builds on a frame that could not be decoded".to_owned();
                self.finished.insert(rank, Err(reason));
                return;
            }
            match self.fresh_decoder() {
                Ok(decoder) => self.decoder = Some(decoder),
                Err(error) => return self.skip(rank, error.to_string()),
            }
        }
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        self.inside.insert(rank);
        let options = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
        let picture = match decoder.decode_with_options(&self.stream, options) {
            Ok(None) => return,
            Ok(Some(yuv)) => rgb(&yuv, self.colour_words),
            Err(_) => {
                self.inside.remove(&rank);
                let reason =
                    "its data are damaged, or of a kind of H.264 that openh264 does not know";
                return self.skip(rank, reason.to_owned());
            }
        };
        if let Some(first) = self.inside.pop_first() {
            self.finished.insert(first, picture);
        }
    }

    /// No more samples will come.
    pub(super) fn finish(&mut self) {
        self.empty();
        self.is_finished = true;
    }

    /// Takes the pictures out that are still inside; samples without one are marked as failed. Afterwards the decoder must
    /// not be used again: openh264's flush does not give the pictures' memory back, and it runs out.
    fn empty(&mut self) {
        let mut pictures = Vec::new();
        if let Some(mut decoder) = self.decoder.take()
            && let Ok(left) = decoder.flush_remaining()
        {
            let words = self.colour_words;
            pictures.extend(left.iter().map(|yuv| rgb(yuv, words)));
        }
        // If some are missing, the decoder dropped the earliest on the way to its error.
        while let Some(rank) = self.inside.pop_last() {
            let picture = pictures.pop();
            let picture = picture.unwrap_or_else(|| Err("the decoder gave no picture".to_owned()));
            self.finished.insert(rank, picture);
        }
    }

    fn fresh_decoder(&self) -> Result<Decoder, openh264::Error> {
        let mut decoder =
            Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new())?;
        let mut header = Vec::new();
        for set in &self.config.parameter_sets {
            header.extend(START_CODE);
            header.extend(set);
        }
        let options = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
        // A broken set shows itself at the first sample, which may bring its own.
        let _ = decoder.decode_with_options(&header, options);
        Ok(decoder)
    }

    /// Writes the sample with start codes into `self.stream`; says whether it holds an IDR picture.
    fn write_stream(&mut self, sample: &[u8]) -> Result<bool, String> {
        self.stream.clear();
        let (mut has_picture, mut has_idr) = (false, false);
        let mut rest = sample;
        while !rest.is_empty() {
            let nal;
            (nal, rest) = split_nal(rest, self.config.length_size)
                .ok_or("its data are broken (a NAL unit is longer than the sample)")?;
            let kind = nal.first().map_or(0, |first| first & 0x1F);
            has_idr |= kind == NAL_IDR;
            has_picture |= kind == NAL_IDR || kind == NAL_SLICE;
            if kind == NAL_SPS {
                check_sps(nal)?;
                self.colour_words = colour_words(nal).unwrap_or(self.colour_words);
            }
            self.stream.extend(START_CODE);
            self.stream.extend(nal);
        }
        if !has_picture {
            return Err("there is no picture in its data".to_owned());
        }
        Ok(has_idr)
    }
}

/// Splits the first NAL unit off.
fn split_nal(data: &[u8], length_size: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_at_checked(length_size)?;
    let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

fn parse_sps(nal: &[u8]) -> Option<SeqParameterSet> {
    if nal.first()? & 0x1F != NAL_SPS {
        return None;
    }
    let rbsp = decode_nal(nal).ok()?;
    SeqParameterSet::from_bits(BitReader::new(rbsp.as_ref())).ok()
}

/// `matrix_coefficients` and full range, as far as a sequence parameter set says.
fn colour_words(nal: &[u8]) -> Option<(Option<u8>, bool)> {
    let signal = parse_sps(nal)?.vui_parameters?.video_signal_type?;
    let matrix = signal.colour_description.map(|c| c.matrix_coefficients);
    Some((matrix, signal.video_full_range_flag))
}

/// Refuses pictures beyond the size limit before the decoder takes memory for them.
pub(super) fn check_sps(nal: &[u8]) -> Result<(), String> {
    let Some(sps) = parse_sps(nal) else {
        return Ok(());
    };
    let width = (u64::from(sps.pic_width_in_mbs_minus1) + 1) * 16;
    let height = (u64::from(sps.pic_height_in_map_units_minus1) + 1) * 16;
    check_size(width, height).map_err(|error| format!("the picture {error}"))
}

fn rgb(yuv: &DecodedYUV<'_>, (matrix, is_full_range): (Option<u8>, bool)) -> Decoded {
    let size = yuv.dimensions();
    let (luma, chroma, _) = yuv.strides();
    let planes = Planes {
        y: yuv.y(),
        u: yuv.u(),
        v: yuv.v(),
        size,
        strides: (luma, chroma),
    };
    let colour = Colour::of(matrix, is_full_range, size.1);
    to_rgb(planes, colour).ok_or_else(|| "the decoder gave a picture without pixels".to_owned())
}
