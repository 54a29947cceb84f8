//! SORT, SORT_RO.
//!
//! *Duty:* lists, sets and sorted sets in another order, by their elements or by the values of other keys that the
//! elements name, shown as they are or as such values. *Does not know:* the forms of collections.
//! *Invariants:* the elements are copied out before another key is looked at, since a lookup may take overdue keys
//! out. Equal weights are ordered by the elements' bytes, so that the result does not depend on where they lay; only
//! equal texts of a BY pattern leave the order in which the elements were found.
//! *Counterpart in C Redis:* `sort.c`.

use std::cmp::Ordering;
use std::ops::Range;

use crate::base::float;
use crate::call::{Args, Call, Class, CmdError, CmdResult, Event, Origin};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::{EntryRef, Expire, Keyspace, New, View, event};
use crate::value::list::End;
use crate::value::{List, Typed, ValueRef, Zset};

const STORED: Event = Event::new(Class::LIST, "sortstore");

const SORT_SPEC: Spec = Spec {
    arity: -2,
    acl: Categories::DANGEROUS.or(Categories::LIST).or(Categories::SET).or(Categories::SORTEDSET),
    group: Group::Generic,
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
    ..Spec::BASE
};

const SOURCE: KeySpec = KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS));
const NAMED_BY_ELEMENTS: KeySpec = KeySpec::unknown(KeyFlags::RO.or(KeyFlags::ACCESS));

pub const SORT: DataCommand = Command::new(
    |ks, call| sort(ks, call, false),
    Spec {
        name: "sort",
        flags: WRITE.or(DENYOOM).or(MOVABLEKEYS),
        keys: &[SOURCE, NAMED_BY_ELEMENTS, KeySpec::unknown(KeyFlags::OW.or(KeyFlags::UPDATE))],
        summary: "Returns or stores the elements of a list, a set or a sorted set in order.",
        syntax: "key [BY pattern#1] [LIMIT offset count] [GET pattern#1 [GET pattern#1 ...]] [<ASC|DESC>:order] [ALPHA:sorting] [STORE destination:key#2]",
        ..SORT_SPEC
    },
);

pub const SORT_RO: DataCommand = Command::new(
    |ks, call| sort(ks, call, true),
    Spec {
        name: "sort_ro",
        flags: READONLY.or(MOVABLEKEYS),
        keys: &[SOURCE, NAMED_BY_ELEMENTS],
        since: "7.0.0",
        summary: "Returns the elements of a list, a set or a sorted set in order.",
        syntax: "key [BY pattern#1] [LIMIT offset count] [GET pattern#1 [GET pattern#1 ...]] [<ASC|DESC>:order] [ALPHA:sorting]",
        ..SORT_SPEC
    },
);

/// Which argument of a SORT names the key that the result goes to.
pub fn store_key(args: Args<'_>) -> Option<usize> {
    let mut found = None;
    let mut i = 2;
    while i < args.len() {
        i += match () {
            () if args.is(i, "limit") => 3,
            () if args.is(i, "get") || args.is(i, "by") => 2,
            () if args.is(i, "store") && i + 1 < args.len() => {
                found = Some(i + 1);
                2
            }
            () => 1,
        };
    }
    found
}

/// A BY or GET pattern.
#[derive(Clone, Copy)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// The string, or the field of a hash, behind the key that an element makes between two texts.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
    /// Without a star no key is named.
    Nothing,
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|&b| b == b'*') else {
            return Pattern::Nothing;
        };
        let (before, after) = (&text[..star], &text[star + 1..]);
        match after.windows(2).position(|two| two == b"->") {
            Some(arrow) if arrow + 2 < after.len() => {
                Pattern::Key { before, after: &after[..arrow], field: Some(&after[arrow + 2..]) }
            }
            _ => Pattern::Key { before, after, field: None },
        }
    }

    /// Appends to `out` what it stands for with this element; `false` when there is no such thing.
    fn look_up(self, ks: &mut Keyspace, call: &mut Call<'_>, element: &[u8], out: &mut Vec<u8>) -> bool {
        let (before, after, field) = match self {
            Pattern::Element => {
                out.extend_from_slice(element);
                return true;
            }
            Pattern::Nothing => return false,
            Pattern::Key { before, after, field } => (before, after, field),
        };
        let key = [before, element, after].concat();
        let now = Keyspace::field_clock(call);
        let found = match (ks.read(&key, call).map(EntryRef::view), field) {
            (Some(View::Int(value)), None) => Some(Elem::Int(value)),
            (Some(View::Str(text)), None) => Some(Elem::Str(text)),
            (Some(View::Object(ValueRef::Hash(hash))), Some(field)) => hash.at(now).get(field),
            _ => None,
        };
        if let Some(value) = found {
            value.write_text(out);
        }
        found.is_some()
    }
}

struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// LIMIT: the offset, and how many; below zero: all.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    /// BY a text without a star: the order is the collection's own.
    unsorted: bool,
    get: Vec<Pattern<'a>>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, read_only: bool, cluster: bool) -> Result<Options<'a>, CmdError> {
        let mut options = Options {
            descending: false,
            alpha: false,
            limit: (0, -1),
            by: None,
            unsorted: false,
            get: Vec::new(),
            store: None,
        };
        let mut i = 2;
        while i < args.len() {
            let behind = args.len() - i - 1;
            let is = |word: &str, operands: usize| behind >= operands && args.is(i, word);
            if is("asc", 0) || is("desc", 0) {
                options.descending = is("desc", 0);
            } else if is("alpha", 0) {
                options.alpha = true;
            } else if is("limit", 2) {
                options.limit = (args.int(i + 1)?, args.int(i + 2)?);
                i += 2;
            } else if is("store", 1) && !read_only {
                options.store = Some(args.get(i + 1));
                i += 1;
            } else if is("by", 1) {
                let pattern = args.get(i + 1);
                options.by = Some(Pattern::parse(pattern));
                if !pattern.contains(&b'*') {
                    options.unsorted = true;
                } else if cluster {
                    return Err(CmdError::Fixed("ERR BY option of SORT denied in Cluster mode."));
                }
                i += 1;
            } else if is("get", 1) {
                if cluster {
                    return Err(CmdError::Fixed("ERR GET option of SORT denied in Cluster mode."));
                }
                options.get.push(Pattern::parse(args.get(i + 1)));
                i += 1;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    /// Which of `len` elements are wanted.
    fn slice(&self, len: usize) -> Range<usize> {
        let most = len as i64;
        let (start, count) = (self.limit.0.clamp(0, most), self.limit.1.clamp(-1, most));
        let end = if count < 0 { most } else { (start + count).min(most) };
        start as usize..end as usize
    }
}

/// Elements copied out, one behind the other.
#[derive(Default)]
struct Elements {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// The values of a BY pattern.
    by: Vec<u8>,
}

struct Item {
    element: Range<usize>,
    weight: f64,
    by: Option<Range<usize>>,
}

impl Elements {
    fn push(&mut self, element: Elem<'_>) {
        let start = self.bytes.len();
        element.write_text(&mut self.bytes);
        self.items.push(Item { element: start..self.bytes.len(), weight: 0.0, by: None });
    }

    fn text(&self, item: &Item) -> &[u8] {
        &self.bytes[item.element.clone()]
    }

    /// Fills in what the elements are ordered by.
    fn weigh(&mut self, ks: &mut Keyspace, call: &mut Call<'_>, options: &Options<'_>) -> CmdResult {
        let mut all_are_numbers = true;
        for i in 0..self.items.len() {
            let element = self.items[i].element.clone();
            let start = self.by.len();
            let text = match options.by {
                Some(pattern) if pattern.look_up(ks, call, &self.bytes[element.clone()], &mut self.by) => {
                    &self.by[start..]
                }
                // An element without a value weighs nothing.
                Some(_) => continue,
                None => &self.bytes[element],
            };
            if options.alpha {
                self.items[i].by = Some(start..self.by.len());
            } else {
                let weight = weight(text);
                all_are_numbers &= weight.is_some();
                self.items[i].weight = weight.unwrap_or(0.0);
                self.by.truncate(start);
            }
        }
        if all_are_numbers {
            return Ok(());
        }
        Err(CmdError::Fixed("ERR One or more scores can't be converted into double"))
    }

    fn compare(&self, a: &Item, b: &Item, options: &Options<'_>) -> Ordering {
        match (options.alpha, options.by.is_some()) {
            (false, _) => a.weight.total_cmp(&b.weight).then_with(|| self.text(a).cmp(self.text(b))),
            (true, false) => self.text(a).cmp(self.text(b)),
            (true, true) => {
                let value = |item: &Item| item.by.clone().map(|range| &self.by[range]);
                value(a).cmp(&value(b))
            }
        }
    }

    fn sort(&mut self, options: &Options<'_>) {
        let mut items = std::mem::take(&mut self.items);
        items.sort_by(|a, b| {
            let order = self.compare(a, b, options);
            if options.descending { order.reverse() } else { order }
        });
        self.items = items;
    }
}

/// A number as C's `strtod` reads it: blanks may stand before it, and nothing at all is 0.
fn weight(text: &[u8]) -> Option<f64> {
    let text = text.split(|&b| b == 0).next().unwrap_or(text);
    let is_blank = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b;
    let blanks = text.iter().take_while(|b| is_blank(b)).count();
    if text.is_empty() {
        return Some(0.0);
    }
    // Both zeros weigh the same.
    float::parse_f64(&text[blanks..]).map(|weight| weight + 0.0)
}

fn sort(ks: &mut Keyspace, call: &mut Call<'_>, read_only: bool) -> CmdResult {
    let mut options = Options::parse(call.args, read_only, ks.settings.cluster)?;
    let (mut elements, wanted) = load(ks, call, &mut options)?;
    if !options.unsorted {
        elements.weigh(ks, call, &options)?;
        elements.sort(&options);
    }
    let wanted = &elements.items[wanted];
    let len = wanted.len() * options.get.len().max(1);
    let limits = ks.settings.limits;
    let mut stored = List::new();
    if options.store.is_none() {
        call.reply.array(len);
    }
    let mut value = Vec::new();
    for item in wanted {
        let element = elements.text(item);
        for pattern in if options.get.is_empty() { &[Pattern::Element] } else { &options.get[..] } {
            value.clear();
            let found = pattern.look_up(ks, call, element, &mut value);
            match options.store {
                Some(_) => stored.push(End::Right, &value, &limits),
                None if found => call.reply.bulk(&value),
                None => call.reply.null(),
            }
        }
    }
    if let Some(target) = options.store {
        store(ks, call, target, stored);
    }
    Ok(())
}

/// Copies the elements out, and says which of them are wanted once they are in order. What has an order of its own
/// and keeps it is only copied as far as it is wanted.
fn load(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    options: &mut Options<'_>,
) -> Result<(Elements, Range<usize>), CmdError> {
    let key = call.arg(1);
    let (for_script, limits) = (call.caller.origin == Origin::Script, ks.settings.limits);
    let mut elements = Elements::default();
    let is_zset = match ks.read(key, call).map(EntryRef::view) {
        None => false,
        Some(View::Object(ValueRef::List(list))) => {
            if options.unsorted {
                let wanted = options.slice(list.len());
                let (first, towards) = match options.descending {
                    true => (list.len().saturating_sub(1 + wanted.start), End::Left),
                    false => (wanted.start, End::Right),
                };
                list.range(first, wanted.len(), towards, |element| elements.push(element));
                let whole = 0..elements.items.len();
                return Ok((elements, whole));
            }
            list.for_each(|element| elements.push(element));
            false
        }
        Some(View::Object(ValueRef::Set(set))) => {
            if options.unsorted && (options.store.is_some() || for_script) {
                // What a set gives in no order must be the same wherever it is repeated.
                (options.unsorted, options.alpha, options.by) = (false, true, None);
            }
            set.iter().for_each(|member| elements.push(member));
            false
        }
        Some(View::Object(ValueRef::Zset(zset))) => {
            if options.unsorted {
                let wanted = options.slice(zset.len());
                let ranks =
                    if options.descending { zset.len() - wanted.end..zset.len() - wanted.start } else { wanted };
                zset.range(ranks, options.descending).for_each(|(member, _)| elements.push(member));
            } else {
                zset.iter().for_each(|(member, _)| elements.push(member));
            }
            true
        }
        Some(_) => return Err(CmdError::WrongType),
    };
    if is_zset {
        // Quirk: a sorted set that was sorted has its large form from then on.
        if let Some(mut zset) = ks.write_typed::<Zset>(key, call)?.filter(|zset| zset.as_ref().encoding() == "listpack")
        {
            zset.rank_all(&limits);
        }
    }
    let whole = 0..elements.items.len();
    let wanted = if is_zset && options.unsorted { whole } else { options.slice(whole.end) };
    Ok((elements, wanted))
}

fn store(ks: &mut Keyspace, call: &mut Call<'_>, target: &[u8], result: List) {
    let len = result.len();
    if len > 0 {
        ks.set(target, New::Object(Box::new(result.into_value())), Expire::Clear, call);
        call.modified(target, STORED, len as u64);
    } else if ks.delete(target, call) {
        call.modified(target, event::DEL, 1);
    }
    call.reply.len_of(len);
}
