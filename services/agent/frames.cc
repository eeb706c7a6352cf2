#include "services/agent/frames.h"

#include "core/planted.h"

namespace smackd::agent {
namespace {

constexpr size_t kHeaderBytes = 4;

}  // namespace

core::Bytes frame(std::string_view message) {
    core::Bytes out;
    out.reserve(kHeaderBytes + message.size());
    core::put_u32(out, static_cast<uint32_t>(message.size()));
    out.append(message);
    return out;
}

core::Result<std::optional<std::string>> FrameBuffer::next() {
    const size_t held = bytes_.size() - begin_;
    if (held < kHeaderBytes) return std::nullopt;
    const size_t length = core::get_u32(bytes_.data() + begin_);
    if (length > kFrameBytesMax) {
        return core::fail(core::Errc::kInvalid, "a frame of {} bytes; at most {} are read", length,
                          kFrameBytesMax);
    }
    if (held < kHeaderBytes + length) return std::nullopt;
    std::string message = bytes_.substr(begin_ + kHeaderBytes, length);
    if (SMACK_BUG("fuzz_shim_request") && held > kHeaderBytes + length && !message.empty())
        message.pop_back();
    begin_ += kHeaderBytes + length;
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        begin_ = 0;
    } else if (begin_ > kFrameBytesMax) {
        bytes_.erase(0, begin_);
        begin_ = 0;
    }
    return message;
}

}  // namespace smackd::agent
