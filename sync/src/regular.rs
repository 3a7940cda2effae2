//! Files that are read from the control thread: whole, bounded, and never one that could keep it waiting.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file: a named pipe would wait for its writer for ever, a device might never end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("it is not a regular file")) }
}

/// What is in it, of not more than so many MiB.
pub(crate) fn read(file: &mut File, mebibytes_max: u64) -> io::Result<Vec<u8>> {
    let most = mebibytes_max << 20;
    let size = file.metadata()?.len().min(most);
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {mebibytes_max} MiB")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_and_what_is_too_large_is_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(open(path).expect_err("refused").to_string(), "it is not a regular file");
        }
        let file = folder.path().join("file");
        fs::write(&file, vec![b'x'; 1 << 20]).expect("a file");
        let read = |path| read(&mut open(path).expect("a file"), 1);
        assert_eq!(read(&file).expect("as large as it may be").len(), 1 << 20);
        fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("a file");
        assert_eq!(read(&file).expect_err("too large").to_string(), "it is larger than 1 MiB");
    }
}
