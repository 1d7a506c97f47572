//! An archive's file as a plain tar that can be sought: what is compressed as a whole, or comes down a pipe, is written
//! into a file of no name first.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

use floe_image::unpack::Decompressed;

use super::source::OpenArchiveError;

/// What compressed files begin with, and what they are.
pub(super) const COMPRESSIONS: [(&[u8], &str); 4] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
];

/// How many times larger than its file a tar may be: programs and texts shrink to a tenth at best, and whoever has more
/// zeros than that can decompress by other means.
const LARGEST_RATIO: u64 = 100;

/// What a small file may hold beyond that.
const ROOM: u64 = 16 << 20;

/// Opens an archive; one that must be written first is written into `spool`.
pub(super) fn open(path: &Path, spool: &Path) -> Result<File, OpenArchiveError> {
    let cannot = |source| OpenArchiveError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() && !metadata.is_dir() {
        file = spooled(&mut file, spool).map_err(cannot)?;
    }
    let mut magic = Vec::new();
    (&mut file).take(8).read_to_end(&mut magic).map_err(cannot)?;
    file.rewind().map_err(cannot)?;
    match COMPRESSIONS.iter().find(|(start, _)| magic.starts_with(start)) {
        None => Ok(file),
        Some((_, "gzip" | "zstd")) => {
            let size = file.metadata().map_err(cannot)?.len();
            let limit = size.saturating_mul(LARGEST_RATIO).saturating_add(ROOM);
            let mut tar = Decompressed::new(&mut file, limit).map_err(cannot)?;
            spooled(&mut tar, spool).map_err(cannot)
        }
        Some((_, compression)) => Err(OpenArchiveError::Compressed { path: path.to_owned(), compression }),
    }
}

/// A file of no name with all that a reader yields.
fn spooled(from: &mut dyn Read, spool: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(spool)?;
    io::copy(from, &mut file)?;
    file.rewind()?;
    Ok(file)
}
