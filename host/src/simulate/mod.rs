//! Replays requests on caches that hold no data: how often each eviction strategy hits, at each capacity.
//!
//! ```
//! use larder::cache::EvictionPolicy;
//! use larder::simulate::{Capacity, Pattern, Simulation, Strategy, Synthetic};
//!
//! let trace = Synthetic { requests: 10_000, keys: 100, ..Synthetic::new(Pattern::Loop) }.generate()?;
//! let strategies = [Strategy::new("lru", EvictionPolicy::Lru), Strategy::new("random", EvictionPolicy::Random)];
//! let capacities = ["50%".parse::<Capacity>()?.of(&trace)?];
//! let simulation = Simulation { trace: &trace, strategies: &strategies, capacities: &capacities };
//! let cells = simulation.run(1, &|_| {})?;
//! assert_eq!(cells[0].hits, 0, "LRU drops what a loop comes to next");
//! assert!(cells[1].hits > 1_500, "about a fifth survives until its turn comes");
//! assert!((trace.ceiling() - 0.99).abs() < 1e-9);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod capacity;
mod plot;
mod simulation;
mod strategy;
mod synthetic;
mod trace;
mod watched;

pub use capacity::{Capacity, CapacityError, Limit};
pub use plot::{Chart, Curve, PlotError, PlotFile};
pub use simulation::{Cell, Simulation, SimulationError};
pub use strategy::Strategy;
pub(crate) use synthetic::Zipf;
pub use synthetic::{Pattern, Synthetic, SyntheticError};
pub use trace::{Column, Columns, Format, Request, Trace, TraceError, TraceOptions};
