//! Lists that grow, shrink and change their form, against a vector.

use super::*;
use crate::base::hash::HashSeed;
use crate::base::rng::Rng;

fn texts(list: ListRef<'_>, index: usize, towards: End) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    list.range(index, usize::MAX, towards, |elem| out.push(elem.to_vec()));
    out
}

fn change(rng: &mut Rng, list: &mut List, model: &mut Vec<Vec<u8>>, limits: &Limits, grow: bool) {
    let text = format!("{}", rng.below(12)).repeat(1 + rng.index(9)).into_bytes();
    let index = rng.index(model.len() + 1);
    let end = if rng.below(2) == 0 { End::Left } else { End::Right };
    match rng.below(8) {
        0..=2 if grow => {
            list.push(end, &text, limits);
            model.insert(if end == End::Left { 0 } else { model.len() }, text);
        }
        0..=2 if !model.is_empty() => {
            let expected = model.remove(if end == End::Left { 0 } else { model.len() - 1 });
            assert_eq!(list.pop(end, |elem| elem.to_vec()), Some(expected));
        }
        3 => {
            list.insert(index, &text, limits);
            model.insert(index, text);
        }
        4 => {
            assert_eq!(list.replace(index, &text, limits), index < model.len());
            if index < model.len() {
                model[index] = text;
            }
        }
        5 => {
            let n = rng.index(3);
            list.remove(index, n);
            model.drain(index..(index + n).min(model.len()));
        }
        6 => {
            let max = 1 + rng.index(3);
            let mut found: Vec<usize> = (0..model.len()).filter(|i| model[*i] == text).collect();
            if end == End::Right {
                found.reverse();
            }
            found.truncate(max);
            assert_eq!(list.remove_matching(&text, max, end), found.len());
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.into_iter().for_each(|i| drop(model.remove(i)));
        }
        _ => {}
    }
}

#[test]
fn random_changes_agree_with_a_vector_through_both_forms() {
    let mut rng = Rng::new(1);
    let mut limits = Limits::new(HashSeed::new(1));
    let mut seen = [0; 2];
    for fill in [-2, 5, 40] {
        limits.list_max_listpack_size = fill;
        let (mut list, mut model) = (List::new(), Vec::new());
        for round in 0..4000 {
            change(&mut rng, &mut list, &mut model, &limits, round / 500 % 2 == 0);
            seen[usize::from(matches!(list, List::Quick(_)))] += 1;
            assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            if round % 8 == 0 {
                assert_eq!(texts(list.as_ref(), 0, End::Right), model);
                let from = rng.index(model.len() + 1);
                let mut back: Vec<_> = model.iter().take(from + 1).cloned().collect();
                back.reverse();
                assert_eq!(texts(list.as_ref(), from, End::Left), if from < model.len() { back } else { vec![] });
                assert_eq!(list.as_ref().at(from, |elem| elem.to_vec()), model.get(from).cloned());
                let mut nodes = Vec::new();
                let visit = list.as_ref().each_node(|run| {
                    assert!(run.count > 0);
                    nodes.extend(run.iter().map(Elem::to_vec));
                    Ok::<(), ()>(())
                });
                assert_eq!((visit, nodes), (Ok(()), model.clone()));
            }
        }
    }
    assert!(seen.iter().all(|rounds| *rounds > 1000), "{seen:?}");
}

#[test]
fn a_short_list_rests_as_bytes() {
    let limits = Limits::new(HashSeed::new(1));
    let mut list = List::new();
    (0..10).for_each(|i| list.push(End::Right, format!("item{i}").as_bytes(), &limits));
    let (form, bytes) = list.rest().unwrap();
    assert_eq!((form, bytes.len()), (Rest::List, 2 + 10 * 6));
    assert_eq!(texts(ListRef::from_rest(bytes), 8, End::Right), [b"item8", b"item9"]);
    (0..100).for_each(|i| list.push(End::Left, format!("item{i}").as_bytes(), &limits));
    assert!(list.rest().is_none());
    assert_eq!(list.as_ref().encoding(), "quicklist");
}
