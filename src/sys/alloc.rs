//! The allocator: jemalloc, tuned for one thread and small resident memory, with an exact count of used bytes.
//!
//! *Duty:* [`Counting`] is the global allocator of every program of this package. Each operation adds or takes the
//! *size class* of the block, which is what the block really occupies, so [`used_memory`] is exact at any instant
//! without asking jemalloc. `maxmemory` is decided by it.
//! *Does not know:* what the memory is for; limits and eviction are the server's.
//! *Invariants:* the class of a layout is a pure function ([`size_class`]), so adding at `alloc` and taking at
//! `dealloc` always cancel; a test compares the function with jemalloc's own answer.
//! *How counting stays cheap:* the main thread is the only writer of its counter, so it adds with a plain load and
//! store (no locked instruction) to a static that others may read; all other threads share a second counter and pay
//! for an atomic add. jemalloc takes its locks before a fork and releases them in the child by itself (it registers
//! with `pthread_atfork`), so a child may allocate even when the fork happened while the background thread did.
//! *Counterpart in C Redis:* `zmalloc.c`.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::Relaxed};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Options that jemalloc reads before `main`; `_RJEM_MALLOC_CONF` in the environment overrides them.
///
/// One arena: one thread allocates, the other only frees, and a second arena is a second set of half-empty slabs.
/// No jemalloc thread: purging happens in allocation calls, and a fork stays simple. Unused pages go back to the
/// kernel within 5 s (jemalloc's own default is 10), at once and for good (no "muzzy" stage that hides in RSS).
const OPTIONS: &CStr = c"narenas:1,background_thread:false,dirty_decay_ms:5000,muzzy_decay_ms:0";

/// A C string pointer that may stand in a static.
#[repr(transparent)]
pub struct ConfPointer(*const c_char);

// SAFETY: the pointer is to a constant and never written.
unsafe impl Sync for ConfPointer {}

/// The symbol jemalloc looks for, with the prefix this build of jemalloc gives all its names.
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: ConfPointer = ConfPointer(OPTIONS.as_ptr());

/// Bytes in use by blocks, counted by the main thread. May be negative: what it frees may be from elsewhere.
static MAIN: AtomicIsize = AtomicIsize::new(0);
/// The same of all other threads, and of the time before [`claim_main_thread`].
static OTHERS: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CLAIMED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };
}

/// jemalloc, counted.
pub struct Counting;

// SAFETY: every call is passed on to jemalloc with the arguments unchanged, except that `realloc` answers itself when
// the block is already large enough and of the same class, in which case jemalloc would return the same pointer and
// accept either size at `dealloc`.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        let block = unsafe { Jemalloc.alloc(layout) };
        if !block.is_null() {
            count(class_of(layout) as isize);
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        let block = unsafe { Jemalloc.alloc_zeroed(layout) };
        if !block.is_null() {
            count(class_of(layout) as isize);
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(class_of(layout) as isize));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { Jemalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let before = class_of(layout);
        let after = class(new_size, layout.align());
        if before == after {
            return block;
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        let moved = unsafe { Jemalloc.realloc(block, layout, new_size) };
        if !moved.is_null() {
            count(after as isize - before as isize);
        }
        moved
    }
}

#[inline]
fn count(delta: isize) {
    if IS_MAIN.get() {
        MAIN.store(MAIN.load(Relaxed).wrapping_add(delta), Relaxed);
    } else {
        OTHERS.fetch_add(delta, Relaxed);
    }
}

/// Makes the calling thread the one that counts without locked instructions. The first caller wins, for good;
/// everything stays exact if nobody ever calls it. Answers whether this thread is the main one now.
pub fn claim_main_thread() -> bool {
    if !CLAIMED.swap(true, Relaxed) {
        IS_MAIN.set(true);
    }
    IS_MAIN.get()
}

/// Bytes occupied by live blocks, rounding to size classes included. Also moves the peak.
#[inline]
pub fn used_memory() -> usize {
    let used = MAIN.load(Relaxed).wrapping_add(OTHERS.load(Relaxed)).max(0) as usize;
    if used > PEAK.load(Relaxed) {
        PEAK.store(used, Relaxed);
    }
    used
}

/// The largest value [`used_memory`] has returned since start or [`reset_peak`].
pub fn peak() -> usize {
    used_memory().max(PEAK.load(Relaxed))
}

pub fn reset_peak() {
    PEAK.store(used_memory(), Relaxed);
}

/// What a block of `size` bytes really occupies (alignment up to 16).
#[inline]
pub fn size_class(size: usize) -> usize {
    if size > LARGEST_SMALL {
        return size.saturating_add(PAGE - 1) & !(PAGE - 1);
    }
    if size <= 8 {
        return 8;
    }
    // Four classes per doubling, never finer than 16 bytes: the step is a quarter of the power of two below.
    let log2 = (2 * size - 1).ilog2();
    let step_mask = (1usize << log2.saturating_sub(3).max(4)) - 1;
    (size + step_mask) & !step_mask
}

const PAGE: usize = 4096;
/// The largest block that shares a slab with others; above it jemalloc hands out whole pages.
const LARGEST_SMALL: usize = 14 * 1024;

#[inline]
fn class_of(layout: Layout) -> usize {
    class(layout.size(), layout.align())
}

/// The class for a size and an alignment. Alignments above 16 are rare here.
#[inline]
fn class(size: usize, align: usize) -> usize {
    if align <= 16 && align <= size { size_class(size) } else { aligned_class(size, align) }
}

#[cold]
fn aligned_class(size: usize, align: usize) -> usize {
    if size <= LARGEST_SMALL && align <= PAGE {
        let class = size_class(size.next_multiple_of(align));
        if class <= LARGEST_SMALL {
            return class;
        }
    }
    size_class(size).max(LARGEST_SMALL + 2048)
}

unsafe extern "C" {
    fn _rjem_mallctl(
        name: *const c_char,
        old: *mut c_void,
        old_len: *mut usize,
        new: *mut c_void,
        new_len: usize,
    ) -> c_int;
    fn _rjem_malloc_stats_print(
        write: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
        target: *mut c_void,
        options: *const c_char,
    );
}

/// jemalloc's own view, for INFO and MEMORY STATS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorStats {
    /// Bytes in blocks that were handed out, as [`used_memory`] but with jemalloc's thread caches.
    pub allocated: usize,
    /// Bytes in pages that hold at least one block.
    pub active: usize,
    /// Bytes that jemalloc believes are in physical memory.
    pub resident: usize,
    /// Address space kept for later, with no memory behind it.
    pub retained: usize,
}

/// Reads jemalloc's statistics; costs some microseconds.
pub fn allocator_stats() -> AllocatorStats {
    let mut epoch: u64 = 1;
    // SAFETY: the name is a C string; `epoch` takes and gives a u64, and no old value is asked for.
    unsafe {
        _rjem_mallctl(
            c"epoch".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut epoch).cast(),
            size_of::<u64>(),
        )
    };
    AllocatorStats {
        allocated: control(c"stats.allocated").unwrap_or(0),
        active: control(c"stats.active").unwrap_or(0),
        resident: control(c"stats.resident").unwrap_or(0),
        retained: control(c"stats.retained").unwrap_or(0),
    }
}

/// Gives every unused page back to the kernel now (MEMORY PURGE). False when jemalloc refuses.
pub fn purge() -> bool {
    // 4096 stands for "all arenas" in the names of this interface.
    let nothing = std::ptr::null_mut::<c_void>();
    // SAFETY: both names are C strings of controls that neither read nor write a value.
    unsafe {
        _rjem_mallctl(c"thread.tcache.flush".as_ptr(), nothing, std::ptr::null_mut(), nothing, 0);
        _rjem_mallctl(c"arena.4096.purge".as_ptr(), nothing, std::ptr::null_mut(), nothing, 0) == 0
    }
}

/// jemalloc's own report, some ten thousand bytes of tables for people.
pub fn statistics_text() -> Vec<u8> {
    unsafe extern "C" fn append(target: *mut c_void, text: *const c_char) {
        // SAFETY: `target` is the vector handed over below, which nobody else uses meanwhile; jemalloc passes a
        // C string.
        unsafe { (*target.cast::<Vec<u8>>()).extend_from_slice(CStr::from_ptr(text).to_bytes()) }
    }
    let mut text = Vec::new();
    // SAFETY: `append` is called during the call only, with the pointer given here.
    unsafe { _rjem_malloc_stats_print(Some(append), (&raw mut text).cast(), std::ptr::null()) };
    text
}

/// The version of jemalloc, as INFO's mem_allocator shows it: `jemalloc-5.3.1`.
pub fn allocator_name() -> String {
    let version = control::<*const c_char>(c"version").filter(|p| !p.is_null()).map(|p| {
        // SAFETY: the control `version` answers with a static C string.
        unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
    });
    let version = version.unwrap_or_default();
    format!("jemalloc-{}", version.split('-').next().unwrap_or(&version))
}

/// Reads a control that is a number of 64 or 32 bits or a truth value, and sets it when there is a new value. Returns
/// what it was before; an error is the kernel's number for it.
pub fn control_number(name: &CStr, new: Option<i64>) -> Result<i64, c_int> {
    let mut refused = 0;
    for size in [size_of::<u64>(), size_of::<u32>(), size_of::<bool>()] {
        let (mut old, mut old_len, mut value) = (0u64, size, new.unwrap_or_default() as u64);
        let (new, new_len) = match new {
            Some(_) => ((&raw mut value).cast(), size),
            None => (std::ptr::null_mut(), 0),
        };
        // SAFETY: both values have room for 8 bytes, of which jemalloc uses the first `size` (this machine is little
        // endian); it refuses when the control has another size.
        refused = unsafe { _rjem_mallctl(name.as_ptr(), (&raw mut old).cast(), &mut old_len, new, new_len) };
        match refused {
            0 => return Ok(old as i64),
            libc::EINVAL => {}
            _ => return Err(refused),
        }
    }
    Err(refused)
}

/// Reads a control that is a text.
pub fn control_text(name: &CStr) -> Result<Option<String>, c_int> {
    // Numbers have the size of a pointer as well, and are not to be followed: only those known to be texts are.
    let known = name == c"version" || name == c"thread.prof.name" || name.to_bytes().starts_with(b"config.malloc_conf");
    if !known {
        return Err(libc::EINVAL);
    }
    let text = control::<*const c_char>(name).ok_or(libc::ENOENT)?;
    // SAFETY: the controls above answer with C strings that stay.
    Ok((!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()))
}

/// Carries out a control that neither takes nor gives a value.
pub fn control_order(name: &CStr) -> Result<(), c_int> {
    let nothing = std::ptr::null_mut::<c_void>();
    // SAFETY: no value is read or written.
    match unsafe { _rjem_mallctl(name.as_ptr(), nothing, std::ptr::null_mut(), nothing, 0) } {
        0 => Ok(()),
        refused => Err(refused),
    }
}

/// Reads one control of type `T`, which must be the type that jemalloc documents for `name`.
fn control<T: Copy>(name: &CStr) -> Option<T> {
    let mut value = std::mem::MaybeUninit::<T>::uninit();
    let mut len = size_of::<T>();
    let (old, none) = (value.as_mut_ptr().cast(), std::ptr::null_mut());
    // SAFETY: `old` has room for `len` bytes; jemalloc refuses when the control's size differs from `len`, and so
    // the value is initialized when it answers 0.
    unsafe {
        let failed = _rjem_mallctl(name.as_ptr(), old, &mut len, none, 0);
        (failed == 0).then(|| value.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn _rjem_nallocx(size: usize, flags: c_int) -> usize;
    }

    /// jemalloc's answer, with the flags that tikv-jemallocator passes.
    fn ask_jemalloc(size: usize, align: usize) -> usize {
        let flags = if align <= 16 && align <= size { 0 } else { align.trailing_zeros() as c_int };
        // SAFETY: a pure question.
        unsafe { _rjem_nallocx(size, flags) }
    }

    #[test]
    fn classes_are_those_of_jemalloc() {
        let sizes = (1..70_000).chain((17..40).flat_map(|log2| {
            let power = 1usize << log2;
            [power - 1, power, power + 1, power + power / 4 + 1, power * 3 / 2 + 1]
        }));
        for size in sizes {
            for align in [1, 8, 16] {
                assert_eq!(class(size, align), ask_jemalloc(size, align), "size {size} align {align}");
            }
        }
        for size in (1..20_000).step_by(7) {
            for align in [32, 64, 128, 512, 4096, 8192, 1 << 16] {
                assert_eq!(class(size, align), ask_jemalloc(size, align), "size {size} align {align}");
            }
        }
    }

    #[test]
    fn options_have_reached_jemalloc() {
        assert_eq!(control::<u32>(c"opt.narenas"), Some(1));
        assert_eq!(control::<isize>(c"opt.dirty_decay_ms"), Some(5000));
        assert_eq!(control::<bool>(c"opt.background_thread"), Some(false));
        assert!(allocator_name().starts_with("jemalloc-5."), "{}", allocator_name());
    }

    #[test]
    fn every_block_is_counted_and_taken_back() {
        // Other tests allocate meanwhile, so the block is large enough to stand out.
        const SIZE: usize = 256 << 20;
        let before = used_memory();
        let mut block: Vec<u8> = Vec::with_capacity(SIZE);
        assert!(used_memory().abs_diff(before + SIZE) < SIZE / 2);
        assert!(peak() >= SIZE);
        block.reserve_exact(2 * SIZE);
        assert!(used_memory().abs_diff(before + 2 * SIZE) < SIZE / 2);
        assert!(allocator_stats().allocated >= 2 * SIZE);
        std::thread::spawn(move || drop(block)).join().unwrap();
        assert!(used_memory().abs_diff(before) < SIZE / 2);
        reset_peak();
        assert!(peak() < SIZE);
    }

    #[test]
    fn a_single_threaded_process_counts_to_the_byte() {
        // In a child there is one thread, so nothing disturbs the sum, and jemalloc's own figure can be compared.
        let status = crate::sys::fork::tests::in_child(|| {
            claim_main_thread();
            let before = used_memory() as isize;
            let blocks: Vec<Vec<u8>> = (0..5000).map(|n| Vec::with_capacity(n * 7 + 1)).collect();
            let expected: usize = (0..5000).map(|n| size_class(n * 7 + 1)).sum();
            let list = size_class(5000 * size_of::<Vec<u8>>());
            let grown = used_memory() as isize - before;
            drop(blocks);
            let back = used_memory() as isize == before;
            i32::from(!(back && grown == (expected + list) as isize))
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn controls_are_read_by_their_kind() {
        assert_eq!(control_number(c"opt.narenas", None), Ok(1));
        assert_eq!(control_number(c"arenas.page", None), Ok(4096));
        assert_eq!(control_number(c"arenas.page", Some(1)), Err(libc::EPERM));
        assert_eq!(control_number(c"opt.background_thread", None), Ok(0));
        assert_eq!(control_number(c"no.such", None), Err(libc::ENOENT));
        assert!(control_text(c"version").unwrap().unwrap().starts_with("5."));
        assert_eq!(control_text(c"stats.allocated"), Err(libc::EINVAL));
        assert_eq!(control_order(c"thread.tcache.flush"), Ok(()));
        assert_eq!(control_order(c"no.such"), Err(libc::ENOENT));
    }

    #[test]
    fn purge_works() {
        assert!(purge());
        assert!(statistics_text().starts_with(b"___ Begin jemalloc statistics ___"));
    }
}
