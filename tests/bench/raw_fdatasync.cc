// The floor under every durable write: append 512 bytes, fdatasync, again; for a given time in a given
// folder.
//
// Usage: raw_fdatasync FOLDER SECONDS
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

double milliseconds_between(SteadyTime from, SteadyTime to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: raw_fdatasync FOLDER SECONDS\n");
        return 2;
    }
    const std::string path = std::string(argv[1]) + "/raw_fdatasync.tmp";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ::posix_fallocate(file, 0, 64 << 20) != 0) {
        std::perror(path.c_str());
        return 1;
    }
    const double limit_ms = std::strtod(argv[2], nullptr) * 1000;
    const std::vector<char> block(512, 'x');
    std::vector<double> took_ms;
    const SteadyTime begin = std::chrono::steady_clock::now();
    off_t offset = 0;
    while (milliseconds_between(begin, std::chrono::steady_clock::now()) < limit_ms) {
        const SteadyTime before = std::chrono::steady_clock::now();
        if (::pwrite(file, block.data(), block.size(), offset) != 512 || ::fdatasync(file) != 0) {
            std::perror("write");
            return 1;
        }
        took_ms.push_back(milliseconds_between(before, std::chrono::steady_clock::now()));
        offset = (offset + 512) % (64 << 20);
    }
    ::close(file);
    ::unlink(path.c_str());
    std::sort(took_ms.begin(), took_ms.end());
    std::printf("%.0f %.3f %.3f\n", static_cast<double>(took_ms.size()) / (limit_ms / 1000),
                took_ms[took_ms.size() / 2], took_ms[took_ms.size() * 99 / 100]);
    return 0;
}
