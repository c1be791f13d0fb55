//! Surfaces, and the table that maps a network's classes to them.

use serde::{Deserialize, Serialize};

/// What a piece of ground is to somebody who wants to land on it. The names stand in manifests, world files, decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Surface {
    /// Landable, hard: pavement, gravel.
    Firm = 0,
    /// Landable, yielding: grass, dirt.
    Soft = 1,
    /// Bushes, trees.
    Vegetation = 2,
    /// Roofs, walls, fences.
    Structure = 3,
    /// Open water, pools.
    Water = 4,
    /// Cars, bicycles.
    Vehicle = 5,
    /// People and animals.
    Person = 6,
    /// Anything else that stands in the way.
    Obstacle = 7,
    /// Not known: danger.
    Unknown = 8,
}

impl Surface {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// All, in index order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Firm,
        Self::Soft,
        Self::Vegetation,
        Self::Structure,
        Self::Water,
        Self::Vehicle,
        Self::Person,
        Self::Obstacle,
        Self::Unknown,
    ];

    /// Whether a drone may stand on it.
    #[must_use]
    pub const fn is_landable(self) -> bool {
        matches!(self, Self::Firm | Self::Soft)
    }

    /// Whether it may move by itself between two looks.
    #[must_use]
    pub const fn moves(self) -> bool {
        matches!(self, Self::Person | Self::Vehicle)
    }

    /// The name used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firm => "firm",
            Self::Soft => "soft",
            Self::Vegetation => "vegetation",
            Self::Structure => "structure",
            Self::Water => "water",
            Self::Vehicle => "vehicle",
            Self::Person => "person",
            Self::Obstacle => "obstacle",
            Self::Unknown => "unknown",
        }
    }
}

/// One class of a network or of a truth picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Index in the network's output and in 8-bit masks.
    pub index: u8,
    /// Name, in the data set's words.
    pub name: String,
    /// What it is to us.
    pub surface: Surface,
}

/// The 24 classes of the Semantic Drone Dataset, their colours and their surface: what the shipped network and the drawn
/// worlds speak.
pub const SEMANTIC_DRONE: [(&str, [u8; 3], Surface); 24] = [
    ("unlabeled", [0, 0, 0], Surface::Unknown),
    ("paved-area", [128, 64, 128], Surface::Firm),
    ("dirt", [130, 76, 0], Surface::Soft),
    ("grass", [0, 102, 0], Surface::Soft),
    ("gravel", [112, 103, 87], Surface::Firm),
    ("water", [28, 42, 168], Surface::Water),
    ("rocks", [48, 41, 30], Surface::Obstacle),
    ("pool", [0, 50, 89], Surface::Water),
    ("vegetation", [107, 142, 35], Surface::Vegetation),
    ("roof", [70, 70, 70], Surface::Structure),
    ("wall", [102, 102, 156], Surface::Structure),
    ("window", [254, 228, 12], Surface::Structure),
    ("door", [254, 148, 12], Surface::Structure),
    ("fence", [190, 153, 153], Surface::Structure),
    ("fence-pole", [153, 153, 153], Surface::Structure),
    ("person", [255, 22, 96], Surface::Person),
    ("dog", [102, 51, 0], Surface::Person),
    ("car", [9, 143, 150], Surface::Vehicle),
    ("bicycle", [119, 11, 32], Surface::Vehicle),
    ("tree", [51, 51, 0], Surface::Vegetation),
    ("bald-tree", [190, 250, 190], Surface::Vegetation),
    ("ar-marker", [112, 150, 146], Surface::Firm),
    ("obstacle", [2, 135, 115], Surface::Obstacle),
    ("conflicting", [255, 0, 0], Surface::Unknown),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_names_agree() {
        for (i, s) in Surface::ALL.into_iter().enumerate() {
            assert_eq!(s as usize, i);
            assert_eq!(
                serde_json::to_string(&s).unwrap(),
                format!("\"{}\"", s.name())
            );
        }
    }

    #[test]
    fn the_landable_classes_are_those_of_the_design() {
        let landable: Vec<usize> = (0..24)
            .filter(|&i| SEMANTIC_DRONE[i].2.is_landable())
            .collect();
        assert_eq!(landable, [1, 2, 3, 4, 21]);
    }
}
