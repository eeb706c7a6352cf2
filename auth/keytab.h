// Keytab files, MIT format 0x0502: the keys of a machine or service.
//
// Read and written here without libkrb5, so that a keytab can be shown, checked and exported as bytes without
// touching the disk. Key bytes never appear in an error or a log line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kKeytabBytesMax = 1024 * 1024;
inline constexpr size_t kKeytabEntriesMax = 4096;

struct KeytabEntry {
    std::string principal;  ///< "HTTP/host@REALM"
    uint32_t kvno = 0;
    int32_t enctype = 0;  ///< Kerberos encryption type number (RFC 3961 registry)
    core::Bytes key;
    uint32_t timestamp_s = 0;

    bool operator==(const KeytabEntry&) const = default;
};

class Keytab {
 public:
    Keytab() = default;
    explicit Keytab(std::vector<KeytabEntry> entries) : entries_(std::move(entries)) {}

    /// kCorrupt names the offset and the rule; entries marked as deleted are skipped.
    static core::Result<Keytab> parse(core::BytesView bytes);
    core::Result<core::Bytes> serialize() const;

    /// Reads a file; errors say which path and what to do (missing, not readable by this user, not a keytab).
    static core::Result<Keytab> read(const std::string& path);
    /// Replaces the file (mode 0600) by a synced temporary file and rename.
    core::Result<void> write(const std::string& path) const;

    void add(KeytabEntry entry) { entries_.push_back(std::move(entry)); }
    const std::vector<KeytabEntry>& entries() const { return entries_; }
    /// The different principals, sorted.
    std::vector<std::string> principals() const;
    /// The entry of `principal` with the highest kvno, or nullptr.
    const KeytabEntry* find(std::string_view principal) const;
    /// kNotFound says that the keytab lacks `principal` and lists what it has with kvnos. `path` is for the
    /// text.
    core::Result<void> require(std::string_view principal, std::string_view path) const;
    /// "HTTP/a@R kvno 1 (aes256-sha2, aes128-sha2); smack/a@R kvno 3 (aes256-sha2)"; at most 20 principals.
    std::string describe() const;

 private:
    std::vector<KeytabEntry> entries_;
};

/// "aes256-cts-hmac-sha384-192" and so on; "enctype 99" for one without a name here.
std::string enctype_name(int32_t enctype);

}  // namespace smackd::auth
