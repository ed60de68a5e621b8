//! The controllers that are compared.

use distributed_rate_limiter::adaptive::Controller;
use distributed_rate_limiter::clock::Micros;

/// The least level of all of them.
pub const MIN: f64 = 0.05;

/// A controller.
pub enum Rival {
    /// None: whole limits.
    Whole,
    /// The limiter's own: additive increase, multiplicative decrease (Jacobson 1988; Chiu and Jain 1989).
    Own(Controller),
    /// The gradient of Netflix's concurrency-limits (`Gradient2Limit`, 2018): the level follows how far the load is above what may be,
    /// between a half and 1, with a headroom by which it probes, and is smoothed.
    Gradient {
        /// Where it stands.
        level: f64,
    },
    /// A delay target: as CoDel (Nichols and Jacobson, "Controlling queue delay", 2012) it acts only on a load that has not once been
    /// below the target for a whole interval, and as DAGOR (Zhou et al., "Overload control for scaling WeChat microservices", 2018) it
    /// then takes a twentieth away, and otherwise gives a hundredth back.
    Target {
        /// Where it stands.
        level: f64,
        /// The least load of this interval, and when that began.
        least: f64,
        /// When this interval began.
        since: Micros,
    },
}

/// The names of all.
pub const NAMES: [&str; 4] = ["whole", "own", "gradient", "target"];

/// How long a load must have lasted for the delay target: CoDel's 100 ms is one tick here, so DAGOR's second divided by two.
const INTERVAL: Micros = Micros::from_millis(500);

impl Rival {
    /// Of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "whole" => Self::Whole,
            "own" => Self::Own(Controller::new(MIN)),
            "gradient" => Self::Gradient { level: 1.0 },
            "target" => Self::Target { level: 1.0, least: f64::INFINITY, since: Micros::ZERO },
            _ => return None,
        })
    }

    /// Hears of the load; answers the level.
    pub fn observe(&mut self, now: Micros, load: f64) -> f64 {
        match self {
            Self::Whole => 1.0,
            Self::Own(controller) => controller.observe(now, load),
            Self::Gradient { level } => {
                let gradient = (1.0 / load.max(1e-9)).clamp(0.5, 1.0);
                let wanted = *level * gradient + 0.02 * level.sqrt();
                *level = (0.8 * *level + 0.2 * wanted).clamp(MIN, 1.0);
                *level
            }
            Self::Target { level, least, since } => {
                *least = least.min(load);
                if now - *since >= INTERVAL {
                    let change = if *least > 1.0 { *level * 0.95 } else { *level + 0.01 };
                    *level = change.clamp(MIN, 1.0);
                    (*least, *since) = (f64::INFINITY, now);
                }
                *level
            }
        }
    }
}
