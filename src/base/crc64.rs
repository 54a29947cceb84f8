//! CRC-64 with the Jones polynomial: the checksum at the end of an RDB file and of a DUMP payload.
//!
//! *Duty:* an incremental checksum, fast enough not to show beside a file read.
//! *Does not know:* where the sum is stored, or that zero there means "not summed".
//! *Invariants:* `update(update(0, a), b)` is the sum of `a` followed by `b`. No initial or final inversion.
//! *Method:* sixteen bytes a step. The sum is linear, so each byte contributes its own term, looked up in the table
//! of its distance from the end of the step; the old sum is folded into the first eight bytes.
//! *Counterpart in C Redis:* `crc64`.

/// 0xad93d23594c935a9 with its bits in reverse: the sum shifts to the right.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

const STEP: usize = 16;

/// `TABLES[d][b]`: what byte `b` contributes when `d` more bytes follow it.
static TABLES: [[u64; 256]; STEP] = make_tables();

const fn make_tables() -> [[u64; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut distance = 1;
    while distance < STEP {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[distance - 1][byte];
            tables[distance][byte] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        distance += 1;
    }
    tables
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`. Begin with 0.
pub fn update(mut crc: u64, bytes: &[u8]) -> u64 {
    let mut steps = bytes.chunks_exact(STEP);
    for step in &mut steps {
        let head = crc.to_le_bytes();
        crc = 0;
        for (i, &byte) in step.iter().enumerate() {
            let byte = if i < head.len() { byte ^ head[i] } else { byte };
            crc ^= TABLES[STEP - 1 - i][usize::from(byte)];
        }
    }
    for &byte in steps.remainder() {
        crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bit_by_bit(mut crc: u64, bytes: &[u8]) -> u64 {
        for &byte in bytes {
            crc ^= u64::from(byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
        crc
    }

    #[test]
    fn the_check_value() {
        assert_eq!(update(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(update(0, b""), 0);
        assert_eq!(update(7, b""), 7);
    }

    /// `SET k hello`, `DUMP k` on 7.0.15: the last eight bytes sum up all before them.
    #[test]
    fn the_sum_of_a_dump_payload() {
        assert_eq!(&update(0, b"\x00\x05hello\x0a\x00").to_le_bytes(), b"cr\xdfve4 \n");
    }

    #[test]
    fn every_length_and_split_agrees_with_the_definition() {
        let bytes: Vec<u8> = (0..100u32).map(|i| (i * 167 + 13) as u8).collect();
        for len in 0..bytes.len() {
            let expected = bit_by_bit(0, &bytes[..len]);
            assert_eq!(update(0, &bytes[..len]), expected, "{len}");
            let (a, b) = bytes[..len].split_at(len / 3);
            assert_eq!(update(update(0, a), b), expected, "{len}");
        }
    }
}
