#include "services/images/download.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "services/images/child_process.h"
#include "services/images/connection_broker.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Json;
using core::Result;

namespace {

/// A file in memory that holds `text`, to be read from its beginning.
Result<FileDescriptor> memory_file(const std::string& text) {
    FileDescriptor file(::memfd_create("certificates", MFD_CLOEXEC));
    if (!file) return fail_errno(errno, "memfd_create");
    if (::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return fail_errno(errno, "certificates for the child");
    }
    return file;
}

}  // namespace

Result<Downloaded> download(const DownloadPlan& plan, const AddressRules& rules,
                            const std::atomic<bool>& cancelled) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno(errno, "socketpair");
    const FileDescriptor ours(ends[0]);
    FileDescriptor theirs(ends[1]);
    TRY_ASSIGN(const FileDescriptor certificates, memory_file(plan.ca_pem));
    ChildPlan child;
    child.program = plan.program;
    child.entry = "fetch";
    child.input.set("url_tls", plan.url.tls)
        .set("url_host", plan.url.host)
        .set("url_port", static_cast<int64_t>(plan.url.port))
        .set("url_target", plan.url.target)
        .set("bytes_max", plan.bytes_max)
        .set("etag", plan.etag);
    child.descriptors = {theirs.get(), certificates.get(), plan.file};
    child.limit = plan.limit;
    child.requests = ours.get();
    child.on_request = [&] { return answer_connection_request(ours.get(), rules); };
    TRY_ASSIGN(const Json answer, run_child(child, cancelled));
    return Downloaded{answer["unchanged"].as_bool(), answer["etag"].as_string(),
                      static_cast<uint64_t>(answer["bytes"].as_integer())};
}

}  // namespace smackd::services::images
