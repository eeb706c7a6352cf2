#include "auth/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

namespace smackd::auth {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;

class Descriptor {
 public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

 private:
    int fd_;
};

Result<void> write_new(const std::string& path, BytesView bytes) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return fail_errno(errno, path);
    while (!bytes.empty()) {
        const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_errno(errno, path);
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    if (::fsync(file.get()) != 0) return fail_errno(errno, path);
    return {};
}

Result<void> sync_parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Descriptor folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || ::fsync(folder.get()) != 0) return fail_errno(errno, parent);
    return {};
}

}  // namespace

Result<Bytes> read_secret_file(const std::string& path, size_t limit) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
        if (errno == ENOENT) return fail(Errc::kNotFound, "{} does not exist", path);
        if (errno != EACCES && errno != EPERM) return fail_errno(errno, path);
        return fail(Errc::kIo, "{} is not readable by uid {}; give that user the file (chown, mode 0600)",
                    path, ::geteuid());
    }
    Bytes bytes;
    char buffer[4096];
    while (true) {
        const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, path);
        if (got == 0) return bytes;
        bytes.append(buffer, static_cast<size_t>(got));
        if (bytes.size() > limit) return fail(Errc::kInvalid, "{} is longer than {} bytes", path, limit);
    }
}

Result<void> write_secret_file(const std::string& path, BytesView bytes) {
    const std::string temporary = std::format("{}.new{}", path, ::getpid());
    ::unlink(temporary.c_str());  // left by a crash of an earlier process with our id
    auto written = write_new(temporary, bytes);
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = fail_errno(errno, path);
    if (!written) {
        ::unlink(temporary.c_str());
        return written;
    }
    return sync_parent(path);
}

}  // namespace smackd::auth
