//! The allocator of plugins: small blocks that were freed stay at hand.
//!
//! A call makes and drops some dozens of small blocks, of the same few sizes as the call before: keys, etags, futures. To
//! take one from a list is some ten instructions; dlmalloc, which the standard library has on wasm, looks for a fitting one,
//! splits it, and joins it with its neighbours afterwards.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

/// Sizes of blocks that are kept are multiples of this, in bytes.
const STEP: usize = 16;

/// How many sizes there are: blocks of up to 512 bytes are kept.
const SIZES: usize = 32;

/// The alignment of those blocks, which dlmalloc gives any block on wasm32.
const ALIGN: usize = 8;

/// How many free blocks of a size are kept; more go back, so that other sizes can have their memory. At most 132 KiB lie
/// on all shelves together.
const KEPT: usize = 16;

/// Free blocks of each size, over an allocator that has all the others.
///
/// For one thread alone: a component has no other.
pub(crate) struct Shelves<A> {
    inner: A,
    shelves: UnsafeCell<[Shelf; SIZES]>,
}

/// Free blocks of one size, each of which begins with the address of the next.
struct Shelf {
    first: *mut u8,
    count: usize,
}

impl<A> Shelves<A> {
    pub(crate) const fn new(inner: A) -> Self {
        let shelves = [const { Shelf { first: ptr::null_mut(), count: 0 } }; SIZES];
        Self { inner, shelves: UnsafeCell::new(shelves) }
    }
}

/// The number of the shelf for such a block, if there is one.
const fn shelf_of(layout: Layout) -> Option<usize> {
    let number = layout.size().wrapping_sub(1) / STEP;
    if number < SIZES && layout.align() <= ALIGN { Some(number) } else { None }
}

/// What the blocks of a shelf are to the allocator below: all of one size, since each serves for any block of the shelf.
const fn block(shelf: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the size far from overflowing.
    unsafe { Layout::from_size_align_unchecked((shelf + 1) * STEP, ALIGN) }
}

// SAFETY: a block is on a shelf or in use, never both: it comes onto one when it is freed, and off it when it is handed out.
// Whether a block belongs to a shelf, and to which, follows from the layout alone, which is the same when it is freed. Blocks of
// a shelf have the size and alignment of `block`, which are no less than what is asked for, and go back to the allocator below
// with that same layout. The reference to the shelves is never held while that one is called.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Shelves<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(number) = shelf_of(layout) else { return unsafe { self.inner.alloc(layout) } };
        let shelf = unsafe { &mut (&mut *self.shelves.get())[number] };
        if shelf.first.is_null() {
            return unsafe { self.inner.alloc(block(number)) };
        }
        let taken = shelf.first;
        shelf.first = unsafe { taken.cast::<*mut u8>().read() };
        shelf.count -= 1;
        taken
    }

    #[inline]
    unsafe fn dealloc(&self, freed: *mut u8, layout: Layout) {
        let Some(number) = shelf_of(layout) else { return unsafe { self.inner.dealloc(freed, layout) } };
        let shelf = unsafe { &mut (&mut *self.shelves.get())[number] };
        if shelf.count == KEPT {
            return unsafe { self.inner.dealloc(freed, block(number)) };
        }
        unsafe { freed.cast::<*mut u8>().write(shelf.first) };
        shelf.first = freed;
        shelf.count += 1;
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if shelf_of(layout).is_none() {
            return unsafe { self.inner.alloc_zeroed(layout) };
        }
        let taken = unsafe { self.alloc(layout) };
        if !taken.is_null() {
            unsafe { taken.write_bytes(0, layout.size()) };
        }
        taken
    }

    unsafe fn realloc(&self, held: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (shelf_of(layout), shelf_of(wanted)) {
            (None, None) => unsafe { self.inner.realloc(held, layout, size) },
            (Some(old), Some(new)) if old == new => held,
            _ => {
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    unsafe {
                        ptr::copy_nonoverlapping(held, moved, layout.size().min(size));
                        self.dealloc(held, layout);
                    }
                }
                moved
            }
        }
    }
}

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics"), feature = "allocator"))]
mod global {
    use std::alloc::System;

    use super::Shelves;

    // SAFETY: without atomics there are no threads.
    unsafe impl Sync for Shelves<System> {}

    #[global_allocator]
    static ALLOCATOR: Shelves<System> = Shelves::new(System);
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;

    /// Holds what comes back against what was handed out.
    #[derive(Default)]
    struct Ledger(RefCell<HashMap<usize, Layout>>);

    unsafe impl GlobalAlloc for Ledger {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let block = unsafe { System.alloc(layout) };
            assert!(self.0.borrow_mut().insert(block.addr(), layout).is_none());
            block
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            assert_eq!(self.0.borrow_mut().remove(&block.addr()), Some(layout));
            unsafe { System.dealloc(block, layout) };
        }
    }

    struct Held {
        block: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Held {
        fn bytes(&self) -> &[u8] {
            unsafe { std::slice::from_raw_parts(self.block, self.layout.size()) }
        }

        fn fill(&self) {
            unsafe { self.block.write_bytes(self.mark, self.layout.size()) };
        }

        fn check(&self) {
            assert_eq!(self.block.addr() % self.layout.align(), 0, "{:?}", self.layout);
            assert!(self.bytes().iter().all(|byte| *byte == self.mark), "{:?} was written over", self.layout);
        }
    }

    /// The numbers of a linear congruential generator (Knuth's MMIX).
    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 1u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        }
    }

    #[test]
    fn every_block_is_its_holders_alone_and_goes_back_as_it_came() {
        let shelves = Shelves::new(Ledger::default());
        let (mut number, mut held) = (numbers(), Vec::<Held>::new());
        for turn in 0..200_000 {
            let size = 1 + if number(4) == 0 { number(5000) } else { number(600) };
            let (align, mark) = (1 << number(6), turn as u8);
            match number(4) {
                0 | 1 if held.len() < 500 => {
                    let layout = Layout::from_size_align(size, align).unwrap();
                    let zeroed = number(2) == 0;
                    let block = unsafe { if zeroed { shelves.alloc_zeroed(layout) } else { shelves.alloc(layout) } };
                    let new = Held { block, layout, mark };
                    assert!(!zeroed || new.bytes().iter().all(|byte| *byte == 0));
                    new.fill();
                    held.push(new);
                }
                2 if !held.is_empty() => {
                    let place = number(held.len());
                    let Held { block, layout, mark } = held[place];
                    held[place].check();
                    let moved = unsafe { shelves.realloc(block, layout, size) };
                    let layout_now = Layout::from_size_align(size, layout.align()).unwrap();
                    held[place] = Held { block: moved, layout: layout_now, mark };
                    assert!(held[place].bytes()[..layout.size().min(size)].iter().all(|byte| *byte == mark));
                    held[place].fill();
                }
                _ if !held.is_empty() => {
                    let gone = held.swap_remove(number(held.len()));
                    gone.check();
                    unsafe { shelves.dealloc(gone.block, gone.layout) };
                }
                _ => {}
            }
        }
        for gone in held.drain(..) {
            gone.check();
            unsafe { shelves.dealloc(gone.block, gone.layout) };
        }
        let left = shelves.inner.0.borrow();
        let kept: usize = left.values().map(Layout::size).sum();
        assert!(left.len() <= SIZES * KEPT && kept <= 132 << 10, "{} blocks of {kept} bytes are kept", left.len());
        assert!(left.values().all(|layout| shelf_of(*layout).is_some()));
    }

    #[test]
    fn a_small_block_that_was_freed_is_handed_out_again() {
        let shelves = Shelves::new(Ledger::default());
        let [a, b] = [33, 48].map(|size| Layout::from_size_align(size, 8).unwrap());
        unsafe {
            let first = shelves.alloc(a);
            shelves.dealloc(first, a);
            assert_eq!(shelves.alloc(b), first);
            assert_eq!(shelves.realloc(first, b, 40), first);
        }
    }
}
