// Takes a stopped server's state to a feature level that this build may not know, as a newer one would have.
//
//     raise_level DATA_DIRECTORY LEVEL
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cmd/smackd/data_directory.h"
#include "core/metrics.h"
#include "net/posix_disk.h"
#include "storage/feed/hub.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/vfs.h"
#include "storage/state/files.h"

namespace {

using namespace smackd;

core::Result<void> raise(const std::string& directory, uint32_t level) {
    net::PosixDisk disk;
    auto vfs = storage::sqlite::Vfs::over_unix();
    storage::state::StateFiles paths(disk, *vfs, cmd::DataDirectory(directory).state());
    TRY_ASSIGN(storage::state::OpenFiles files, paths.open());
    return files.state.run("UPDATE position SET feature_level = ?", {uint64_t{level}});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: raise_level DATA_DIRECTORY LEVEL\n");
        return 64;
    }
    auto raised = raise(argv[1], static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)));
    if (raised) return 0;
    std::fprintf(stderr, "raise_level: %s\n", raised.error().message.c_str());
    return 1;
}
