//! How a network errs, as a table that `alight-trainer eval --errors FILE` measures and writes.
//!
//! The table holds answers that the network really gave, class by class of the truth: rows of surface probabilities in
//! thousandths. Rows come in [`LEVELS`] groups of equally many answers, from "certainly landable" to "certainly not",
//! each of [`SHADES`] rows, from much of the true surface to little. So a number that is uniform between 0 and 1 picks
//! an answer as often as the network gave it.

use serde::{Deserialize, Serialize};

use crate::inference::classes::{SEMANTIC_DRONE, Surface};

/// Groups of answers, by how landable the network took the place to be.
pub const LEVELS: usize = 24;
/// Rows in a group, by how much of the true surface the network saw.
pub const SHADES: usize = 3;
/// Upper ends of the sizes of people: the root of the area, pixels of a network input with 384 columns.
pub const SIZES_PX: [f64; 6] = [3.0, 5.0, 7.0, 10.0, 14.0, 1e9];

/// The table of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorTable {
    /// SHA-256 of the network that was measured.
    pub network_sha256: String,
    /// On which pictures, in words.
    pub origin: String,
    /// How many they were.
    pub pictures: u32,
    /// How large a patch of one error is, metres: twice the distance at which answers on one class are still alike (their
    /// correlation falls to 1/e).
    pub blob_m: f64,
    /// People that the network saw where nobody was, for each square metre of landable ground.
    pub false_people_per_m2: f64,
    /// People seen, by size; sizes ascend.
    pub recall: Vec<Recall>,
    /// Answers on people that were seen.
    pub seen: Answers,
    /// Answers on people that were missed.
    pub missed: Answers,
    /// Answers on each class, by class index.
    pub classes: Vec<Answers>,
}

/// How many people of a size were seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// People up to this size: the root of their area, pixels of a network input with 384 columns.
    pub up_to_px: f64,
    /// How many there were.
    pub people: u32,
    /// How many of them the network saw.
    pub seen: u32,
}

/// Answers that the network gave on one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The class.
    pub index: u8,
    /// Its name.
    pub name: String,
    /// How many answers the rows sum up.
    pub places: u32,
    /// [`LEVELS`] x [`SHADES`] rows, or none where the class was too rare to be measured.
    pub rows: Vec<[u16; Surface::COUNT]>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ErrorTableError {
    /// Not the JSON of a table.
    #[error("{file}: {reason}; write the table anew with `alight-trainer eval --errors`")]
    Parse {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl ErrorTable {
    /// Reads a table; `file` is only for messages.
    ///
    /// # Errors
    /// When the text is no table, or its rows are not as many as they must be.
    pub fn parse(text: &str, file: &str) -> Result<Self, ErrorTableError> {
        let refuse = |reason: String| ErrorTableError::Parse {
            file: file.to_owned(),
            reason,
        };
        let table: Self = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
        let whole = LEVELS * SHADES;
        let all = table.classes.iter().chain([&table.seen, &table.missed]);
        for answers in all {
            if ![0, whole].contains(&answers.rows.len()) {
                return Err(refuse(format!(
                    "class `{}` has {} rows, not {whole}",
                    answers.name,
                    answers.rows.len()
                )));
            }
        }
        if !(table.false_people_per_m2 >= 0.0 && table.false_people_per_m2.is_finite()) {
            return Err(refuse("`false_people_per_m2` is no rate".to_owned()));
        }
        if !(table.blob_m > 0.0 && table.blob_m.is_finite()) {
            return Err(refuse("`blob_m` is no length".to_owned()));
        }
        Ok(table)
    }

    /// As text, a row a line.
    #[must_use]
    pub fn text(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        json.replace("],[", "],\n[").replace("},{", "},\n{") + "\n"
    }

    /// Share of people of this size that the network sees; sizes that nobody had are taken from the next larger size,
    /// scaled down.
    #[must_use]
    pub fn recall_at(&self, size_px: f64) -> f64 {
        let measured: Vec<(f64, f64)> = self
            .recall
            .iter()
            .filter(|r| r.people >= 3)
            .map(|r| (r.up_to_px, f64::from(r.seen) / f64::from(r.people)))
            .collect();
        let at = measured.iter().position(|(px, _)| size_px <= *px);
        match at.and_then(|i| Some((i, measured.get(i)?))) {
            Some((0, (px, share))) => share * (size_px / px.min(30.0)).clamp(0.0, 1.0),
            Some((_, (_, share))) => *share,
            None => measured.last().map_or(0.0, |(_, share)| *share),
        }
    }

    /// The answers of a class; of the most measured class of the same surface where it was too rare itself.
    #[must_use]
    pub fn of_class(&self, index: u8, surface: Surface) -> &[[u16; Surface::COUNT]] {
        let surface_of = |i: u8| SEMANTIC_DRONE.get(usize::from(i)).map(|c| c.2);
        let usable = |a: &&Answers| !a.rows.is_empty();
        let own = self
            .classes
            .iter()
            .find(|a| a.index == index && surface_of(index) == Some(surface));
        own.filter(usable)
            .or_else(|| {
                let kin = self
                    .classes
                    .iter()
                    .filter(|a| surface_of(a.index) == Some(surface));
                kin.filter(usable).max_by_key(|a| a.places)
            })
            .map_or(&[], |a| &a.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const TABLE: &str = include_str!("../../models/errors.json");

    #[test]
    fn the_shipped_table_reads_and_writes_the_same() {
        let table = ErrorTable::parse(TABLE, "models/errors.json").unwrap();
        assert_eq!(table.text(), TABLE);
        assert!(table.pictures > 0 && table.classes.len() == SEMANTIC_DRONE.len());
    }

    #[test]
    fn the_shipped_table_is_of_the_shipped_network() {
        let table = ErrorTable::parse(TABLE, "models/errors.json").unwrap();
        let manifest = include_str!("../../models/landing.toml");
        assert!(
            manifest.contains(&table.network_sha256),
            "write models/errors.json anew: alight-trainer eval --errors (see trainer/README.md)"
        );
    }

    #[test]
    fn larger_people_are_seen_at_least_about_as_well() {
        let table = ErrorTable::parse(TABLE, "models/errors.json").unwrap();
        assert!(table.recall_at(1.0) < table.recall_at(20.0));
        for px in [0.0, 0.5, 4.0, 12.0, 500.0, f64::NAN] {
            let r = table.recall_at(px);
            assert!((0.0..=1.0).contains(&r), "{px}: {r}");
        }
    }

    #[test]
    fn a_cut_table_is_refused_with_its_file() {
        let mut table = ErrorTable::parse(TABLE, "x").unwrap();
        table.classes[1].rows.pop();
        let e = ErrorTable::parse(&table.text(), "a.json")
            .unwrap_err()
            .to_string();
        assert!(e.contains("a.json") && e.contains("paved-area"), "{e}");
        assert!(ErrorTable::parse("{}", "b.json").is_err());
    }
}
