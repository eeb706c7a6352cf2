#include "core/apps/dependencies.h"

#include <algorithm>
#include <queue>

namespace smackd::apps {

namespace {

/// Apps and, for each group something depends on, a point that is reached when all its apps are. Edges stay
/// linear in the number of apps that way.
class Graph {
 public:
    Graph(const Apps& apps, const Groups& groups) : apps_(apps), groups_(groups) {
        for (const auto& [id, app] : apps) points_[id] = add(id, true);
        for (const auto& [id, app] : apps) add_dependencies(points_[id], app);
    }

    Order order() {
        std::queue<size_t> free;
        for (size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].waits_for == 0) free.push(i);
        }
        Order order;
        while (!free.empty()) {
            Node& node = nodes_[free.front()];
            free.pop();
            node.done = true;
            if (node.is_app) {
                if (order.layers.size() <= node.layer) order.layers.resize(node.layer + 1);
                order.layers[node.layer].push_back(node.id);
            }
            for (const size_t next : node.followers) {
                nodes_[next].layer = std::max(nodes_[next].layer, node.layer + (node.is_app ? 1 : 0));
                if (--nodes_[next].waits_for == 0) free.push(next);
            }
        }
        for (auto& layer : order.layers) std::ranges::sort(layer);
        for (const Node& node : nodes_) {
            if (node.is_app && !node.done) order.cyclic.push_back(node.id);
        }
        return order;
    }

 private:
    struct Node {
        std::string id;
        bool is_app = true;
        std::vector<size_t> followers;
        size_t waits_for = 0;
        size_t layer = 0;
        bool done = false;
    };

    size_t add(const std::string& id, bool is_app) {
        nodes_.push_back({id, is_app, {}, 0, 0, false});
        return nodes_.size() - 1;
    }
    void add_edge(size_t first, size_t then) {
        nodes_[first].followers.push_back(then);
        ++nodes_[then].waits_for;
    }

    void add_dependencies(size_t node, const wire::AppDefinition& app) {
        for (const std::string& id : app.dependencies()) depend(node, id);
        for (std::string group = app.id(); group != "/";) {
            group = group.substr(0, std::max<size_t>(group.rfind('/'), 1));
            const auto found = groups_.find(group);
            if (found == groups_.end()) continue;
            for (const std::string& id : found->second.dependencies()) depend(node, id);
        }
    }

    void depend(size_t node, const std::string& id) {
        const auto known = points_.find(id);
        if (known != points_.end()) return add_edge(known->second, node);
        const auto first = first_below(id);
        if (first == apps_.end()) return;
        const size_t whole = add(id, false);
        points_[id] = whole;
        for (auto app = first; app != apps_.end() && is_in_group(app->first, id); ++app)
            add_edge(points_.at(app->first), whole);
        add_edge(whole, node);
    }

    Apps::const_iterator first_below(const std::string& group) const {
        const auto first = apps_.lower_bound(group == "/" ? group : group + "/");
        return first != apps_.end() && is_in_group(first->first, group) ? first : apps_.end();
    }

    const Apps& apps_;
    const Groups& groups_;
    std::vector<Node> nodes_;
    std::map<std::string, size_t> points_;
};

}  // namespace

Order dependency_order(const Apps& apps, const Groups& groups) {
    return Graph(apps, groups).order();
}

bool is_in_group(std::string_view id, std::string_view group) {
    if (group == "/") return true;
    return id.starts_with(group) && (id.size() == group.size() || id[group.size()] == '/');
}

}  // namespace smackd::apps
