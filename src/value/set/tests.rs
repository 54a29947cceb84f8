//! All forms against a `BTreeSet`, and the thresholds between them.

use std::collections::BTreeSet;

use super::*;
use crate::base::hash::HashSeed;

fn limits() -> Limits {
    Limits { set_max_intset_entries: 8, set_max_listpack_entries: 12, ..Limits::new(HashSeed::new(7)) }
}

fn members(set: SetRef<'_>) -> BTreeSet<Vec<u8>> {
    set.iter().map(Elem::to_vec).collect()
}

#[test]
fn random_changes_agree_with_a_tree() {
    let mut rng = Rng::new(2);
    let mut forms = BTreeSet::new();
    for round in 0..120 {
        let (mut set, mut model) = (Set::default(), BTreeSet::new());
        let range = 1 + rng.below(40);
        for _ in 0..150 {
            let number = rng.below(range);
            let text = if round % 3 > 0 && rng.below(9) == 0 { format!("m{number:017}") } else { number.to_string() };
            let text = text.into_bytes();
            match rng.below(8) {
                0..4 => assert_eq!(set.insert(&text, &limits()), model.insert(text)),
                4..6 => assert_eq!(set.remove(&text), model.remove(&text)),
                6 => assert_eq!(set.as_ref().contains(&text), model.contains(&text)),
                _ if model.is_empty() => {}
                _ => {
                    let popped = set.pop(&mut rng, |member| member.to_vec()).unwrap();
                    assert!(model.remove(&popped));
                }
            }
            assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        }
        let view = set.as_ref();
        assert_eq!(members(view), model);
        for text in model.iter() {
            assert!(Wanted::new(Elem::parse(text)).is_in(view) && Wanted::new(Elem::Str(text)).is_in(view));
        }
        assert!(!Wanted::new(Elem::Int(1000)).is_in(view));
        for count in [0, 1, model.len() / 4, model.len() / 2, model.len(), model.len() + 5] {
            let sample: BTreeSet<Vec<u8>> = view.sample(count, &mut rng).into_iter().map(Elem::to_vec).collect();
            assert_eq!(sample.len(), count.min(model.len()));
            assert!(sample.is_subset(&model));
        }
        let mut scanned = BTreeSet::new();
        let mut cursor = 0;
        loop {
            cursor = view.scan(cursor, |member| _ = scanned.insert(member.to_vec()));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, model);
        if let Some((form, bytes)) = set.rest() {
            assert_eq!(members(SetRef::from_rest(form, bytes)), model);
            let again = Set::from_rest(form, bytes.to_vec());
            assert_eq!(again.as_ref().encoding(), view.encoding());
        }
        forms.insert(match set {
            Set::Ints(_) => 0,
            Set::Packed(_) => 1,
            Set::Table(_) => 2,
        });
    }
    assert_eq!(forms.len(), 3, "each form was tried");
}

#[test]
fn forms_change_at_their_limits() {
    let limits = limits();
    let mut set = Set::default();
    for i in 0..8 {
        assert!(set.insert(i.to_string().as_bytes(), &limits));
    }
    assert_eq!(set.as_ref().encoding(), "intset");
    set.insert(b"8", &limits);
    assert!(matches!(set, Set::Packed(_)));
    assert_eq!(set.as_ref().encoding(), "hashtable");
    (9..12).for_each(|i| _ = set.insert(i.to_string().as_bytes(), &limits));
    assert!(matches!(set, Set::Packed(_)));
    assert!(!set.insert(b"11", &limits));
    assert!(matches!(set, Set::Packed(_)));
    set.insert(b"12", &limits);
    assert!(matches!(set, Set::Table(_)));
    let long = [b'x'; 65];
    for first in [b"1".as_slice(), b"x"] {
        let mut set = Set::default();
        set.insert(first, &limits);
        set.insert(&long[..64], &limits);
        assert!(matches!(set, Set::Packed(_)));
        set.insert(&long, &limits);
        assert!(matches!(set, Set::Table(_)) && set.len() == 3);
    }
    let mut ints = Intset::new();
    (0..9).for_each(|i| _ = ints.insert(i));
    assert!(matches!(Set::from_ints(ints, &limits), Set::Packed(_)));
}
