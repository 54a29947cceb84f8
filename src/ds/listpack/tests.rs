//! Listpacks against vectors of strings, and against bytes that are none.

use super::*;
use crate::base::rng::Rng;

fn random_text(rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
        1 => rng.below(20).to_string().into_bytes(),
        2 => vec![b'a' + rng.below(3) as u8; rng.index(4)],
        _ => vec![b'x'; [0, 5, 63, 64, 100, 125, 126, 127, 128, 4095, 4096, 16_377, 16_378, 16_379][rng.index(14)]],
    }
}

fn texts(pack: ListpackRef<'_>) -> Vec<Vec<u8>> {
    pack.iter().map(|(_, elem)| elem.to_vec()).collect()
}

fn check(pack: &Listpack, model: &[Vec<u8>]) {
    let view = pack.as_ref();
    assert_eq!(Listpack::check(view.bytes()), Ok(()));
    assert_eq!(texts(view), model);
    assert!(view.iter().rev().map(|(_, elem)| elem.to_vec()).eq(model.iter().rev().cloned()));
    assert_eq!((pack.len(), pack.is_empty(), view.byte_len()), (model.len(), model.is_empty(), pack.byte_len()));
    let (mut at, mut last) = (view.first(), None);
    for (i, text) in model.iter().enumerate() {
        let pos = at.unwrap();
        assert_eq!((view.nth(i), view.nth_back(model.len() - 1 - i)), (Some(pos), Some(pos)));
        assert_eq!((view.get(pos).to_vec(), view.prev(pos)), (text.clone(), last));
        assert_eq!((view.iter_before(pos).count(), view.iter_from(pos).count()), (i, model.len() - i));
        last = at;
        at = view.next(pos);
    }
    assert_eq!((at, view.last()), (None, last));
    assert_eq!((view.nth(model.len()), view.nth_back(model.len())), (None, None));
}

/// One random change of both.
fn change(rng: &mut Rng, pack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let text = random_text(rng);
    let i = rng.index(model.len() + 1);
    let pos = pack.as_ref().nth(i).unwrap_or(pack.as_ref().end());
    match rng.below(10) {
        0 | 1 => {
            pack.push(&text);
            model.push(text);
        }
        2 => {
            pack.push_front(&text);
            model.insert(0, text);
        }
        3 | 4 => {
            pack.insert(pos, &text);
            model.insert(i, text);
        }
        5 if i < model.len() => {
            pack.replace(pos, &text);
            model[i] = text;
        }
        6 => {
            let n = rng.index(4);
            pack.remove(pos, n);
            model.drain(i..(i + n).min(model.len()));
        }
        7 => assert_eq!(pack.pop_back(|elem| elem.to_vec()), model.pop()),
        8 => {
            let first = (!model.is_empty()).then(|| model.remove(0));
            assert_eq!(pack.pop_front(|elem| elem.to_vec()), first);
        }
        9 if rng.below(4) == 0 => {
            pack.truncate(pos, i);
            model.truncate(i);
        }
        9 if model.len() < 50 => {
            let other = pack.clone();
            pack.append(other.as_ref());
            model.extend_from_within(..);
        }
        _ => {}
    }
}

#[test]
fn random_changes_agree_with_a_vector() {
    let mut rng = Rng::new(1);
    for _ in 0..30 {
        let (mut pack, mut model) = (Listpack::new(), Vec::new());
        for _ in 0..150 {
            change(&mut rng, &mut pack, &mut model);
            check(&pack, &model);
        }
        let copy = Listpack::from_bytes(pack.clone().into_bytes());
        assert_eq!(texts(copy.as_ref()), model);
        pack.clear();
        check(&pack, &[]);
    }
}

/// The node of `RPUSH k a 1 300 <70 x>` in a DUMP of 7.0.15.
#[test]
fn the_bytes_are_those_of_the_reference() {
    let mut pack = Listpack::new();
    pack.push(b"a");
    pack.push(b"1");
    pack.push(b"300");
    pack.push(&[b'x'; 70]);
    let mut expected = b"\x5b\0\0\0\x04\0\x81a\x02\x01\x01\xc1\x2c\x02\xe0\x46".to_vec();
    expected.extend_from_slice(&[b'x'; 70]);
    expected.extend_from_slice(b"\x48\xff");
    expected[0] = expected.len() as u8;
    assert_eq!(pack.into_bytes(), expected);
    let mut long = Listpack::new();
    long.push(&[b'y'; 130]);
    assert!(long.as_ref().bytes().ends_with(b"y\x01\x84\xff"));
}

#[test]
fn find_looks_at_every_step_th_element() {
    let mut pack = Listpack::new();
    for text in ["7", "b", "b", "7", "-4097", "b"] {
        pack.push(text.as_bytes());
    }
    let view = pack.as_ref();
    let index = |found: Option<Pos>| found.map(|p| view.iter().position(|(q, _)| q == p).unwrap());
    assert_eq!(index(view.find(b"7", 1)), Some(0));
    assert_eq!(index(view.find(b"b", 2)), Some(2));
    assert_eq!(index(view.find(b"-4097", 2)), Some(4));
    assert_eq!(index(view.find_from(view.nth(3).unwrap(), b"b", 2)), Some(5));
    assert_eq!(index(view.find(b"b", 4)), None);
    assert_eq!(index(view.find(b"nothing", 1)), None);
}

#[test]
fn more_elements_than_the_count_can_say_are_counted() {
    let mut pack = Listpack::new();
    for i in 0..MANY + 2 {
        pack.push_elem(Elem::Int(i as i64 % 100));
    }
    assert_eq!((pack.len(), Listpack::check(pack.as_ref().bytes())), (MANY + 2, Ok(())));
    assert_eq!(pack.as_ref().nth(MANY + 1), pack.as_ref().last());
    pack.remove(pack.as_ref().nth(5).unwrap(), 3);
    assert_eq!(pack.len(), MANY - 1);
    pack.push(b"x");
    pack.push_front(b"y");
    pack.pop_back(|_| ());
    assert_eq!((pack.len(), Listpack::check(pack.as_ref().bytes())), (MANY, Ok(())));
}

#[test]
fn hostile_bytes_are_refused() {
    for bytes in [
        &b""[..],
        b"\x07\0\0\0\0\0",
        b"\x07\0\0\0\0\0\xfe",
        b"\x08\0\0\0\0\0\xff",
        b"\x07\0\0\0\x01\0\xff",
        b"\x09\0\0\0\0\0\x01\x01\xff",
        b"\x09\0\0\0\x01\0\x01\x02\xff",
        b"\x08\0\0\0\x01\0\x01\xff",
        b"\x0a\0\0\0\x01\0\x85a\x02\xff",
        b"\x0d\0\0\0\x01\0\xf0\xff\xff\xff\xff\x05\xff",
        b"\x09\0\0\0\x01\0\xf5\x01\xff",
        b"\x09\0\0\0\x01\0\xff\x01\xff",
    ] {
        assert!(!Listpack::validate(bytes), "{}", bytes.escape_ascii());
    }
    assert!(Listpack::validate(b"\x09\0\0\0\x01\0\x01\x01\xff"));
    assert!(Listpack::validate(b"\x09\0\0\0\xff\xff\x01\x01\xff"), "a count of 65535 promises nothing");
}

#[test]
fn damaged_bytes_that_are_accepted_can_be_walked_both_ways() {
    let mut rng = Rng::new(2);
    let mut pack = Listpack::new();
    for text in ["a", "1", "-5000", "hello there", "", "70000", "99999999999", "zz"] {
        pack.push(text.as_bytes());
    }
    pack.push(&[b'x'; 140]);
    let good = pack.into_bytes();
    let mut accepted = 0;
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..=rng.below(2) {
            let at = rng.index(bytes.len().min(80));
            bytes[at] = rng.next_u64() as u8;
        }
        if rng.below(8) == 0 {
            bytes.truncate(rng.index(bytes.len()));
        }
        if Listpack::validate(&bytes) {
            accepted += 1;
            let view = ListpackRef::new(&bytes);
            assert_eq!((view.iter().count(), view.iter().rev().count()), (view.len(), view.len()));
            assert_eq!(view.find(b"no such text", 1), None);
            let mut own = Listpack::from_bytes(bytes.clone());
            while own.pop_back(|_| ()).is_some() {}
            assert!(own.is_empty() && Listpack::validate(own.as_ref().bytes()));
        }
    }
    assert!(accepted > 100, "{accepted}");
}
