// Checksums of database pages and WAL frames, so that a flipped bit is an error and never an answer.
//
// SQLite leaves the last kPageReservedBytes of each page to us (file format, section 1.3.4 "Reserved bytes
// per page"): {crc32c of the page before them and of the page number, page number}, little-endian. The number
// catches a page that the disk wrote to or read from another place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smackd::storage::sqlite {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kPageReservedBytes = 8;

/// Writes the checksum into the last bytes of a page. `number` counts from 1.
void seal_page(char* page, uint32_t number);

/// True for a sealed page and for one of zeros only: SQLite may grow a file past free pages it never writes.
bool page_is_sound(const char* page, uint32_t number);

inline constexpr size_t kWalHeaderBytes = 32;
inline constexpr size_t kWalFrameHeaderBytes = 24;
inline constexpr size_t kWalFrameBytes = kWalFrameHeaderBytes + kPageBytes;

/// True when the header of a WAL of our page size checks (section 4.1).
bool wal_header_is_sound(const char* header);

/// True when the frame's own checksum fits (file format, section 4.2). `previous` are the 8 checksum bytes
/// before it: of the frame before or of the WAL header. SQLite checks them at recovery only, we at each read.
bool frame_is_sound(const char* previous, const char* frame_header, const char* page);

}  // namespace smackd::storage::sqlite
