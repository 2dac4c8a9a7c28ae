/// How to hold a part to its contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What random operations are made from: the same seed makes the same ones. How concurrent calls interleave is up to
    /// the runtime, and not repeated. Unless another is given it is 0, so that a suite does the same on every run.
    pub seed: u64,
}
