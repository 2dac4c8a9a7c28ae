/// Something that can be made simpler.
pub(super) trait Simplify: Sized {
    /// What is like it and simpler, the simplest first; nothing if it is as simple as can be.
    fn simpler(&self) -> Vec<Self>;
}

/// The search for a short sequence that fails, beginning with one that does.
///
/// Whoever searches asks for a [`candidate`](Shrinking::candidate), tries it, and says whether it [`failed`](Shrinking::failed);
/// so the trial may be a call or a future. First stretches are left out, ever shorter ones ("delta debugging": Zeller
/// and Hildebrandt, IEEE TSE 28(2), 2002), then single elements are made simpler, until nothing of this helps any more.
#[derive(Debug)]
pub(super) struct Shrinking<T> {
    shortest: Vec<T>,
    tried: Option<Vec<T>>,
    phase: Phase,
    attempts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Leaving out `length` elements from `start` on.
    Remove {
        start: usize,
        length: usize,
    },
    /// Putting the alternative of this number in the place of an element.
    Simplify {
        index: usize,
        alternative: usize,
        helped: bool,
    },
    Done,
}

/// How many candidates are tried. A sequence of 100 operations takes some 200.
const ATTEMPTS: usize = 600;

impl<T: Clone + Simplify> Shrinking<T> {
    pub(super) fn new(failing: Vec<T>) -> Self {
        let length = failing.len().div_ceil(2).max(1);
        Self { shortest: failing, tried: None, phase: Phase::Remove { start: 0, length }, attempts: 0 }
    }

    /// The next sequence to try; none if the search is over.
    pub(super) fn candidate(&mut self) -> Option<Vec<T>> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return None;
        }
        loop {
            match self.phase {
                Phase::Remove { start, length } if start < self.shortest.len() => {
                    let end = (start + length).min(self.shortest.len());
                    let candidate = [&self.shortest[..start], &self.shortest[end..]].concat();
                    // If this one passes, the stretch is needed, and the next one comes.
                    self.phase = Phase::Remove { start: end, length };
                    self.tried = Some(candidate.clone());
                    return Some(candidate);
                }
                Phase::Remove { length: 1, .. } => {
                    self.phase = Phase::Simplify { index: 0, alternative: 0, helped: false };
                }
                Phase::Remove { length, .. } => self.phase = Phase::Remove { start: 0, length: length / 2 },
                Phase::Simplify { index, alternative, helped } => {
                    let Some(element) = self.shortest.get(index) else {
                        // What became simpler may let others go.
                        self.phase = if helped { Phase::Remove { start: 0, length: 1 } } else { Phase::Done };
                        continue;
                    };
                    let Some(simpler) = element.simpler().into_iter().nth(alternative) else {
                        self.phase = Phase::Simplify { index: index + 1, alternative: 0, helped };
                        continue;
                    };
                    let mut candidate = self.shortest.clone();
                    candidate[index] = simpler;
                    self.phase = Phase::Simplify { index, alternative: alternative + 1, helped };
                    self.tried = Some(candidate.clone());
                    return Some(candidate);
                }
                Phase::Done => return None,
            }
        }
    }

    /// The candidate fails as well: the search goes on from there.
    pub(super) fn failed(&mut self) {
        let Some(candidate) = self.tried.take() else { return };
        let removed = self.shortest.len() - candidate.len();
        self.shortest = candidate;
        self.phase = match self.phase {
            Phase::Remove { start, length } => Phase::Remove { start: start - removed, length },
            Phase::Simplify { index, .. } => Phase::Simplify { index, alternative: 0, helped: true },
            Phase::Done => Phase::Done,
        };
    }

    /// The shortest sequence that failed.
    pub(super) fn into_shortest(self) -> Vec<T> {
        self.shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Simplify for u32 {
        fn simpler(&self) -> Vec<Self> {
            if *self == 0 { Vec::new() } else { vec![0, self / 2, self - 1] }
        }
    }

    /// The shortest sequence that fails, and how many were tried.
    fn shrink(failing: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> (Vec<u32>, usize) {
        assert!(fails(&failing));
        let mut shrinking = Shrinking::new(failing);
        let mut tried = 0;
        while let Some(candidate) = shrinking.candidate() {
            tried += 1;
            if fails(&candidate) {
                shrinking.failed();
            }
        }
        (shrinking.into_shortest(), tried)
    }

    #[test]
    fn what_does_not_matter_is_left_out_and_the_rest_made_simple() {
        let failing: Vec<u32> = (0..100).collect();
        let (shortest, tried) = shrink(failing, |all| {
            let large = all.iter().position(|&number| number >= 17);
            large.is_some_and(|large| all[large..].iter().filter(|&&number| number >= 40).count() >= 2)
        });
        assert_eq!(shortest, [40, 40]);
        assert!(tried < 200, "{tried}");
    }

    #[test]
    fn what_fails_of_itself_shrinks_to_nothing_and_what_is_needed_stays() {
        assert_eq!(shrink(vec![1, 2, 3], |_| true).0, [0u32; 0]);
        assert_eq!(shrink(vec![0; 7], |all| all.len() >= 7).0, [0; 7]);
    }
}
