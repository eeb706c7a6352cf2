#include "services/edge/backends.h"

#include <algorithm>

namespace smackd::edge {

using core::ingress::Backend;
using core::ingress::Pool;

void Upstream::drop() {
    auto& idle = backend_.idle;
    // Destroys this.
    std::erase_if(idle, [this](const auto& kept) { return kept.get() == this; });
}

Backends::Backends(net::Loop& loop, net::SharedBuffer& buffer, BackendLimits limits)
    : loop_(loop), buffer_(buffer), limits_(limits) {}

Backends::~Backends() = default;

BackendState* Backends::find(const std::string& address) {
    const auto found = backends_.find(address);
    return found == backends_.end() ? nullptr : found->second.get();
}

void Backends::name(const std::string& address) {
    BackendState* known = find(address);
    if (known != nullptr) {
        known->wanted = true;
        return;
    }
    auto target = net::Address::parse(address);
    if (!target) return;
    auto state = std::make_unique<BackendState>();
    state->address = address;
    state->target = *target;
    state->host = host_of(target->host());
    backends_.emplace(address, std::move(state));
}

std::shared_ptr<HostState> Backends::host_of(const std::string& address) {
    auto host = hosts_[address].lock();
    if (host == nullptr) {
        host = std::make_shared<HostState>();
        hosts_[address] = host;
    }
    return host;
}

void Backends::set_routes(const core::ingress::Routes& routes) {
    for (auto& [address, state] : backends_) state->wanted = false;
    std::map<std::string, std::unique_ptr<PoolState>> pools;
    for (const core::ingress::PoolPtr& pool : routes.pools) {
        auto old = pools_.find(pool->key);
        pools[pool->key] = old == pools_.end() ? std::make_unique<PoolState>() : std::move(old->second);
        for (const Backend& backend : pool->backends) name(backend.address);
    }
    // Requests under way may still count in pools that are gone.
    for (auto& [key, state] : pools_) {
        if (state != nullptr && state->counters.active > 0) pools[key] = std::move(state);
    }
    pools_ = std::move(pools);
    std::erase_if(backends_, [](auto& entry) {
        if (entry.second->wanted) return false;
        entry.second->idle.clear();
        return entry.second->active == 0;
    });
    std::erase_if(hosts_, [](const auto& entry) { return entry.second.expired(); });
    settle_releases();
}

bool Backends::is_free(const std::string& address) {
    const BackendState* state = find(address);
    return state == nullptr || (!state->wanted && state->active == 0);
}

void Backends::await_release(std::vector<std::string> addresses, core::Callback<void()> done) {
    releases_.push_back({std::move(addresses), std::move(done)});
    settle_releases();
}

void Backends::settle_releases() {
    std::erase_if(releases_, [this](Release& release) {
        const bool free = std::ranges::all_of(
            release.addresses, [this](const std::string& address) { return is_free(address); });
        if (free) release.done();
        return free;
    });
}

PoolState& Backends::pool(const Pool& of) {
    auto& state = pools_[of.key];
    if (state == nullptr) state = std::make_unique<PoolState>();
    return *state;
}

BackendState* Backends::choose(const Pool& of, const std::vector<BackendState*>& tried, uint32_t cookie) {
    const size_t count = of.backends.size();
    if (count == 0) return nullptr;
    const uint32_t start = pool(of).cursor++;
    BackendState* best = nullptr;
    bool best_is_down = true;
    for (size_t i = 0; i < count; ++i) {
        const Backend& backend = of.backends[(start + i) % count];
        BackendState* state = find(backend.address);
        // A request that began under an older table does not go to what has left since.
        if (state == nullptr || !state->wanted || std::ranges::find(tried, state) != tried.end()) continue;
        const bool down = (state->failures > 0 && loop_.now() < state->down_until) ||
                          (state->host->unanswered > 0 && loop_.now() < state->host->down_until);
        if (cookie != 0 && backend.cookie == cookie && !down) return state;
        const bool better = best == nullptr || (best_is_down && !down) ||
                            (of.least_connections && best_is_down == down && state->active < best->active);
        if (!better) continue;
        best = state;
        best_is_down = down;
        if (!down && !of.least_connections && cookie == 0) break;
    }
    // One request alone tries a host that was silent; the others wait for what becomes of it.
    if (best != nullptr && best->host->unanswered > 0)
        best->host->down_until = loop_.now() + pause_after(best->host->unanswered);
    return best;
}

std::unique_ptr<Upstream> Backends::take_idle(BackendState& backend, bool repeatable) {
    if (backend.idle.empty()) return nullptr;
    if (!repeatable && loop_.now() - backend.idle.back()->kept_since > limits_.fresh) return nullptr;
    std::unique_ptr<Upstream> upstream = std::move(backend.idle.back());
    backend.idle.pop_back();
    return upstream;
}

std::unique_ptr<Upstream> Backends::connect(BackendState& backend, UpstreamUser& user) {
    auto upstream = std::make_unique<Upstream>(backend);
    upstream->connect(loop_, buffer_, limits_.probe_after, user);
    return upstream;
}

void Backends::keep(std::unique_ptr<Upstream> upstream) {
    BackendState& backend = upstream->backend();
    if (!backend.wanted || backend.idle.size() >= limits_.idle_per_backend) return;
    upstream->keep(loop_.now());
    backend.idle.push_back(std::move(upstream));
}

bool Backends::is_lost(Upstream& upstream, core::Instant progressed) const {
    const core::Instant now = loop_.now();
    if (now - progressed < limits_.unacknowledged || now - upstream.silence_looked < limits_.silence_look)
        return false;
    upstream.silence_looked = now;
    const auto silence = upstream.duplex().silence();
    return silence &&
           silence->since_ack > (silence->unacknowledged ? limits_.unacknowledged : limits_.unanswered);
}

core::Duration Backends::pause_after(uint32_t failures) const {
    core::Duration pause = limits_.down_first;
    for (uint32_t i = 0; i < failures && pause < limits_.down_most; ++i) pause *= 2;
    return std::min(pause, limits_.down_most);
}

void Backends::refused(BackendState& backend) {
    backend.down_until = loop_.now() + pause_after(backend.failures++);
    backend.idle.clear();
}

void Backends::unanswered(BackendState& backend) {
    refused(backend);
    HostState& host = *backend.host;
    // What was under way together counts once.
    if (host.unanswered > 0 && loop_.now() < host.down_until) return;
    host.down_until = loop_.now() + pause_after(host.unanswered++);
}

void Backends::end(BackendState& backend) {
    --backend.active;
    if (backend.wanted || backend.active > 0) return;
    backends_.erase(std::string(backend.address));
    settle_releases();
}

void Backends::sweep() {
    for (auto& [address, state] : backends_) {
        auto& idle = state->idle;
        while (!idle.empty() && loop_.now() - idle.front()->kept_since > limits_.idle)
            idle.erase(idle.begin());
    }
}

}  // namespace smackd::edge
