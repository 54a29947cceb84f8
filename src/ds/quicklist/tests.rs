//! Lists of nodes against vectors of strings, in every shape.

use super::*;
use crate::base::rng::Rng;

fn random_text(rng: &mut Rng) -> Vec<u8> {
    match rng.below(8) {
        0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
        1 => vec![b'z'; [60, 64, 200, 700, 3000, 9000][rng.index(6)]],
        _ => format!("{}{}", ["a", "b", "item:"][rng.index(3)], rng.below(12)).into_bytes(),
    }
}

fn texts(list: &Quicklist, index: usize, towards: End) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    list.walk(index, towards, |elem| {
        out.push(elem.to_vec());
        ControlFlow::Continue(())
    });
    out
}

fn check(list: &Quicklist, model: &[Vec<u8>], rng: &mut Rng) {
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    assert_eq!(texts(list, 0, End::Right), model);
    let from = rng.index(model.len() + 1);
    assert_eq!(texts(list, from, End::Right), model[from..]);
    let back: Vec<Vec<u8>> = model.iter().take(from + 1).rev().cloned().collect();
    assert_eq!(texts(list, from, End::Left), if from < model.len() { back } else { Vec::new() });
    let depth = list.shape.depth;
    for (i, node) in list.nodes.iter().enumerate() {
        assert!(node.count() > 0);
        assert!(node.count() == 1 || list.shape.allows(node.size(), node.count()), "{i}: {}", node.size());
        assert!(!node.is_compressed() || (depth > 0 && i >= depth && i + depth < list.nodes.len()), "{i}");
        let run_len = node::offset_in(node.elements(&mut Vec::new()), node.count());
        assert_eq!(run_len, node.size());
    }
    if !list.tail.is_empty() {
        let (mut places, last) = (Vec::new(), list.nodes.end(End::Right).unwrap());
        last.places(&mut places);
        assert_eq!(list.tail.last(), places.last());
    }
}

fn end(rng: &mut Rng) -> End {
    if rng.below(2) == 0 { End::Left } else { End::Right }
}

/// One random change of both.
fn change(rng: &mut Rng, list: &mut Quicklist, model: &mut VecDeque<Vec<u8>>) {
    let text = random_text(rng);
    let index = rng.index(model.len() + 1);
    match rng.below(16) {
        0..=6 => {
            let side = end(rng);
            list.push(side, Elem::parse(&text));
            if side == End::Left { model.push_front(text) } else { model.push_back(text) }
        }
        7 | 8 => {
            let side = end(rng);
            let expected = if side == End::Left { model.pop_front() } else { model.pop_back() };
            assert_eq!(list.pop(side, |elem| elem.to_vec()), expected);
        }
        9..=11 => {
            list.insert(index, Elem::parse(&text));
            model.insert(index, text);
        }
        12 | 13 if index < model.len() => {
            list.replace(index, Elem::parse(&text));
            model[index] = text;
        }
        14 => {
            let most = [3, 3, 3, 60][rng.index(4)];
            let n = rng.index(most);
            list.remove(index, n);
            model.drain(index..(index + n).min(model.len()));
        }
        15 => {
            let (side, max) = (end(rng), 1 + rng.index(4));
            let mut matching: Vec<usize> = (0..model.len()).filter(|i| model[*i] == text).collect();
            if side == End::Right {
                matching.reverse();
            }
            matching.truncate(max);
            assert_eq!(list.remove_matching(&text, max, side), matching.len());
            let mut number = 0;
            model.retain(|_| {
                number += 1;
                !matching.contains(&(number - 1))
            });
        }
        _ => {}
    }
}

#[test]
fn random_changes_agree_with_a_vector_in_every_shape() {
    let mut rng = Rng::new(1);
    for fill in [-2, -1, 1, 3, 16] {
        for depth in [0, 1, 2] {
            for alone in [Shape::ALONE, 100] {
                let mut list = Quicklist::new(Shape { fill, depth, alone });
                let mut model = VecDeque::new();
                for round in 0..400 {
                    change(&mut rng, &mut list, &mut model);
                    if round % 4 == 0 {
                        check(&list, model.make_contiguous(), &mut rng);
                    }
                }
                let copy = list.clone();
                check(&copy, model.make_contiguous(), &mut rng);
            }
        }
    }
}

/// Long runs of pushes and pops at the ends: room in front and behind, and the noted places.
#[test]
fn queues_and_stacks_keep_their_order() {
    let mut rng = Rng::new(2);
    for (push, pop) in
        [(End::Left, End::Right), (End::Right, End::Left), (End::Left, End::Left), (End::Right, End::Right)]
    {
        let mut list = Quicklist::new(Shape::default());
        let mut model = VecDeque::new();
        for phase in 0..6 {
            for i in 0..3000u32 {
                if rng.below(10) < [7, 3][phase % 2] {
                    let text = format!("element:{i}");
                    list.push(push, Elem::parse(text.as_bytes()));
                    if push == End::Left { model.push_front(text) } else { model.push_back(text) }
                } else {
                    let expected = if pop == End::Left { model.pop_front() } else { model.pop_back() };
                    assert_eq!(list.pop(pop, |elem| elem.to_vec()), expected.map(String::into_bytes));
                }
            }
            assert!(texts(&list, 0, End::Right).iter().map(Vec::as_slice).eq(model.iter().map(String::as_bytes)));
        }
    }
}

#[test]
fn a_million_short_elements_take_less_than_seventeen_bytes_each() {
    for side in [End::Left, End::Right] {
        let mut list = Quicklist::new(Shape::default());
        for i in 0..1_000_000 {
            list.push(side, Elem::parse(format!("element{i:08}").as_bytes()));
        }
        assert!(list.memory() < 16_500_000, "{}", list.memory());
    }
}

#[test]
fn inner_nodes_are_compressed() {
    let mut list = Quicklist::new(Shape { fill: -1, depth: 1, alone: Shape::ALONE });
    for i in 0..2000 {
        list.push(End::Right, Elem::parse(format!("the same text again and again {}", i / 100).as_bytes()));
    }
    assert_eq!(list.compressed_nodes(), list.node_count() - 2);
    assert!(list.memory() < list.uncompressed() / 2);
    let whole = texts(&list, 0, End::Right);
    assert_eq!(whole[1234], b"the same text again and again 12");
    while list.len() > 10 {
        list.pop(End::Left, |_| ());
    }
    assert_eq!(list.compressed_nodes(), 0);
    assert_eq!(texts(&list, 0, End::Right), whole[1990..]);
}

#[test]
fn packs_become_lists_and_small_lists_packs() {
    let mut pack = Pack::new();
    (0..20).for_each(|i| pack.push(format!("e{i}").as_bytes()));
    let mut list = Quicklist::from_pack(pack.as_ref(), Shape::default());
    assert_eq!((list.len(), list.node_count()), (20, 1));
    assert_eq!(list.to_pack(200), Some(pack.clone()));
    assert_eq!(list.to_pack(20), None);
    list.pop(End::Left, |_| ());
    list.push(End::Left, Elem::parse(b"e0"));
    assert_eq!(list.to_pack(200), Some(pack.clone()));
    assert_eq!(Quicklist::from_pack(pack.as_ref(), Shape { fill: 7, ..Shape::default() }).node_count(), 3);
}
