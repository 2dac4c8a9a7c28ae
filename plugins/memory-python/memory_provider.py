"""A provider in Python: objects in a dictionary, for as long as the instance lives.

It does what `plugins/memory` does in Rust, straight on the interface `larder:plugin/provider`, without an SDK. The
modules that begin with `wit_world` and `componentize_py` are made by componentize-py from `wit/`.

Calls run side by side on one thread and change places only at an `await`: what stands between two of them is one step.
"""

import json
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar, Optional

import componentize_py_async_support
import wit_world
from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.exports.provider import (
    Download,
    Download_Streamed,
    Download_Whole,
    Object,
    StreamedReply,
    Upload,
    Upload_Whole,
)
from wit_world.imports.types import (
    AttributeChanges,
    Attributes,
    ByteRange,
    ByteRange_Between,
    ByteRange_Last,
    ByteRange_StartingAt,
    Condition,
    Condition_IfAbsent,
    Condition_IfMatch,
    Error,
    ErrorKind,
    ListQuery,
    Metadata,
    Page,
    StoreOptions,
)

# The largest object that is taken unless the operator says otherwise, in bytes.
MAX_OBJECT = 64 << 20
# The largest body that is returned in one piece, in bytes.
WHOLE = 1 << 20
# How many bytes of a larger one are sent or read at a time.
CHUNK = 64 << 10


def failure(kind: ErrorKind, message: str) -> Err[Error]:
    return Err(Error(kind, "", message, None))


def not_found(key: str) -> Err[Error]:
    return failure(ErrorKind.NOT_FOUND, f"there is no object {key!r}")


@dataclass(frozen=True)
class Entry:
    """An object. Never changed, only replaced: whoever reads one reads it to its end."""

    metadata: Metadata
    data: bytes


class Provider(exports.Provider):
    """What the world exports; the name is that of the interface.

    Each call has an object of this class to itself: what outlives a call belongs to the class.
    """

    max_object: ClassVar[int] = MAX_OBJECT
    entries: ClassVar[dict[str, Entry]] = {}
    # The keys in order. Python compares text by code point, which is the order of its UTF-8 bytes.
    keys: ClassVar[list[str]] = []

    async def open(self, settings: str) -> None:
        config = json.loads(settings) or {}
        unknown = sorted(config.keys() - {"max_object"}) if isinstance(config, dict) else [config]
        if unknown:
            wrong = f"unknown field `{unknown[0]}`, expected `max_object`"
            raise failure(ErrorKind.INVALID_INPUT, f"the plugin's `config` does not fit: {wrong}")
        max_object = config.get("max_object", MAX_OBJECT)
        if type(max_object) is not int or max_object < 0:
            wrong = "max_object is a number of bytes"
            raise failure(ErrorKind.INVALID_INPUT, f"the plugin's `config` does not fit: {wrong}")
        Provider.max_object = max_object

    async def store_object(self, key: str, data: Upload, options: StoreOptions) -> Metadata:
        body, checksum = await self.collect(data)
        previous = self.entries.get(key)
        check(options.condition, key, previous)
        stamp = options.stamp
        created_at = stamp.created_at
        if created_at is None:
            created_at = previous.metadata.created_at if previous else stamp.updated_at
        metadata = Metadata(key, len(body), created_at, stamp.updated_at, checksum, stamp.etag, options.attributes)
        if previous is None:
            insort(self.keys, key)
        self.entries[key] = Entry(metadata, body)
        return metadata

    async def retrieve_object(self, key: str, range: Optional[ByteRange]) -> Object:
        entry = self.entry(key)
        start, end = resolve(range, len(entry.data))
        part = memoryview(entry.data)[start:end]
        return Object(entry.metadata, Download_Whole(bytes(part)) if len(part) <= WHOLE else stream(part))

    async def delete_object(self, key: str, if_match: Optional[str]) -> None:
        check(None if if_match is None else Condition_IfMatch(if_match), key, self.entry(key))
        del self.entries[key]
        del self.keys[bisect_left(self.keys, key)]

    async def list_objects(self, query: ListQuery) -> Page:
        first = bisect_left(self.keys, query.prefix)
        if query.start_after is not None:
            first = max(first, bisect_right(self.keys, query.start_after))
        # One more than fits, which tells whether there is more.
        keys = [key for key in islice(self.keys, first, first + query.limit + 1) if key.startswith(query.prefix)]
        return Page([self.entries[key].metadata for key in keys[: query.limit]], len(keys) > query.limit)

    async def read_metadata(self, key: str) -> Metadata:
        return self.entry(key).metadata

    async def update_attributes(self, key: str, changes: AttributeChanges, if_match: Optional[str]) -> Metadata:
        entry = self.entry(key)
        check(None if if_match is None else Condition_IfMatch(if_match), key, entry)
        metadata = replace(entry.metadata, attributes=changed(entry.metadata.attributes, changes))
        self.entries[key] = replace(entry, metadata=metadata)
        return metadata

    def entry(self, key: str) -> Entry:
        entry = self.entries.get(key)
        if entry is None:
            raise not_found(key)
        return entry

    async def collect(self, upload: Upload) -> tuple[bytes, int]:
        """All bytes of an upload, and their checksum. A sender that failed is an error here."""
        if isinstance(upload, Upload_Whole):
            self.check_size(len(upload.value.data))
            return upload.value.data, upload.value.checksum
        body = bytearray()
        with upload.value.data as pieces, upload.value.end as end:
            while not pieces.writer_dropped:
                body += await pieces.read(CHUNK)
                self.check_size(len(body))
            match await end.read():
                case Ok(checksum):
                    return bytes(body), checksum
                case error:
                    raise error

    def check_size(self, size: int) -> None:
        if size > self.max_object:
            raise failure(ErrorKind.TOO_LARGE, f"an object has at most {self.max_object} bytes (config: max_object)")


def check(condition: Optional[Condition], key: str, found: Optional[Entry]) -> None:
    """Fails unless what is there is what the condition asks for."""
    match condition:
        case Condition_IfAbsent():
            met = found is None
        case Condition_IfMatch(etag):
            met = found is not None and found.metadata.etag == etag
        case _:
            met = True
    if not met:
        raise failure(ErrorKind.PRECONDITION_FAILED, f"{key!r} is not in the state that was asked for")


def resolve(range: Optional[ByteRange], size: int) -> tuple[int, int]:
    """The positions that a range covers in an object of this size."""
    match range:
        case ByteRange_Between((start, end)):
            start, end = start, min(end, size)
        case ByteRange_StartingAt(start):
            end = size
        case ByteRange_Last(count):
            start, end = max(size - count, 0), size
        case _:
            return 0, size
    if start >= end:
        raise failure(ErrorKind.RANGE_NOT_SATISFIABLE, f"the range begins behind the end of an object of {size} bytes")
    return start, end


def changed(attributes: Attributes, changes: AttributeChanges) -> Attributes:
    """Attributes with the changes: what is absent in these stays as it is."""
    present = {name: value for name, value in vars(changes).items() if value is not None}
    return replace(attributes, **present)


def stream(part: memoryview) -> Download:
    """Sends bytes in pieces, which goes on when the call that asked for them has returned."""
    writer, reader = wit_world.byte_stream()
    end_writer, end_reader = wit_world.result_unit_types_error_future(
        lambda: failure(ErrorKind.INTERNAL, "the body was not sent to its end")
    )

    async def send() -> None:
        with writer:
            for start in range(0, len(part), CHUNK):
                await writer.write_all(bytes(part[start : start + CHUNK]))
                if writer.reader_dropped:
                    break
        await end_writer.write(Ok(None))

    componentize_py_async_support.spawn(send())
    return Download_Streamed(StreamedReply(reader, end_reader))
