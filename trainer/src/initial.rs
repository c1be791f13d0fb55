//! What a network starts from.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::graph::{Graph, GraphError, ParameterKind};
use crate::parameters::{Parameter, Parameters};

/// First values for what no pretrained file gives: He's normal initialisation (2015) for convolutions.
///
/// # Errors
/// When the graph does not fit together.
pub fn initial(graph: &Graph, seed: u64) -> Result<Parameters, GraphError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = Parameters::new();
    for spec in graph.parameters()? {
        let count: usize = spec.shape.iter().product();
        let fan_in: usize = spec.shape.iter().skip(1).product::<usize>().max(1);
        let values = match spec.kind {
            ParameterKind::ConvWeight => {
                let spread = (2.0 / fan_in as f32).sqrt();
                (0..count).map(|_| normal(&mut rng) * spread).collect()
            }
            ParameterKind::Bias | ParameterKind::RunningMean => vec![0.0; count],
            ParameterKind::Scale | ParameterKind::RunningVariance => vec![1.0; count],
        };
        let shape = spec.shape;
        all.insert(spec.name, Parameter { shape, values });
    }
    Ok(all)
}

/// One normal deviate by Box and Muller's transform.
pub fn normal(rng: &mut impl rand::Rng) -> f32 {
    let radius: f32 = 1.0 - rng.random::<f32>();
    let angle: f32 = rng.random::<f32>() * std::f32::consts::TAU;
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}
