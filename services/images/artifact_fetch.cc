// ImagesImplementation: artifacts, from URI to sandbox.
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <format>

#include "net/crypto/sha256.h"
#include "services/images/download.h"
#include "services/images/images_implementation.h"
#include "services/images/sandbox.h"
#include "services/images/unpacker.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Digest;
using net::Task;

namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr uint32_t kFileMode = 0644, kProgramMode = 0755;

Result<Digest> digest_of(int file) {
    net::crypto::Sha256 hasher;
    std::string piece(kPieceBytes, '\0');
    for (off_t at = 0;;) {
        const ssize_t count = ::pread(file, piece.data(), piece.size(), at);
        if (count < 0) return core::fail_errno(errno, "read the artifact");
        if (count == 0) return Digest::of_sha256(hasher.finish());
        hasher.update(std::string_view(piece).substr(0, static_cast<size_t>(count)));
        at += count;
    }
}

Result<void> check(int file, const std::optional<Digest>& wanted, const std::string& uri) {
    if (!wanted) return {};
    TRY_ASSIGN(const Digest found, digest_of(file));
    if (found == *wanted) return {};
    return fail(Errc::kCorrupt, "{} has the SHA-256 {}, not {}", uri.substr(0, 200), found.hex(),
                wanted->hex());
}

/// Keeps a copy in the store; its bytes were checked.
Result<void> keep_copy(int file, storage::BlobStore& blobs) {
    TRY_ASSIGN(auto writer, blobs.write_unnamed(kArtifactBytesMax));
    std::string piece(kPieceBytes, '\0');
    for (off_t at = 0;;) {
        const ssize_t count = ::pread(file, piece.data(), piece.size(), at);
        if (count < 0) return core::fail_errno(errno, "read the artifact");
        if (count == 0) break;
        TRY(writer->append(std::string_view(piece).substr(0, static_cast<size_t>(count))));
        at += count;
    }
    return writer->commit().transform([](const Digest&) {});
}

}  // namespace

struct ImagesImplementation::ArtifactJob {
    ArtifactRequest request;
    ArtifactPlan plan;
    std::string sandbox;
    AddressRules rules;  ///< a copy: it is read by a worker
    std::string path{};  ///< of the file that was fetched; ours to remove when `temporary`
    bool temporary = false;
};

/// Where the bytes are. Blocks; the download itself is in a child.
Result<void> ImagesImplementation::bring_artifact(ArtifactJob& job, const std::atomic<bool>& cancelled) {
    const ArtifactPlan& plan = job.plan;
    if (plan.scheme == ArtifactPlan::Scheme::kFile) {
        if (!options_.allow_file_uris)
            return fail(Errc::kDenied, "fetch.uri: file: is not allowed on this node");
        job.path = plan.path;
        return {};
    }
    if (plan.checksum && blobs_->has(*plan.checksum)) {
        job.path = blobs_->path(*plan.checksum);
        return {};
    }
    if (plan.scheme == ArtifactPlan::Scheme::kBlob) {
        return fail(Errc::kNotFound, "fetch.uri: blob {} is not in the store", plan.checksum->to_string());
    }
    const FileDescriptor file(
        ::open(job.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return core::fail_errno(errno, job.path);
    job.temporary = true;
    DownloadPlan download_plan{
        options_.program,
        {plan.scheme == ArtifactPlan::Scheme::kHttps, plan.host, plan.port, plan.target},
        ca_pem_,
        file.get(),
        kArtifactBytesMax};
    download_plan.limit = kArtifactLimit;
    TRY(download(download_plan, job.rules, cancelled));
    TRY(check(file.get(), plan.checksum, job.request.uri));
    if (plan.cache && plan.checksum) return keep_copy(file.get(), *blobs_);
    return {};
}

Result<void> ImagesImplementation::place_file(const ArtifactJob& job) {
    // A file: URI may name anything: what is no plain file is refused, and a fifo must not hold us.
    const FileDescriptor file(::open(job.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return core::fail_errno(errno, job.path);
    struct stat about{};
    if (::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
        return fail(Errc::kInvalid, "fetch.uri: {} is no plain file", job.path);
    }
    if (!job.temporary) TRY(check(file.get(), job.plan.checksum, job.request.uri));
    TRY_ASSIGN(Sandbox sandbox, Sandbox::open(job.sandbox, job.request.uid, job.request.gid));
    return sandbox.put_file(file.get(), job.plan.file_name, job.plan.executable ? kProgramMode : kFileMode);
}

Task<Result<void>> ImagesImplementation::place_archive(const ArtifactJob& job) {
    net::Loop& loop = environment_.loop;
    CO_TRY_ASSIGN(Sandbox sandbox, Sandbox::open(job.sandbox, job.request.uid, job.request.gid));
    if (!job.temporary && job.plan.checksum) {
        core::Callback<Result<void>()> verify = [&job]() -> Result<void> {
            const FileDescriptor file(::open(job.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
            if (!file) return core::fail_errno(errno, job.path);
            return check(file.get(), job.plan.checksum, job.request.uri);
        };
        CO_TRY(co_await environment_.workers.run<void>(loop, std::move(verify)));
    }
    core::Callback<Result<std::string>()> prepare = [&] { return sandbox.make_staging(); };
    CO_TRY_ASSIGN(const std::string staging,
                  co_await environment_.workers.run<std::string>(loop, std::move(prepare)));
    const bool zip = job.plan.archive == ArtifactPlan::Archive::kZip;
    UnpackJob unpacking{zip ? UnpackJob::Kind::kZip : UnpackJob::Kind::kTar,
                        job.path,
                        staging,
                        options_.image_bytes_max,
                        job.request.uid,
                        job.request.gid};
    auto unpacked = co_await unpack(loop, environment_.workers, options_.program, std::move(unpacking));
    core::Callback<Result<void>()> finish = [&]() -> Result<void> {
        Result<void> taken =
            unpacked ? sandbox.take_staging() : Result<void>(std::unexpected(unpacked.error()));
        TRY(sandbox.drop_staging());
        return taken;
    };
    co_return co_await environment_.workers.run<void>(loop, std::move(finish));
}

Task<Result<void>> ImagesImplementation::fetch(ArtifactRequest request, std::string sandbox) {
    CO_TRY_ASSIGN(ArtifactPlan plan, plan_artifact(request));
    std::optional<storage::BlobStore::Reference> reference;
    if (plan.checksum) reference.emplace(*blobs_, *plan.checksum);
    ArtifactJob job{std::move(request), std::move(plan), std::move(sandbox), rules_};
    const std::string temporary = std::format("{}/tmp/artifact-{}", options_.directory, ++temporary_);
    job.path = temporary;
    net::Loop& loop = environment_.loop;
    std::atomic<bool> cancelled = false;
    net::Cancellation* cancellation = co_await net::current_cancellation();
    GiveUp give_up(cancelled, cancellation);
    core::Callback<Result<void>()> bring = [&] { return bring_artifact(job, cancelled); };
    auto done = co_await environment_.workers.run<void>(loop, std::move(bring));
    if (done && job.plan.archive != ArtifactPlan::Archive::kNone) {
        done = co_await place_archive(job);
    } else if (done) {
        core::Callback<Result<void>()> place = [&] { return place_file(job); };
        done = co_await environment_.workers.run<void>(loop, std::move(place));
    }
    if (job.temporary) {
        auto removed = environment_.disk.remove(temporary);
        if (!removed && done) done = std::move(removed);
    }
    co_return done;
}

}  // namespace smackd::services::images
