// Counted: one more of something that is limited, as long as it lives.
#pragma once

#include <cstddef>

namespace smackd::net {

class Counted {
 public:
    /// `count` outlives it.
    explicit Counted(size_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

 private:
    size_t& count_;
};

}  // namespace smackd::net
