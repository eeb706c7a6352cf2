// The cluster as a whole: its identity, feature level, epoch and settings.
#include "core/names.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"
#include "storage/state/schema.h"

namespace smackd::storage::state {

using core::Errc;

Outcome<void> init_cluster(Writer& writer, const wire::InitCluster& change) {
    TRY_ASSIGN(const int64_t rows, writer.state().integer("SELECT count(*) FROM cluster"));
    if (rows != 0) return refuse(Errc::kConflict, "the cluster is set up already");
    TRY(refused(core::check_key("cluster_id", change.cluster_id())));
    TRY(refused(core::check_text("cluster_name", change.cluster_name(), kTextBytesMax)));
    TRY(refused(core::check_realm_name(change.realm())));
    if (change.ca_certificate_pem().size() > kCertificateBytesMax) {
        return refuse(Errc::kInvalid, "ca_certificate_pem: {} bytes, the limit is {}",
                      change.ca_certificate_pem().size(), kCertificateBytesMax);
    }
    TRY(writer.state().run("INSERT INTO cluster VALUES(1, ?, ?, ?, ?, ?, ?)",
                           {change.cluster_id(), change.cluster_name(), change.realm(),
                            change.embedded_realm(), change.ca_certificate_pem(), writer.next_revision()}));
    TRY(writer.emit({.kind = "cluster", .key = "", .row = serialize(change)}));
    return {};
}

Outcome<void> raise_feature_level(Writer& writer, const wire::RaiseFeatureLevel& change,
                                  uint32_t feature_level_max) {
    Position& position = writer.position();
    if (change.level() <= position.feature_level) {
        return refuse(Errc::kConflict, "feature level {}: the cluster is at {} already", change.level(),
                      position.feature_level);
    }
    if (change.level() > feature_level_max) {
        // Not a refusal: others can do it, so this server must wait for a newer build.
        const auto stopped = core::fail(Errc::kUnsupported,
                                        "the cluster goes to feature level {}, this version knows {}: "
                                        "install a newer smackd on this server",
                                        change.level(), feature_level_max);
        return std::unexpected(Failure(stopped.error()));
    }
    for (uint32_t level = position.feature_level + 1; level <= change.level(); ++level) {
        TRY(migrate(writer.state(), level));
        position.feature_level = level;
    }
    TRY(writer.emit({.kind = "level", .key = "", .row = serialize(change)}));
    return {};
}

Outcome<void> raise_epoch(Writer& writer, const wire::RaiseEpoch& change) {
    TRY(refused(core::check_text("reason", change.reason(), kTextBytesMax)));
    Position& position = writer.position();
    // Tokens of the old epoch are refused everywhere, so nothing can resume over its changes.
    TRY(writer.state().run("DELETE FROM feed"));
    position.epoch += 1;
    position.feed_floor = position.revision;
    TRY(writer.emit({.kind = "epoch", .key = "", .row = serialize(change)}));
    return {};
}

Outcome<void> put_setting(Writer& writer, const wire::PutSetting& change) {
    TRY(refused(core::check_key("setting name", change.name())));
    TRY(refused(core::check_text("setting value", change.value(), kSettingBytesMax)));
    TRY(writer.state().run("INSERT OR REPLACE INTO settings VALUES(?, ?, ?)",
                           {change.name(), change.value(), writer.next_revision()}));
    TRY(writer.emit({.kind = "setting", .key = change.name(), .row = serialize(change)}));
    return {};
}

}  // namespace smackd::storage::state
