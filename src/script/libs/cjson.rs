//! `cjson`: values of Lua as JSON and back.
//!
//! *Duty:* the functions, their settings, and encoding; decoding is in `cjson_read.rs`.
//! *Invariants:* the settings belong to one table of functions ([`open`] or `cjson.new`), bound to each of them. They
//! outlive a script, as in 7.0.15.
//! *Counterpart in C Redis:* `deps/lua/src/lua_cjson.c` (2.1.0).

use mlua::{Lua, MultiValue, Table, UserData, Value};

use super::super::raise::{Fail, Given, Outcome, Takes, bad_argument, fail, type_name};
use super::number::write_g;
use super::{LONGEST, cjson_read, reply, single, table};

/// Nesting that no setting allows to pass: each level takes some of the C stack.
const DEEPEST: usize = 2500;

/// What to do with NaN and infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    Refuse,
    Write,
    Null,
}

/// The settings of one table of functions.
#[derive(Debug)]
pub struct Settings {
    convert_sparse: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: i64,
    pub decode_depth: i64,
    precision: i64,
    keep_buffer: bool,
    encode_invalid: Invalid,
    pub decode_invalid: bool,
}

impl UserData for Settings {}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            convert_sparse: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refuse,
            decode_invalid: true,
        }
    }
}

pub fn open(lua: &Lua) -> mlua::Result<Table> {
    let rows: [super::Row; 10] = [
        ("encode", Takes::Few, encode),
        ("decode", Takes::Few, decode),
        ("encode_sparse_array", Takes::Few, sparse_array),
        ("encode_max_depth", Takes::Few, |given| integer(given, 1, i64::from(i32::MAX), |s| &mut s.encode_depth)),
        ("decode_max_depth", Takes::Few, |given| integer(given, 1, i64::from(i32::MAX), |s| &mut s.decode_depth)),
        ("encode_number_precision", Takes::Few, |given| integer(given, 1, 14, |s| &mut s.precision)),
        ("encode_keep_buffer", Takes::Few, |given| switch(given, |s| &mut s.keep_buffer)),
        ("encode_invalid_numbers", Takes::Few, encode_invalid),
        ("decode_invalid_numbers", Takes::Few, |given| switch(given, |s| &mut s.decode_invalid)),
        ("new", Takes::Few, |given| single(Value::Table(open(given.lua)?))),
    ];
    let settings = lua.create_userdata(Settings::default())?;
    let table = table(lua, Value::UserData(settings), &rows)?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn with<T>(given: &Given<'_>, act: impl FnOnce(&mut Settings) -> Result<T, Fail>) -> Result<T, Fail> {
    match given.own() {
        Value::UserData(own) => act(&mut *own.borrow_mut::<Settings>()?),
        _ => fail("cjson has lost its settings"),
    }
}

fn at_most(given: &Given<'_>, most: usize) -> Result<(), Fail> {
    if given.len() > most { bad_argument(most + 1, "found too many arguments") } else { Ok(()) }
}

/// Sets what is not nil; the setting as it is then.
fn set_integer(given: &Given<'_>, at: usize, range: (i64, i64), place: &mut i64) -> Result<Value, Fail> {
    if !given.get(at)?.is_nil() {
        let value = given.integer(at)? as i32 as i64;
        if value < range.0 || value > range.1 {
            return bad_argument(1, format!("expected integer between {} and {}", range.0, range.1));
        }
        *place = value;
    }
    Ok(Value::Integer(*place))
}

/// One of the words, or a boolean for the first two; None for nil.
fn choice(given: &Given<'_>, at: usize, words: &[&str]) -> Result<Option<usize>, Fail> {
    match given.get(at)? {
        Value::Nil => Ok(None),
        Value::Boolean(on) => Ok(Some(usize::from(on))),
        _ => {
            let text = given.string(at)?;
            match words.iter().position(|word| text.as_bytes() == word.as_bytes()) {
                Some(found) => Ok(Some(found)),
                None => bad_argument(at, [b"invalid option '", &text.as_bytes()[..], b"'"].concat()),
            }
        }
    }
}

fn integer(given: &Given<'_>, least: i64, most: i64, place: fn(&mut Settings) -> &mut i64) -> Outcome {
    at_most(given, 1)?;
    single(with(given, |settings| set_integer(given, 1, (least, most), place(settings)))?)
}

fn set_switch(given: &Given<'_>, at: usize, place: &mut bool) -> Result<Value, Fail> {
    if let Some(chosen) = choice(given, at, &["off", "on"])? {
        *place = chosen == 1;
    }
    Ok(Value::Boolean(*place))
}

fn switch(given: &Given<'_>, place: fn(&mut Settings) -> &mut bool) -> Outcome {
    at_most(given, 1)?;
    single(with(given, |settings| set_switch(given, 1, place(settings)))?)
}

fn sparse_array(given: &Given<'_>) -> Outcome {
    at_most(given, 3)?;
    let values = with(given, |settings| {
        let range = (0, i64::from(i32::MAX));
        let convert = set_switch(given, 1, &mut settings.convert_sparse)?;
        let ratio = set_integer(given, 2, range, &mut settings.sparse_ratio)?;
        Ok([convert, ratio, set_integer(given, 3, range, &mut settings.sparse_safe)?])
    })?;
    Ok(MultiValue::from_iter(values))
}

fn encode_invalid(given: &Given<'_>) -> Outcome {
    at_most(given, 1)?;
    let now = with(given, |settings| {
        match choice(given, 1, &["off", "on", "null"])? {
            Some(0) => settings.encode_invalid = Invalid::Refuse,
            Some(1) => settings.encode_invalid = Invalid::Write,
            Some(_) => settings.encode_invalid = Invalid::Null,
            None => {}
        }
        Ok(settings.encode_invalid)
    })?;
    match now {
        Invalid::Refuse => reply(given, false),
        Invalid::Write => reply(given, true),
        Invalid::Null => reply(given, "null"),
    }
}

fn one_argument(given: &Given<'_>) -> Result<(), Fail> {
    if given.len() == 1 { Ok(()) } else { bad_argument(1, "expected 1 argument") }
}

fn decode(given: &Given<'_>) -> Outcome {
    one_argument(given)?;
    let text = given.string(1)?;
    single(with(given, |settings| cjson_read::decode(given.lua, &text.as_bytes(), settings))?)
}

fn encode(given: &Given<'_>) -> Outcome {
    one_argument(given)?;
    let value = given.get(1)?;
    let out = with(given, |settings| {
        let mut out = Vec::new();
        append(&mut out, &value, 0, settings)?;
        Ok(out)
    })?;
    single(Value::String(given.lua.create_string(out)?))
}

fn cannot<T>(value: &Value, reason: &str) -> Result<T, Fail> {
    fail(format!("Cannot serialise {}: {reason}", type_name(value)))
}

fn append(out: &mut Vec<u8>, value: &Value, depth: usize, settings: &Settings) -> Result<(), Fail> {
    if out.len() > LONGEST {
        return fail("Cannot serialise, the text is too long");
    }
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Boolean(on) => out.extend_from_slice(if *on { b"true" } else { b"false" }),
        Value::Integer(_) | Value::Number(_) => append_number(out, value, settings)?,
        Value::String(text) => append_string(out, &text.as_bytes()),
        Value::LightUserData(pointer) if pointer.0.is_null() => out.extend_from_slice(b"null"),
        Value::Table(table) => {
            let depth = depth + 1;
            if depth as i64 > settings.encode_depth || depth > DEEPEST {
                return fail(format!("Cannot serialise, excessive nesting ({depth})"));
            }
            match array_length(table, settings)? {
                Some(len) => append_array(out, table, len, depth, settings)?,
                None => append_object(out, table, depth, settings)?,
            }
        }
        other => return cannot(other, "type not supported"),
    }
    Ok(())
}

fn append_number(out: &mut Vec<u8>, value: &Value, settings: &Settings) -> Result<(), Fail> {
    let number = match value {
        Value::Integer(i) => *i as f64,
        Value::Number(n) => *n,
        _ => 0.0,
    };
    if !number.is_finite() {
        match settings.encode_invalid {
            Invalid::Refuse => return cannot(value, "must not be NaN or Inf"),
            Invalid::Write if number.is_nan() => {
                out.extend_from_slice(b"nan");
                return Ok(());
            }
            Invalid::Write => {}
            Invalid::Null => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
        }
    }
    write_g(out, number, settings.precision as usize);
    Ok(())
}

fn append_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'/' => out.extend_from_slice(b"\\/"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..=31 | 127 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// What ends a walk through a table early: nothing that a script sees.
enum Walk {
    NotAnArray,
    Failed(Fail),
}

/// Walks a table. An error of `act` is carried around mlua, which knows only its own.
fn each<E>(
    table: &Table,
    mut act: impl FnMut(Value, Value) -> Result<(), E>,
    engine: impl FnOnce(mlua::Error) -> E,
) -> Result<(), E> {
    let mut failed = None;
    let walked = table.for_each(|key: Value, value: Value| {
        act(key, value).map_err(|error| {
            failed = Some(error);
            mlua::Error::runtime("the walk ends here")
        })
    });
    match (failed, walked) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(engine(error)),
        (None, Ok(())) => Ok(()),
    }
}

/// The greatest index if all keys are whole numbers from 1 on and not too sparse; None for an object.
fn array_length(table: &Table, settings: &Settings) -> Result<Option<i64>, Fail> {
    let (mut most, mut items) = (0i64, 0i64);
    let walked = each(
        table,
        |key, _| match key {
            Value::Integer(index) if index > 0 => {
                most = most.max(index);
                items += 1;
                Ok(())
            }
            Value::Number(index) if index.floor() == index && index >= 1.0 => {
                most = i64::MAX;
                items += 1;
                Ok(())
            }
            _ => Err(Walk::NotAnArray),
        },
        |error| Walk::Failed(Fail::from(error)),
    );
    match walked {
        Err(Walk::NotAnArray) => return Ok(None),
        Err(Walk::Failed(error)) => return Err(error),
        Ok(()) if most == 0 => return Ok(None),
        Ok(()) => {}
    }
    let (ratio, safe) = (settings.sparse_ratio, settings.sparse_safe);
    if ratio > 0 && most > items.saturating_mul(ratio) && most > safe {
        if settings.convert_sparse {
            return Ok(None);
        }
        return fail("Cannot serialise table: excessively sparse array");
    }
    Ok(Some(most))
}

fn append_array(out: &mut Vec<u8>, table: &Table, len: i64, depth: usize, settings: &Settings) -> Result<(), Fail> {
    out.push(b'[');
    for at in 1..=len {
        if at > 1 {
            out.push(b',');
        }
        append(out, &table.raw_get(at)?, depth, settings)?;
    }
    out.push(b']');
    Ok(())
}

fn append_object(out: &mut Vec<u8>, table: &Table, depth: usize, settings: &Settings) -> Result<(), Fail> {
    out.push(b'{');
    let mut first = true;
    each(
        table,
        |key, value| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            match &key {
                Value::Integer(_) | Value::Number(_) => {
                    out.push(b'"');
                    append_number(out, &key, settings)?;
                    out.push(b'"');
                }
                Value::String(text) => append_string(out, &text.as_bytes()),
                other => return cannot(other, "table key must be a number or string"),
            }
            out.push(b':');
            append(out, &value, depth, settings)
        },
        Fail::from,
    )?;
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests;
