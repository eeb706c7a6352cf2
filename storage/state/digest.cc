#include "storage/state/digest.h"

#include <format>

#include "storage/state/schema.h"

namespace smackd::storage::state {
namespace {

class Hash {
 public:
    void add(std::string_view bytes) {
        for (const char c : bytes) step(static_cast<uint8_t>(c));
        step(0xFF);  // ends a value: "a","bc" is not "ab","c"
    }
    void add(uint64_t number) {
        for (unsigned shift = 0; shift < 64; shift += 8) step(static_cast<uint8_t>(number >> shift));
    }
    uint64_t value() const { return value_; }

 private:
    void step(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001B3ULL; }
    uint64_t value_ = 0xCBF29CE484222325ULL;
};

void add_row(Hash& hash, const sqlite::Statement& row) {
    for (int column = 0; column < row.columns(); ++column) {
        hash.add(static_cast<uint64_t>(row.type(column)));
        if (row.type(column) == sqlite::ColumnType::kInteger) {
            hash.add(row.number(column));
        } else {
            hash.add(row.blob(column));
        }
    }
}

core::Result<void> add_tables(Hash& hash, std::string* report, sqlite::Database& database,
                              const std::vector<TableQuery>& tables, uint32_t feature_level) {
    for (const TableQuery& table : tables) {
        if (table.level > feature_level) continue;
        Hash of_table;
        uint64_t rows = 0;
        TRY_ASSIGN(auto cursor, database.query(table.sql));
        while (true) {
            TRY_ASSIGN(const bool more, cursor.next());
            if (!more) break;
            add_row(of_table, cursor.row());
            ++rows;
        }
        hash.add(table.table);
        hash.add(of_table.value());
        if (report != nullptr)
            *report += std::format("{} {} rows {:016x}\n", table.table, rows, of_table.value());
    }
    return {};
}

core::Result<uint64_t> walk(OpenFiles& files, std::string* report) {
    Hash hash;
    TRY(add_tables(hash, report, files.state, state_tables(), files.position.feature_level));
    TRY(add_tables(hash, report, files.realm, realm_tables(), 1));
    TRY(add_tables(hash, report, files.secrets, secrets_tables(), 1));
    return hash.value();
}

}  // namespace

core::Result<std::string> digest_of(OpenFiles& files) {
    TRY_ASSIGN(const uint64_t hash, walk(files, nullptr));
    return std::format("{:016x}", hash);
}

core::Result<std::string> digest_report(OpenFiles& files) {
    std::string report;
    TRY(walk(files, &report));
    return report;
}

}  // namespace smackd::storage::state
