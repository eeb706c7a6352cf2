// What the API reads of the committed state: rows as the Put messages of core/wire/command.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/result.h"
#include "core/units.h"
#include "core/wire/command.pb.h"

namespace smackd::services {

/// A row with the revision number of its last change.
template <class Row>
struct Versioned {
    Row row;
    uint64_t version = 0;
};
template <class Row>
using Rows = std::vector<Versioned<Row>>;
template <class Row>
using MaybeRow = std::optional<Versioned<Row>>;

struct ClusterRow {
    wire::InitCluster cluster;
    uint32_t feature_level = 0;
};

struct AuditRow {
    core::Revision revision;
    int64_t time_ms = 0;
    std::string principal;
    std::string door;
    std::string summary;
};

struct SqlRows {
    std::vector<std::string> columns;
    core::Json rows = core::Json::array();  ///< arrays of values
    bool truncated = false;                 ///< there are more rows than the limit
};

/// Blocking; one thread at a time. All answers between two calls of refresh() are of one revision.
class StateReads {
 public:
    virtual ~StateReads() = default;
    /// Looks at the newest committed state from here on.
    virtual core::Result<void> refresh() = 0;
    virtual core::Result<core::Revision> revision() = 0;

    /// kUnavailable while the cluster has not been set up.
    virtual core::Result<ClusterRow> cluster() = 0;
    virtual core::Result<Rows<wire::PutUser>> users() = 0;
    virtual core::Result<Rows<wire::PutGroup>> groups() = 0;
    virtual core::Result<Rows<wire::PutMachine>> machines() = 0;
    virtual core::Result<Rows<wire::PutRule>> rules() = 0;
    virtual core::Result<Rows<wire::PutNode>> nodes() = 0;
    virtual core::Result<MaybeRow<wire::PutUser>> user(const std::string& name) = 0;
    virtual core::Result<MaybeRow<wire::PutGroup>> group(const std::string& name) = 0;
    virtual core::Result<MaybeRow<wire::PutMachine>> machine(const std::string& name) = 0;
    virtual core::Result<MaybeRow<wire::PutRule>> rule(const std::string& id) = 0;
    virtual core::Result<std::vector<wire::RevokeTokens>> revoked_tokens() = 0;
    /// The record of a principal ("alice@REALM") of the embedded realm.
    virtual core::Result<std::optional<core::Bytes>> principal_record(const std::string& name) = 0;
    virtual core::Result<std::vector<std::string>> principals() = 0;
    /// The newest `limit` rows below revision number `before`, the newest first.
    virtual core::Result<std::vector<AuditRow>> audit(uint64_t before, uint32_t limit) = 0;
    /// One SELECT; kInvalid for anything else, kTimeout when it takes too long.
    virtual core::Result<SqlRows> sql(const std::string& query, uint32_t rows_max,
                                      core::milliseconds limit) = 0;
};

}  // namespace smackd::services
