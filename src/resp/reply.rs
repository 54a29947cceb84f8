//! Replies: the RESP2/RESP3 writer.
//!
//! *Duty:* append replies to a byte buffer in the protocol that the connection speaks. Handlers say what they mean
//! (`null`, `map`, `double`); the writer picks the form.
//! *Does not know:* sockets, clients. *Counterpart in C Redis:* the `addReply*` family.
//!
//! A header whose count is not known yet is opened with [`ReplyBuf::defer`] and filled in afterwards.

use crate::base::{float, num};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    #[default]
    Resp2,
    Resp3,
}

/// A buffer of replies in one protocol.
#[derive(Debug)]
pub struct ReplyBuf {
    bytes: Vec<u8>,
    pub proto: Proto,
    /// Bytes from which on nobody will get what is written. Nothing is refused, but a command that writes very much
    /// asks [`ReplyBuf::is_full`] now and then.
    pub limit: usize,
}

impl Default for ReplyBuf {
    fn default() -> ReplyBuf {
        ReplyBuf::new(Proto::Resp2)
    }
}

/// Where a header of unknown count belongs.
#[must_use]
pub struct Deferred(usize);

impl ReplyBuf {
    pub fn new(proto: Proto) -> ReplyBuf {
        ReplyBuf { bytes: Vec::new(), proto, limit: usize::MAX }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The connection will be closed for what was written so far: more is in vain.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= self.limit
    }

    /// Bytes that the buffer takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Forgets what was written after the buffer was `len` bytes long.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Appends bytes that are a reply already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    pub fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line; line breaks inside the text become blanks, so that it stays one line.
    pub fn error(&mut self, text: &[u8]) {
        self.single_line(b'-', text);
    }

    /// A status line of any text; line breaks inside it become blanks.
    pub fn status_bytes(&mut self, text: &[u8]) {
        self.single_line(b'+', text);
    }

    fn single_line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        let at = self.bytes.len();
        self.raw(text);
        for byte in &mut self.bytes[at..] {
            if *byte == b'\r' || *byte == b'\n' {
                *byte = b' ';
            }
        }
        self.crlf();
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        match value {
            0 => self.raw(b":0\r\n"),
            1 => self.raw(b":1\r\n"),
            _ => self.header(b':', value),
        }
    }

    pub fn len_of(&mut self, count: usize) {
        self.int(count as i64);
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.bytes.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.crlf();
    }

    /// An integer as a bulk string (GET of a number).
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        let mut digits = [0; 20];
        let text = num::format_i64(value, &mut digits);
        self.header(b'$', text.len() as i64);
        self.raw(text);
        self.crlf();
    }

    /// "There is no such value": `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        match self.proto {
            Proto::Resp2 => self.raw(b"$-1\r\n"),
            Proto::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// "There is no such array": `*-1` or `_`.
    pub fn null_array(&mut self) {
        match self.proto {
            Proto::Resp2 => self.raw(b"*-1\r\n"),
            Proto::Resp3 => self.raw(b"_\r\n"),
        }
    }

    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// `pairs` keys with a value each follow; RESP2 sees a flat array.
    pub fn map(&mut self, pairs: usize) {
        match self.proto {
            Proto::Resp2 => self.header(b'*', 2 * pairs as i64),
            Proto::Resp3 => self.header(b'%', pairs as i64),
        }
    }

    pub fn set(&mut self, len: usize) {
        self.header(if self.proto == Proto::Resp3 { b'~' } else { b'*' }, len as i64);
    }

    /// Out-of-band data; RESP2 sees an array.
    pub fn push(&mut self, len: usize) {
        self.header(if self.proto == Proto::Resp3 { b'>' } else { b'*' }, len as i64);
    }

    /// Attributes of the reply that follows; only RESP3 has them, and the caller asks first.
    pub fn attribute(&mut self, pairs: usize) {
        debug_assert_eq!(self.proto, Proto::Resp3);
        self.header(b'|', pairs as i64);
    }

    pub fn double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(24);
        float::write_f64(&mut text, value);
        match self.proto {
            Proto::Resp2 => self.bulk(&text),
            Proto::Resp3 => self.line(b',', &text),
        }
    }

    pub fn boolean(&mut self, value: bool) {
        match (self.proto, value) {
            (Proto::Resp2, _) => self.int(value as i64),
            (Proto::Resp3, true) => self.raw(b"#t\r\n"),
            (Proto::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// An integer too large for 64 bits, as decimal digits.
    pub fn big_number(&mut self, digits: &[u8]) {
        match self.proto {
            Proto::Resp2 => self.bulk(digits),
            Proto::Resp3 => self.line(b'(', digits),
        }
    }

    /// Text for humans. `format` is three letters: `txt` or `mkd`.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() as i64 + 4);
        self.raw(format.as_bytes());
        self.bytes.push(b':');
        self.raw(text);
        self.crlf();
    }

    /// Opens a reply whose count is known only when its elements have been written.
    pub fn defer(&mut self) -> Deferred {
        Deferred(self.bytes.len())
    }

    pub fn close_array(&mut self, mark: Deferred, len: usize) {
        self.close(mark, b'*', len);
    }

    pub fn close_map(&mut self, mark: Deferred, pairs: usize) {
        match self.proto {
            Proto::Resp2 => self.close(mark, b'*', 2 * pairs),
            Proto::Resp3 => self.close(mark, b'%', pairs),
        }
    }

    pub fn close_set(&mut self, mark: Deferred, len: usize) {
        let kind = if self.proto == Proto::Resp3 { b'~' } else { b'*' };
        self.close(mark, kind, len);
    }

    fn close(&mut self, mark: Deferred, kind: u8, count: usize) {
        let end = self.bytes.len();
        self.header(kind, count as i64);
        let header_len = self.bytes.len() - end;
        self.bytes[mark.0..].rotate_right(header_len);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.raw(text);
        self.crlf();
    }

    /// `kind`, a number, a line end: one copy for the numbers that nearly all headers are.
    #[inline]
    fn header(&mut self, kind: u8, n: i64) {
        if (0..10).contains(&n) {
            self.raw(&[kind, b'0' + n as u8, b'\r', b'\n']);
        } else if (10..100).contains(&n) {
            self.raw(&[kind, b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
        } else {
            let mut line = [0; num::MAX_DECIMAL_LEN + 3];
            let digits = (&mut line[1..=num::MAX_DECIMAL_LEN]).try_into().expect("the room of any number");
            let start = num::MAX_DECIMAL_LEN - num::format_i64(n, digits).len();
            line[start] = kind;
            line[num::MAX_DECIMAL_LEN + 1..].copy_from_slice(b"\r\n");
            self.raw(&line[start..]);
        }
    }

    #[inline]
    fn crlf(&mut self) {
        self.raw(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(proto: Proto, write: impl FnOnce(&mut ReplyBuf)) -> String {
        let mut reply = ReplyBuf::new(proto);
        write(&mut reply);
        String::from_utf8(reply.bytes).unwrap()
    }

    #[test]
    fn each_kind_has_a_form_in_each_protocol() {
        type Write = fn(&mut ReplyBuf);
        let cases: &[(Write, &str, &str)] = &[
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.map(2), "*4\r\n", "%2\r\n"),
            (|r| r.set(123), "*123\r\n", "~123\r\n"),
            (|r| r.push(3), "*3\r\n", ">3\r\n"),
            (|r| r.double(3.5), "$3\r\n3.5\r\n", ",3.5\r\n"),
            (|r| r.boolean(true), ":1\r\n", "#t\r\n"),
            (|r| r.big_number(b"123"), "$3\r\n123\r\n", "(123\r\n"),
            (|r| r.verbatim("txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (|r| r.int(-12), ":-12\r\n", ":-12\r\n"),
            (|r| r.bulk_int(-1234), "$5\r\n-1234\r\n", "$5\r\n-1234\r\n"),
            (|r| r.error(b"ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
        ];
        for (write, resp2, resp3) in cases {
            assert_eq!(written(Proto::Resp2, write), *resp2);
            assert_eq!(written(Proto::Resp3, write), *resp3);
        }
    }

    #[test]
    fn a_deferred_header_lands_before_its_elements() {
        let text = written(Proto::Resp3, |r| {
            let mark = r.defer();
            (0..11).for_each(|i| r.int(i));
            r.close_set(mark, 11);
        });
        assert!(text.starts_with("~11\r\n:0\r\n:1\r\n") && text.ends_with(":10\r\n"));
    }
}
