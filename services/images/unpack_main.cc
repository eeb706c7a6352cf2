#include "services/images/unpack_main.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>

#include "auth/confinement.h"
#include "core/archive/tar_reader.h"
#include "core/archive/zip_reader.h"
#include "core/compress_expander.h"
#include "core/images/digest.h"
#include "net/crypto/sha256.h"
#include "services/images/child_process.h"
#include "services/images/tree_writer.h"
#include "services/images/unpack_confinement.h"

namespace smackd::services::images {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::archive::TarMember;
using core::archive::ZipMember;

namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kInputBytesMax = 64 * 1024;
constexpr size_t kOpaqueMax = 100'000;
constexpr uint64_t kCpuSecondsMax = 3600;

Result<Bytes> read_to_end(int descriptor, size_t limit) {
    Bytes text;
    Bytes piece(4096, '\0');
    for (;;) {
        const ssize_t count = ::read(descriptor, piece.data(), piece.size());
        if (count < 0) return core::fail_errno(errno, "read");
        if (count == 0) return text;
        text.append(piece.data(), static_cast<size_t>(count));
        if (text.size() > limit) return fail(Errc::kInvalid, "longer than {} bytes", limit);
    }
}

/// The archive's bytes in pieces.
Result<void> for_each_piece(int archive, core::Callback<Result<void>(BytesView)> take) {
    Bytes piece(kReadBytes, '\0');
    for (;;) {
        const ssize_t count = ::read(archive, piece.data(), piece.size());
        if (count < 0) return core::fail_errno(errno, "read the archive");
        if (count == 0) return {};
        TRY(take(BytesView(piece).substr(0, static_cast<size_t>(count))));
    }
}

Result<void> unpack_tar(int archive, TreeWriter& writer, uint64_t bytes_max, Json& report) {
    core::archive::TarReader reader({.bytes = bytes_max}, writer);
    net::crypto::Sha256 hasher;
    // Headers and padding come on top of the contents: as much again is more than any tar has.
    core::Expander expander(core::Expander::Format::kDetect, bytes_max * 2 + core::kGiB,
                            [&](BytesView plain) -> Result<void> {
                                hasher.update(plain);
                                return reader.feed(plain);
                            });
    TRY(for_each_piece(archive, [&](BytesView piece) { return expander.write(piece); }));
    TRY(expander.finish());
    TRY(reader.finish());
    TRY(writer.finish());
    report.set("diff_id", core::images::Digest::of_sha256(hasher.finish()).to_string());
    report.set("bytes", reader.content_bytes()).set("members", reader.members());
    return {};
}

Result<Bytes> read_at(int archive, uint64_t offset, size_t length) {
    Bytes bytes(length, '\0');
    for (size_t done = 0; done < length;) {
        const ssize_t count =
            ::pread(archive, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
        if (count < 0) return core::fail_errno(errno, "read the archive");
        if (count == 0) return fail(Errc::kCorrupt, "zip: cut short");
        done += static_cast<size_t>(count);
    }
    return bytes;
}

/// A member of a zip as the writer knows members.
Result<TarMember> as_member(core::archive::ReadAt& read, const ZipMember& from) {
    constexpr size_t kTargetBytesMax = 4095;
    TarMember member;
    member.path = from.path;
    member.size = from.size;
    const bool folder = from.kind == ZipMember::Kind::kDirectory;
    member.kind = folder ? TarMember::Kind::kDirectory : TarMember::Kind::kFile;
    member.mode = from.mode != 0 ? from.mode : folder ? 0755U : 0644U;
    if (from.kind != ZipMember::Kind::kSymlink) return member;
    if (from.size > kTargetBytesMax)
        return fail(Errc::kInvalid, "zip: link '{}' is too long", from.path.substr(0, 200));
    member.kind = TarMember::Kind::kSymlink;
    member.size = 0;
    TRY(core::archive::read_zip_member(read, from, [&](BytesView piece) -> Result<void> {
        member.target.append(piece);
        return {};
    }));
    return member;
}

Result<void> unpack_zip(int archive, TreeWriter& writer, uint64_t bytes_max, Json& report) {
    const off_t size = ::lseek(archive, 0, SEEK_END);
    if (size < 0) return core::fail_errno(errno, "size of the archive");
    core::archive::ReadAt read = [archive](uint64_t offset, size_t length) {
        return read_at(archive, offset, length);
    };
    TRY_ASSIGN(const auto members,
               core::archive::read_zip_directory(read, static_cast<uint64_t>(size), {.bytes = bytes_max}));
    uint64_t bytes = 0;
    for (const ZipMember& from : members) {
        TRY_ASSIGN(const TarMember member, as_member(read, from));
        TRY(writer.begin(member));
        if (member.kind != TarMember::Kind::kFile) continue;
        TRY(core::archive::read_zip_member(read, from,
                                           [&](BytesView piece) { return writer.content(piece); }));
        TRY(writer.end());
        bytes += member.size;
    }
    TRY(writer.finish());
    report.set("bytes", bytes).set("members", static_cast<uint64_t>(members.size()));
    return {};
}

Result<Json> unpack(const Json& input) {
    const std::string& kind = input["kind"].as_string();
    const auto bytes_max = static_cast<uint64_t>(input["bytes_max"].as_integer());
    TreeRules rules;
    rules.layer = kind == "layer";
    rules.uid = static_cast<uint32_t>(input["uid"].as_integer());
    rules.gid = static_cast<uint32_t>(input["gid"].as_integer());
    TRY(auth::die_with_parent(static_cast<int>(input["parent"].as_integer())));
    const int archive = kChildFirstDescriptor;
    FileDescriptor folder(kChildFirstDescriptor + 1);
    if (::syscall(SYS_close_range, kChildFirstDescriptor + 2, ~0U, 0U) != 0)
        return core::fail_errno(errno, "close_range");
    UnpackConfinement confinement{rules.layer, bytes_max, kCpuSecondsMax};
    TRY_ASSIGN(FileDescriptor root, confine_unpacker(std::move(folder), confinement));
    TreeWriter writer(std::move(root), rules);
    Json report = Json::object();
    if (kind == "zip") {
        TRY(unpack_zip(archive, writer, bytes_max, report));
    } else {
        TRY(unpack_tar(archive, writer, bytes_max, report));
    }
    if (writer.opaque().size() > kOpaqueMax)
        return fail(Errc::kInvalid, "more than {} opaque folders", kOpaqueMax);
    Json opaque = Json::array();
    for (const std::string& path : writer.opaque()) opaque.push(path);
    report.set("opaque", std::move(opaque)).set("devices_skipped", writer.devices_skipped());
    return report;
}

}  // namespace

int unpack_main() {
    auto text = read_to_end(STDIN_FILENO, kInputBytesMax);
    Result<Json> input = text ? Json::parse(*text) : Result<Json>(core::pass(std::move(text)));
    Result<Json> report = input ? unpack(*input) : std::move(input);
    const std::string answer = (report ? *report : child_error(report.error())).dump();
    size_t done = 0;
    while (done < answer.size()) {
        const ssize_t count = ::write(STDOUT_FILENO, answer.data() + done, answer.size() - done);
        if (count <= 0) return 1;
        done += static_cast<size_t>(count);
    }
    return 0;
}

}  // namespace smackd::services::images
