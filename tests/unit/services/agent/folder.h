// A folder of a test with a descriptor of it, gone with it.
#pragma once

#include <fcntl.h>
#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

#include "services/agent/descriptor.h"

namespace smackd::agent {

struct Folder {
    std::string path = std::filesystem::temp_directory_path().string() + "/smackd_agent_XXXXXX";
    Descriptor fd;
    Folder() {
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        fd = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace smackd::agent
