//! The checksums beside an AOF: what they say of its bytes, and how they are made to fit again.
//!
//! *Duty:* hold a whole file against the records beside it; after a cut, or when somebody accepts the bytes as they
//! are, write records that fit. *Does not know:* commands. *Invariants:* the AOF is only read here. New records are
//! made only behind old ones that are known to be sound, and the file of records changes as a whole or not at all.
//! *Counterpart in C Redis:* none; `aof::sums` has the format.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::aof;
use crate::aof::sums::{self, Chain, Damage, Sealed, Sums, SumsError, Verifier};
use crate::sys::files;

/// Only the owner reads data files.
const MODE: u32 = 0o600;

const PIECE: usize = 256 * 1024;

/// What the checksums say.
#[derive(Debug, PartialEq, Eq)]
pub enum Seal {
    /// There are none.
    Absent,
    /// The file beside is none of checksums.
    Unusable(SumsError),
    Damaged(Damage),
    Intact(Sealed),
}

impl Seal {
    /// The commands that end at this offset or before are those that were written.
    pub fn trusted(&self) -> u64 {
        match self {
            Seal::Damaged(damage) => damage.from,
            _ => u64::MAX,
        }
    }
}

/// The file of checksums beside `aof`.
pub fn beside(aof: &Path) -> PathBuf {
    let mut name = OsString::from(aof);
    name.push(aof::SUMS_SUFFIX);
    PathBuf::from(name)
}

fn records(aof: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(beside(aof)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads `file`, which is the AOF `path`, from its beginning to its end.
pub fn inspect(path: &Path, file: &mut File) -> io::Result<Seal> {
    let sums = match records(path)?.as_deref().map(Sums::parse) {
        None => return Ok(Seal::Absent),
        Some(Err(error)) => return Ok(Seal::Unusable(error)),
        Some(Ok(sums)) => sums,
    };
    let mut verifier = Verifier::new(sums);
    let mut damage = None;
    pieces(file, u64::MAX, |piece| {
        if damage.is_none() {
            damage = verifier.feed(piece).err();
        }
    })?;
    Ok(damage.map_or_else(|| Seal::Intact(verifier.sealed()), Seal::Damaged))
}

/// Makes the checksums of the AOF `path` fit its first `len` bytes, which `file` holds and of which the records say
/// nothing bad. Nothing is made where there were none.
pub fn renew(path: &Path, file: &mut File, len: u64) -> io::Result<()> {
    let Some(mut records) = records(path)? else { return Ok(()) };
    match Sums::parse(&records) {
        Ok(sums) => records.truncate(usize::try_from(sums.bytes_up_to(len)).unwrap_or(usize::MAX)),
        Err(_) => records = sums::HEADER.to_vec(),
    }
    if Sums::parse(&records).map_or(0, |sums| sums.end()) < len {
        let mut chain = Chain::new();
        pieces(file, len, |piece| chain.update(piece))?;
        records.extend_from_slice(&chain.record());
    }
    files::replace_file(&beside(path), &records, MODE)
}

/// Hands the first `len` bytes of the file to `each`.
fn pieces(file: &mut File, len: u64, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut input = file.take(len);
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => each(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An AOF of groups with a record behind each, in a folder of its own.
    fn sealed(name: &str, groups: &[&[u8]]) -> (PathBuf, File) {
        let folder = std::env::temp_dir().join(format!("redstart-seal-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.incr.aof");
        let (mut chain, mut records) = (Chain::new(), sums::HEADER.to_vec());
        for group in groups {
            chain.update(group);
            records.extend_from_slice(&chain.record());
        }
        fs::write(&path, groups.concat()).unwrap();
        fs::write(beside(&path), records).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        (path, file)
    }

    #[test]
    fn what_is_cut_behind_sound_groups_is_sealed_again() {
        for (len, records) in [(9, 4), (6, 3), (5, 3), (3, 2), (1, 2), (0, 1)] {
            let (path, mut file) = sealed(&format!("cut-{len}"), &[b"abc", b"def", b"ghi"]);
            assert_eq!(inspect(&path, &mut file).unwrap(), Seal::Intact(Sealed::Whole));
            file.set_len(len).unwrap();
            let lost = inspect(&path, &mut file).unwrap();
            assert_eq!(matches!(lost, Seal::Intact(Sealed::Lost { written: 9, .. })), len < 9, "{lost:?}");
            renew(&path, &mut file, len).unwrap();
            assert_eq!(inspect(&path, &mut file).unwrap(), Seal::Intact(Sealed::Whole), "{len}");
            assert_eq!(fs::read(beside(&path)).unwrap().len(), records * sums::RECORD_BYTES, "{len}");
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
        }
    }

    #[test]
    fn damage_is_between_two_records_and_what_is_no_record_is_replaced() {
        let (path, mut file) = sealed("damage", &[b"abc", b"def", b"ghi"]);
        fs::write(&path, b"abcdEfghi").unwrap();
        let seal = inspect(&path, &mut file).unwrap();
        assert_eq!((&seal, seal.trusted()), (&Seal::Damaged(Damage { from: 3, to: 6 }), 3));
        fs::write(beside(&path), b"something else altogether").unwrap();
        assert_eq!(inspect(&path, &mut file).unwrap(), Seal::Unusable(SumsError::NoHeader));
        renew(&path, &mut file, 9).unwrap();
        assert_eq!(inspect(&path, &mut file).unwrap(), Seal::Intact(Sealed::Whole));
        fs::remove_file(beside(&path)).unwrap();
        renew(&path, &mut file, 9).unwrap();
        assert_eq!(inspect(&path, &mut file).unwrap(), Seal::Absent);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
