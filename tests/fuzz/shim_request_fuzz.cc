// What arrives at a shim's socket: frames cut anywhere give the same messages, and none is longer than the
// limit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/assert.h"
#include "core/wire/task.pb.h"
#include "services/agent/frames.h"

using namespace smackd;

namespace {

std::vector<std::string> messages_of(std::string_view bytes, size_t piece) {
    agent::FrameBuffer buffer;
    std::vector<std::string> messages;
    while (!bytes.empty()) {
        buffer.append(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        for (;;) {
            auto next = buffer.next();
            if (!next) return messages;
            if (!*next) break;
            SMACK_ASSERT((*next)->size() <= agent::kFrameBytesMax);
            messages.push_back(std::move(**next));
        }
    }
    return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::vector<std::string> messages = messages_of(bytes, bytes.size() + 1);
    SMACK_ASSERT(messages_of(bytes, 1) == messages && messages_of(bytes, 7) == messages);
    for (const std::string& message : messages) {
        wire::ShimRequest request;
        if (request.ParseFromString(message)) (void)request.ByteSizeLong();
    }
    return 0;
}
