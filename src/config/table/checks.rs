//! Refusals of single directives that the grammar of their kind does not know.
//!
//! *Duty:* file names that must not be paths, host names, title templates, what this build cannot do.
//! *Does not know:* other directives' values; checks across directives are `config::check`'s.
//! *Counterpart in C Redis:* the `isValid…` functions of `config.c`.

use crate::config::directive::Outcome;

/// One more than the longest host name.
const HOST_NAME_LIMIT: usize = 256;

fn refuse_when(refused: bool, text: &'static str) -> Outcome {
    if refused { Err(text.into()) } else { Ok(()) }
}

fn is_path(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

pub(super) fn dbfilename(name: &[u8]) -> Outcome {
    refuse_when(is_path(name), "dbfilename can't be a path, just a filename")
}

pub(super) fn appendfilename(name: &[u8]) -> Outcome {
    refuse_when(name.is_empty(), "appendfilename can't be empty")?;
    refuse_when(is_path(name), "appendfilename can't be a path, just a filename")
}

pub(super) fn appenddirname(name: &[u8]) -> Outcome {
    refuse_when(name.is_empty(), "appenddirname can't be empty")?;
    refuse_when(is_path(name), "appenddirname can't be a path, just a dirname")
}

pub(super) fn announced_hostname(name: &[u8]) -> Outcome {
    refuse_when(name.len() >= HOST_NAME_LIMIT, "Hostnames must be less than 256 characters")?;
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    refuse_when(!name.iter().all(fits), "Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// Moving values needs an allocator that tells which ones are worth it. This one does not, as it comes unmodified.
pub(super) fn activedefrag(word: &[u8]) -> Outcome {
    let wanted = word.eq_ignore_ascii_case(b"yes");
    refuse_when(
        wanted,
        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like \
         the one shipped by default with the Redis source distribution",
    )
}

pub(super) fn proc_title_template(template: &[u8]) -> Outcome {
    let leaves_text = title_leaves_text(template);
    let refusal = "template format is invalid or contains unknown variables";
    refuse_when(leaves_text != Some(true), refusal)
}

/// Whether `template` is sure to give a title that is not blank; `None` when it is malformed. `{{` is a brace.
fn title_leaves_text(template: &[u8]) -> Option<bool> {
    let mut leaves_text = false;
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'{' {
            leaves_text |= byte != b' ';
        } else if let Some(tail) = rest.strip_prefix(b"{") {
            leaves_text = true;
            rest = tail;
        } else {
            let end = rest.iter().position(|&byte| byte == b'}')?;
            leaves_text |= match &rest[..end] {
                b"listen-addr" | b"port" | b"tls-port" | b"config-file" => true,
                b"title" | b"server-mode" | b"unixsocket" => false,
                _ => return None,
            };
            rest = &rest[end + 1..];
        }
    }
    Some(leaves_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_not_paths() {
        assert!(dbfilename(b"dump.rdb").is_ok());
        assert!(dbfilename(b"").is_ok());
        assert_eq!(dbfilename(b"a/b").unwrap_err().to_string(), "dbfilename can't be a path, just a filename");
        assert!(appendfilename(b"").is_err());
        assert!(appenddirname(b"a\\b").is_err());
    }

    #[test]
    fn host_names_have_a_length_and_an_alphabet() {
        assert!(announced_hostname(b"a-1.example").is_ok());
        assert!(announced_hostname(b"").is_ok());
        assert!(announced_hostname(b"a b").is_err());
        assert!(announced_hostname(&[b'a'; 255]).is_ok());
        assert!(announced_hostname(&[b'a'; 256]).is_err());
    }

    #[test]
    fn title_templates_need_known_variables_and_some_text() {
        for good in ["{title} {listen-addr} {server-mode}", "x", "{{x}", "{port}{title}"] {
            assert!(proc_title_template(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "  ", "{title}", "{foo}", "{port", "a {port} {bar}"] {
            assert!(proc_title_template(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
