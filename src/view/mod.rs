//! What people see: overlay pictures and the HTML report.
//!
//! This module draws what the stages decided and adds no judgement of its own. It names their output types, reads no
//! clock and opens no file.

mod canvas;
pub mod overlay;
pub mod palette;
pub mod report;
mod thumbnail;

pub use thumbnail::{ThumbnailError, thumbnail};

/// A key of a file as people read it: `near_person` becomes `near person`.
fn plain(key: &str) -> String {
    key.replace('_', " ")
}

/// The largest of 1, 2 or 5 times a power of ten that is not longer than `most` metres; `None` unless `most` is
/// positive, finite and a length that means something on a map.
fn round_length(most: f64) -> Option<f64> {
    if !(1e-3..1e9).contains(&most) {
        return None;
    }
    let power = 10f64.powi(most.log10().floor() as i32);
    // A hair more, so that rounding of the logarithm does not lose an exact 5 or 10.
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|n| n * power)
        .find(|length| *length <= most * 1.000_001)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(7.3, Some(5.0))]
    #[case(5.0, Some(5.0))]
    #[case(49.9, Some(20.0))]
    #[case(1000.0, Some(1000.0))]
    #[case(0.013, Some(0.01))]
    #[case(0.0, None)]
    #[case(-3.0, None)]
    #[case(f64::NAN, None)]
    #[case(f64::INFINITY, None)]
    fn scale_bars_have_round_lengths(#[case] most: f64, #[case] want: Option<f64>) {
        match (round_length(most), want) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9 * b, "{a} is not {b}"),
            (a, b) => assert_eq!(a, b),
        }
    }
}
