//! `bit`: operations on the 32 bits of a number.
//!
//! *Duty:* tobit, tohex, bnot, band, bor, bxor, lshift, rshift, arshift, rol, ror, bswap.
//! *Invariants:* a number is reduced to its lowest 32 bits by adding 1.5 × 2^52 and looking at the mantissa, so that
//! fractions are rounded to even and numbers beyond 2^51 give what the arithmetic of doubles gives. Results are signed.
//! *Counterpart in C Redis:* `deps/lua/src/lua_bit.c` (BitOp 1.0.2).

use mlua::{Lua, Table, Value};

use super::super::raise::{Fail, Given, Outcome, Takes};
use super::{reply, single, table};

const MAGIC: f64 = 6_755_399_441_055_744.0;

pub fn open(lua: &Lua) -> mlua::Result<Table> {
    let rows: [super::Row; 12] = [
        ("tobit", Takes::Few, |given| signed(bits(given, 1)?)),
        ("bnot", Takes::Few, |given| signed(!bits(given, 1)?)),
        ("band", Takes::Many, |given| fold(given, |a, b| a & b)),
        ("bor", Takes::Many, |given| fold(given, |a, b| a | b)),
        ("bxor", Takes::Many, |given| fold(given, |a, b| a ^ b)),
        ("lshift", Takes::Few, |given| shift(given, |b, n| b << n)),
        ("rshift", Takes::Few, |given| shift(given, |b, n| b >> n)),
        ("arshift", Takes::Few, |given| shift(given, |b, n| (b as i32 >> n) as u32)),
        ("rol", Takes::Few, |given| shift(given, u32::rotate_left)),
        ("ror", Takes::Few, |given| shift(given, u32::rotate_right)),
        ("bswap", Takes::Few, |given| signed(bits(given, 1)?.swap_bytes())),
        ("tohex", Takes::Few, tohex),
    ];
    table(lua, Value::Nil, &rows)
}

fn bits(given: &Given<'_>, at: usize) -> Result<u32, Fail> {
    Ok((given.number(at)? + MAGIC).to_bits() as u32)
}

fn signed(bits: u32) -> Outcome {
    single(Value::Integer(i64::from(bits as i32)))
}

/// The first argument, then the others from the last on: the order in which wrong ones are found.
fn fold(given: &Given<'_>, join: fn(u32, u32) -> u32) -> Outcome {
    let mut result = bits(given, 1)?;
    for at in (2..=given.len()).rev() {
        result = join(result, bits(given, at)?);
    }
    signed(result)
}

fn shift(given: &Given<'_>, by: fn(u32, u32) -> u32) -> Outcome {
    let value = bits(given, 1)?;
    let count = bits(given, 2)? & 31;
    signed(by(value, count))
}

/// The last digits of the number; a negative count asks for capitals.
fn tohex(given: &Given<'_>) -> Outcome {
    let value = bits(given, 1)?;
    let count = if given.len() < 2 { 8 } else { bits(given, 2)? as i32 };
    let digits = if count < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    let shown = (count.unsigned_abs() as usize).min(8);
    reply(given, &digits[8 - shown..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(code: &str) -> String {
        let lua = Lua::new();
        lua.globals().set("bit", open(&lua).unwrap()).unwrap();
        let all = "local function join(...) local r = {...} for i = 1, select('#', ...) do r[i] = tostring(r[i]) end \
                   return table.concat(r, ' ') end ";
        lua.load(format!("{all} return join({code})")).set_name("@user_script").eval().unwrap()
    }

    fn error(code: &str) -> String {
        eval(&format!("select(2, pcall(function() return {code} end))"))
    }

    #[test]
    fn numbers_become_32_bits() {
        let code = "bit.tobit(2^31), bit.tobit(2^32+5), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-1), \
                    bit.tobit('12'), bit.tobit('0x10'), bit.tobit(2^53), bit.tobit(1e300), bit.tobit(-2^31-1)";
        assert_eq!(eval(code), "-2147483648 5 2 2 -1 12 16 0 -2013235812 2147483647");
        let code = "bit.tobit(0/0), bit.tobit(1/0), bit.tobit(-1/0), bit.tobit(2^51+1), bit.tobit(-2^52-1)";
        assert_eq!(eval(code), "0 0 0 0 -4");
    }

    #[test]
    fn operations() {
        let code = "bit.bnot(0), bit.band(7,3,1), bit.bor(1,2,4), bit.bxor(1,3,5), bit.lshift(1,31), \
                    bit.lshift(1,32), bit.rshift(-1,1), bit.rshift(-1,0), bit.arshift(-8,1), bit.rol(1,33), \
                    bit.ror(1,1), bit.bswap(0x12345678), bit.lshift(1,-1)";
        let expected = "-1 1 7 7 -2147483648 1 2147483647 -1 -4 2 -2147483648 2018915346 -2147483648";
        assert_eq!(eval(code), expected);
        assert_eq!(eval("bit.ror(0x12345678,8), bit.rol(0x12345678,8), bit.band(5)"), "2014458966 878082066 5");
    }

    #[test]
    fn hexadecimal() {
        let code = "bit.tohex(1), bit.tohex(-1), bit.tohex(-1,4), bit.tohex(-1,-4), bit.tohex(255,100), \
                    bit.tohex(0xabcdef,-8), bit.tohex(1,-2147483648), bit.tohex(255,2.5), bit.tohex(255,0)";
        assert_eq!(eval(code), "00000001 ffffffff ffff FFFF 000000ff 00ABCDEF 00000001 ff ");
    }

    #[test]
    fn wrong_arguments_are_named_in_the_order_of_c() {
        let number = |at, to, got| format!("user_script:1: bad argument #{at} to '{to}' (number expected, got {got})");
        assert_eq!(error("bit.band()"), number(1, "band", "no value"));
        assert_eq!(error("bit.band({},{})"), number(1, "band", "table"));
        assert_eq!(error("bit.band(1,{},nil)"), number(3, "band", "nil"));
        assert_eq!(error("bit.tohex(1,nil)"), number(2, "tohex", "nil"));
        assert_eq!(error("bit.tohex(1,'x')"), number(2, "tohex", "string"));
        assert_eq!(error("bit.lshift(1)"), number(2, "lshift", "no value"));
        assert_eq!(error("bit.bnot(true)"), number(1, "bnot", "boolean"));
    }
}
