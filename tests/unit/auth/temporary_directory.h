// A folder below /tmp that is removed with what it holds.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace smackd::auth::test {

class TemporaryDirectory {
 public:
    TemporaryDirectory() {
        std::string name = "/tmp/smackd-auth-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
    std::string path_;
};

}  // namespace smackd::auth::test
