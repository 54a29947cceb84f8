//! [`Text`]: the lines of INFO as they are written.
//!
//! *Duty:* heads, `name:value` lines, and the number formats that monitoring tools parse.
//! *Does not know:* what the values mean. *Counterpart in C Redis:* `sdscatfmt` in `genRedisInfoString`,
//! `bytesToHuman`.

use std::fmt::{Display, Write};

use crate::base::units;

#[derive(Default)]
pub struct Text {
    out: String,
}

impl Text {
    /// Opens a section.
    pub fn head(&mut self, title: &str) {
        if !self.out.is_empty() {
            self.out.push_str("\r\n");
        }
        write!(self.out, "# {title}\r\n").expect("writing to a String cannot fail");
    }

    pub fn line(&mut self, name: impl Display, value: impl Display) {
        write!(self.out, "{name}:{value}\r\n").expect("writing to a String cannot fail");
    }

    /// Several lines at once.
    pub fn lines(&mut self, lines: &[(&str, &dyn Display)]) {
        lines.iter().for_each(|(name, value)| self.line(name, value));
    }

    /// Many counters.
    pub fn numbers(&mut self, lines: &[(&str, u64)]) {
        lines.iter().for_each(|(name, value)| self.line(name, value));
    }

    /// A truth value, as 0 or 1.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.line(name, value as u8);
    }

    /// A number of bytes, and the same again for people under `name_human`.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.human(name, bytes);
    }

    /// A number of bytes for people, under `name_human`.
    pub fn human(&mut self, name: &str, bytes: u64) {
        let mut text = Vec::new();
        units::write_human(&mut text, bytes);
        self.line(format_args!("{name}_human"), String::from_utf8_lossy(&text));
    }

    pub fn hundredths(&mut self, name: &str, value: f64) {
        self.line(name, format_args!("{value:.2}"));
    }

    pub fn finish(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_parted_and_lines_ended_as_the_protocol_of_info_wants() {
        let mut text = Text::default();
        text.head("First");
        text.flag("on", true);
        text.bytes("used", 1536);
        text.head("Second");
        text.hundredths("ratio", 1.0 / 3.0);
        let expected = "# First\r\non:1\r\nused:1536\r\nused_human:1.50K\r\n\r\n# Second\r\nratio:0.33\r\n";
        assert_eq!(String::from_utf8(text.finish()).unwrap(), expected);
    }
}
