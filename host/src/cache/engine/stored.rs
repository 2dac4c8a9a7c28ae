use super::moment::Moment;

/// A value in an engine, with what the engine must know of it.
#[derive(Clone, Debug)]
pub(in crate::cache) struct Stored<V> {
    pub(in crate::cache) value: V,
    pub(in crate::cache) weight: u64,
    pub(in crate::cache) expires_at: Option<Moment>,
}

impl<V> Stored<V> {
    /// Whether its time is over. The clock is read only if it has one.
    #[inline]
    pub(in crate::cache) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= Moment::now())
    }
}
