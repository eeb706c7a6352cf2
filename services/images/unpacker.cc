#include "services/images/unpacker.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <cerrno>
#include <format>

#include "services/images/child_process.h"
#include "services/images/file_descriptor.h"
#include "services/images/give_up.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;

namespace {

std::string_view kind_name(UnpackJob::Kind kind) {
    if (kind == UnpackJob::Kind::kLayer) return "layer";
    return kind == UnpackJob::Kind::kZip ? "zip" : "tar";
}

/// The child has no right to set trusted attributes, and is gone: nothing moves in the folder any more. What
/// it names is nevertheless resolved as something foreign.
Result<void> mark_opaque(int folder, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    const char* name = path.empty() ? "." : path.c_str();
    const FileDescriptor opened(static_cast<int>(::syscall(SYS_openat2, folder, name, &how, sizeof how)));
    if (!opened) {
        // The folder was reached through a link of the layer, or made way for something else: nothing is
        // hidden.
        if (errno == ELOOP || errno == ENOENT || errno == ENOTDIR) return {};
        return core::fail_errno(errno, "open an opaque folder");
    }
    if (::fsetxattr(opened.get(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
        return core::fail_errno(errno, "mark an opaque folder");
    }
    return {};
}

Result<UnpackReport> read_report(const Json& answer, bool layer) {
    UnpackReport report;
    report.bytes = static_cast<uint64_t>(answer["bytes"].as_integer());
    report.members = static_cast<uint64_t>(answer["members"].as_integer());
    report.devices_skipped = static_cast<uint64_t>(answer["devices_skipped"].as_integer());
    if (!layer) return report;
    TRY_ASSIGN(report.diff_id, core::images::Digest::parse(answer["diff_id"].as_string()));
    return report;
}

Result<UnpackReport> unpack_blocking(const std::string& program, const UnpackJob& job,
                                     const std::atomic<bool>& cancelled) {
    const FileDescriptor archive(::open(job.archive.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!archive) return core::fail_errno(errno, std::format("open {}", job.archive));
    const FileDescriptor folder(
        ::open(job.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!folder) return core::fail_errno(errno, std::format("open {}", job.directory));
    ChildPlan plan;
    plan.program = program;
    plan.entry = "unpack";
    plan.input.set("kind", kind_name(job.kind))
        .set("bytes_max", job.bytes_max)
        .set("uid", job.uid)
        .set("gid", job.gid);
    plan.descriptors = {archive.get(), folder.get()};
    plan.limit = job.limit;
    TRY_ASSIGN(const Json answer, run_child(plan, cancelled));
    const bool layer = job.kind == UnpackJob::Kind::kLayer;
    TRY_ASSIGN(UnpackReport report, read_report(answer, layer));
    for (const Json& path : answer["opaque"].as_array()) {
        if (layer) TRY(mark_opaque(folder.get(), path.as_string()));
    }
    if (::syncfs(folder.get()) != 0) return core::fail_errno(errno, std::format("sync {}", job.directory));
    return report;
}

}  // namespace

net::Task<Result<UnpackReport>> unpack(net::Loop& loop, net::WorkerPool& workers, std::string program,
                                       UnpackJob job) {
    std::atomic<bool> cancelled = false;
    net::Cancellation* cancellation = co_await net::current_cancellation();
    GiveUp give_up(cancelled, cancellation);
    // The pool waits for the end of its work even when cancelled, so what is used here lives.
    core::Callback<Result<UnpackReport>()> work = [&] { return unpack_blocking(program, job, cancelled); };
    co_return co_await workers.run<UnpackReport>(loop, std::move(work));
}

}  // namespace smackd::services::images
