use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

/// Serves `PUT`, `GET` and `HEAD` of the files below a folder, a thread for each connection, until the process ends: what
/// the disk and the loopback give. A `PUT` writes a temporary file, syncs and renames it, and syncs its folder.
pub(super) fn serve(address: SocketAddr, root: PathBuf) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            // A connection that fails is one that the client has ended.
            thread::spawn(move || connection(stream, &root));
        }
    });
    Ok(())
}

fn connection(stream: TcpStream, root: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut stream) = (BufReader::with_capacity(256 << 10, stream.try_clone()?), stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(':') {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
            }
        }
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = root.join(target.split('?').next().unwrap_or_default().trim_start_matches('/'));
        match method {
            "PUT" => {
                store(&path, &mut reader, length)?;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            _ if path.is_dir() || !path.exists() => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            _ => {
                let mut file = File::open(&path)?;
                let size = file.metadata()?.len();
                stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())?;
                if method == "GET" {
                    io::copy(&mut file, &mut stream)?;
                }
            }
        }
    }
}

fn store(path: &Path, reader: &mut impl Read, length: u64) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)?;
    let mut file = File::create(&temporary)?;
    io::copy(&mut reader.take(length), &mut file)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    File::open(parent)?.sync_all()
}
