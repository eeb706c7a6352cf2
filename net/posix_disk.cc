#include "net/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <format>

namespace smackd::net {

namespace {

template <class Call>
auto retry(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

auto failed(std::string_view what, const std::string& path) {
    int number = errno;
    return core::fail_errno(number, std::format("{} {}", what, path));
}

class PosixFile final : public core::File {
 public:
    PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
    ~PosixFile() override { ::close(descriptor_); }
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;

    core::Result<size_t> read_at(uint64_t offset, char* buffer, size_t length) override {
        size_t done = 0;
        while (done < length) {
            ssize_t n = retry([&] {
                return ::pread(descriptor_, buffer + done, length - done, static_cast<off_t>(offset + done));
            });
            if (n < 0) return failed("read", path_);
            if (n == 0) break;
            done += static_cast<size_t>(n);
        }
        return done;
    }

    core::Result<void> write_at(uint64_t offset, core::BytesView bytes) override {
        size_t done = 0;
        while (done < bytes.size()) {
            ssize_t n = retry([&] {
                return ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset + done));
            });
            if (n < 0) return failed("write", path_);
            done += static_cast<size_t>(n);
        }
        return {};
    }

    // A failed sync is final: the kernel may have dropped the dirty pages, so a retry could succeed falsely.
    core::Result<void> sync() override {
        if (retry([&] { return ::fdatasync(descriptor_); }) < 0) return failed("sync", path_);
        return {};
    }

    core::Result<void> truncate(uint64_t size) override {
        if (retry([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) < 0)
            return failed("truncate", path_);
        return {};
    }

    core::Result<void> allocate(uint64_t size) override {
        if (size == 0) return {};
        int result = retry([&] { return ::fallocate(descriptor_, 0, 0, static_cast<off_t>(size)); });
        if (result == 0) return {};
        if (errno != EOPNOTSUPP) return failed("allocate", path_);
        // A file system without fallocate: at least the size is right, and a full disk shows at the write.
        TRY_ASSIGN(uint64_t now, this->size());
        return now < size ? truncate(size) : core::Result<void>();
    }

    core::Result<uint64_t> size() override {
        struct stat about{};
        if (::fstat(descriptor_, &about) < 0) return failed("stat", path_);
        return static_cast<uint64_t>(about.st_size);
    }

 private:
    int descriptor_;
    std::string path_;
};

int open_flags(core::OpenMode mode) {
    switch (mode) {
        case core::OpenMode::kRead:
            return O_RDONLY;
        case core::OpenMode::kReadWrite:
            return O_RDWR;
        case core::OpenMode::kCreate:
            return O_RDWR | O_CREAT;
        case core::OpenMode::kCreateNew:
            return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

}  // namespace

core::Result<std::unique_ptr<core::File>> PosixDisk::open(const std::string& path, core::OpenMode mode) {
    int descriptor = retry([&] { return ::open(path.c_str(), open_flags(mode) | O_CLOEXEC, 0600); });
    if (descriptor >= 0) return std::make_unique<PosixFile>(descriptor, path);
    if (errno == EEXIST) return core::fail(core::Errc::kConflict, "{} exists already", path);
    return failed("open", path);
}

core::Result<void> PosixDisk::remove(const std::string& path) {
    if (::unlink(path.c_str()) == 0) return {};
    if (errno == EISDIR && ::rmdir(path.c_str()) == 0) return {};
    return failed("remove", path);
}

core::Result<void> PosixDisk::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) < 0) return failed("rename", from);
    return {};
}

core::Result<bool> PosixDisk::exists(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failed("stat", path);
}

core::Result<std::vector<std::string>> PosixDisk::list(const std::string& directory) {
    DIR* folder = ::opendir(directory.c_str());
    if (folder == nullptr) return failed("list", directory);
    std::vector<std::string> names;
    errno = 0;
    while (dirent* entry = ::readdir(folder)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    int number = errno;
    ::closedir(folder);
    if (number != 0) return core::fail_errno(number, std::format("list {}", directory));
    std::ranges::sort(names);
    return names;
}

core::Result<void> PosixDisk::make_directory(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        std::string part = path.substr(0, end);
        bool made = ::mkdir(part.c_str(), 0700) == 0;
        if (!made && errno != EEXIST) return failed("make folder", part);
        if (end == std::string::npos) break;
    }
    struct stat about{};
    if (::stat(path.c_str(), &about) < 0) return failed("stat", path);
    if (!S_ISDIR(about.st_mode)) return core::fail(core::Errc::kIo, "{} exists and is no folder", path);
    return {};
}

core::Result<void> PosixDisk::sync_directory(const std::string& path) {
    int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (descriptor < 0) return failed("open folder", path);
    int result = retry([&] { return ::fsync(descriptor); });
    int number = errno;
    ::close(descriptor);
    if (result < 0) return core::fail_errno(number, std::format("sync folder {}", path));
    return {};
}

core::Result<uint64_t> PosixDisk::free_bytes(const std::string& path) {
    struct statvfs about{};
    if (retry([&] { return ::statvfs(path.c_str(), &about); }) < 0) return failed("statvfs", path);
    return static_cast<uint64_t>(about.f_bavail) * about.f_frsize;
}

}  // namespace smackd::net
