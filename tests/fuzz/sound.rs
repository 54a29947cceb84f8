//! Whether an accepted value is what its type promises.
//!
//! *Duty:* walk it both ways, write it and read it again, change it, and write and read that. *Does not know:* where the
//! value came from.

use std::ops::ControlFlow;

use redstart::base::rng::Rng;
use redstart::rdb::{ValueOwned, dump_payload, parse_payload};
use redstart::value::list::End;
use redstart::value::stream::{Bound, StreamId};
use redstart::value::{Limits, Stream, Value, ValueRef};

/// Panics if the value is not sound.
pub fn check(mut value: ValueOwned, limits: &Limits, rng: &mut Rng) {
    comes_back(&value, limits);
    if let ValueOwned::Object(object) = &mut value {
        change(object, limits, rng);
        if !object.is_gone() {
            comes_back(&value, limits);
        }
    }
}

fn comes_back(value: &ValueOwned, limits: &Limits) {
    let dumped = dump_payload(value.as_ref(), true);
    let back = parse_payload(&dumped, limits, true).expect("what was written can be read");
    assert_eq!(rows(&back), rows(value));
}

/// What is in it, in an order of its own.
fn rows(value: &ValueOwned) -> Vec<Vec<u8>> {
    match value {
        ValueOwned::Int(int) => vec![int.to_string().into_bytes()],
        ValueOwned::Bytes(bytes) => vec![bytes.clone()],
        ValueOwned::Object(object) => {
            let value = (**object).as_ref();
            assert!(!value.encoding().is_empty() && value.free_effort() < usize::MAX / 2);
            let _ = value.memory();
            elements(value)
        }
    }
}

fn elements(value: ValueRef<'_>) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    match value {
        ValueRef::List(list) => {
            list.for_each(|element| rows.push(element.to_vec()));
            let mut back = Vec::new();
            list.walk(list.len() - 1, End::Left, |element| {
                back.push(element.to_vec());
                ControlFlow::Continue(())
            });
            back.reverse();
            assert_eq!(rows, back);
            assert_eq!(rows.len(), list.len());
        }
        ValueRef::Set(set) => {
            rows.extend(set.iter().map(|member| member.to_vec()));
            assert!(rows.iter().all(|member| set.contains(member)));
            assert_eq!(rows.len(), set.len());
            rows.sort();
        }
        ValueRef::Hash(hash) => {
            for (field, value) in hash.iter() {
                let field = field.to_vec();
                assert_eq!(hash.get(&field).map(|value| value.to_vec()), Some(value.to_vec()));
                rows.push(
                    [&field, &b"="[..], &value.to_vec(), format!("{:?}", hash.deadline(&field)).as_bytes()].concat(),
                );
            }
            assert_eq!(rows.len(), hash.len());
            rows.sort();
        }
        ValueRef::Zset(zset) => {
            let mut last = None;
            for (rank, (member, score)) in zset.iter().enumerate() {
                let member = member.to_vec();
                // -0 and 0 are equal, and which of them it is depends on the form.
                assert_eq!(zset.rank(&member), Some((rank, score)));
                let place = (score, member.clone());
                assert!(last.is_none_or(|last| last < place), "members ascend");
                last = Some(place);
                rows.push([format!("{} ", score + 0.0).as_bytes(), &member].concat());
            }
            assert_eq!(rows.len(), zset.len());
        }
        ValueRef::Stream(stream) => rows = stream_rows(stream),
    }
    rows
}

fn stream_rows(stream: &Stream) -> Vec<Vec<u8>> {
    let log = stream.log();
    let (mut rows, mut last) = (Vec::new(), None);
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        assert!(last < Some(entry.id), "ids ascend");
        last = Some(entry.id);
        let pairs = entry.pairs().map(|(field, value)| [field.to_vec(), value.to_vec()].concat());
        rows.push([entry.id.to_text(), pairs.collect::<Vec<_>>().concat()].concat());
    }
    let back = log.range_back(StreamId::MIN, StreamId::MAX).map(|entry| entry.id);
    assert_eq!((back.count(), rows.len() as u64), (rows.len(), log.len()));
    assert!(last.is_none_or(|last| last <= log.last_id()));
    for (name, group) in stream.groups() {
        let _ = stream.lag(group);
        let owned: usize = group.consumers().map(|consumer| consumer.pending().len()).sum();
        assert_eq!(owned, group.pending().len());
        rows.push([name, &group.last_id.to_text()[..], &group.entries_read.to_le_bytes()].concat());
        for consumer in group.consumers() {
            let pending: Vec<Vec<u8>> = consumer.pending().iter().map(|id| id.to_text()).collect();
            rows.push([consumer.name(), &pending.join(&b' ')].concat());
        }
    }
    rows.push([log.last_id().to_text(), log.max_deleted_id().to_text()].join(&b' '));
    rows.push(log.entries_added().to_le_bytes().to_vec());
    rows
}

/// Some changes of every kind that the type knows.
fn change(value: &mut Value, limits: &Limits, rng: &mut Rng) {
    let text = [&b"new"[..], b"77", &[b'n'; 80]][rng.index(3)];
    match value {
        Value::List(list) => {
            let middle = rng.index(list.len());
            list.insert(middle, text, limits);
            list.replace(rng.index(list.len()), b"0", limits);
            list.push([End::Left, End::Right][rng.index(2)], text, limits);
            list.pop([End::Left, End::Right][rng.index(2)], |_| ());
            list.remove_matching(text, 1, End::Right);
            drop(list.remove(middle, rng.index(4)));
        }
        Value::Set(set) => {
            let member = set.as_ref().random(rng).expect("it has some").to_vec();
            assert!(set.remove(&member) && !set.remove(&member));
            set.insert(text, limits);
            set.pop(rng, |_| ());
        }
        Value::Hash(hash) => {
            let field = hash.as_ref().random(rng).expect("it has some").0.to_vec();
            hash.set(&field, text, limits);
            hash.set(text, &field, limits);
            assert!(hash.remove(&field) && !hash.remove(&field));
        }
        Value::Zset(zset) => {
            let member = zset.as_ref().random(rng).expect("it has some").0.to_vec();
            zset.insert(&member, rng.index(100) as f64 - 50.5, limits);
            zset.insert(text, 1.0, limits);
            let first = rng.index(zset.len());
            zset.remove_range(first..first + 1, |_, _| ());
            zset.remove(&member);
        }
        Value::Stream(stream) => change_stream(stream, limits, rng),
    }
}

fn change_stream(stream: &mut Stream, limits: &Limits, rng: &mut Rng) {
    let log = stream.log_mut();
    if let Some(id) = log.next_id(0) {
        let fields: [&[u8]; 2] = [b"f", b"appended"];
        log.append(id, fields.iter().copied(), limits);
    }
    let ids: Vec<StreamId> = log.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    if !ids.is_empty() {
        assert!(log.delete(ids[rng.index(ids.len())]));
        log.trim(Bound::MaxLen(ids.len() as u64 / 2), rng.below(2) == 0, u64::MAX);
    }
    for group in stream.groups_mut().values_mut() {
        let pending: Vec<StreamId> = group.pending().keys().copied().collect();
        if !pending.is_empty() {
            group.acknowledge(pending[rng.index(pending.len())]).expect("it is pending");
        }
        if let Some(consumer) = group.add_consumer(b"late", 1) {
            group.deliver(StreamId { ms: 1, seq: 1 }, consumer, 1);
            group.remove_consumer(b"late");
        }
    }
}
