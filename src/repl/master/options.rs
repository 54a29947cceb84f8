//! [`Options`]: what REPLCONF has told of a connection, before and after it became a replica.
//!
//! *Duty:* the grammar of REPLCONF and its errors. *Does not know:* who sends it. *Invariants:* options in front of a
//! bad one hold, as in C. *Counterpart in C Redis:* `replconfCommand`, `slave_capa`, `slave_req`.

use crate::base::num;
use crate::base::quote::split_args;

/// The longest `ip-address`; one byte less than C's buffer.
const ADDRESS_MAX: usize = 255;

/// What a snapshot leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub exclude_data: bool,
    pub exclude_functions: bool,
}

impl Filter {
    pub fn is_any(self) -> bool {
        self.exclude_data || self.exclude_functions
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// 0: not told.
    pub listening_port: i64,
    pub ip_address: Option<Vec<u8>>,
    /// `capa eof`: it understands a transfer without a length. `capa psync2`: and a new id at a continuation.
    pub eof: bool,
    pub psync2: bool,
    /// It wants the data set, not the stream.
    pub rdb_only: bool,
    pub filter: Filter,
}

/// What a replica has of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Applied.
    pub offset: i64,
    /// And on its disk, in an append only file (`FACK`, of 7.2).
    pub on_disk: Option<i64>,
}

/// How REPLCONF is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replconf {
    Ok,
    /// Not at all: note it, if it is a replica that speaks. None if the offset was no number.
    Ack(Option<Acked>),
    /// Not at all: if this server has a master, and that is who asks, tell it our offset.
    GetAck,
}

impl Options {
    /// Takes the arguments behind `REPLCONF`. The error is without its `ERR `.
    pub fn apply(&mut self, args: &[&[u8]]) -> Result<Replconf, String> {
        let pairs = args.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err("syntax error".to_string());
        }
        for pair in pairs {
            let value = pair[1];
            match pair[0].to_ascii_lowercase().as_slice() {
                b"listening-port" => self.listening_port = integer(value)?,
                b"ip-address" if value.len() <= ADDRESS_MAX => self.ip_address = Some(value.to_vec()),
                b"ip-address" => {
                    let len = value.len();
                    return Err(format!("REPLCONF ip-address provided by replica instance is too long: {len} bytes"));
                }
                b"capa" if value.eq_ignore_ascii_case(b"eof") => self.eof = true,
                b"capa" if value.eq_ignore_ascii_case(b"psync2") => self.psync2 = true,
                b"capa" => {}
                b"ack" => return Ok(Replconf::Ack(acked(args))),
                b"getack" => return Ok(Replconf::GetAck),
                b"rdb-only" => match integer(value)? {
                    only @ 0..=1 => self.rdb_only = only == 1,
                    _ => return Err("value is out of range, value must between 0 and 1".to_string()),
                },
                b"rdb-filter-only" => self.filter_only(value)?,
                _ => return Err(format!("Unrecognized REPLCONF option: {}", String::from_utf8_lossy(pair[0]))),
            }
        }
        Ok(Replconf::Ok)
    }

    /// Everything is left out but the parts that are named.
    fn filter_only(&mut self, value: &[u8]) -> Result<(), String> {
        let parts = split_args(value).ok_or("Missing rdb-filter-only values")?;
        self.filter = Filter { exclude_data: true, exclude_functions: true };
        for part in parts {
            if !part.eq_ignore_ascii_case(b"functions") {
                return Err(format!("Unsupported rdb-filter-only option: {}", String::from_utf8_lossy(&part)));
            }
            self.filter.exclude_functions = false;
        }
        Ok(())
    }
}

/// `ACK offset [FACK offset]`, in front of whatever else there is.
fn acked(args: &[&[u8]]) -> Option<Acked> {
    let at = args.iter().position(|word| word.eq_ignore_ascii_case(b"ack"))?;
    let offset = num::parse_i64(args.get(at + 1)?)?;
    let on_disk = match args.get(at + 2..at + 4) {
        Some([word, value]) if word.eq_ignore_ascii_case(b"fack") => num::parse_i64(value),
        _ => None,
    };
    Some(Acked { offset, on_disk })
}

fn integer(text: &[u8]) -> Result<i64, String> {
    num::parse_i64(text).ok_or_else(|| "value is not an integer or out of range".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(options: &mut Options, line: &str) -> Result<Replconf, String> {
        let args = split_args(line.as_bytes()).unwrap();
        options.apply(&args.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_a_replica() {
        let mut options = Options::default();
        for line in ["listening-port 6380", "IP-address 10.0.0.9", "capa eof capa PSYNC2 capa other", "rdb-only 1"] {
            assert_eq!(apply(&mut options, line), Ok(Replconf::Ok), "{line}");
        }
        let ip_address = Some(b"10.0.0.9".to_vec());
        let told =
            Options { listening_port: 6380, ip_address, eof: true, psync2: true, rdb_only: true, ..Options::default() };
        assert_eq!(options, told);
        assert_eq!(apply(&mut options, "rdb-filter-only functions"), Ok(Replconf::Ok));
        assert_eq!(options.filter, Filter { exclude_data: true, exclude_functions: false });
        assert_eq!(apply(&mut options, "rdb-filter-only ''"), Ok(Replconf::Ok));
        assert!(options.filter.exclude_functions && options.filter.is_any());
        assert_eq!(apply(&mut options, "ack 77"), Ok(Replconf::Ack(Some(Acked { offset: 77, on_disk: None }))));
        let both = Acked { offset: 77, on_disk: Some(70) };
        assert_eq!(apply(&mut options, "ACK 77 FACK 70"), Ok(Replconf::Ack(Some(both))));
        assert_eq!(apply(&mut options, "ack x"), Ok(Replconf::Ack(None)));
        assert_eq!(apply(&mut options, "getack *"), Ok(Replconf::GetAck));
    }

    #[test]
    fn errors_have_the_texts_of_redis() {
        let long = format!("ip-address {}", "1".repeat(256));
        for (line, error) in [
            ("capa", "syntax error"),
            ("listening-port x", "value is not an integer or out of range"),
            ("rdb-only 2", "value is out of range, value must between 0 and 1"),
            ("rdb-filter-only keys", "Unsupported rdb-filter-only option: keys"),
            ("rdb-filter-only '\"open'", "Missing rdb-filter-only values"),
            ("nothing 1", "Unrecognized REPLCONF option: nothing"),
            (&long, "REPLCONF ip-address provided by replica instance is too long: 256 bytes"),
        ] {
            assert_eq!(apply(&mut Options::default(), line), Err(error.to_string()), "{line}");
        }
    }
}
