//! Packed lists of every form of element, made by hand, intact and damaged.

use super::*;
use crate::base::rng::Rng;

fn listpack_of(elements: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend((elements.len() as u16).to_le_bytes());
    for element in elements {
        bytes.extend_from_slice(element);
        let len = element.len();
        let width = match len {
            0..=127 => 1,
            128..16_383 => 2,
            _ => 3,
        };
        for i in (0..width).rev() {
            let mark = if i + 1 == width { 0 } else { 0x80 };
            bytes.push((len >> (7 * i)) as u8 & 0x7f | mark);
        }
    }
    bytes.push(END);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes
}

fn ziplist_of(elements: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend((elements.len() as u16).to_le_bytes());
    let (mut before, mut last) = (0, bytes.len());
    for element in elements {
        last = bytes.len();
        if before < 254 {
            bytes.push(before as u8);
        } else {
            bytes.push(0xfe);
            bytes.extend((before as u32).to_le_bytes());
        }
        bytes.extend_from_slice(element);
        before = bytes.len() - last;
    }
    bytes.push(END);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes
}

type Walk = fn(&[u8], &mut dyn FnMut(&[u8])) -> Checked<()>;

const LISTPACK: Walk = |bytes, each| listpack(bytes, each);
const ZIPLIST: Walk = |bytes, each| ziplist(bytes, each);

fn elements(walk: Walk, bytes: &[u8]) -> Checked<Vec<String>> {
    let mut elements = Vec::new();
    walk(bytes, &mut |element| elements.push(element.escape_ascii().to_string()))?;
    Ok(elements)
}

#[test]
fn every_form_of_a_listpack_element() {
    let (text_64, text_4096) = ([&[0xe0, 64][..], &[b'x'; 64]].concat(), vec![b'y'; 4096]);
    let text_4096 = [&[0xf0, 0, 0x10, 0, 0][..], &text_4096].concat();
    let bytes = listpack_of(&[
        b"\x00",
        b"\x7f",
        b"\x80",
        b"\x83abc",
        b"\xcf\xff",
        b"\xd0\x00",
        b"\xdf\xff",
        b"\xf1\x00\x80",
        b"\xf2\x00\x00\x80",
        b"\xf2\xff\xff\x7f",
        b"\xf3\x00\x00\x00\x80",
        b"\xf4\xff\xff\xff\xff\xff\xff\xff\x7f",
        &text_64,
        &text_4096,
    ]);
    let expected = [
        "0",
        "127",
        "",
        "abc",
        "4095",
        "-4096",
        "-1",
        "-32768",
        "-8388608",
        "8388607",
        "-2147483648",
        "9223372036854775807",
        &"x".repeat(64),
        &"y".repeat(4096),
    ];
    assert_eq!(elements(LISTPACK, &bytes).unwrap(), expected);
}

#[test]
fn every_form_of_a_ziplist_element() {
    let text_300 = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
    let text_20000 = [&[0x80, 0, 0, 0x4e, 0x20][..], &[b'y'; 20_000]].concat();
    let bytes = ziplist_of(&[
        b"\x00",
        b"\x03abc",
        &text_300,
        b"\xf1",
        b"\xfd",
        b"\xfe\x80",
        b"\xc0\x00\x80",
        b"\xf0\xff\xff\x7f",
        b"\xd0\x00\x00\x00\x80",
        &text_20000,
        b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
    ]);
    let expected = [
        "",
        "abc",
        &"x".repeat(300),
        "0",
        "12",
        "-128",
        "-32768",
        "8388607",
        "-2147483648",
        &"y".repeat(20_000),
        "-9223372036854775808",
    ];
    assert_eq!(elements(ZIPLIST, &bytes).unwrap(), expected);
}

#[test]
fn empty_ones_and_long_counts() {
    assert_eq!(elements(LISTPACK, &listpack_of(&[])), Ok(vec![]));
    assert_eq!(elements(ZIPLIST, &ziplist_of(&[])), Ok(vec![]));
    type Pack = fn(&[&[u8]]) -> Vec<u8>;
    let forms: [(Walk, Pack, &[u8], usize); 2] =
        [(LISTPACK, listpack_of, b"\x05", 4), (ZIPLIST, ziplist_of, b"\xf6", 8)];
    for (walk, pack, element, count_at) in forms {
        let mut many = pack(&vec![element; 70_000]);
        many[count_at..count_at + 2].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(elements(walk, &many).unwrap().len(), 70_000);
        let mut few = pack(&[element; 3]);
        few[count_at..count_at + 2].copy_from_slice(&[0xff, 0xff]);
        // A listpack with this count says nothing of it, as whoever takes elements out may leave it so.
        assert_eq!(elements(walk, &few).is_ok(), count_at == 4);
    }
}

#[test]
fn damage_outside_the_elements_bytes_is_refused() {
    let listpack = listpack_of(&[b"\x83abc", b"\xf1\x34\x12"]);
    let ziplist = ziplist_of(&[b"\x03abc", b"\xc0\x34\x12"]);
    for (walk, intact) in [(LISTPACK, &listpack), (ZIPLIST, &ziplist)] {
        for len in 0..intact.len() {
            assert!(elements(walk, &intact[..len]).is_err(), "{len}");
        }
        for bit in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let is_data = [&b"abc"[..], b"\x34\x12"].iter().any(|data| {
                let at = intact.windows(data.len()).position(|w| w == *data).unwrap();
                (at..at + data.len()).contains(&(bit / 8))
            });
            assert_eq!(elements(walk, &bytes).is_ok(), is_data, "bit {bit}");
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = Rng::new(3);
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..rng.index(60)).map(|_| rng.next_u64() as u8).collect();
        let walk = if round % 2 == 0 { LISTPACK } else { ZIPLIST };
        let header = if round % 2 == 0 { 6 } else { 10 };
        if bytes.len() > header {
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
            *bytes.last_mut().unwrap() = END;
        }
        let mut handed = 0;
        let _ = walk(&bytes, &mut |element| handed += element.len().max(1));
        assert!(handed <= bytes.len() * 20);
    }
}
