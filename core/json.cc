#include "core/json.h"

#include <yyjson.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <unordered_set>

#include "core/assert.h"
#include "core/planted.h"
#include "core/utf8.h"

namespace smackd::core {
namespace {

using Document = std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)>;
using MutableDocument = std::unique_ptr<yyjson_mut_doc, decltype(&yyjson_mut_doc_free)>;

/// The deepest nesting in `text`, counted without parsing so that the parser never recurses past the limit.
size_t nesting_depth(std::string_view text) {
    size_t depth = 0;
    size_t deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            deepest = std::max(deepest, ++depth);
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return deepest;
}

Result<Json> convert(yyjson_val* value);

Result<Json> convert_array(yyjson_val* value) {
    Json::Array array;
    array.reserve(yyjson_arr_size(value));
    yyjson_arr_iter iterator = yyjson_arr_iter_with(value);
    while (yyjson_val* element = yyjson_arr_iter_next(&iterator)) {
        TRY_ASSIGN(auto converted, convert(element));
        array.push_back(std::move(converted));
    }
    return Json(std::move(array));
}

Result<Json> convert_object(yyjson_val* value) {
    Json::Object object;
    object.reserve(yyjson_obj_size(value));
    std::unordered_set<std::string_view> names;
    yyjson_obj_iter iterator = yyjson_obj_iter_with(value);
    while (yyjson_val* key = yyjson_obj_iter_next(&iterator)) {
        const std::string_view name(yyjson_get_str(key), yyjson_get_len(key));
        if (!names.insert(name).second && !SMACK_BUG("fuzz_json"))
            return fail(Errc::kInvalid, "JSON: member '{}' stands twice", name.substr(0, 64));
        TRY_ASSIGN(auto converted, convert(yyjson_obj_iter_get_val(key)));
        object.emplace_back(std::string(name), std::move(converted));
    }
    return Json(std::move(object));
}

Result<Json> convert(yyjson_val* value) {
    switch (yyjson_get_type(value)) {
        case YYJSON_TYPE_NULL:
            return Json();
        case YYJSON_TYPE_BOOL:
            return Json(yyjson_get_bool(value));
        case YYJSON_TYPE_STR:
            return Json(std::string(yyjson_get_str(value), yyjson_get_len(value)));
        case YYJSON_TYPE_ARR:
            return convert_array(value);
        case YYJSON_TYPE_OBJ:
            return convert_object(value);
        case YYJSON_TYPE_NUM:
            if (yyjson_is_sint(value)) return Json(yyjson_get_sint(value));
            if (yyjson_is_uint(value)) return Json(yyjson_get_uint(value));
            return Json(yyjson_get_real(value));
        default:
            return fail(Errc::kInvalid, "JSON: value of unknown type");
    }
}

/// Invalid UTF-8 in a value (a name from outside, say) must not make the whole answer disappear.
yyjson_mut_val* build_string(yyjson_mut_doc* document, std::string_view text) {
    if (is_utf8(text)) return yyjson_mut_strn(document, text.data(), text.size());
    const std::string repaired = replace_invalid_utf8(text);
    return yyjson_mut_strncpy(document, repaired.data(), repaired.size());
}

yyjson_mut_val* build(yyjson_mut_doc* document, const Json& json) {
    if (json.is_bool()) return yyjson_mut_bool(document, json.as_bool());
    if (json.is_integer()) return yyjson_mut_sint(document, json.as_integer());
    if (json.is_number()) return yyjson_mut_real(document, json.as_number());
    if (json.is_string()) return build_string(document, json.as_string());
    if (json.is_array()) {
        yyjson_mut_val* array = yyjson_mut_arr(document);
        for (const Json& element : json.as_array()) yyjson_mut_arr_append(array, build(document, element));
        return array;
    }
    if (json.is_object()) {
        yyjson_mut_val* object = yyjson_mut_obj(document);
        for (const auto& [name, member] : json.as_object()) {
            yyjson_mut_obj_add(object, build_string(document, name), build(document, member));
        }
        return object;
    }
    return yyjson_mut_null(document);
}

std::string write(const Json& json, yyjson_write_flag flags) {
    const MutableDocument document(yyjson_mut_doc_new(nullptr), &yyjson_mut_doc_free);
    yyjson_mut_doc_set_root(document.get(), build(document.get(), json));
    size_t length = 0;
    const yyjson_write_flag all = flags | YYJSON_WRITE_INF_AND_NAN_AS_NULL;
    char* text = yyjson_mut_write(document.get(), all, &length);
    SMACK_ASSERT(text != nullptr);
    std::string out(text, length);
    std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): yyjson's allocator
    return out;
}

}  // namespace

Json::Json(uint64_t value) {
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        value_ = static_cast<int64_t>(value);
    } else {
        value_ = static_cast<double>(value);
    }
}

Result<Json> Json::parse(std::string_view text) {
    if (text.size() > kJsonBytesMax) {
        return fail(Errc::kInvalid, "JSON: {} bytes, the limit is {}", text.size(), kJsonBytesMax);
    }
    if (nesting_depth(text) > kJsonDepthMax) {
        return fail(Errc::kInvalid, "JSON: nested deeper than {} levels", kJsonDepthMax);
    }
    yyjson_read_err error{};
    // Without YYJSON_READ_INSITU the text is not written to; the API wants a char* all the same.
    const Document document(yyjson_read_opts(const_cast<char*>(text.data()), text.size(), 0, nullptr, &error),
                            &yyjson_doc_free);
    if (!document) {
        return fail(Errc::kInvalid, "JSON: {} at byte {}", error.msg != nullptr ? error.msg : "not valid",
                    error.pos);
    }
    return convert(yyjson_doc_get_root(document.get()));
}

std::string Json::dump() const {
    return write(*this, YYJSON_WRITE_NOFLAG);
}
std::string Json::dump_pretty() const {
    return write(*this, YYJSON_WRITE_PRETTY_TWO_SPACES);
}

bool Json::as_bool(bool fallback) const {
    const bool* value = std::get_if<bool>(&value_);
    return value != nullptr ? *value : fallback;
}

int64_t Json::as_integer(int64_t fallback) const {
    const int64_t* value = std::get_if<int64_t>(&value_);
    return value != nullptr ? *value : fallback;
}

double Json::as_number(double fallback) const {
    if (const int64_t* integer = std::get_if<int64_t>(&value_)) return static_cast<double>(*integer);
    const double* value = std::get_if<double>(&value_);
    return value != nullptr ? *value : fallback;
}

const std::string& Json::as_string() const {
    static const std::string empty;
    const auto* value = std::get_if<std::string>(&value_);
    return value != nullptr ? *value : empty;
}

const Json::Array& Json::as_array() const {
    static const Array empty;
    const auto* value = std::get_if<Array>(&value_);
    return value != nullptr ? *value : empty;
}

const Json::Object& Json::as_object() const {
    static const Object empty;
    const auto* value = std::get_if<Object>(&value_);
    return value != nullptr ? *value : empty;
}

const Json* Json::find(std::string_view name) const {
    for (const auto& [key, value] : as_object()) {
        if (key == name) return &value;
    }
    return nullptr;
}

const Json& Json::operator[](std::string_view name) const {
    static const Json null;
    const Json* member = find(name);
    return member != nullptr ? *member : null;
}

Json& Json::set(std::string_view name, Json value) {
    if (is_null()) value_ = Object{};
    auto* object = std::get_if<Object>(&value_);
    SMACK_ASSERT(object != nullptr);
    for (auto& [key, existing] : *object) {
        if (key == name) {
            existing = std::move(value);
            return *this;
        }
    }
    object->emplace_back(std::string(name), std::move(value));
    return *this;
}

Json& Json::push(Json value) {
    if (is_null()) value_ = Array{};
    auto* array = std::get_if<Array>(&value_);
    SMACK_ASSERT(array != nullptr);
    array->push_back(std::move(value));
    return *this;
}

}  // namespace smackd::core
