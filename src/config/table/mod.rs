//! The directive table, in themes; and looking a directive up by name.
//!
//! *Duty:* one row per parameter: name, alias, flags, bounds, and where its field is.
//! *Does not know:* how words are read (`directive`), and what a change entails.
//! *Invariants:* names and aliases are unique and lower case; each row's default, printed and set again, is itself.
//! *Counterpart in C Redis:* `static_configs[]`, `lookupConfig`.

use super::directive::Directive;

/// `yes` or `no`.
macro_rules! yes_no {
    ($name:literal, $field:ident) => {
        Directive::new($name, Kind::YesNo { get: |c| c.$field, put: |c, value| c.$field = value })
    };
}

/// A number within bounds that its field's type covers; a [`Form`] other than the plain one may follow.
macro_rules! number {
    ($name:literal, $field:ident, $min:expr, $max:expr) => {
        number!($name, $field, $min, $max, Form::Integer)
    };
    ($name:literal, $field:ident, $min:expr, $max:expr, $form:expr) => {
        Directive::new(
            $name,
            Kind::Number {
                get: |c| c.$field as i128,
                put: |c, value| c.$field = value.try_into().expect("the bounds lie within the field's type"),
                min: $min as i128,
                max: $max as i128,
                form: $form,
            },
        )
    };
}

/// A name out of a closed list.
macro_rules! choice {
    ($name:literal, $field:ident) => {
        Directive::new(
            $name,
            Kind::Choice {
                get: |c| c.$field.name(),
                put: |c, word| Choice::parse(word).map(|value| c.$field = value).is_some(),
                names: |c| Choice::names_like(c.$field),
            },
        )
    };
}

/// Text, empty when unset.
macro_rules! text {
    ($name:literal, $field:ident) => {
        Directive::new($name, Kind::Text { get: |c| &c.$field, put: |c, value| c.$field = value })
    };
}

/// A password: any bytes.
macro_rules! secret {
    ($name:literal, $field:ident) => {
        Directive::new($name, Kind::Bytes { get: |c| &c.$field, put: |c, value| c.$field = value })
            .flags(Flags::SENSITIVE)
    };
}

mod access;
mod checks;
mod cluster;
mod memory;
mod network;
mod observation;
mod persistence;
mod process;
mod replication;
pub(super) mod special;

const THEMES: [&[Directive]; 8] = [
    network::ROWS,
    process::ROWS,
    access::ROWS,
    memory::ROWS,
    observation::ROWS,
    persistence::ROWS,
    replication::ROWS,
    cluster::ROWS,
];

/// Every directive.
pub fn table() -> impl Iterator<Item = &'static Directive> {
    static TABLE: [&[Directive]; 8] = THEMES;
    TABLE.iter().copied().flatten()
}

/// The directive called `name`, by its name or alias, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Directive> {
    table().find(|directive| directive.is_called(name))
}

#[cfg(test)]
mod tests;
