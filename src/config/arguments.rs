//! The command line of the server as configuration text.
//!
//! *Duty:* find the file and the wish to read standard input, and write the options as lines, one for each `--name`
//! with the values behind it, which [`super::parse::parse_lines`] reads after the file.
//! *Does not know:* options that are commands (`--version`, `--check-config` …); the shell takes those out first.
//! *Invariants:* a `--name` that still lacks a value takes the next argument as its value, whatever that looks like;
//! values are quoted, so no value can become another line.
//! *Counterpart in C Redis:* the argument loop of `main`.

use crate::base::quote;

/// What the arguments, the program's name left out, come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    pub file: Option<Vec<u8>>,
    /// Configuration is to be read from standard input, after the file.
    pub stdin: bool,
    /// Lines to be read last.
    pub options: Vec<u8>,
}

/// Reads `args`.
pub fn command_line<A: AsRef<[u8]>>(args: &[A]) -> CommandLine {
    let mut line = CommandLine::default();
    let mut value_expected = false;
    for (index, arg) in args.iter().map(AsRef::as_ref).enumerate() {
        let next = args.get(index + 1).map(AsRef::as_ref);
        let is_at_an_end = index == 0 || next.is_none();
        if index == 0 && !arg.starts_with(b"-") {
            line.file = Some(arg.to_vec());
        } else if arg == b"-" && is_at_an_end {
            line.stdin = true;
        } else if !value_expected && arg.starts_with(b"--") {
            value_expected = line.name(arg, next);
        } else {
            quote::repr(&mut line.options, arg);
            line.options.push(b' ');
            value_expected = false;
        }
    }
    line
}

impl CommandLine {
    /// Begins a line with `--name` or `--name value`; says whether the next argument must be a value.
    fn name(&mut self, arg: &[u8], next: Option<&[u8]>) -> bool {
        if !self.options.is_empty() {
            self.options.push(b'\n');
        }
        self.options.extend(&arg[2..]);
        self.options.push(b' ');
        let is_alone = quote::split_args(arg).is_some_and(|words| words.len() == 1);
        let no_value_follows = next.is_none_or(|next| next.starts_with(b"--"));
        // Quirk: `--save` may lack its value, which older releases allowed (`save_and_sentinel_may_lack_a_value`).
        if is_alone && no_value_follows && arg.eq_ignore_ascii_case(b"--save") {
            self.options.extend(b"\"\"");
            return false;
        }
        is_alone && !(no_value_follows && arg.eq_ignore_ascii_case(b"--sentinel"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> String {
        String::from_utf8(command_line(args).options).unwrap()
    }

    #[test]
    fn the_first_argument_without_a_dash_is_the_file() {
        let line = command_line(&["redis.conf", "--port", "6380", "-"]);
        assert_eq!(line.file.as_deref(), Some(&b"redis.conf"[..]));
        assert!(line.stdin);
        assert_eq!(line.options, b"port \"6380\" ");
        assert!(command_line(&["-"]).stdin);
        assert!(!command_line(&["--requirepass", "-", "--port", "1"]).stdin);
        assert_eq!(command_line::<&str>(&[]), CommandLine::default());
    }

    #[test]
    fn several_values_belong_to_one_name() {
        assert_eq!(options(&["--save", "900", "1", "--port", "1"]), "save \"900\" \"1\" \nport \"1\" ");
        assert_eq!(
            options(&["x", "loglevel", "verbose", "--maxmemory '7mb'"]),
            "\"loglevel\" \"verbose\" \nmaxmemory '7mb' "
        );
    }

    #[test]
    fn a_name_without_a_value_takes_the_next_argument() {
        assert_eq!(options(&["--port", "--bla", "--loglevel", "verbose"]), "port \"--bla\" \nloglevel \"verbose\" ");
        assert_eq!(options(&["--a", "--b", "--c"]), "a \"--b\" \nc ");
        assert_eq!(options(&["--port 1", "--loglevel debug"]), "port 1 \nloglevel debug ");
    }

    #[test]
    fn save_and_sentinel_may_lack_a_value() {
        assert_eq!(options(&["--save", "--port", "1"]), "save \"\" \nport \"1\" ".replace("\"\" ", "\"\""));
        assert_eq!(options(&["--port", "1", "--save"]), "port \"1\" \nsave \"\"");
        assert_eq!(options(&["--save", ""]), "save \"\" ");
        assert_eq!(options(&["--sentinel", "--port", "1"]), "sentinel \nport \"1\" ");
        assert_eq!(options(&["--a", "--save", "--save", ""]), "a \"--save\" \nsave \"\" ");
    }

    #[test]
    fn a_value_cannot_become_another_line() {
        assert_eq!(options(&["--requirepass", "a\nport 1"]), "requirepass \"a\\nport 1\" ");
    }
}
