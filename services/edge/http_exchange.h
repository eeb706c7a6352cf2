// One request with its answer, as HttpSession has it in hand. Private to http_session*.cc.
#pragma once

#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

#include "services/edge/http_session.h"

namespace smackd::edge {

inline constexpr std::string_view kStickyCookie = "mesosphere_server_id";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// "SIZE\r\n" of a chunk.
class ChunkSize {
 public:
    explicit ChunkSize(size_t size) {
        char* end = std::to_chars(text_.data(), text_.data() + 16, size, 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        size_ = static_cast<size_t>(end - text_.data());
    }
    core::BytesView view() const { return {text_.data(), size_}; }

 private:
    std::array<char, 20> text_{};
    size_t size_;
};

/// A request with its answer.
struct HttpSession::Exchange {
    core::ingress::PoolPtr pool;
    PoolState* pool_state = nullptr;
    bool head_only = false;  // HEAD
    bool idempotent = false;
    bool persistent = false;  // the client goes on afterwards
    bool client_is_1_0 = false;
    bool wants_upgrade = false;
    bool set_cookie = false;
    uint32_t cookie = 0;  // of a sticky pool

    // request
    core::Bytes replay;      // all that has been or is to be sent, while it is small
    bool repeatable = true;  // replay is complete
    bool chunked = false;
    core::ingress::ChunkReader chunks;
    uint64_t body_left = 0;
    bool request_done = false;

    // backend
    std::unique_ptr<Upstream> upstream;
    bool counted = false;  // at its backend
    bool connected = false;
    bool reused = false;
    int attempts = 0;
    std::vector<BackendState*> tried;

    // answer
    core::Bytes response_in;  // an incomplete head
    bool response_begun = false;
    core::ingress::BodyFraming framing = core::ingress::BodyFraming::kNone;  // towards the client
    bool response_chunked = false;
    bool response_until_close = false;
    bool upstream_persistent = false;
    core::ingress::ChunkReader response_chunks;
    uint64_t response_left = 0;
    int interim = 0;
};

}  // namespace smackd::edge
