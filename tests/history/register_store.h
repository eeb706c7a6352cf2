// Registers as two stores have them: groups of smackd's API, keys of etcd's JSON gateway.
//
// Each operation is one request (or the repetition of one, with its idempotency key). What its answer says of
// the register is told apart from what it leaves open: refused means that the store says nothing was done, or
// that nothing was sent.
#pragma once

#include <memory>
#include <string>

#include "tests/tools/failover_client.h"

namespace smackd::history {

enum class Reply : uint8_t { kOk, kMismatch, kUnknown, kRefused };

/// A register as one client saw it last.
struct Seen {
    std::string name;
    std::string value;    ///< empty: nothing there
    std::string version;  ///< the store's token for a cas; empty: none known
};

class RegisterStore {
 public:
    virtual ~RegisterStore() = default;
    /// Updates `seen` when kOk.
    virtual net::Task<Reply> read(tools::FailoverClient& client, Seen& seen) = 0;
    virtual net::Task<Reply> write(tools::FailoverClient& client, Seen& seen, std::string value,
                                   std::string key) = 0;
    /// Writes `value` if the register is as `seen`, whose version is known.
    virtual net::Task<Reply> compare_and_set(tools::FailoverClient& client, Seen& seen, std::string value,
                                             std::string key) = 0;
    /// A request may be repeated with the same key and is applied once.
    virtual bool repeats() const = 0;
};

std::unique_ptr<RegisterStore> smackd_registers();
std::unique_ptr<RegisterStore> etcd_registers();
/// What the stores answered besides results, with how often; for the summary.
std::string strange_answers();

}  // namespace smackd::history
