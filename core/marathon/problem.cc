#include "core/marathon/problem.h"

#include <algorithm>

namespace smackd::marathon {

using core::Json;

core::Json Problem::json() const {
    Json body = Json::object();
    body.set("message", message);
    if (!detail_text.empty()) body.set("details", detail_text);
    if (!details.empty()) {
        Json list = Json::array();
        for (const Violation& violation : details) {
            Json errors = Json::array();
            for (const std::string& error : violation.errors) errors.push(error);
            list.push(Json::object().set("path", violation.path).set("errors", std::move(errors)));
        }
        body.set("details", std::move(list));
    }
    if (!deployments.empty()) {
        Json list = Json::array();
        for (const std::string& id : deployments) list.push(Json::object().set("id", id));
        body.set("deployments", std::move(list));
    }
    return body;
}

std::string Problem::to_string() const {
    std::string text = message;
    if (!detail_text.empty()) text += ": " + detail_text;
    for (const Violation& violation : details) {
        text += text == message ? ": " : "; ";
        text += violation.path;
        for (const std::string& error : violation.errors) text += " " + error;
    }
    return text;
}

Problem Problem::not_json(std::string_view parser_text) {
    Problem problem = of(400, "Invalid JSON");
    problem.detail_text = parser_text;
    return problem;
}

Problem Problem::of(int status, std::string message) {
    Problem problem;
    problem.status = status;
    problem.message = std::move(message);
    return problem;
}

void Violations::add(std::string path, std::string error) {
    if (path.empty()) path = "/";
    for (Violation& violation : list_) {
        if (violation.path != path) continue;
        if (!std::ranges::contains(violation.errors, error)) violation.errors.push_back(std::move(error));
        return;
    }
    if (list_.size() < kViolationsMax) list_.push_back({std::move(path), {std::move(error)}});
}

void Violations::add_type(std::string path, std::string error) {
    ++wrong_types_;
    add(std::move(path), std::move(error));
}

Problem Violations::problem() && {
    Problem problem =
        wrong_types_ > 0 ? Problem::of(400, "Invalid JSON") : Problem::of(422, "Object is not valid");
    problem.details = std::move(list_);
    return problem;
}

}  // namespace smackd::marathon
