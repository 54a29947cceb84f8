//! [`Pack`]: a short sequence of elements in one string of bytes, read from the front.
//!
//! *Duty:* the form of small hashes (field, value, …), lists, sets (members) and sorted sets (member, score, …): smaller
//! than a listpack, as nobody walks it backwards. *Does not know:* what its elements mean, or where its bytes lie:
//! [`PackRef`] reads them wherever they are.
//! *Invariants:* a count, then elements that [`element::decode`] accepts, and nothing behind them. Who has bytes of
//! unknown origin asks [`Pack::validate`] first; on other bytes the methods may panic, but they read no others.
//! *Counterpart in C Redis:* `listpack.c` under small hashes, sets and sorted sets.
//!
//! ```text
//! count u16, little endian   element …          a count of 65535 says "that many or more": they are counted
//! ```

use super::element::{self, Elem, Head, Needle, Pos, make_room};

pub(super) const MANY: usize = 0xffff;
const HEADER: usize = 2;
const EMPTY: [u8; HEADER] = [0; HEADER];

/// Elements in bytes of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    bytes: Vec<u8>,
}

impl Default for Pack {
    fn default() -> Pack {
        Pack::new()
    }
}

impl Pack {
    pub fn new() -> Pack {
        Pack { bytes: EMPTY.to_vec() }
    }

    /// Room for so many bytes of elements.
    pub fn with_capacity(bytes: usize) -> Pack {
        let mut own = Vec::with_capacity(HEADER + bytes);
        own.extend_from_slice(&EMPTY);
        Pack { bytes: own }
    }

    /// Bytes that [`Pack::into_bytes`] gave or [`Pack::validate`] accepts.
    pub fn from_bytes(bytes: Vec<u8>) -> Pack {
        debug_assert!(Pack::validate(&bytes));
        Pack { bytes }
    }

    /// Elements as they are coded, `count` of them.
    pub(super) fn from_run(run: &[u8], count: usize) -> Pack {
        let mut pack = Pack::with_capacity(run.len());
        pack.bytes.extend_from_slice(run);
        pack.set_count(count);
        pack
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    pub fn as_ref(&self) -> PackRef<'_> {
        PackRef { bytes: &self.bytes }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// The heap bytes it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn clear(&mut self) {
        self.bytes.truncate(HEADER);
        self.bytes[..HEADER].copy_from_slice(&EMPTY);
    }

    /// Appends the element that stands for this text.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.push_elem(Elem::parse(text));
    }

    #[inline]
    pub fn push_elem(&mut self, elem: Elem<'_>) {
        element::encode(&mut self.bytes, elem);
        self.count_up(1);
    }

    /// Puts an element in front of the one at `at`, or at the end.
    pub fn insert(&mut self, at: Pos, text: &[u8]) {
        self.insert_elem(at, Elem::parse(text));
    }

    pub fn insert_elem(&mut self, at: Pos, elem: Elem<'_>) {
        self.write(at.offset(), 0, elem);
        self.count_up(1);
    }

    /// Puts two elements (a field and its value, a member and its score) in front of the one at `at`, moving what is
    /// behind them once.
    pub fn insert_pair(&mut self, at: Pos, pair: [Elem<'_>; 2]) {
        let lens = pair.map(element::encoded_len);
        let offset = at.offset();
        make_room(&mut self.bytes, offset, 0, lens[0] + lens[1]);
        fill(&mut self.bytes[offset..], pair[0]);
        fill(&mut self.bytes[offset + lens[0]..], pair[1]);
        self.count_up(2);
    }

    /// Puts another element in the place of the one at `at`.
    pub fn replace(&mut self, at: Pos, text: &[u8]) {
        self.replace_elem(at, Elem::parse(text));
    }

    pub fn replace_elem(&mut self, at: Pos, elem: Elem<'_>) {
        let old = element::skip(&self.bytes[at.offset()..]);
        self.write(at.offset(), old, elem);
    }

    /// Removes the element at `at` and those behind it, `elements` in all or as many as there are.
    pub fn remove(&mut self, at: Pos, elements: usize) {
        let (start, mut end, mut removed) = (at.offset(), at.offset(), 0);
        while removed < elements && end < self.bytes.len() {
            end += element::skip(&self.bytes[end..]);
            removed += 1;
        }
        make_room(&mut self.bytes, start, end - start, 0);
        let stated = self.as_ref().stated();
        let left = if stated < MANY { stated - removed } else { self.as_ref().counted() };
        self.set_count(left);
    }

    fn write(&mut self, at: usize, old: usize, elem: Elem<'_>) {
        make_room(&mut self.bytes, at, old, element::encoded_len(elem));
        fill(&mut self.bytes[at..], elem);
    }

    #[inline]
    fn count_up(&mut self, more: usize) {
        self.set_count(self.as_ref().stated() + more);
    }

    #[inline]
    fn set_count(&mut self, count: usize) {
        self.bytes[..HEADER].copy_from_slice(&(count.min(MANY) as u16).to_le_bytes());
    }

    /// Whether these bytes are a pack from end to end.
    pub fn validate(bytes: &[u8]) -> bool {
        let Some((header, mut rest)) = bytes.split_first_chunk::<HEADER>() else { return false };
        let mut count = 0;
        while !rest.is_empty() {
            let Some((_, len)) = element::decode(rest) else { return false };
            rest = &rest[len..];
            count += 1;
        }
        let stated = usize::from(u16::from_le_bytes(*header));
        stated == count || stated == MANY && count > MANY
    }
}

/// Writes an element over the bytes that `room` begins with.
#[inline]
pub(super) fn fill(room: &mut [u8], elem: Elem<'_>) {
    if let Some((head, text)) = element::short(elem) {
        room[0] = head;
        return room[1..=text.len()].copy_from_slice(text);
    }
    let mut buf: Head = [0; 9];
    let head = element::head(elem, &mut buf);
    room[..head].copy_from_slice(&buf[..head]);
    if let Elem::Str(text) = elem {
        room[head..head + text.len()].copy_from_slice(text);
    }
}

/// The bytes of a [`Pack`], wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct PackRef<'a> {
    bytes: &'a [u8],
}

impl<'a> PackRef<'a> {
    /// Bytes that [`Pack::into_bytes`] gave or [`Pack::validate`] accepts.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> PackRef<'a> {
        PackRef { bytes }
    }

    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes it takes, the count included.
    #[inline]
    pub fn byte_len(self) -> usize {
        self.bytes.len()
    }

    /// The elements as they are coded, without the count.
    #[inline]
    pub(super) fn run(self) -> &'a [u8] {
        &self.bytes[HEADER..]
    }

    /// How many elements there are.
    #[inline]
    pub fn len(self) -> usize {
        let stated = self.stated();
        if stated < MANY { stated } else { self.counted() }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= HEADER
    }

    #[inline]
    fn stated(self) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[0], self.bytes[1]]))
    }

    fn counted(self) -> usize {
        let (mut at, mut count) = (HEADER, 0);
        while at < self.bytes.len() {
            at += element::skip(&self.bytes[at..]);
            count += 1;
        }
        count
    }

    pub fn to_pack(self) -> Pack {
        Pack { bytes: self.bytes.to_vec() }
    }

    /// The elements in order, each with its place.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter { bytes: self.bytes, at: HEADER }
    }

    /// The elements from `at` on.
    #[inline]
    pub fn iter_from(self, at: Pos) -> Iter<'a> {
        Iter { bytes: self.bytes, at: at.offset() }
    }

    /// Where the first element is.
    #[inline]
    pub fn first(self) -> Option<Pos> {
        self.checked(HEADER)
    }

    /// Where an element is inserted to be the last.
    #[inline]
    pub fn end(self) -> Pos {
        Pos::at(self.bytes.len())
    }

    #[inline]
    fn checked(self, at: usize) -> Option<Pos> {
        (at < self.bytes.len()).then_some(Pos::at(at))
    }

    #[inline]
    pub fn get(self, at: Pos) -> Elem<'a> {
        element::decode(&self.bytes[at.offset()..]).expect("there is an element where one was found").0
    }

    /// Where the element behind this one is.
    #[inline]
    pub fn next(self, at: Pos) -> Option<Pos> {
        let at = at.offset();
        self.checked(at + element::skip(&self.bytes[at..]))
    }

    /// Where the element with so many in front of it is.
    pub fn nth(self, index: usize) -> Option<Pos> {
        let mut at = HEADER;
        for _ in 0..index {
            if at >= self.bytes.len() {
                return None;
            }
            at += element::skip(&self.bytes[at..]);
        }
        self.checked(at)
    }

    /// The first of the elements number 0, `step`, 2 `step`, … that has this text.
    #[inline]
    pub fn find(self, text: &[u8], step: usize) -> Option<Pos> {
        let needle = Needle::new(text);
        let mut at = HEADER;
        while at < self.bytes.len() {
            let (elem, len) = element::decode(&self.bytes[at..]).expect("elements follow each other to the end");
            if needle.is(elem) {
                return Some(Pos::at(at));
            }
            at += len;
            for _ in 1..step {
                if at < self.bytes.len() {
                    at += element::skip(&self.bytes[at..]);
                }
            }
        }
        None
    }
}

/// [`PackRef::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Pos, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Pos, Elem<'a>)> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (elem, len) = element::decode(&self.bytes[self.at..]).expect("elements follow each other to the end");
        let pos = Pos::at(self.at);
        self.at += len;
        Some((pos, elem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn random_text(rng: &mut Rng) -> Vec<u8> {
        match rng.below(4) {
            0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
            1 => rng.below(20).to_string().into_bytes(),
            2 => vec![b'a' + rng.below(3) as u8; rng.index(4)],
            _ => vec![b'x'; [0, 5, 63, 64, 100, 4095, 4096][rng.index(7)]],
        }
    }

    fn texts(pack: PackRef<'_>) -> Vec<Vec<u8>> {
        pack.iter().map(|(_, elem)| elem.to_vec()).collect()
    }

    fn check(pack: &Pack, model: &[Vec<u8>]) {
        let view = pack.as_ref();
        assert!(Pack::validate(view.bytes()));
        assert_eq!(texts(view), model);
        assert_eq!((pack.len(), pack.is_empty(), view.byte_len()), (model.len(), model.is_empty(), view.bytes().len()));
        let mut at = view.first();
        for (i, text) in model.iter().enumerate() {
            let pos = at.unwrap();
            assert_eq!((view.nth(i), view.get(pos).to_vec()), (Some(pos), text.clone()));
            at = view.next(pos);
        }
        assert_eq!((at, view.nth(model.len())), (None, None));
    }

    #[test]
    fn random_changes_agree_with_a_vector() {
        let mut rng = Rng::new(1);
        for _ in 0..30 {
            let mut pack = Pack::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for _ in 0..200 {
                let text = random_text(&mut rng);
                let i = rng.index(model.len() + 1);
                let pos = pack.as_ref().nth(i).unwrap_or(pack.as_ref().end());
                match rng.below(8) {
                    0 | 1 => {
                        pack.push(&text);
                        model.push(text);
                    }
                    2 | 3 => {
                        pack.insert(pos, &text);
                        model.insert(i, text);
                    }
                    4 => {
                        let other = random_text(&mut rng);
                        pack.insert_pair(pos, [Elem::parse(&text), Elem::parse(&other)]);
                        model.splice(i..i, [text, other]);
                    }
                    5 | 6 if i < model.len() => {
                        pack.replace(pos, &text);
                        model[i] = text;
                    }
                    7 => {
                        let n = rng.index(4);
                        pack.remove(pos, n);
                        model.drain(i..(i + n).min(model.len()));
                    }
                    _ => {}
                }
                check(&pack, &model);
            }
            let copy = Pack::from_bytes(pack.clone().into_bytes());
            assert_eq!(texts(copy.as_ref()), model);
            pack.clear();
            check(&pack, &[]);
        }
    }

    #[test]
    fn find_looks_at_every_step_th_element() {
        let mut pack = Pack::new();
        for text in ["7", "b", "b", "7", "9223372036854775807", "b"] {
            pack.push(text.as_bytes());
        }
        let view = pack.as_ref();
        let find = |text: &str, step| view.find(text.as_bytes(), step).map(|p| view.iter().position(|(q, _)| q == p));
        assert_eq!(find("7", 1), Some(Some(0)));
        assert_eq!(find("b", 1), Some(Some(1)));
        assert_eq!(find("b", 2), Some(Some(2)));
        assert_eq!(find("9223372036854775807", 2), Some(Some(4)));
        assert_eq!(find("b", 4), None);
        assert_eq!(find("07", 1), None);
        assert_eq!(find("", 1), None);
    }

    #[test]
    fn more_elements_than_the_count_can_say_are_counted() {
        let mut pack = Pack::new();
        for i in 0..MANY + 2 {
            pack.push_elem(Elem::Int(i as i64 % 100));
        }
        assert_eq!(pack.len(), MANY + 2);
        assert!(Pack::validate(pack.as_ref().bytes()));
        pack.remove(pack.as_ref().nth(5).unwrap(), 3);
        assert_eq!(pack.len(), MANY - 1);
        pack.push(b"x");
        assert_eq!(pack.len(), MANY);
        assert!(Pack::validate(pack.as_ref().bytes()));
    }

    #[test]
    fn hostile_bytes_are_refused_and_accepted_ones_can_be_walked() {
        for bytes in
            [&b""[..], b"\0", b"\x01\0", b"\0\0\0", b"\x01\0\x85ab", b"\x01\0\xf0\xff\xff\xff\xff", b"\x01\0\xff"]
        {
            assert!(!Pack::validate(bytes), "{}", bytes.escape_ascii());
        }
        let mut rng = Rng::new(2);
        let mut pack = Pack::new();
        (0..12).for_each(|_| pack.push(&random_text(&mut rng)));
        let good = pack.into_bytes();
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            let at = rng.index(bytes.len().min(60));
            bytes[at] = rng.next_u64() as u8;
            if rng.below(4) == 0 {
                bytes.truncate(rng.index(bytes.len()));
            }
            if Pack::validate(&bytes) {
                let view = PackRef::new(&bytes);
                assert_eq!(view.iter().count(), view.len());
                view.find(b"no such text", 2);
            }
        }
    }
}
