// TarReader: a tar stream in, members out. ustar, pax (POSIX.1-2008) and GNU long names; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::core::archive {

struct TarLimits {
    uint64_t bytes = 16 * kGiB;  ///< of all members' contents together
    uint64_t members = 2'000'000;
    size_t extension_bytes = 1 * kMiB;  ///< of one pax header or GNU long name
};

/// The header of a member, with what pax and GNU headers before it say.
struct TarMember {
    enum class Kind : uint8_t {
        kFile,
        kHardLink,  ///< to `target`, a name in this archive
        kSymlink,   ///< to `target`, as it stands
        kDirectory,
        kFifo,
        kDevice,  ///< character or block
    };
    Kind kind = Kind::kFile;
    std::string path;
    std::string target;
    uint32_t mode = 0;  ///< permission bits, setuid, setgid, sticky
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime_seconds = 0;
    uint32_t mtime_nanoseconds = 0;
    uint64_t size = 0;                      ///< of a file's content
    std::map<std::string, Bytes> xattrs{};  ///< SCHILY.xattr.NAME
};

/// Gets what a TarReader finds. An error ends the reading and is returned by feed().
class TarSink {
 public:
    virtual ~TarSink() = default;
    virtual Result<void> begin(const TarMember& member) = 0;
    /// Pieces of the content of the file begun last; together `size` bytes.
    virtual Result<void> content(BytesView bytes) = 0;
    virtual Result<void> end() = 0;
};

class TarReader {
 public:
    TarReader(TarLimits limits, TarSink& sink) : limits_(limits), sink_(sink) {}

    /// kInvalid names the member and the rule, or a limit; kUnsupported for sparse files, multi-volume
    /// archives and kinds nobody knows. After an error nothing may be fed.
    Result<void> feed(BytesView bytes);
    /// The stream has ended. kInvalid when that was inside a member, or before anything was read.
    Result<void> finish();

    uint64_t members() const { return members_; }
    uint64_t content_bytes() const { return content_bytes_; }

 private:
    enum class State : uint8_t { kHeader, kExtension, kContent, kPadding, kTrailer };
    using Records = std::map<std::string, std::string, std::less<>>;

    Result<void> take_header(BytesView block);
    Result<void> begin_extension(char type, uint64_t size);
    Result<void> end_extension();
    Result<void> begin_member(BytesView block, char type, uint64_t size);
    Result<void> apply_records(TarMember& member);
    Result<void> apply_record(TarMember& member, std::string_view name, const std::string& value);
    Result<void> parse_records(Records& into);
    Result<void> end_content();
    std::string_view current() const;

    TarLimits limits_;
    TarSink& sink_;
    State state_ = State::kHeader;
    Bytes block_;      // of a header that came in pieces
    Bytes extension_;  // of the pax header or long name being read
    char extension_type_ = 0;
    uint64_t left_ = 0;     // content or padding still to come
    uint64_t padding_ = 0;  // behind it
    bool zero_block_ = false;
    Records global_;  // pax 'g', for all members that follow
    Records local_;   // pax 'x', for the next one
    std::string long_name_, long_target_;
    std::string path_;  // of the member being read, for messages
    uint64_t members_ = 0;
    uint64_t content_bytes_ = 0;
};

}  // namespace smackd::core::archive
