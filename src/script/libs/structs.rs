//! `struct`: numbers and strings in the layout of C structures.
//!
//! *Duty:* pack, unpack, size, with the letters `> < ! x b B h H l L T f d s cN iN IN` and blanks.
//! *Invariants:* positions are the unsigned 64 bits of C, so that an offset below 1 is found too far behind rather
//! than in front. What would not fit is refused before it is read or made.
//! *Counterpart in C Redis:* `deps/lua/src/lua_struct.c`.

use mlua::{Lua, MultiValue, Table, Value};

use super::super::raise::{Fail, Given, Outcome, Takes, bad_argument, fail, truncate};
use super::{LONGEST, MOST_OBJECTS, STACK, reply, single, table};

const MAX_ALIGN: u64 = 8;
const MAX_INT_SIZE: u64 = 32;

pub fn open(lua: &Lua) -> mlua::Result<Table> {
    let rows: [super::Row; 3] =
        [("pack", Takes::Many, pack), ("unpack", Takes::Few, unpack), ("size", Takes::Few, size)];
    table(lua, Value::Nil, &rows)
}

/// The format, read letter by letter, and what its control letters said.
struct Format {
    text: Vec<u8>,
    at: usize,
    little: bool,
    align: u64,
}

impl Format {
    fn new(given: &Given<'_>) -> Result<Format, Fail> {
        let mut text = given.string(1)?.as_bytes().to_vec();
        text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
        Ok(Format { text, at: 0, little: true, align: 1 })
    }

    /// The next letter, and how many bytes it stands for (0 for `s`, `c0` and control letters).
    fn next(&mut self) -> Result<Option<(u8, u64)>, Fail> {
        let Some(letter) = self.text.get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        let size = match letter {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MAX_INT_SIZE {
                    return fail(format!("integral size {size} is larger than limit of {MAX_INT_SIZE}"));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((letter, size)))
    }

    fn number(&mut self, default: u64) -> Result<u64, Fail> {
        let digits = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let mut number = 0;
        for digit in &self.text[self.at..self.at + digits] {
            number = number * 10 + u64::from(digit - b'0');
            if number > i32::MAX as u64 {
                return fail("integral size overflow");
            }
        }
        self.at += digits;
        Ok(number)
    }

    /// How many bytes stand before an item of this size at this place.
    fn padding(&self, place: u64, letter: u8, size: u64) -> u64 {
        if size == 0 || letter == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        size.wrapping_sub(place & (size - 1)) & (size - 1)
    }

    fn control(&mut self, letter: u8) -> Result<(), Fail> {
        match letter {
            b' ' => {}
            b'>' => self.little = false,
            b'<' => self.little = true,
            b'!' => {
                let align = self.number(MAX_ALIGN)?;
                if !align.is_power_of_two() {
                    return fail(format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
            }
            _ => return bad_argument(1, [b"invalid format option '", &[letter][..], b"'"].concat()),
        }
        Ok(())
    }
}

fn size(given: &Given<'_>) -> Outcome {
    let mut format = Format::new(given)?;
    let mut total = 0u64;
    while let Some((letter, size)) = format.next()? {
        total += format.padding(total, letter, size);
        match letter {
            b's' => return bad_argument(1, "option 's' has no fixed size"),
            b'c' if size == 0 => return bad_argument(1, "option 'c0' has no fixed size"),
            _ if !letter.is_ascii_alphanumeric() => format.control(letter)?,
            _ => {}
        }
        total += size;
    }
    reply(given, total as f64)
}

/// Nil stands behind the arguments on the stack of the original, so a missing one is "nil".
fn missing<T>(given: &Given<'_>, at: usize, expected: &str) -> Result<T, Fail> {
    if at > given.len() {
        return bad_argument(at, format!("{expected} expected, got nil"));
    }
    given.wrong_type(at, expected)
}

fn number(given: &Given<'_>, at: usize) -> Result<f64, Fail> {
    if at > given.len() { missing(given, at, "number") } else { given.number(at) }
}

fn put(out: &mut Vec<u8>, little_endian: &[u8], little: bool) {
    match little {
        true => out.extend_from_slice(little_endian),
        false => out.extend(little_endian.iter().rev()),
    }
}

/// A double as C on x86-64 makes an unsigned long of it: by way of a signed one when it is negative.
fn to_unsigned(n: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if n < HALF || n.is_nan() { truncate(n) as u64 } else { (truncate(n - HALF) as u64) ^ (1 << 63) }
}

fn pack(given: &Given<'_>) -> Outcome {
    let mut format = Format::new(given)?;
    let mut out: Vec<u8> = Vec::new();
    let mut next = 2;
    let mut argument = || {
        next += 1;
        next - 1
    };
    while let Some((letter, size)) = format.next()? {
        out.resize(out.len() + format.padding(out.len() as u64, letter, size) as usize, 0);
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let mut bytes = [0; MAX_INT_SIZE as usize];
                bytes[..8].copy_from_slice(&to_unsigned(number(given, argument())?).to_le_bytes());
                put(&mut out, &bytes[..size as usize], format.little);
            }
            b'x' => out.push(0),
            b'f' => put(&mut out, &(number(given, argument())? as f32).to_le_bytes(), format.little),
            b'd' => put(&mut out, &number(given, argument())?.to_le_bytes(), format.little),
            b'c' | b's' => {
                let at = argument();
                let text = if at > given.len() { missing(given, at, "string")? } else { given.string(at)? };
                let text = text.as_bytes();
                let wanted = if size == 0 { text.len() as u64 } else { size };
                if wanted > text.len() as u64 {
                    return bad_argument(at + 1, "string too short");
                }
                out.extend_from_slice(&text[..wanted as usize]);
                if letter == b's' {
                    out.push(0);
                }
            }
            _ => format.control(letter)?,
        }
        if out.len() > LONGEST {
            return fail("the result is too long");
        }
    }
    single(Value::String(given.lua.create_string(out)?))
}

/// An integer of any size: of more than eight bytes the lowest eight count. The sign is where C's shift, which takes
/// the lowest six bits of its count, finds it.
fn get(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let join = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    let value = if little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) };
    if !signed {
        return value as f64;
    }
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32 * 8).wrapping_sub(1));
    (if value & mask != 0 { value | mask } else { value }) as i64 as f64
}

fn unpack(given: &Given<'_>) -> Outcome {
    let mut format = Format::new(given)?;
    let data = given.string(2)?;
    let data = data.as_bytes();
    let len = data.len() as u64;
    let mut at = given.integer_or(3, 1)? as u64;
    if at == 0 {
        return bad_argument(3, "offset must be 1 or greater");
    }
    at -= 1;
    let mut values = MultiValue::new();
    let mut objects = 0;
    while let Some((letter, mut size)) = format.next()? {
        at = at.wrapping_add(format.padding(at, letter, size));
        let fits = |size: u64, at: u64| size <= len && at <= len - size;
        if !fits(size, at) {
            return bad_argument(2, "data string too short");
        }
        if values.len() + 5 > STACK || objects > MOST_OBJECTS {
            return fail("stack overflow (too many results)");
        }
        let here = at as usize;
        let field = &data[here..here + size as usize];
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                values.push_back(Value::Number(get(field, format.little, letter.is_ascii_lowercase())));
            }
            b'x' => {}
            b'f' => values.push_back(Value::Number(f64::from(f32::from_bits(whole(field, format.little) as u32)))),
            b'd' => values.push_back(Value::Number(f64::from_bits(whole(field, format.little)))),
            b'c' => {
                if size == 0 {
                    size = to_unsigned(previous(given, &mut values)?);
                    if !fits(size, at) {
                        return bad_argument(2, "data string too short");
                    }
                }
                values.push_back(Value::String(given.lua.create_string(&data[here..here + size as usize])?));
                objects += 1;
            }
            b's' => {
                let Some(end) = data[here..].iter().position(|b| *b == 0) else {
                    return fail("unfinished string in data");
                };
                values.push_back(Value::String(given.lua.create_string(&data[here..here + end])?));
                size = end as u64 + 1;
                objects += 1;
            }
            _ => format.control(letter)?,
        }
        at += size;
    }
    values.push_back(Value::Number(at.wrapping_add(1) as i64 as f64));
    Ok(values)
}

fn whole(bytes: &[u8], little: bool) -> u64 {
    let join = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
}

/// The value before `c0`, which says its length and is no result then.
fn previous(given: &Given<'_>, values: &mut MultiValue) -> Result<f64, Fail> {
    let number = match values.back() {
        Some(Value::Number(n)) => Some(*n),
        Some(value @ Value::String(_)) => given.lua.coerce_number(value.clone())?,
        _ => None,
    };
    values.pop_back();
    number.map_or_else(|| fail("format 'c0' needs a previous size"), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(code: &str) -> String {
        let lua = Lua::new();
        lua.globals().set("struct", open(&lua).unwrap()).unwrap();
        let help = "local function join(...) local r = {...} for i = 1, select('#', ...) do r[i] = tostring(r[i]) end \
                    return table.concat(r, ' ') end \
                    local function p(...) return (struct.pack(...):gsub('.', function(c) \
                    return ('%02x'):format(c:byte()) end)) end ";
        lua.load(format!("{help} return join({code})")).set_name("@user_script").eval().unwrap()
    }

    fn error(code: &str) -> String {
        let text = eval(&format!("select(2, pcall(function() return {code} end))"));
        text.strip_prefix("user_script:1: ").unwrap_or(&text).to_string()
    }

    #[test]
    fn packing() {
        let cases = [
            (
                "p('bBhHlLTiI',1,2,3,4,5,6,7,8,9)",
                "0102030004000500000000000000060000000000000007000000000000000800000009000000",
            ),
            ("p('>bhli',1,3,5,8)", "0100030000000000000005000000 08"),
            ("p('!bi',1,2)", "0100000002000000"),
            ("p('!4bd',1,2)", "010000000000000000000040"),
            ("p('fd',1.5,2.5)", "0000c03f0000000000000440"),
            ("p('>fd',1.5,2.5)", "3fc000004004000000000000"),
            ("p('s','abc')..p('c0','abc')..p('c2','abc')..p('c','abc')..p('xx')", "61626300616263616261 0000"),
            ("p('i3i16>i16',1,-1,-1)", "010000ffffffffffffffff00000000000000000000000000000000ffffffffffffffff"),
            ("p('i1i2i4i8',-1,-2,-3,-4)", "fffefffdfffffffcffffffffffffff"),
            ("p('bbb',300,-129,1.7)", "2c7f01"),
            ("p('i8I8',2^63,2^64)", "00000000000000800000000000000000"),
            ("p('Li8',0/0,1/0)", "00000000000000800000000000000000"),
            ("p('s!8i','ab',1)", "6162000001000000"),
            ("p('i0',1)..p('i','5')", "05000000"),
        ];
        for (code, expected) in cases {
            assert_eq!(eval(code), expected.replace(' ', ""), "{code}");
        }
    }

    #[test]
    fn sizes() {
        let code = "struct.size('y'), struct.size('c10'), struct.size('!bihld'), struct.size('bihld'), \
                    struct.size('b!4d'), struct.size('!16bi16'), struct.size('!'), \
                    struct.size('c2147483647c2147483647')";
        assert_eq!(eval(code), "0 10 32 23 12 32 0 4294967294");
    }

    #[test]
    fn unpacking() {
        let cases = [
            (r"struct.unpack('bBhHi','\255\255\255\255\255\255\255\255\255\255')", "-1 255 -1 65535 -1 11"),
            (r"struct.unpack('>bBhHi','\255\255\1\2\3\4\5\6\7\8')", "-1 255 258 772 84281096 11"),
            ("struct.unpack('','abc',100)", "100"),
            (r"struct.unpack('s','abc\0def')", "abc 5"),
            (r"struct.unpack('Bc0','\2abc')", "ab 4"),
            (r"struct.unpack('sc0','3\0abc')", "abc 6"),
            ("struct.unpack('xb','abc')", "98 3"),
            ("struct.unpack('i3i9>i16I16',('\\255'):rep(44))", "-1 -1 -1 1.844674407371e+19 45"),
            ("struct.unpack('i0b','abc')", "0 97 2"),
            ("struct.unpack('!bi','abcdefghijk')", "97 1751606885 9"),
            ("struct.unpack('!b i','abcdefghijk',2)", "98 1751606885 9"),
            ("struct.unpack('b','abc',1.9)", "97 2"),
            ("struct.unpack('fd>fd',struct.pack('fd>fd',1.5,0.1,1.5,0.1))", "1.5 0.1 1.5 0.1 25"),
            ("select('#', struct.unpack(('b'):rep(7900),('a'):rep(8000)))", "7901"),
        ];
        for (code, expected) in cases {
            assert_eq!(eval(code), expected, "{code}");
        }
    }

    #[test]
    fn refusals() {
        let cases = [
            ("struct.pack('ii',1)", "bad argument #3 to 'pack' (number expected, got nil)"),
            ("struct.pack('s')", "bad argument #2 to 'pack' (string expected, got nil)"),
            ("struct.pack('i','x')", "bad argument #2 to 'pack' (number expected, got string)"),
            ("struct.pack('c5','abc')", "bad argument #3 to 'pack' (string too short)"),
            ("struct.pack('y',1)", "bad argument #1 to 'pack' (invalid format option 'y')"),
            ("struct.pack('i33',1)", "integral size 33 is larger than limit of 32"),
            ("struct.pack('!3i',1)", "alignment 3 is not a power of 2"),
            ("struct.pack('!0i',1)", "alignment 0 is not a power of 2"),
            ("struct.pack('c99999999999','a')", "integral size overflow"),
            ("struct.pack('c2147483647','a')", "bad argument #3 to 'pack' (string too short)"),
            ("struct.size('s')", "bad argument #1 to 'size' (option 's' has no fixed size)"),
            ("struct.size('c0')", "bad argument #1 to 'size' (option 'c0' has no fixed size)"),
            ("struct.size('(b)')", "bad argument #1 to 'size' (invalid format option '(')"),
            ("struct.unpack('i','abc')", "bad argument #2 to 'unpack' (data string too short)"),
            ("struct.unpack('i')", "bad argument #2 to 'unpack' (string expected, got no value)"),
            ("struct.unpack('b','abc',0)", "bad argument #3 to 'unpack' (offset must be 1 or greater)"),
            ("struct.unpack('b','abc',-1)", "bad argument #2 to 'unpack' (data string too short)"),
            ("struct.unpack('b','abc',2^40)", "bad argument #2 to 'unpack' (data string too short)"),
            ("struct.unpack(' ','abc',100)", "bad argument #2 to 'unpack' (data string too short)"),
            ("struct.unpack('s','abc')", "unfinished string in data"),
            (r"struct.unpack('c0','\2abc')", "format 'c0' needs a previous size"),
            (r"struct.unpack('bc0','\255abc')", "bad argument #2 to 'unpack' (data string too short)"),
            (r"struct.unpack('fc0','\0\0\192\127abc')", "bad argument #2 to 'unpack' (data string too short)"),
            ("struct.unpack('i33',('a'):rep(40))", "integral size 33 is larger than limit of 32"),
            ("struct.unpack(('b'):rep(9000),('a'):rep(9000))", "stack overflow (too many results)"),
        ];
        for (code, expected) in cases {
            assert_eq!(error(code), expected, "{code}");
        }
    }
}
