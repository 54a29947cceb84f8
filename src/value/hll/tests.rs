//! The forms against each other, and against what they must never do.

use super::*;
use crate::base::rng::Rng;

const NO_LIMIT: usize = usize::MAX;

#[test]
fn both_forms_hold_the_same_registers_and_estimate_the_same() {
    let (mut sparse, mut dense) = (empty(), empty());
    assert_eq!(make_dense(&mut dense), Ok(true));
    assert_eq!(dense.len(), DENSE_LEN);
    for i in 0..3000u32 {
        let element = i.to_le_bytes();
        assert_eq!(add(&mut sparse, &element, NO_LIMIT), add(&mut dense, &element, NO_LIMIT));
        if i % 500 == 0 {
            let (mut a, mut b) = ([0; REGISTERS], [0; REGISTERS]);
            assert_eq!((merge(&mut a, &sparse), merge(&mut b, &dense)), (Ok(()), Ok(())));
            assert!(a == b && count(&sparse) == count(&dense) && count(&sparse) == Ok(count_registers(&a)));
        }
    }
    assert_eq!((encoding(&sparse), encoding(&dense)), (Some(Encoding::Sparse), Some(Encoding::Dense)));
    let off = (count(&dense).unwrap() as i64 - 3000).abs();
    assert!(off < 100, "{off}");
    make_dense(&mut sparse).unwrap();
    assert_eq!(sparse[HEADER..], dense[HEADER..]);
}

#[test]
fn a_sparse_one_becomes_dense_at_the_limit_and_for_high_values() {
    let mut hll = empty();
    let mut longest = 0;
    for i in 0..2000u32 {
        add(&mut hll, &i.to_le_bytes(), 300).unwrap();
        if encoding(&hll) == Some(Encoding::Sparse) {
            longest = longest.max(hll.len());
        }
    }
    assert_eq!(encoding(&hll), Some(Encoding::Dense));
    assert!((290..=300).contains(&longest), "{longest}");
    let mut hll = empty();
    assert_eq!(raise(&mut hll, 5, 32, NO_LIMIT), Ok(true));
    assert_eq!(encoding(&hll), Some(Encoding::Sparse));
    assert_eq!(raise(&mut hll, 5, 33, NO_LIMIT), Ok(true));
    assert_eq!((encoding(&hll), dense_register(&hll[HEADER..], 5)), (Some(Encoding::Dense), 33));
}

#[test]
fn registers_side_by_side_do_not_disturb_each_other() {
    let mut rng = Rng::new(3);
    let mut packed = vec![0; DENSE_LEN - HEADER];
    let mut model = [0u8; REGISTERS];
    for _ in 0..100_000 {
        let (index, value) = (rng.index(REGISTERS), rng.index(64) as u8);
        assert_eq!(raise_dense(&mut packed, index, value), value > model[index]);
        model[index] = model[index].max(value);
    }
    assert!((0..REGISTERS).all(|i| dense_register(&packed, i) == model[i]));
    let mut hll = dense(&empty(), &model);
    assert_eq!(hll[HEADER..], packed);
    forget_estimate(&mut hll);
    assert_eq!(kept_estimate(&hll), None);
    keep_estimate(&mut hll, 0x1234_5678_9abc);
    assert_eq!(kept_estimate(&hll), Some(0x1234_5678_9abc));
}

#[test]
fn sparse_runs_agree_with_a_model_register_by_register() {
    let mut rng = Rng::new(5);
    let (mut hll, mut model) = (empty(), [0u8; REGISTERS]);
    for _ in 0..4000 {
        // Close together, so that runs are split, filled up and joined.
        let (index, value) = (8000 + rng.index(300), 1 + rng.index(4) as u8);
        assert_eq!(raise(&mut hll, index, value, NO_LIMIT), Ok(value > model[index]));
        model[index] = model[index].max(value);
    }
    let mut registers = [0; REGISTERS];
    merge(&mut registers, &hll).unwrap();
    assert!(registers == model);
}

#[test]
fn nonsense_is_found_and_never_read_beyond_its_end() {
    let mut rng = Rng::new(9);
    for _ in 0..3000 {
        let mut hll = empty();
        for i in 0..rng.index(60) as u32 {
            add(&mut hll, &i.to_le_bytes(), NO_LIMIT).unwrap();
        }
        for _ in 0..1 + rng.index(4) {
            let at = HEADER + rng.index(hll.len() - HEADER);
            match rng.index(3) {
                0 => hll[at] = rng.next_u64() as u8,
                1 => hll.truncate(at.max(HEADER + 1)),
                _ => hll.insert(at, rng.next_u64() as u8),
            }
        }
        let good = count(&hll).is_ok();
        assert_eq!(merge(&mut [0; REGISTERS], &hll).is_ok(), good);
        assert_eq!(make_dense(&mut hll.clone()).is_ok(), good);
        for i in 0..40u32 {
            let _either = add(&mut hll, &(i + 1000).to_le_bytes(), 3000);
        }
    }
    assert_eq!(count(&empty()[..HEADER]), Err(Corrupt));
}
