//! Requests as bytes: what a client, a master or an append only file says.
//!
//! *Duty:* write a command as an array of bulk strings. *Does not know:* who will read it.
//! *Counterpart in C Redis:* `catAppendOnlyGenericCommand`, `replicationFeedSlaves`' encoding.

use crate::base::num;

/// One command: `*<n>`, then `$<length>` and the bytes of each argument, each behind a line end.
#[inline]
pub fn request<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    begin(out, args.len());
    args.for_each(|arg| argument(out, arg));
}

/// The head of a command of `args` arguments.
#[inline]
pub fn begin(out: &mut Vec<u8>, args: usize) {
    head(out, b'*', args);
}

#[inline]
pub fn argument(out: &mut Vec<u8>, arg: &[u8]) {
    head(out, b'$', arg.len());
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn head(out: &mut Vec<u8>, mark: u8, n: usize) {
    if n < 10 {
        out.extend_from_slice(&[mark, b'0' + n as u8, b'\r', b'\n']);
    } else if n < 100 {
        out.extend_from_slice(&[mark, b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
    } else {
        out.push(mark);
        num::write_u64(out, n as u64);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_one_two_and_more_digits() {
        let mut out = Vec::new();
        request(&mut out, [b"SET".as_slice(), &[b'k'; 42], &[b'v'; 123], b""].into_iter());
        let expected =
            format!("*4\r\n$3\r\nSET\r\n$42\r\n{}\r\n$123\r\n{}\r\n$0\r\n\r\n", "k".repeat(42), "v".repeat(123));
        assert_eq!(out, expected.as_bytes());
        out.clear();
        begin(&mut out, 10_000);
        assert_eq!(out, b"*10000\r\n");
    }
}
