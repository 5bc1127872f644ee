//! The allocator of a process that measures: the system's or mimalloc, as an environment variable
//! says when it first allocates, and a count of the live bytes for who wants one.
//!
//! A package of its own, since an allocator is unsafe code, which leveret forbids to all its
//! targets. Naming it in a program makes it the program's allocator.
//!
//! One program carries both allocators, so that what is compared is compiled alike. The choice
//! costs each call a load and a branch that is always taken the same way. Counting is off unless
//! switched on, and then costs one more load: an atomic write on each call would be a cache line
//! that all threads fight for, and so a measurement of itself.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicIsize, AtomicU8, Ordering},
};

use mimalloc::MiMalloc;

/// The environment variable that chooses: `mimalloc`, or the system's allocator for anything else.
pub const VARIABLE: &str = "LEVERET_HEAP";

/// The same as C wants it.
const VARIABLE_C: &CStr = c"LEVERET_HEAP";

/// What chooses mimalloc.
pub const MIMALLOC: &str = "mimalloc";

#[global_allocator]
static HEAP: Heap = Heap;

/// What was chosen: one of the constants below. Relaxed: threads that look at once decide alike.
static CHOICE: AtomicU8 = AtomicU8::new(UNDECIDED);

const UNDECIDED: u8 = 0;
const SYSTEM: u8 = 1;
const MI: u8 = 2;

/// Relaxed: it is switched while one thread runs.
static IS_COUNTING: AtomicBool = AtomicBool::new(false);

/// Allocated less freed bytes since counting began; below zero if older blocks were freed.
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// Counts from now on.
pub fn count() {
    IS_COUNTING.store(true, Ordering::Relaxed);
}

/// The bytes that were asked for and not freed since counting began. What an allocator adds to
/// each block is not in it.
#[must_use]
pub fn live_bytes() -> isize {
    LIVE.load(Ordering::Relaxed)
}

struct Heap;

// SAFETY: every call goes to one of two allocators, and to the same one all through the process,
// since the choice never changes once it is made.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        if is_mimalloc() {
            // SAFETY: the caller keeps the contract, which is the same one.
            unsafe { MiMalloc.alloc(layout) }
        } else {
            // SAFETY: as above.
            unsafe { System.alloc(layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        if is_mimalloc() {
            // SAFETY: the caller keeps the contract, which is the same one.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        } else {
            // SAFETY: as above.
            unsafe { System.alloc_zeroed(layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        if is_mimalloc() {
            // SAFETY: the caller keeps the contract, and the block came from the same allocator.
            unsafe { MiMalloc.realloc(block, layout, size) }
        } else {
            // SAFETY: as above.
            unsafe { System.realloc(block, layout, size) }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, layout.size());
        if is_mimalloc() {
            // SAFETY: the caller keeps the contract, and the block came from the same allocator.
            unsafe { MiMalloc.dealloc(block, layout) }
        } else {
            // SAFETY: as above.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

#[inline]
fn is_mimalloc() -> bool {
    match CHOICE.load(Ordering::Relaxed) {
        UNDECIDED => choose() == MI,
        choice => choice == MI,
    }
}

/// Reads the environment by C's function, which allocates nothing; `std::env` would come back here.
#[cold]
fn choose() -> u8 {
    // SAFETY: the name ends with a zero. Nobody changes the environment: the first allocation of a
    // process comes before its `main`.
    let value = unsafe { libc::getenv(VARIABLE_C.as_ptr()) };
    let choice = if value.is_null() {
        SYSTEM
    } else {
        // SAFETY: it is not null, and C's strings end with a zero.
        let value = unsafe { CStr::from_ptr(value) };
        if value.to_bytes() == MIMALLOC.as_bytes() { MI } else { SYSTEM }
    };
    CHOICE.store(choice, Ordering::Relaxed);
    choice
}

#[inline]
fn note(allocated: usize, freed: usize) {
    if IS_COUNTING.load(Ordering::Relaxed) {
        count_change(allocated, freed);
    }
}

/// A block that could not be had is counted all the same: a process that runs out of memory
/// measures nothing.
#[cold]
fn count_change(allocated: usize, freed: usize) {
    // Wrapping around makes a difference of them.
    LIVE.fetch_add(allocated.wrapping_sub(freed).cast_signed(), Ordering::Relaxed);
}
