// How much the state keeps and accepts. The same on every server, or their databases would differ.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smackd::storage::state {

/// The highest feature level this build can apply; schema.cc has a migration for each step.
inline constexpr uint32_t kFeatureLevelMax = 10;
/// Applications and all that belongs to them.
inline constexpr uint32_t kLevelOfApps = 4;
/// Groups of a directory, and who is in them.
inline constexpr uint32_t kLevelOfDirectoryGroups = 5;
/// The right `host`, names and host ports among what an app has, and whose deployment it was that has ended.
inline constexpr uint32_t kLevelOfNames = 6;
/// Nodes are drained.
inline constexpr uint32_t kLevelOfDrains = 7;
/// Blobs, and which apps use them.
inline constexpr uint32_t kLevelOfBlobs = 8;
/// Programs in tasks are in the audit.
inline constexpr uint32_t kLevelOfExecNotes = 9;
/// Tasks are actors, and rules speak of them.
inline constexpr uint32_t kLevelOfTaskActors = 10;

inline constexpr int kChangesPerCommandMax = 256;
inline constexpr int kExpectedPerCommandMax = 256;
inline constexpr int kMembersPerGroupMax = 4096;
inline constexpr int kDirectoryGroupsMax = 1024;
inline constexpr int kRolesPerMachineMax = 16;
inline constexpr int kAttributesPerMachineMax = 64;
/// How long a node may renew its certificate without a Kerberos proof (no KDC answers).
inline constexpr int64_t kUnprovedRenewalMs = 72 * 3600 * 1000LL;
/// The longest life of a node's certificate, with what clocks may differ.
inline constexpr int64_t kNodeCertificateLifeMaxMs = 25 * 3600 * 1000LL;
inline constexpr size_t kAttributeBytesMax = 512;
inline constexpr int64_t kDrainMsMax = 366 * 24 * 3600 * 1000LL;
inline constexpr int kRulesMax = 10'000;
inline constexpr size_t kTextBytesMax = 1024;
inline constexpr size_t kSettingBytesMax = 64 * 1024;
inline constexpr size_t kCertificateBytesMax = 16 * 1024;
inline constexpr size_t kPrincipalRecordBytesMax = 16 * 1024;
inline constexpr size_t kSealedBytesMax = 64 * 1024;
inline constexpr size_t kExecTextBytesMax = 256;  ///< what the audit says of a program, each part

/// Retention, counted in revisions, commands and stamped milliseconds. Only tests use other values, and then
/// on all servers of their cluster.
struct Retention {
    uint64_t feed_rows_max = 100'000;  ///< changes a watch can resume over
    uint64_t feed_rows_min = 10'000;   ///< kept whatever their age
    int64_t feed_age_max_ms = 24 * 3600 * 1000LL;
    uint64_t audit_revisions_max = 100'000;
    uint64_t results_max = 262'144;  ///< results kept for repeated commands
    uint64_t results_min = 4'096;    ///< kept whatever their age
    int64_t result_age_max_ms = 10 * 60 * 1000LL;
    uint64_t results_per_client = 1'024;  ///< a client's sequence this far back is taken for confirmed
    int expire_per_command = 8;           ///< rows one command may expire, so that none takes long
};

}  // namespace smackd::storage::state
