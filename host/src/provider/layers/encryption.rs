use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};
use hex_simd::AsciiCase;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use sha2::{Digest, Sha256};

use super::Encryption;
use super::codec::{Codec, Decoder, Description, Encoder, Part, STEP};
use crate::error::{Error, Result};
use crate::object::{Checksum, Key};

/// Seals objects with AES-256-GCM, in chunks of [`CHUNK`] bytes that each open by themselves.
///
/// Each object has a key of its own, derived from the store's key, a random salt and the object's key (HKDF-SHA-256, RFC
/// 5869), so that a nonce can be a count and bytes put under another key do not open. A chunk's nonce holds its number and
/// whether it is the last, as in the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, *Online
/// Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*, 2015): chunks can be neither swapped nor cut off.
///
/// What is not hidden: keys, times, tags, user metadata, and sizes to the byte.
pub(super) struct Sealing {
    /// New objects are sealed with the first.
    keys: Arc<[EncryptionKey]>,
}

/// A key of 256 bits that objects are encrypted with. It never shows itself.
#[derive(Clone)]
pub struct EncryptionKey {
    secret: [u8; SECRET],
    id: KeyId,
}

type KeyId = [u8; 8];

const SECRET: usize = 32;
const SALT: usize = 32;
const TAG: u64 = 16;
/// How many bytes are sealed together: the least that a range costs to read.
const CHUNK: u64 = 64 * 1024;
const SEALED_CHUNK: u64 = CHUNK + TAG;
const MAGIC: [u8; 8] = *b"larderA1";
/// What the stored bytes begin with: the magic, the id of the key, and the salt.
pub(super) const HEAD: u64 = (MAGIC.len() + size_of::<KeyId>() + SALT) as u64;
/// What they end with: the object's size and checksum, sealed.
const SEALED_DESCRIPTION: u64 = 16 + TAG;

impl EncryptionKey {
    /// Reads a key as it is written: 32 bytes in hexadecimal digits (64) or in base64 (44 with its padding).
    ///
    /// # Errors
    /// One line that says what is wrong with the text, but nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match text.len() {
            64 => hex_simd::decode_to_vec(text).ok(),
            _ => base64_simd::forgiving_decode_to_vec(text.as_bytes()).ok(),
        };
        let secret: [u8; SECRET] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            "a key is 32 random bytes, written as 64 hexadecimal digits or in base64: `openssl rand -base64 32` makes one"
                .to_owned()
        })?;
        let digest = Sha256::new().chain_update(b"larder key id").chain_update(secret).finalize();
        let mut id = KeyId::default();
        id.copy_from_slice(&digest[..size_of::<KeyId>()]);
        Ok(Self { secret, id })
    }

    /// Names the key: the beginning of a digest of it, in hexadecimal digits.
    pub fn id(&self) -> String {
        hex_simd::encode_to_string(self.id, AsciiCase::Lower)
    }

    /// The key of one object.
    fn derive(&self, salt: &[u8; SALT], key: &Key) -> Result<LessSafeKey> {
        let failed = |_| Error::internal("the key of an object can not be derived");
        let root = Salt::new(HKDF_SHA256, salt).extract(&self.secret);
        let info = [&b"larder object 1"[..], key.as_str().as_bytes()];
        let derived = root.expand(&info, &AES_256_GCM).map_err(failed)?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Sealing {
    pub(super) fn new(Encryption { key, old_keys }: Encryption) -> Self {
        Self { keys: std::iter::once(key).chain(old_keys).collect() }
    }

    /// Whether an object with this mark, or without one, is sealed with the key that new ones are.
    pub(super) fn is_current(&self, mark: Option<&str>) -> bool {
        mark.and_then(Mark::parse).is_some_and(|mark| mark.id == self.keys[0].id)
    }

    fn key(&self, id: &KeyId) -> Result<&EncryptionKey> {
        self.keys.iter().find(|key| key.id == *id).ok_or_else(|| {
            Error::permission_denied(format!(
                "it is encrypted with the key {}, which the store's configuration does not name: add it to `old_keys`",
                hex_simd::encode_to_string(id, AsciiCase::Lower)
            ))
        })
    }

    /// The mark of an object whose stored bytes begin with these, as it is before the object's end is known.
    pub(super) fn mark_in(head: &[u8]) -> Option<String> {
        let mark = head.get(..HEAD as usize)?.strip_prefix(&MAGIC)?;
        Some(URL_SAFE_NO_PAD.encode_to_string(mark))
    }

    /// How many bytes an object has of which so many are stored.
    pub(super) fn opened_len(stored: u64) -> Option<u64> {
        let chunks = stored.checked_sub(HEAD + SEALED_DESCRIPTION)?;
        chunks.checked_sub(TAG * chunks.div_ceil(SEALED_CHUNK).max(1))
    }

    fn open_mark(&self, key: &Key, mark: &str) -> Result<(LessSafeKey, Mark)> {
        let mark = Mark::parse(mark).ok_or_else(|| Error::corrupt("its description can not be read"))?;
        Ok((self.key(&mark.id)?.derive(&mark.salt, key)?, mark))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("keys", &self.keys).finish()
    }
}

impl Codec for Sealing {
    const MARK: &'static str = "larder-layer-aead";
    const TAIL: u64 = SEALED_DESCRIPTION;

    fn encoder(&self, key: &Key, _first: &[u8], _is_all: bool) -> Result<Option<Box<dyn Encoder>>> {
        let master = &self.keys[0];
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|error| Error::internal(format!("there is no randomness: {error}")))?;
        let object_key = master.derive(&salt, key)?;
        Ok(Some(Box::new(Sealer { key: object_key, id: master.id, salt, chunk: 0, pending: Vec::new(), begun: false })))
    }

    fn describe(&self, key: &Key, mark: &str, stored: u64, tail: Option<&[u8]>) -> Result<Option<Description>> {
        let (object_key, mark) = self.open_mark(key, mark)?;
        let Some(sealed) = mark.description.as_deref().or(tail) else { return Ok(None) };
        let size = Self::opened_len(stored).ok_or_else(|| Error::corrupt("it is too short"))?;
        let mut sealed = sealed.to_vec();
        let opened = object_key.open_in_place(nonce(0, Purpose::Description), Aad::empty(), &mut sealed);
        let numbers = opened.map_err(|_| does_not_open())?;
        let &[said, checksum] = numbers.as_chunks::<8>().0 else { return Err(does_not_open()) };
        if u64::from_le_bytes(said) != size {
            return Err(Error::corrupt("it does not have the size that it says"));
        }
        Ok(Some(Description { size, checksum: Checksum::from_u64(u64::from_le_bytes(checksum)) }))
    }

    fn decoder(&self, key: &Key, mark: &str, description: &Description) -> Result<Box<dyn Decoder>> {
        let (key, _) = self.open_mark(key, mark)?;
        let left = sealed_len(description.size);
        Ok(Box::new(Opener { key, skip: HEAD, chunk: 0, left, ends: true, pending: Vec::new() }))
    }

    fn table(&self, _description: &Description, _stored: u64) -> Range<u64> {
        0..0
    }

    fn part(&self, key: &Key, mark: &str, description: &Description, _table: &[u8], part: &Range<u64>) -> Result<Part> {
        let (key, _) = self.open_mark(key, mark)?;
        let chunk = part.start / CHUNK;
        let sealed = sealed_len(description.size);
        let end = (part.end.div_ceil(CHUNK) * SEALED_CHUNK).min(sealed);
        let start = chunk * SEALED_CHUNK;
        let decoder = Opener { key, skip: 0, chunk, left: end - start, ends: end == sealed, pending: Vec::new() };
        Ok(Part { stored: HEAD + start..HEAD + end, decoder: Box::new(decoder), skip: part.start - chunk * CHUNK })
    }
}

/// How many bytes the chunks of an object of this size have; one without bytes has one chunk.
fn sealed_len(size: u64) -> u64 {
    size + TAG * size.div_ceil(CHUNK).max(1)
}

/// What the mark of an object says.
struct Mark {
    id: KeyId,
    salt: [u8; SALT],
    /// Sealed.
    description: Option<Vec<u8>>,
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text.as_bytes()).ok()?;
        let (id, rest) = bytes.split_first_chunk()?;
        let (salt, description) = rest.split_first_chunk()?;
        Some(Self { id: *id, salt: *salt, description: (!description.is_empty()).then(|| description.to_vec()) })
    }
}

/// What a nonce is for, in its last byte.
#[derive(Clone, Copy)]
enum Purpose {
    Chunk = 0,
    LastChunk = 1,
    Description = 2,
}

fn nonce(number: u64, purpose: Purpose) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 9..NONCE_LEN - 1].copy_from_slice(&number.to_be_bytes());
    bytes[NONCE_LEN - 1] = purpose as u8;
    Nonce::assume_unique_for_key(bytes)
}

struct Sealer {
    key: LessSafeKey,
    id: KeyId,
    salt: [u8; SALT],
    /// How many chunks are sealed.
    chunk: u64,
    /// At most a chunk: that more comes is known only when it does.
    pending: Vec<u8>,
    /// Whether the head is written.
    begun: bool,
}

impl Sealer {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.extend(MAGIC);
            out.extend(self.id);
            out.extend(self.salt);
        }
    }

    /// Seals what is pending.
    fn seal(&mut self, purpose: Purpose, out: &mut Vec<u8>) -> Result<()> {
        seal(&self.key, nonce(self.chunk, purpose), &mut self.pending)?;
        out.append(&mut self.pending);
        self.chunk += 1;
        Ok(())
    }

    fn sealed(&self, description: &Description) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(SEALED_DESCRIPTION as usize);
        bytes.extend(description.size.to_le_bytes());
        bytes.extend(description.checksum.as_u64().to_le_bytes());
        seal(&self.key, nonce(0, Purpose::Description), &mut bytes)?;
        Ok(bytes)
    }
}

fn seal(key: &LessSafeKey, nonce: Nonce, bytes: &mut Vec<u8>) -> Result<()> {
    key.seal_in_place_append_tag(nonce, Aad::empty(), bytes).map_err(|_| Error::internal("a chunk can not be sealed"))
}

impl Encoder for Sealer {
    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        while !bytes.is_empty() {
            if self.pending.len() as u64 == CHUNK {
                self.seal(Purpose::Chunk, out)?;
            }
            let (chunk, rest) = bytes.split_at(bytes.len().min(CHUNK as usize - self.pending.len()));
            self.pending.extend_from_slice(chunk);
            bytes = rest;
        }
        Ok(())
    }

    fn finish(&mut self, description: &Description, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        self.seal(Purpose::LastChunk, out)?;
        out.append(&mut self.sealed(description)?);
        Ok(())
    }

    fn mark(&self, description: Option<&Description>) -> Result<String> {
        let mut bytes = Vec::with_capacity(size_of::<KeyId>() + SALT + SEALED_DESCRIPTION as usize);
        bytes.extend(self.id);
        bytes.extend(self.salt);
        if let Some(description) = description {
            bytes.append(&mut self.sealed(description)?);
        }
        Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
    }
}

struct Opener {
    key: LessSafeKey,
    /// How many stored bytes come before the first chunk.
    skip: u64,
    /// The number of the next one.
    chunk: u64,
    /// How many bytes of chunks are still to come, those pending among them.
    left: u64,
    /// Whether the last of them is the object's.
    ends: bool,
    pending: Vec<u8>,
}

impl Decoder for Opener {
    fn push(&mut self, stored: &mut Bytes, out: &mut Vec<u8>) -> Result<bool> {
        // At most the length of `stored`, which is a usize.
        let skipped = self.skip.min(stored.len() as u64);
        stored.advance(skipped as usize);
        self.skip -= skipped;
        while self.left > 0 && out.len() < STEP {
            let wanted = SEALED_CHUNK.min(self.left);
            let part = stored.split_to(stored.len().min(wanted as usize - self.pending.len()));
            self.pending.extend_from_slice(&part);
            if (self.pending.len() as u64) < wanted {
                return Ok(true);
            }
            let purpose = if self.ends && wanted == self.left { Purpose::LastChunk } else { Purpose::Chunk };
            let opened = self.key.open_in_place(nonce(self.chunk, purpose), Aad::empty(), &mut self.pending);
            out.extend_from_slice(opened.map_err(|_| does_not_open())?);
            self.pending.clear();
            self.chunk += 1;
            self.left -= wanted;
        }
        Ok(self.left == 0 || stored.is_empty())
    }

    fn finish(&mut self) -> Result<()> {
        if self.left == 0 { Ok(()) } else { Err(Error::corrupt("it ends too early")) }
    }
}

fn does_not_open() -> Error {
    Error::corrupt("it does not open: it was changed, or moved here from another key")
}
