#include "net/stream.h"

#include <algorithm>
#include <cstring>

namespace smackd::net {

namespace {

class PrefixedStream final : public Stream {
 public:
    PrefixedStream(core::Bytes prefix, std::unique_ptr<Stream> rest)
        : prefix_(std::move(prefix)), rest_(std::move(rest)) {}

    Task<core::Result<size_t>> read(char* buffer, size_t size) override {
        if (used_ == prefix_.size()) return rest_->read(buffer, size);
        return read_prefix(buffer, size);
    }
    Task<core::Result<void>> write(core::BytesView bytes) override { return rest_->write(bytes); }
    Task<core::Result<void>> shutdown() override { return rest_->shutdown(); }
    Task<void> close() override { return rest_->close(); }
    const std::string& peer() const override { return rest_->peer(); }
    const TlsSession* tls() const override { return rest_->tls(); }
    std::optional<UnixCredentials> credentials() const override { return rest_->credentials(); }

 private:
    Task<core::Result<size_t>> read_prefix(char* buffer, size_t size) {
        size_t count = std::min(size, prefix_.size() - used_);
        std::memcpy(buffer, prefix_.data() + used_, count);
        used_ += count;
        co_return count;
    }

    core::Bytes prefix_;
    size_t used_ = 0;
    std::unique_ptr<Stream> rest_;
};

}  // namespace

std::unique_ptr<Stream> with_prefix(core::Bytes prefix, std::unique_ptr<Stream> rest) {
    return std::make_unique<PrefixedStream>(std::move(prefix), std::move(rest));
}

Task<core::Result<void>> read_exactly(Stream& stream, char* buffer, size_t size) {
    size_t done = 0;
    while (done < size) {
        CO_TRY_ASSIGN(size_t count, co_await stream.read(buffer + done, size - done));
        if (count == 0)
            co_return core::fail(core::Errc::kUnavailable, "{} closed the connection", stream.peer());
        done += count;
    }
    co_return core::Result<void>();
}

}  // namespace smackd::net
