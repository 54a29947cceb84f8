//! The log against a map of the standard library, and nodes there and back through their listpacks.

use std::collections::BTreeMap;

use super::*;
use crate::base::hash::HashSeed;
use crate::base::rng::Rng;
use crate::value::Limits;

type Fields = Vec<Vec<u8>>;

fn limits(bytes: usize, entries: usize) -> Limits {
    Limits { stream_node_max_bytes: bytes, stream_node_max_entries: entries, ..Limits::new(HashSeed::new(1)) }
}

fn item(fields: &Fields) -> impl Item<'_> {
    fields.iter().map(Vec::as_slice)
}

fn fields_of(entry: &Entry<'_>) -> Fields {
    entry.pairs().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect()
}

fn random_fields(rng: &mut Rng) -> Fields {
    let names: &[&[u8]] = &[b"temp", b"hum", b"7", b"", b"a-rather-long-name-of-a-field"];
    let count = 1 + if rng.index(3) == 0 { rng.index(4) } else { 1 };
    let mut fields = Vec::new();
    for i in 0..count {
        fields.push(names[if rng.index(8) == 0 { rng.index(names.len()) } else { i }].to_vec());
        let mut value = match rng.index(4) {
            0 => rng.index(1 << 20).to_string().into_bytes(),
            1 => (rng.index(300) as i64 - 150).to_string().into_bytes(),
            _ => vec![0; rng.index(20)],
        };
        if rng.index(60) == 0 {
            value = vec![b'x'; 100 + rng.index(6000)];
        }
        fields.push(value);
    }
    fields
}

struct Model {
    log: Log,
    oracle: BTreeMap<StreamId, Fields>,
    added: u64,
    max_deleted: StreamId,
}

impl Model {
    fn append(&mut self, rng: &mut Rng, limits: &Limits) {
        let last = self.log.last_id();
        let id = match rng.index(4) {
            0 => StreamId { ms: last.ms + 1 + rng.index(1 << 14) as u64, seq: rng.index(3) as u64 },
            1 => StreamId { ms: last.ms + 1, seq: rng.index(1 << 20) as u64 },
            _ => last.next().unwrap(),
        };
        let fields = random_fields(rng);
        self.log.append(id, item(&fields), limits);
        self.oracle.insert(id, fields);
        self.added += 1;
    }

    fn delete(&mut self, rng: &mut Rng) {
        let id = match self.oracle.len() {
            0 => StreamId::new(1, 1),
            n => *self.oracle.keys().nth(rng.index(n)).unwrap(),
        };
        let there = self.oracle.remove(&id).is_some();
        assert_eq!(self.log.delete(id), there);
        assert!(!self.log.delete(id));
        if there {
            self.max_deleted = self.max_deleted.max(id);
        }
    }

    /// An exact trim does what the map does; one by whole nodes takes no more than that, and from the front.
    fn trim(&mut self, rng: &mut Rng) {
        let len = self.oracle.len();
        let bound = match rng.index(2) {
            0 => Bound::MaxLen(len.saturating_sub(rng.index(30)) as u64),
            _ => Bound::MinId(*self.oracle.keys().nth(rng.index(30)).unwrap_or(&StreamId::MIN)),
        };
        let whole = rng.index(2) == 0;
        let limit = if whole { rng.index(40) as u64 } else { 0 };
        let exact = match bound {
            Bound::MaxLen(max) => len.saturating_sub(max as usize),
            Bound::MinId(min) => self.oracle.range(..min).count(),
        };
        let removed = self.log.trim(bound, whole, limit).removed as usize;
        if whole {
            assert!(removed <= exact && (limit == 0 || removed <= limit as usize));
        } else {
            assert_eq!(removed, exact);
        }
        for _ in 0..removed {
            self.oracle.pop_first();
        }
    }

    fn compare(&self, rng: &mut Rng) {
        let all: Vec<_> = self.log.range(StreamId::MIN, StreamId::MAX).map(|e| (e.id, fields_of(&e))).collect();
        let expected: Vec<_> = self.oracle.iter().map(|(id, fields)| (*id, fields.clone())).collect();
        assert_eq!(all, expected);
        let log = &self.log;
        assert_eq!((log.len(), log.entries_added()), (expected.len() as u64, self.added));
        assert_eq!(log.first_id(), expected.first().map_or(StreamId::MIN, |(id, _)| *id));
        assert_eq!(log.last_entry_id(), expected.last().map(|(id, _)| *id));
        assert_eq!(log.max_deleted_id(), self.max_deleted);
        assert_eq!(log.nodes().count(), log.node_count());
        let mut pick = || match expected.len() {
            0 => StreamId::new(5, 5),
            n => {
                let id = expected[rng.index(n)].0;
                [id, id.next().unwrap(), id.previous().unwrap()][rng.index(3)]
            }
        };
        for _ in 0..4 {
            let (start, end) = (pick(), pick());
            let between: Vec<_> = expected.iter().filter(|(id, _)| *id >= start && *id <= end).cloned().collect();
            let forward: Vec<_> = log.range(start, end).map(|e| (e.id, fields_of(&e))).collect();
            let mut backward: Vec<_> = log.range_back(start, end).map(|e| (e.id, fields_of(&e))).collect();
            backward.reverse();
            assert_eq!((&forward, &backward), (&between, &between));
            assert_eq!(log.contains(start), self.oracle.contains_key(&start));
        }
    }

    /// Through listpacks and back, nothing is lost, and each node is as long as it said.
    fn exchange(&self) {
        let mut loading = Loading::new();
        for node in self.log.nodes() {
            let listpack = node.to_listpack();
            assert!(listpack.len() <= node.listpack_len());
            loading.node(node.first(), &listpack).unwrap();
        }
        let figures = Figures {
            length: self.log.len(),
            last_id: self.log.last_id(),
            added: Some((self.max_deleted, self.added)),
        };
        loading.figures(figures).unwrap();
        let back = loading.finish();
        let entries =
            |log: &Log| log.range(StreamId::MIN, StreamId::MAX).map(|e| (e.id, fields_of(&e))).collect::<Vec<_>>();
        assert_eq!(entries(back.log()), entries(&self.log));
        assert_eq!(back.log().first_id(), self.log.first_id());
        for node in back.log().nodes() {
            assert_eq!(node.to_listpack().len(), node.listpack_len(), "nothing is deleted in a node just read");
        }
    }
}

#[test]
fn the_log_does_what_a_map_does() {
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let limits = limits([0, 300, 4096][rng.index(3)], [3, 10, 100][rng.index(3)]);
        let mut model = Model { log: Log::default(), oracle: BTreeMap::new(), added: 0, max_deleted: StreamId::MIN };
        for step in 0..1500 {
            match rng.index(20) {
                0..=11 => model.append(&mut rng, &limits),
                12..=16 => model.delete(&mut rng),
                17 => model.trim(&mut rng),
                _ => {}
            }
            if step % 10 == 0 {
                model.compare(&mut rng);
            }
            if step % 100 == 0 {
                model.exchange();
            }
        }
    }
}

/// Nodes end where those of 7.0.15 end: its listpack of one field `f` and value `v` is 10 bytes at first (frame 7,
/// counts and fields 3 × 2, name 3, end 2), and an entry takes 12.
#[test]
fn nodes_are_as_long_as_the_reference_says() {
    let limits = limits(4096, 100);
    let mut log = Log::default();
    let fields = vec![b"f".to_vec(), b"v".to_vec()];
    for ms in 1..=100 {
        log.append(StreamId::new(ms, 0), item(&fields), &limits);
        let node = log.nodes().next().unwrap();
        assert_eq!(node.listpack_len(), node.to_listpack().len());
    }
    assert_eq!(log.node_count(), 1);
    log.append(StreamId::new(101, 0), item(&fields), &limits);
    assert_eq!(log.node_count(), 2);
}

#[test]
fn an_entry_costs_less_than_26_bytes() {
    let limits = limits(4096, 100);
    let mut log = Log::default();
    for i in 0..100_000u64 {
        let fields: Vec<Vec<u8>> = ["temp", &format!("{:04}", i % 10_000), "hum", "55", "dev", "sensor-a"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
        log.append(StreamId::new(1_700_000_000_000 + i / 20, i % 20), item(&fields), &limits);
    }
    let per_entry = log.memory() as f64 / 100_000.0;
    assert!(per_entry < 24.0, "{per_entry}");
}

#[test]
fn hostile_nodes_are_refused_and_never_believed() {
    let mut rng = Rng::new(3);
    let limits = limits(4096, 100);
    let mut log = Log::default();
    for i in 1..40 {
        log.append(StreamId::new(i, i), item(&random_fields(&mut rng)), &limits);
    }
    let first = log.nodes().next().unwrap();
    let good = first.to_listpack();
    assert!(Node::from_listpack(first.first(), &good).is_ok());
    let mut survivors = 0;
    for _ in 0..40_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.index(3) {
            let at = rng.index(bytes.len());
            bytes[at] = [rng.index(256) as u8, 0, 0xff, 0x7f][rng.index(4)];
        }
        if let Ok(node) = Node::from_listpack(first.first(), &bytes) {
            survivors += 1;
            let again = Node::from_listpack(node.first(), &node.to_listpack()).unwrap();
            assert_eq!(again.len(), node.len());
        }
    }
    assert!(survivors > 0, "some changes hit nothing but text");
}

#[test]
fn groups_keep_consumers_and_pending_in_step() {
    let mut rng = Rng::new(9);
    let mut group = Group::new(StreamId::MIN, UNKNOWN);
    let mut oracle: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
    let mut names: std::collections::BTreeSet<Vec<u8>> = Default::default();
    for step in 0..5000 {
        let name = format!("c{}", rng.index(6)).into_bytes();
        let id = StreamId::new(rng.index(60) as u64, 0);
        match rng.index(10) {
            0 => {
                let expected = names.remove(&name).then(|| oracle.values().filter(|owner| **owner == name).count());
                assert_eq!(group.remove_consumer(&name), expected);
                oracle.retain(|_, owner| *owner != name);
            }
            1..=3 => assert_eq!(group.acknowledge(id).is_some(), oracle.remove(&id).is_some()),
            _ => {
                let consumer = group.find(&name).or_else(|| group.add_consumer(&name, step)).unwrap();
                assert_eq!(group.add_consumer(&name, step), None);
                group.deliver(id, consumer, step);
                names.insert(name.clone());
                oracle.insert(id, name);
            }
        }
        assert_eq!(
            group.consumers().map(|c| c.name().to_vec()).collect::<Vec<_>>(),
            names.iter().cloned().collect::<Vec<_>>()
        );
        let pending: Vec<_> =
            group.pending().iter().map(|(id, p)| (*id, group.consumer(p.consumer).name().to_vec())).collect();
        assert_eq!(pending, oracle.iter().map(|(id, name)| (*id, name.clone())).collect::<Vec<_>>());
        let owned: usize = group.consumers().map(|c| c.pending().len()).sum();
        assert_eq!(owned, oracle.len());
    }
}

#[test]
fn parts_that_make_no_stream_are_refused() {
    let id = StreamId::new(1, 1);
    let mut loading = Loading::new();
    let figures = Figures { length: 0, last_id: id, added: None };
    loading.figures(figures).unwrap();
    let mut group = loading.group(b"g", id, Some(0)).unwrap();
    group.pending(id, 5, 1).unwrap();
    assert!(group.pending(id, 5, 1).is_err());
    let consumer = group.consumer(b"c", 5, None).unwrap();
    assert!(group.consumer(b"c", 5, None).is_err());
    assert!(group.owned(consumer, StreamId::new(2, 2)).is_err());
    group.owned(consumer, id).unwrap();
    assert!(group.owned(consumer, id).is_err());
    group.finish().unwrap();
    let mut orphan = loading.group(b"h", id, None).unwrap();
    orphan.pending(id, 5, 1).unwrap();
    assert!(orphan.finish().is_err());
    assert!(loading.group(b"g", id, None).is_err());
    assert!(loading.figures(Figures { length: 1, ..figures }).is_err());
}
