//! JSON into values of Lua.
//!
//! *Duty:* the tokens and the grammar, as lenient as the original: `0x10`, `010`, `inf` and `nan` are numbers while
//! `decode_invalid_numbers` is on, a zero byte ends the text.
//! *Invariants:* no recursion: tables that are being filled stand on a stack of ours, which the setting for depth
//! bounds, and above it the number of values that Lua could keep.
//! *Counterpart in C Redis:* `json_decode`, `json_next_token` of `lua_cjson.c`.

use mlua::{Lua, Table, Value};

use super::super::raise::{Fail, fail};
use super::cjson::Settings;
use super::number::leading_number;

/// Tables within tables that no setting allows to pass: each takes a place among the values that mlua keeps.
const DEEPEST: usize = 3900;

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Text(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(what) => what,
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the last token began, or where its error is.
    index: usize,
    numbers_may_be_invalid: bool,
}

/// A table that is being filled: with the key that waits for its value, or with the index of the last value.
enum Open {
    Object(Table, Vec<u8>),
    Array(Table, i64),
}

pub fn decode(lua: &Lua, text: &[u8], settings: &Settings) -> Result<Value, Fail> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return fail("JSON parser does not support UTF-16 or UTF-32");
    }
    let mut reader = Reader { text, at: 0, index: 0, numbers_may_be_invalid: settings.decode_invalid };
    let mut open: Vec<Open> = Vec::new();
    let mut token = reader.next();
    'values: loop {
        let mut value = match token {
            Token::Text(text) => Value::String(lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(on) => Value::Boolean(on),
            Token::Null => Value::NULL,
            Token::ObjectBegin | Token::ArrayBegin => {
                let is_object = matches!(token, Token::ObjectBegin);
                let depth = open.len() + 1;
                if depth as i64 > settings.decode_depth || depth > DEEPEST {
                    let at = reader.at;
                    return fail(format!("Found too many nested data structures ({depth}) at character {at}"));
                }
                let table = lua.create_table()?;
                token = reader.next();
                match token {
                    Token::ObjectEnd if is_object => Value::Table(table),
                    Token::ArrayEnd if !is_object => Value::Table(table),
                    _ if is_object => {
                        let key = reader.key(token)?;
                        open.push(Open::Object(table, key));
                        token = reader.next();
                        continue;
                    }
                    _ => {
                        open.push(Open::Array(table, 0));
                        continue;
                    }
                }
            }
            other => return reader.refuse("value", &other),
        };
        // The value goes where it belongs; a table that it completes is the next value.
        loop {
            let Some(last) = open.pop() else {
                return match reader.next() {
                    Token::End => Ok(value),
                    other => reader.refuse("the end", &other),
                };
            };
            match last.take(lua, value, &mut reader)? {
                Taken::Whole(table) => value = table,
                Taken::Open(last) => {
                    open.push(last);
                    token = reader.next();
                    continue 'values;
                }
            }
        }
    }
}

/// What became of a table that has taken a value.
enum Taken {
    Whole(Value),
    /// A comma followed: it waits for one more.
    Open(Open),
}

impl Open {
    fn take(self, lua: &Lua, value: Value, reader: &mut Reader<'_>) -> Result<Taken, Fail> {
        let next = reader.next();
        match self {
            Open::Object(table, key) => {
                table.raw_set(lua.create_string(key)?, value)?;
                match next {
                    Token::ObjectEnd => Ok(Taken::Whole(Value::Table(table))),
                    Token::Comma => {
                        let name = reader.next();
                        let key = reader.key(name)?;
                        Ok(Taken::Open(Open::Object(table, key)))
                    }
                    other => reader.refuse("comma or object end", &other),
                }
            }
            Open::Array(table, index) => {
                table.raw_set(index + 1, value)?;
                match next {
                    Token::ArrayEnd => Ok(Taken::Whole(Value::Table(table))),
                    Token::Comma => Ok(Taken::Open(Open::Array(table, index + 1))),
                    other => reader.refuse("comma or array end", &other),
                }
            }
        }
    }
}

impl Reader<'_> {
    fn refuse<T>(&self, expected: &str, found: &Token) -> Result<T, Fail> {
        fail(format!("Expected {expected} but found {} at character {}", found.name(), self.index + 1))
    }

    /// A name and the colon behind it.
    fn key(&mut self, token: Token) -> Result<Vec<u8>, Fail> {
        let Token::Text(key) = token else { return self.refuse("object key string", &token) };
        match self.next() {
            Token::Colon => Ok(key),
            other => self.refuse("colon", &other),
        }
    }

    /// The byte `ahead` places on; a zero byte beyond the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error(&mut self, what: &'static str) -> Token {
        self.index = self.at;
        Token::Error(what)
    }

    fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.index = self.at;
        let simple = match self.peek(0) {
            0 => return Token::End,
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.numbers_may_be_invalid && self.is_invalid_number() {
                    return self.error("invalid number");
                }
                return self.number();
            }
            b'+' | b'i' | b'I' | b'N' | b'n' | b't' | b'f' => return self.word(),
            _ => return self.error("invalid token"),
        };
        self.at += 1;
        simple
    }

    fn word(&mut self) -> Token {
        let words = [("true", Token::Boolean(true)), ("false", Token::Boolean(false)), ("null", Token::Null)];
        for (word, token) in words {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.numbers_may_be_invalid && self.is_invalid_number() {
            return self.number();
        }
        self.error("invalid token")
    }

    /// Numbers that JSON does not know, though `strtod` does.
    fn is_invalid_number(&self) -> bool {
        if self.peek(0) == b'+' {
            return true;
        }
        let rest = &self.text[self.at + usize::from(self.peek(0) == b'-')..];
        let second = rest.get(1).copied().unwrap_or(0);
        match rest.first() {
            Some(b'0') => second | 0x20 == b'x' || second.is_ascii_digit(),
            Some(byte) if *byte <= b'9' => false,
            _ => rest.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(b"inf") || w.eq_ignore_ascii_case(b"nan")),
        }
    }

    fn number(&mut self) -> Token {
        match leading_number(&self.text[self.at..]) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => self.error("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Token::Text(out);
                }
                0 => return self.error("unexpected end of string"),
                b'\\' => {
                    let plain = match self.peek(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 8,
                        b't' => 9,
                        b'n' => 10,
                        b'f' => 12,
                        b'r' => 13,
                        b'u' => {
                            if self.unicode(&mut out).is_none() {
                                return self.error("invalid unicode escape code");
                            }
                            continue;
                        }
                        _ => return self.error("invalid escape code"),
                    };
                    out.push(plain);
                    self.at += 2;
                }
                byte => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn hex4(&self, ahead: usize) -> Option<u32> {
        let digits = self.text.get(self.at + ahead..self.at + ahead + 4)?;
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    }

    /// `\u` and four digits, or a pair of surrogates.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let mut code = self.hex4(2)?;
        let mut len = 6;
        if code & 0xF800 == 0xD800 {
            if code & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return None;
            }
            let low = self.hex4(8).filter(|low| low & 0xFC00 == 0xDC00)?;
            code = (((code & 0x3FF) << 10) | (low & 0x3FF)) + 0x10000;
            len = 12;
        }
        let mut utf8 = [0; 4];
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
        self.at += len;
        Some(())
    }
}
