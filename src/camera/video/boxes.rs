//! The index of an MP4 or MOV file (ISO 14496-12): where each video sample lies and when it is shown.
//!
//! A small reader of our own. `re_mp4` 0.5.1, the kept library for this, loops for ever on an inner box of size 0, and
//! panics or asks for absurd memory on inconsistent tables; recordings cut by a crash hold such things. Tables that are
//! too short are used as far as they go. Edit lists are not applied: the first frame shown is time 0.

use std::io::{self, Read, Seek, SeekFrom};
use std::iter;

use super::h264::AvcConfig;
use crate::camera::Recorded;

/// The largest index that is read; one of 10 hours at 60 frames a second has about 40 MB.
const MAX_INDEX_BYTES: u64 = 256 << 20;
/// The most samples: 46 hours at 60 frames a second.
const MAX_SAMPLES: usize = 10_000_000;

/// The H.264 track of a file.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) config: AvcConfig,
    /// In decoding order.
    pub(super) samples: Vec<Sample>,
    /// Clockwise turn for showing, in quarter turns, 0-3.
    pub(super) quarter_turns: u8,
}

/// One coded picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) is_key: bool,
    /// Place in display order.
    pub(super) rank: u64,
    /// Seconds after the first picture shown; `None` if the file has no usable times.
    pub(super) time_s: Option<f64>,
}

/// Why a file has no usable H.264 track.
#[derive(Debug)]
pub(super) enum IndexError {
    Io(io::Error),
    NoIndex,
    Broken(String),
    /// Readable, but not by us; says what it is.
    Other(String),
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn broken(what: &str) -> IndexError {
    IndexError::Broken(what.to_owned())
}

/// Reads the index of the file.
pub(super) fn read_index<R: Read + Seek>(file: &mut R) -> Result<Track, IndexError> {
    let moov = read_moov(file)?;
    let videos: Vec<&[u8]> = children(&moov)
        .filter(|(name, _)| name == b"trak")
        .map(|(_, body)| body)
        .filter(|trak| is_video(trak))
        .collect();
    let first = videos
        .first()
        .ok_or_else(|| broken("it has no video track"))?;
    let ours = videos.iter().find(
        |trak| matches!(entry_name(trak), Some(name) if &name == b"avc1" || &name == b"avc3"),
    );
    let trak = ours.ok_or_else(|| IndexError::Other(codec_name(entry_name(first))))?;
    let config = avc_config(trak).ok_or_else(|| broken("it has no usable avcC box"))?;
    let samples = samples(trak)?;
    if samples.is_empty() && child(&moov, *b"mvex").is_some() {
        return Err(IndexError::Other("fragmented MP4".to_owned()));
    }
    Ok(Track {
        config,
        samples,
        quarter_turns: quarter_turns(trak).unwrap_or(0),
    })
}

/// Seconds from 1904, where this format's clock starts, to 1970.
const MP4_EPOCH_S: f64 = 2_082_844_800.0;

/// When the file began and how long it is, by its movie header; a time before 1970 means that the camera did not know.
pub(super) fn read_recorded<R: Read + Seek>(file: &mut R) -> Option<Recorded> {
    let moov = read_moov(file).ok()?;
    let header = child(&moov, *b"mvhd")?;
    let is_long = *header.first()? == 1;
    let long = |at: usize| -> Option<f64> {
        let bytes = header.get(at..)?.first_chunk()?;
        Some(u64::from_be_bytes(*bytes) as f64)
    };
    let short = |at: usize| u32_at(header, at).map(f64::from);
    let (created, ticks_a_second, ticks) = if is_long {
        (long(4)?, short(20)?, long(24)?)
    } else {
        (short(4)?, short(12)?, short(16)?)
    };
    Some(Recorded {
        start_unix_s: (created > MP4_EPOCH_S).then_some(created - MP4_EPOCH_S),
        length_s: (ticks_a_second > 0.0 && ticks > 0.0).then(|| ticks / ticks_a_second),
    })
}

/// The body of the `moov` box.
fn read_moov<R: Read + Seek>(file: &mut R) -> Result<Vec<u8>, IndexError> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [s0, s1, s2, s3, name @ ..] = header;
        let (size, header_size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (length - at, 8),
            1 if at + 16 > length => return Err(IndexError::NoIndex),
            1 => {
                let mut large = [0; 8];
                file.read_exact(&mut large)?;
                (u64::from_be_bytes(large), 16)
            }
            size => (u64::from(size), 8),
        };
        if size < header_size {
            return Err(broken(&format!(
                "the box at byte {at} has an impossible size"
            )));
        }
        if &name == b"moov" {
            let body = size - header_size;
            if at.saturating_add(size) > length {
                return Err(IndexError::NoIndex);
            }
            if body > MAX_INDEX_BYTES {
                return Err(broken("its index is larger than 256 MB"));
            }
            let mut moov = vec![0; body as usize];
            file.read_exact(&mut moov)?;
            return Ok(moov);
        }
        at = at.saturating_add(size);
    }
    Err(IndexError::NoIndex)
}

/// The boxes directly inside `data`, as far as they are whole.
fn children(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    iter::from_fn(move || {
        let &[s0, s1, s2, s3, n0, n1, n2, n3] = data.first_chunk::<8>()?;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        let (this, rest) = data.split_at_checked(size)?;
        data = rest;
        Some(([n0, n1, n2, n3], this.get(8..)?))
    })
}

fn child(data: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    children(data)
        .find(|(found, _)| *found == name)
        .map(|(_, body)| body)
}

/// The box at the end of a path of names.
fn at_path<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, name| child(data, **name))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

fn is_video(trak: &[u8]) -> bool {
    at_path(trak, &[b"mdia", b"hdlr"]).is_some_and(|hdlr| hdlr.get(8..12) == Some(b"vide"))
}

fn sample_table(trak: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    at_path(trak, &[b"mdia", b"minf", b"stbl", &name])
}

/// The first sample description: its name and body.
fn entry(trak: &[u8]) -> Option<([u8; 4], &[u8])> {
    children(sample_table(trak, *b"stsd")?.get(8..)?).next()
}

fn entry_name(trak: &[u8]) -> Option<[u8; 4]> {
    entry(trak).map(|(name, _)| name)
}

fn codec_name(name: Option<[u8; 4]>) -> String {
    match name.as_ref() {
        Some(b"hvc1" | b"hev1") => "HEVC (H.265) video in MP4".to_owned(),
        Some(b"av01") => "AV1 video in MP4".to_owned(),
        Some(other) => format!("`{}` video in MP4", other.escape_ascii()),
        None => "video of an unknown kind in MP4".to_owned(),
    }
}

fn avc_config(trak: &[u8]) -> Option<AvcConfig> {
    // A visual sample entry has 78 bytes before its boxes.
    let avcc = child(entry(trak)?.1.get(78..)?, *b"avcC")?;
    let length_size = usize::from(avcc.get(4)? & 3) + 1;
    let mut parameter_sets = Vec::new();
    let (count, mut rest) = avcc.get(5..)?.split_first()?;
    for _ in 0..count & 31 {
        let set;
        (set, rest) = split_set(rest)?;
        parameter_sets.push(set.to_vec());
    }
    let (count, mut rest) = rest.split_first()?;
    for _ in 0..*count {
        let set;
        (set, rest) = split_set(rest)?;
        parameter_sets.push(set.to_vec());
    }
    Some(AvcConfig {
        length_size,
        parameter_sets,
    })
}

fn split_set(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The rows of a table with `N` numbers each, as far as they are whole.
fn rows<const N: usize>(table: Option<&[u8]>) -> impl Iterator<Item = [u32; N]> {
    let body = table.and_then(|t| t.get(8..)).unwrap_or_default();
    let count = table.and_then(|t| u32_at(t, 4)).unwrap_or(0) as usize;
    body.chunks_exact(N * 4)
        .take(count)
        .map(|row| std::array::from_fn(|column| u32_at(row, column * 4).unwrap_or(0)))
}

/// The sizes of the samples, in decoding order.
fn sizes(trak: &[u8]) -> Result<Vec<u32>, IndexError> {
    let stsz = sample_table(trak, *b"stsz").ok_or_else(|| broken("it has no stsz box"))?;
    let constant = u32_at(stsz, 4).unwrap_or(0);
    let count = u32_at(stsz, 8).unwrap_or(0) as usize;
    if count > MAX_SAMPLES {
        return Err(broken("its index names more than 10 million frames"));
    }
    if constant > 0 {
        return Ok(vec![constant; count]);
    }
    // The count stands one field later than in other tables.
    Ok(rows::<1>(stsz.get(4..)).map(|[size]| size).collect())
}

/// All samples of a track, in decoding order.
fn samples(trak: &[u8]) -> Result<Vec<Sample>, IndexError> {
    let sizes = sizes(trak)?;
    let chunks: Vec<u64> = match sample_table(trak, *b"stco") {
        Some(stco) => rows(Some(stco)).map(|[at]| u64::from(at)).collect(),
        None => rows(sample_table(trak, *b"co64"))
            .map(|[high, low]| u64::from(high) << 32 | u64::from(low))
            .collect(),
    };
    let mut runs = rows::<3>(sample_table(trak, *b"stsc")).peekable();
    let mut per_chunk = 0;
    let mut sizes = sizes.into_iter();
    let mut samples = Vec::with_capacity(sizes.len());
    for (number, chunk) in (1..).zip(chunks) {
        while let Some([_, count, _]) = runs.next_if(|[first, _, _]| *first <= number) {
            per_chunk = count as usize;
        }
        let mut offset = chunk;
        for size in sizes.by_ref().take(per_chunk) {
            samples.push(Sample {
                offset,
                size,
                is_key: true,
                rank: 0,
                time_s: None,
            });
            offset = offset.saturating_add(u64::from(size));
        }
    }
    mark_keys(trak, &mut samples);
    set_times(trak, &mut samples);
    Ok(samples)
}

/// Without a table of key frames, each is one.
fn mark_keys(trak: &[u8], samples: &mut [Sample]) {
    let Some(stss) = sample_table(trak, *b"stss") else {
        return;
    };
    for sample in samples.iter_mut() {
        sample.is_key = false;
    }
    for [number] in rows(Some(stss)) {
        if let Some(sample) = samples.get_mut((number as usize).wrapping_sub(1)) {
            sample.is_key = true;
        }
    }
}

/// Sets ranks and times from the durations and composition offsets.
fn set_times(trak: &[u8], samples: &mut [Sample]) {
    let runs = |name: [u8; 4]| {
        rows(sample_table(trak, name))
            .flat_map(|[count, value]| iter::repeat_n(value as i32, count as usize))
    };
    let durations = runs(*b"stts")
        .map(|d| i64::from(d as u32))
        .chain(iter::repeat(0));
    let offsets = runs(*b"ctts").map(i64::from).chain(iter::repeat(0));
    let decoding = durations.scan(0i64, |time, duration| {
        let now = *time;
        *time += duration;
        Some(now)
    });
    let shown: Vec<i64> = decoding
        .zip(offsets)
        .map(|(time, offset)| time + offset)
        .take(samples.len())
        .collect();
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|index| shown.get(*index));
    let start = shown.iter().min().copied().unwrap_or(0);
    let has_times = shown.iter().max().is_some_and(|end| *end > start);
    let timescale = at_path(trak, &[b"mdia", b"mdhd"])
        .and_then(|mdhd| u32_at(mdhd, if mdhd.first() == Some(&1) { 20 } else { 12 }))
        .filter(|ticks| *ticks > 0 && has_times);
    for (rank, index) in order.into_iter().enumerate() {
        let (Some(sample), Some(shown)) = (samples.get_mut(index), shown.get(index)) else {
            continue;
        };
        sample.rank = rank as u64;
        sample.time_s = timescale.map(|ticks| (shown - start) as f64 / f64::from(ticks));
    }
}

/// From the matrix of the track header.
fn quarter_turns(trak: &[u8]) -> Option<u8> {
    let tkhd = child(trak, *b"tkhd")?;
    let matrix = tkhd.get(if tkhd.first() == Some(&1) { 52 } else { 40 }..)?;
    let entry = |index: usize| u32_at(matrix, index * 4).map(|v| (v as i32).signum());
    Some(match (entry(0)?, entry(1)?, entry(3)?, entry(4)?) {
        (0, 1, -1, 0) => 1,
        (-1, 0, 0, -1) => 2,
        (0, -1, 1, 0) => 3,
        _ => 0,
    })
}
