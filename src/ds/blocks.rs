//! [`Blocks`]: an arena of small blocks, in which the entries of a database live.
//!
//! *Duty:* blocks of 16 to 512 bytes in size classes 8 bytes apart, so that a 33-byte entry costs 40 bytes and not
//! the 48 of a general allocator, which must align to 16. Larger blocks are passed on to the global allocator. The
//! caller remembers the size of each block and names it again to free it.
//! *Does not know:* what is in a block. Nothing is ever moved.
//! *Invariants:* a page serves one class; a page is in its class's list if and only if it has room; a chunk is in
//! `chunks_with_room` if and only if it has a free page. Dropping the arena frees every small block with its chunk and
//! walks none; large blocks must have been freed by the owner ([`Blocks::large_blocks`] tells whether there are any).
//! *Counterpart in C Redis:* zmalloc over jemalloc's bins.
//!
//! # Layout
//! Chunks come from the global allocator, the first of one page, later ones of up to `CHUNK_PAGES_MAX`, always
//! about a quarter of what is held already, so that a small database holds little and a large one asks seldom. A
//! page stands at a multiple of its size, so the page of a block is found by masking its address.
//! ```text
//!  page   0                                 32
//!         +------+------+-------+-----------+---------+---------+----   ----+-----------------+
//!         | next | prev | chunk | counters  | block 0 | block 1 |    ...    | never used yet  |
//!         +------+------+-------+-----------+---------+---------+----   ----+-----------------+
//!                                  free ----> a freed block starts with     ^ fresh
//!                                             the offset of the next one
//! ```
//!
//! # Giving memory back
//! A page whose last block is freed returns to its chunk, a chunk whose last page is free to the global allocator. To
//! let that happen, blocks are taken from the fuller pages: a page that was full and has one hole goes to the front
//! of its list, one that has become half empty to the back, and pages are taken from the oldest chunk with room.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// The largest block that comes from a page.
pub const SMALL_MAX: usize = 512;
/// Bytes and alignment of a page.
const PAGE: usize = 16 * 1024;
/// Pages in the largest chunks: 512 KiB, well below a huge page.
const CHUNK_PAGES_MAX: usize = 32;
/// A chunk that falls empty is kept if without it fewer free pages than this would be at hand.
const SPARE_PAGES: usize = 4;
const ALIGN: usize = 8;
/// Size classes are numbered by their size in units of 8 bytes; the first two do not exist.
const CLASSES: usize = SMALL_MAX / 8 + 1;
const SMALLEST_CLASS: usize = 2;
const HEAD: usize = size_of::<Head>();
const _: () = assert!(HEAD == 32 && PAGE <= 1 << 16);

/// See the module's header.
pub struct Blocks {
    /// Per class the first page with room; the pages form a ring.
    pages: [Option<Page>; CLASSES],
    /// By chunk number; `None` where a chunk was given back.
    chunks: Vec<Option<Chunk>>,
    /// Numbers of chunks given back.
    vacant: Vec<u32>,
    /// Bit set of the numbers of chunks with a free page; no bit below word `lowest_room` is set.
    chunks_with_room: Vec<u64>,
    lowest_room: usize,
    free_pages: usize,
    all_pages: usize,
    small_bytes: usize,
    large_bytes: usize,
    large_blocks: usize,
}

struct Chunk {
    base: NonNull<u8>,
    pages: u32,
    /// A bit for every free page.
    free: u32,
}

// SAFETY: the arena owns its chunks, and only `&mut self` methods touch them.
unsafe impl Send for Blocks {}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks::new()
    }
}

impl Blocks {
    /// An empty arena; allocates nothing.
    pub const fn new() -> Blocks {
        Blocks {
            pages: [None; CLASSES],
            chunks: Vec::new(),
            vacant: Vec::new(),
            chunks_with_room: Vec::new(),
            lowest_room: 0,
            free_pages: 0,
            all_pages: 0,
            small_bytes: 0,
            large_bytes: 0,
            large_blocks: 0,
        }
    }

    /// The bytes a block of this size really has. Sizes with equal class size can be swapped in place.
    #[inline]
    pub const fn class_size(size: usize) -> usize {
        if size > SMALL_MAX { size } else { class_of(size) * 8 }
    }

    /// A block of at least `size` bytes at a multiple of 8, uninitialised. Its address is below 2^48.
    #[inline]
    pub fn alloc(&mut self, size: usize) -> NonNull<u8> {
        if size > SMALL_MAX {
            return self.alloc_large(size);
        }
        let class = class_of(size);
        let page = match self.pages[class] {
            Some(page) => page,
            None => self.add_page(class),
        };
        self.small_bytes += class * 8;
        let (block, is_full) = page.take_block(class * 8);
        if is_full {
            self.unlink(class, page);
        }
        block
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from `alloc` of this arena for a size of the same class size as `size`, has not been freed since,
    /// and is not used any more.
    #[inline]
    pub unsafe fn free(&mut self, block: NonNull<u8>, size: usize) {
        if size > SMALL_MAX {
            // SAFETY: handed on to the caller.
            return unsafe { self.free_large(block, size) };
        }
        let class = class_of(size);
        self.small_bytes -= class * 8;
        // SAFETY: a small block, so it lies in a page of this arena; the caller has given it up.
        let page = unsafe { Page::of(block) };
        debug_assert_eq!(page.head().class as usize, class, "a block is freed with the size it was asked with");
        let (live, capacity) = page.put_block(block);
        if live + 1 == capacity {
            self.link_first(class, page);
        } else if live == 0 {
            self.release_page(class, page);
        } else if live == capacity / 2 {
            self.make_last(class, page);
        }
    }

    /// Bytes in blocks handed out, in full class sizes.
    pub fn used_bytes(&self) -> usize {
        self.small_bytes + self.large_bytes
    }

    /// Bytes held from the global allocator for them.
    pub fn held_bytes(&self) -> usize {
        self.all_pages * PAGE + self.large_bytes
    }

    /// Blocks of more than [`SMALL_MAX`] bytes handed out: those that dropping the arena would leak.
    pub fn large_blocks(&self) -> usize {
        self.large_blocks
    }

    #[cold]
    fn alloc_large(&mut self, size: usize) -> NonNull<u8> {
        let layout = large_layout(size);
        self.large_bytes += size;
        self.large_blocks += 1;
        // SAFETY: the layout has a size.
        allocated(unsafe { alloc(layout) }, layout)
    }

    /// # Safety
    /// As for `free`.
    #[cold]
    unsafe fn free_large(&mut self, block: NonNull<u8>, size: usize) {
        self.large_bytes -= size;
        self.large_blocks -= 1;
        // SAFETY: allocated by `alloc_large` for the same size: above SMALL_MAX every size is a class of its own.
        unsafe { dealloc(block.as_ptr(), large_layout(size)) }
    }

    /// Gives a class without room a page, the first of its list.
    #[cold]
    fn add_page(&mut self, class: usize) -> Page {
        while self.chunks_with_room.get(self.lowest_room) == Some(&0) {
            self.lowest_room += 1;
        }
        let number = match self.chunks_with_room.get(self.lowest_room) {
            Some(word) => self.lowest_room * 64 + word.trailing_zeros() as usize,
            None => self.add_chunk(),
        };
        let chunk = self.chunks[number].as_mut().expect("a chunk with room exists");
        let index = chunk.free.trailing_zeros();
        chunk.free &= chunk.free - 1;
        // SAFETY: `index` is below the number of pages of this chunk, as only those have a bit in `free`.
        let base = unsafe { chunk.base.add(index as usize * PAGE) };
        if chunk.free == 0 {
            self.set_room(number, false);
        }
        self.free_pages -= 1;
        let head = Head {
            next: Page(base.cast()),
            prev: Page(base.cast()),
            chunk: number as u32,
            class: class as u16,
            free: 0,
            fresh: HEAD as u16,
            live: 0,
            capacity: ((PAGE - HEAD) / (class * 8)) as u16,
        };
        let page = Page(base.cast());
        page.set_head(head);
        self.link_first(class, page);
        page
    }

    /// Takes an empty page from its class and gives it back to its chunk.
    #[cold]
    fn release_page(&mut self, class: usize, page: Page) {
        self.unlink(class, page);
        let number = page.head().chunk as usize;
        let chunk = self.chunks[number].as_mut().expect("the chunk of a page exists");
        let index = (page.0.as_ptr().addr() - chunk.base.as_ptr().addr()) / PAGE;
        chunk.free |= 1 << index;
        let (pages, is_empty) = (chunk.pages as usize, chunk.free.count_ones() == chunk.pages);
        self.free_pages += 1;
        self.set_room(number, true);
        if is_empty && self.free_pages - pages >= SPARE_PAGES {
            self.release_chunk(number);
        }
        if self.small_bytes == 0 {
            self.release_spares();
        }
    }

    /// After the last block of all: what was kept as a spare goes too, but for one small chunk.
    fn release_spares(&mut self) {
        let is_small = |chunk: &Option<Chunk>| chunk.as_ref().is_some_and(|chunk| chunk.pages as usize <= SPARE_PAGES);
        let kept = self.chunks.iter().position(is_small);
        for number in 0..self.chunks.len() {
            if self.chunks[number].is_some() && Some(number) != kept {
                self.release_chunk(number);
            }
        }
    }

    fn add_chunk(&mut self) -> usize {
        let pages = (self.all_pages / 4).max(1).next_power_of_two().min(CHUNK_PAGES_MAX);
        let layout = chunk_layout(pages);
        // SAFETY: the layout has a size.
        let base = allocated(unsafe { alloc(layout) }, layout);
        assert!((base.as_ptr().addr() + layout.size()) >> 47 == 0, "user addresses have 47 bits");
        let number = self.vacant.pop().map_or(self.chunks.len(), |number| number as usize);
        if number == self.chunks.len() {
            self.chunks.push(None);
            self.chunks_with_room.resize(self.chunks.len().div_ceil(64), 0);
        }
        let all_free = u32::MAX >> (u32::BITS as usize - pages);
        self.chunks[number] = Some(Chunk { base, pages: pages as u32, free: all_free });
        self.set_room(number, true);
        self.all_pages += pages;
        self.free_pages += pages;
        number
    }

    /// Gives an empty chunk back.
    fn release_chunk(&mut self, number: usize) {
        let chunk = self.chunks[number].take().expect("only existing chunks are released");
        self.vacant.push(number as u32);
        self.set_room(number, false);
        self.all_pages -= chunk.pages as usize;
        self.free_pages -= chunk.pages as usize;
        // SAFETY: allocated in `add_chunk` with this layout; all its pages are free.
        unsafe { dealloc(chunk.base.as_ptr(), chunk_layout(chunk.pages as usize)) }
    }

    fn set_room(&mut self, number: usize, has_room: bool) {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if has_room {
            self.chunks_with_room[word] |= bit;
            self.lowest_room = self.lowest_room.min(word);
        } else {
            self.chunks_with_room[word] &= !bit;
        }
    }

    /// Puts a page that is in no list at the front of its class's.
    #[inline(never)]
    fn link_first(&mut self, class: usize, page: Page) {
        match self.pages[class] {
            Some(first) => {
                let last = first.head().prev;
                page.set_neighbours(last, first);
                last.set_next(page);
                first.set_prev(page);
            }
            None => page.set_neighbours(page, page),
        }
        self.pages[class] = Some(page);
    }

    #[inline(never)]
    fn unlink(&mut self, class: usize, page: Page) {
        let Head { next, prev, .. } = page.head();
        if next == page {
            self.pages[class] = None;
            return;
        }
        prev.set_next(next);
        next.set_prev(prev);
        if self.pages[class] == Some(page) {
            self.pages[class] = Some(next);
        }
    }

    fn make_last(&mut self, class: usize, page: Page) {
        self.unlink(class, page);
        self.link_first(class, page);
        self.pages[class] = Some(page.head().next);
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..).flatten() {
            // SAFETY: allocated in `add_chunk` with this layout. Blocks in it die with the arena: `free` cannot be
            // called any more.
            unsafe { dealloc(chunk.base.as_ptr(), chunk_layout(chunk.pages as usize)) }
        }
    }
}

/// Blocks of any size from the global allocator that are freed with their owner: a ring of them is kept, so that who
/// drops a million small blocks and a large one frees the large one and walks nothing else.
#[derive(Default)]
pub struct LargeBlocks {
    first: Option<NonNull<Link>>,
    count: usize,
    bytes: usize,
}

/// What stands in front of such a block.
struct Link {
    next: NonNull<Link>,
    prev: NonNull<Link>,
    /// Bytes of the block, the link left out.
    size: usize,
}

// SAFETY: the blocks are owned, and only `&mut self` methods touch them.
unsafe impl Send for LargeBlocks {}

impl LargeBlocks {
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes taken from the global allocator.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A block of so many bytes at a multiple of 8, uninitialised.
    #[cold]
    pub fn alloc(&mut self, size: usize) -> NonNull<u8> {
        let layout = linked_layout(size);
        // SAFETY: the layout has a size.
        let link: NonNull<Link> = allocated(unsafe { alloc(layout) }, layout).cast();
        let (next, prev) = match self.first {
            // SAFETY: the first of the ring is alive, and nobody else holds a reference to a link.
            Some(first) => (first, unsafe { first.as_ref() }.prev),
            None => (link, link),
        };
        // SAFETY: the memory is fresh and large enough; `next` and `prev` are alive or the link itself.
        unsafe {
            link.write(Link { next, prev, size });
            (*next.as_ptr()).prev = link;
            (*prev.as_ptr()).next = link;
        }
        self.first = Some(link);
        self.count += 1;
        self.bytes += layout.size();
        // SAFETY: the block begins behind the link, within the same memory.
        unsafe { link.add(1) }.cast()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from `alloc` of this very object, has not been freed since, and is not used any more.
    #[cold]
    pub unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: a link stands in front of every block that `alloc` gave.
        let link: NonNull<Link> = unsafe { block.cast::<Link>().sub(1) };
        // SAFETY: as above; its neighbours are alive, or it is its own neighbour.
        let layout = unsafe {
            let Link { next, prev, size } = link.read();
            (*next.as_ptr()).prev = prev;
            (*prev.as_ptr()).next = next;
            self.first = (next != link).then_some(next);
            linked_layout(size)
        };
        self.count -= 1;
        self.bytes -= layout.size();
        // SAFETY: allocated in `alloc` with this layout.
        unsafe { dealloc(link.as_ptr().cast(), layout) }
    }
}

impl Drop for LargeBlocks {
    fn drop(&mut self) {
        while let Some(first) = self.first {
            // SAFETY: the first of the ring is alive, and its owner, who is gone, uses none of the blocks any more.
            unsafe { self.free(first.add(1).cast()) }
        }
    }
}

fn linked_layout(size: usize) -> Layout {
    large_layout(size_of::<Link>() + size)
}

/// The first bytes of a page.
#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    next: Page,
    prev: Page,
    chunk: u32,
    class: u16,
    /// Offset of the first block that was freed, 0 if there is none.
    free: u16,
    /// Offset of the first block never used.
    fresh: u16,
    live: u16,
    capacity: u16,
}

/// A page in use.
///
/// Its methods are safe to call inside this module because a `Page` is made only of a chunk's memory, in `add_page`,
/// which writes the head at once, or of a block in it, and is not kept after `release_page`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
struct Page(NonNull<Head>);

impl Page {
    /// # Safety
    /// `block` lies in a page of an arena that is alive.
    #[inline]
    unsafe fn of(block: NonNull<u8>) -> Page {
        let offset = block.as_ptr().addr() % PAGE;
        // SAFETY: pages start at multiples of PAGE, so the page's start is in the same chunk.
        Page(unsafe { block.sub(offset) }.cast())
    }

    #[inline]
    fn head(self) -> Head {
        // SAFETY: see the type.
        unsafe { self.0.read() }
    }

    #[inline]
    fn set_head(self, head: Head) {
        // SAFETY: see the type.
        unsafe { self.0.write(head) }
    }

    /// A block of a page that has room, and whether it was the last.
    #[inline]
    fn take_block(self, size: usize) -> (NonNull<u8>, bool) {
        // SAFETY: see the type; no other reference to the head exists meanwhile.
        let head = unsafe { &mut *self.0.as_ptr() };
        head.live += 1;
        let is_full = head.live == head.capacity;
        let offset = head.free;
        if offset == 0 {
            let offset = head.fresh;
            head.fresh += size as u16;
            // SAFETY: fewer blocks are alive than the page has room for and none is on the free list, so the next
            // one lies within the page.
            return (unsafe { self.0.cast::<u8>().add(offset as usize) }, is_full);
        }
        // SAFETY: the free list holds offsets of blocks of this page.
        let block = unsafe { self.0.cast::<u8>().add(offset as usize) };
        // SAFETY: `put_block` left the next offset in the block; blocks are aligned to 8.
        head.free = unsafe { block.cast::<u16>().read() };
        (block, is_full)
    }

    /// Takes a block back; the number of blocks alive now, and of those there is room for.
    #[inline]
    fn put_block(self, block: NonNull<u8>) -> (u16, u16) {
        // SAFETY: see the type; no other reference to the head exists meanwhile.
        let head = unsafe { &mut *self.0.as_ptr() };
        // SAFETY: the block has at least 16 bytes, is aligned to 8 and nobody's any more.
        unsafe { block.cast::<u16>().write(head.free) }
        head.free = (block.as_ptr().addr() % PAGE) as u16;
        head.live -= 1;
        (head.live, head.capacity)
    }

    fn set_next(self, next: Page) {
        // SAFETY: see the type.
        unsafe { (*self.0.as_ptr()).next = next }
    }

    fn set_prev(self, prev: Page) {
        // SAFETY: see the type.
        unsafe { (*self.0.as_ptr()).prev = prev }
    }

    fn set_neighbours(self, prev: Page, next: Page) {
        self.set_prev(prev);
        self.set_next(next);
    }
}

#[inline]
const fn class_of(size: usize) -> usize {
    let class = size.div_ceil(8);
    if class < SMALLEST_CLASS { SMALLEST_CLASS } else { class }
}

fn chunk_layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE, PAGE).expect("at most 512 KiB and a power of two")
}

fn large_layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("sizes of blocks are sizes of things in memory")
}

fn allocated(memory: *mut u8, layout: Layout) -> NonNull<u8> {
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cfg(test)]
mod tests;
