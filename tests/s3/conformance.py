#!/usr/bin/env python3
"""Holds a larder host to what S3 clients expect of it, through boto3.

Reads LARDER_S3_ENDPOINT, LARDER_S3_ACCESS_KEY, LARDER_S3_SECRET_KEY and LARDER_S3_BUCKET (a bucket that is there and
that this may fill and empty). LARDER_S3_CREATES=0 leaves out what makes buckets. Exits with 0 if every check passes,
else with 1 and a report of each that does not.
"""

import base64
import datetime
import hashlib
import os
import socket
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["LARDER_S3_ENDPOINT"]
ACCESS_KEY = os.environ["LARDER_S3_ACCESS_KEY"]
SECRET_KEY = os.environ["LARDER_S3_SECRET_KEY"]
BUCKET = os.environ["LARDER_S3_BUCKET"]
CREATES = os.environ.get("LARDER_S3_CREATES", "1") != "0"

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def client(secret=SECRET_KEY, access=ACCESS_KEY, version="s3v4", **options):
    config = Config(
        signature_version=version, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **options
    )
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=config,
    )


s3 = client()


def fails(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), f"expected {code} {status}, found {found}: {error}"
        return error
    raise AssertionError(f"expected {code} {status}, and it succeeded")


def put(key, body=b"", **options):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **options)


def get(key, **options):
    return s3.get_object(Bucket=BUCKET, Key=key, **options)


def body(key, **options):
    return get(key, **options)["Body"].read()


def empty():
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"])


def crc64(data):
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return base64.b64encode((crc ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")).decode()


@check
def an_object_reads_back_with_all_that_was_said_of_it():
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    stored = put(
        "all",
        b"hello",
        ContentType="text/plain; charset=utf-8",
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="x"',
        ContentEncoding="identity",
        ContentLanguage="en",
        Expires=expires,
        Metadata={"owner": "me", "x-y": "z"},
        Tagging="project=a%20b&empty=",
    )
    for answer in (get("all"), s3.head_object(Bucket=BUCKET, Key="all")):
        assert answer["ETag"] == stored["ETag"]
        assert answer["ContentLength"] == 5
        assert answer["ContentType"] == "text/plain; charset=utf-8"
        assert answer["CacheControl"] == "no-cache"
        assert answer["ContentDisposition"] == 'attachment; filename="x"'
        assert answer["ContentEncoding"] == "identity"
        assert answer["ContentLanguage"] == "en"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"
        assert answer["Metadata"] == {"owner": "me", "x-y": "z"}, answer["Metadata"]
        assert answer["ChecksumCRC64NVME"] == crc64(b"hello")
        age = datetime.datetime.now(datetime.timezone.utc) - answer["LastModified"]
        assert abs(age) < datetime.timedelta(minutes=5), age
    assert get("all")["TagCount"] == 2
    assert body("all") == b"hello"


@check
def keys_are_opaque():
    keys = ["a", "a/b", "a//b", "a/", "..", "../x", "%2e", "a b+c&d=e?f#g", "é/日本", "\u0001ctl", "k" * 1024]
    for key in keys:
        put(f"keys/{key}"[:1024], key.encode())
    for key in keys:
        assert body(f"keys/{key}"[:1024]) == key.encode(), key
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="keys/")["Contents"]]
    assert listed == sorted((f"keys/{key}"[:1024] for key in keys), key=str.encode), listed
    error = fails("KeyTooLongError", 400, put, key="k" * 1025)
    assert "1024" in str(error)


@check
def empty_and_large_objects_read_back():
    for size in (0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 12 * 1024 * 1024):
        data = os.urandom(size)
        put("sized", data)
        assert body("sized") == data, size


@check
def ranges_are_served_as_http_says():
    put("range", b"0123456789")
    cases = {
        "bytes=0-0": (b"0", "bytes 0-0/10"),
        "bytes=2-5": (b"2345", "bytes 2-5/10"),
        "bytes=7-": (b"789", "bytes 7-9/10"),
        "bytes=7-100": (b"789", "bytes 7-9/10"),
        "bytes=-3": (b"789", "bytes 7-9/10"),
        "bytes=-30": (b"0123456789", "bytes 0-9/10"),
    }
    for text, (expected, content_range) in cases.items():
        answer = get("range", Range=text)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert (answer["Body"].read(), answer["ContentRange"]) == (expected, content_range), text
        head = s3.head_object(Bucket=BUCKET, Key="range", Range=text)
        assert head["ContentLength"] == len(expected), text
    for text in ("bytes=10-", "bytes=10-11", "bytes=-0"):
        fails("InvalidRange", 416, get, key="range", Range=text)


@check
def reads_are_conditional():
    etag = put("conditional", b"x")["ETag"]
    modified = s3.head_object(Bucket=BUCKET, Key="conditional")["LastModified"]
    earlier, later = modified - datetime.timedelta(hours=1), modified + datetime.timedelta(hours=1)
    assert body("conditional", IfMatch=etag) == b"x"
    assert body("conditional", IfNoneMatch='"other"') == b"x"
    assert body("conditional", IfModifiedSince=earlier) == b"x"
    assert body("conditional", IfUnmodifiedSince=modified) == b"x"
    fails("PreconditionFailed", 412, get, key="conditional", IfMatch='"other"')
    fails("PreconditionFailed", 412, get, key="conditional", IfUnmodifiedSince=earlier)
    fails("304", 304, get, key="conditional", IfNoneMatch=etag)
    fails("304", 304, get, key="conditional", IfModifiedSince=modified)
    fails("304", 304, get, key="conditional", IfNoneMatch=etag, Range="bytes=99-")


@check
def responses_can_be_overridden():
    put("override", b"x", ContentType="text/plain")
    answer = get("override", ResponseContentType="image/png", ResponseContentDisposition="inline")
    assert (answer["ContentType"], answer["ContentDisposition"]) == ("image/png", "inline")


@check
def writes_are_conditional():
    s3.delete_object(Bucket=BUCKET, Key="once")
    etag = put("once", b"1", IfNoneMatch="*")["ETag"]
    fails("PreconditionFailed", 412, put, key="once", body=b"2", IfNoneMatch="*")
    fails("PreconditionFailed", 412, put, key="once", body=b"2", IfMatch='"other"')
    assert body("once") == b"1"
    put("once", b"2", IfMatch=etag)
    assert body("once") == b"2"


@check
def what_does_not_agree_with_its_digest_is_not_stored():
    put("digest", b"old")
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    fails("BadDigest", 400, put, key="digest", body=b"new", ContentMD5=md5)
    fails("InvalidDigest", 400, put, key="digest", body=b"new", ContentMD5="AAAA")
    for name in ("CRC32", "SHA1", "SHA256", "CRC64NVME"):
        wrong = {"CRC32": 4, "SHA1": 20, "SHA256": 32, "CRC64NVME": 8}[name]
        claimed = {f"Checksum{name}": base64.b64encode(b"\0" * wrong).decode()}
        fails("BadDigest", 400, put, key="digest", body=b"new", **claimed)
        fails("BadDigest", 400, put, key="digest", body=b"new" * 1024 * 1024, **claimed)
    assert body("digest") == b"old"
    put("digest", b"new", ContentMD5=base64.b64encode(hashlib.md5(b"new").digest()).decode())
    put("digest", b"new", ChecksumCRC64NVME=crc64(b"new"))
    put("digest", b"new", ChecksumAlgorithm="SHA256")
    assert body("digest") == b"new"


@check
def an_upload_cut_off_leaves_the_old_object():
    put("cut", b"old")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "cut"})
    target = urllib.parse.urlsplit(url)
    for announced in (1000, 5_000_000):
        with socket.create_connection((target.hostname, target.port)) as connection:
            head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: {target.netloc}\r\n"
            connection.sendall(f"{head}Content-Length: {announced}\r\n\r\nnew".encode())
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
            assert not answer.startswith(b"HTTP/1.1 200"), answer
        assert body("cut") == b"old"


@check
def deleting_is_idempotent():
    put("gone", b"x")
    for _ in range(2):
        assert s3.delete_object(Bucket=BUCKET, Key="gone")["ResponseMetadata"]["HTTPStatusCode"] == 204
    fails("NoSuchKey", 404, get, key="gone")
    fails("404", 404, s3.head_object, Bucket=BUCKET, Key="gone")


@check
def many_are_deleted_at_once():
    keys = [f"many/{number}" for number in range(5)]
    for key in keys:
        put(key)
    objects = [{"Key": key} for key in [*keys, "many/absent", "k" * 1025]]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert [entry["Key"] for entry in answer["Deleted"]] == [*keys, "many/absent"]
    assert [entry["Code"] for entry in answer["Errors"]] == ["KeyTooLongError"]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects[:3], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer


@check
def a_listing_goes_in_pages_and_groups():
    empty()
    keys = [f"list/{a}/{b}" for a in "abc" for b in range(4)] + ["list/z", "list/é ü"]
    for key in keys:
        put(key)
    ordered = sorted(keys, key=str.encode)
    for size in (1, 2, 5, 1000):
        found, pages = [], s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size}):
            assert page["KeyCount"] <= size
            found += [entry["Key"] for entry in page.get("Contents", [])]
        assert found == ordered, size
        for version in ("list_objects", "list_objects_v2"):
            found, groups = [], []
            arguments = {"Bucket": BUCKET, "Prefix": "list/", "Delimiter": "/"}
            for page in s3.get_paginator(version).paginate(**arguments, PaginationConfig={"PageSize": size}):
                found += [entry["Key"] for entry in page.get("Contents", [])]
                groups += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            assert groups == ["list/a/", "list/b/", "list/c/"], (version, size, groups)
            assert found == ["list/z", "list/é ü"], (version, size, found)
    page = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)
    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)
    page = s3.list_objects_v2(Bucket=BUCKET, StartAfter="list/c/3", FetchOwner=True)
    assert [entry["Key"] for entry in page["Contents"]] == ["list/z", "list/é ü"]
    assert page["Contents"][0]["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]
    fails("InvalidArgument", 400, s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="!")


@check
def tags_are_kept():
    etag = put("tagged", b"x", Tagging="a=1")["ETag"]
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == [{"Key": "a", "Value": "1"}]
    tags = [{"Key": "b", "Value": "2 + 2"}, {"Key": "c", "Value": ""}]
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == tags
    assert get("tagged")["ETag"] == etag
    s3.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"] == []
    twice = [{"Key": "b", "Value": "1"}, {"Key": "b", "Value": "2"}]
    fails("InvalidTag", 400, s3.put_object_tagging, Bucket=BUCKET, Key="tagged", Tagging={"TagSet": twice})
    fails("NoSuchKey", 404, s3.get_object_tagging, Bucket=BUCKET, Key="no such")


@check
def objects_are_copied_within_the_host():
    source = {"Bucket": BUCKET, "Key": "copy source é"}
    etag = put(source["Key"], b"x" * 2_000_000, ContentType="a/b", Metadata={"m": "1"}, Tagging="t=1")["ETag"]
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)
    copy = get("copy")
    assert (copy["ContentType"], copy["Metadata"], copy["TagCount"]) == ("a/b", {"m": "1"}, 1)
    assert copy["Body"].read() == b"x" * 2_000_000 and copy["ETag"] != etag
    replaced = {"MetadataDirective": "REPLACE", "ContentType": "c/d", "Metadata": {"n": "2"}}
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source, TaggingDirective="REPLACE", Tagging="u=2", **replaced)
    copy = s3.head_object(Bucket=BUCKET, Key="copy")
    assert (copy["ContentType"], copy["Metadata"]) == ("c/d", {"n": "2"})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="copy")["TagSet"] == [{"Key": "u", "Value": "2"}]
    fails("InvalidRequest", 400, s3.copy_object, **source, CopySource=source)
    s3.copy_object(**source, CopySource=source, **replaced)
    assert s3.head_object(**source)["ContentType"] == "c/d"
    assert body(source["Key"]) == b"x" * 2_000_000
    fails("NoSuchKey", 404, s3.copy_object, Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/no such")
    fails(
        "PreconditionFailed", 412, s3.copy_object, Bucket=BUCKET, Key="c", CopySource=source, CopySourceIfMatch='"other"'
    )


@check
def uploads_in_parts_become_one_object():
    parts = [os.urandom(5 * 1024 * 1024), os.urandom(1234)]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", ContentType="a/b", Metadata={"m": "1"})
    of = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload["UploadId"]}
    s3.upload_part(**of, PartNumber=1, Body=b"replaced")
    done = []
    for number, data in enumerate(parts, 1):
        etag = s3.upload_part(**of, PartNumber=number, Body=data)["ETag"]
        assert etag == f'"{hashlib.md5(data).hexdigest()}"'
        done.append({"PartNumber": number, "ETag": etag})
    assert [part["Size"] for part in s3.list_parts(**of)["Parts"]] == [len(part) for part in parts]
    uploads = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="parts")["Uploads"]
    assert of["UploadId"] in [upload["UploadId"] for upload in uploads]
    wrong = {"Parts": [done[0], {**done[1], "ETag": '"00000000000000000000000000000000"'}]}
    fails("InvalidPart", 400, s3.complete_multipart_upload, **of, MultipartUpload=wrong)
    fails("InvalidPartOrder", 400, s3.complete_multipart_upload, **of, MultipartUpload={"Parts": done[::-1]})
    complete = s3.complete_multipart_upload(**of, MultipartUpload={"Parts": done})
    answer = get("parts")
    assert answer["ETag"] == complete["ETag"]
    assert (answer["ContentType"], answer["Metadata"]) == ("a/b", {"m": "1"})
    assert answer["Body"].read() == b"".join(parts)
    fails("NoSuchUpload", 404, s3.complete_multipart_upload, **of, MultipartUpload={"Parts": done})
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts copied")
    of = {"Bucket": BUCKET, "Key": "parts copied", "UploadId": upload["UploadId"]}
    source = {"Bucket": BUCKET, "Key": "parts"}
    part = {"CopySource": source, "CopySourceRange": "bytes=3-9"}
    etag = s3.upload_part_copy(**of, PartNumber=1, **part)["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert body("parts copied") == parts[0][3:10]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts aborted")
    of = {"Bucket": BUCKET, "Key": "parts aborted", "UploadId": upload["UploadId"]}
    s3.abort_multipart_upload(**of)
    fails("NoSuchUpload", 404, s3.upload_part, **of, PartNumber=1, Body=b"x")
    fails("NoSuchKey", 404, get, key="parts aborted")


@check
def presigned_urls_work_and_cannot_be_changed():
    put("signed", b"hello")
    arguments = {"Params": {"Bucket": BUCKET, "Key": "signed"}, "ExpiresIn": 60}
    url = s3.generate_presigned_url("get_object", **arguments)
    assert urllib.request.urlopen(url).read() == b"hello"
    put_url = s3.generate_presigned_url("put_object", **arguments)
    assert urllib.request.urlopen(urllib.request.Request(put_url, data=b"new", method="PUT")).status == 200
    assert body("signed") == b"new"
    old = client(version="s3").generate_presigned_url("get_object", **arguments)
    for refused in (url.replace("/signed?", "/all?"), old, url.split("?")[0]):
        try:
            urllib.request.urlopen(refused)
        except urllib.error.HTTPError as error:
            assert error.code == 403, refused
        else:
            raise AssertionError(f"let in: {refused}")


@check
def only_those_with_a_key_are_let_in():
    put("locked", b"x")
    arguments = {"Bucket": BUCKET, "Key": "locked"}
    fails("SignatureDoesNotMatch", 403, client(secret="wrong").get_object, **arguments)
    fails("InvalidAccessKeyId", 403, client(access="nobody").get_object, **arguments)
    error = fails("AccessDenied", 403, client(version="s3").get_object, **arguments)
    assert "version 4" in str(error)


@check
def what_is_not_offered_is_refused():
    fails("NotImplemented", 501, put, key="refused", ServerSideEncryption="AES256")
    fails("NotImplemented", 501, put, key="refused", ACL="public-read")
    fails("InvalidStorageClass", 400, put, key="refused", StorageClass="GLACIER")
    fails("NoSuchVersion", 404, get, key="all", VersionId="abc")
    fails("NoSuchKey", 404, get, key="refused")


@check
def buckets_are_there():
    assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"] == 200
    s3.get_bucket_location(Bucket=BUCKET)
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    fails("404", 404, s3.head_bucket, Bucket="no-such-bucket")
    fails("NoSuchBucket", 404, s3.list_objects_v2, Bucket="no-such-bucket")
    fails("BucketAlreadyOwnedByYou", 409, s3.create_bucket, Bucket=BUCKET)
    fails("InvalidBucketName", 400, s3.create_bucket, Bucket="with.dot")


@check
def buckets_come_and_go():
    if not CREATES:
        return
    s3.create_bucket(Bucket="conformance")
    s3.put_object(Bucket="conformance", Key="k", Body=b"x")
    fails("BucketNotEmpty", 409, s3.delete_bucket, Bucket="conformance")
    s3.delete_object(Bucket="conformance", Key="k")
    s3.delete_bucket(Bucket="conformance")
    fails("NoSuchBucket", 404, s3.delete_bucket, Bucket="conformance")


def main():
    failed = 0
    for function in CHECKS:
        try:
            function()
            print(f"ok    {function.__name__}")
        except Exception:
            failed += 1
            print(f"FAIL  {function.__name__}")
            traceback.print_exc(file=sys.stdout)
    empty()
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
