// SingleFlight: who asks for what is already on its way waits for it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/scope.h"
#include "net/sync.h"

namespace smackd::services::images {

/// The work runs in a scope of its own, so that one who gives up does not take it from the others; it goes on
/// even when nobody waits any more. Loop thread only. `T` is copied to each who waits.
template <class T>
class SingleFlight {
 public:
    SingleFlight(net::Loop& loop, net::Scope& scope) : loop_(loop), scope_(scope) {}

    net::Task<core::Result<T>> run(std::string key, core::Callback<net::Task<core::Result<T>>()> begin) {
        std::shared_ptr<Flight> flight;  // its work and all who wait have it
        if (const auto found = flights_.find(key); found != flights_.end()) {
            flight = found->second;
        } else {
            flight = std::make_shared<Flight>(loop_);
            flights_.emplace(key, flight);
            scope_.spawn(fly(flight, std::move(key), std::move(begin)));
        }
        if (!flight->result) {
            auto waited = co_await flight->done.wait();
            if (!waited) co_return std::unexpected(std::move(waited.error()));
        }
        co_return *flight->result;
    }
    bool empty() const { return flights_.empty(); }

 private:
    struct Flight {
        explicit Flight(net::Loop& loop) : done(loop) {}
        net::Event done;
        std::optional<core::Result<T>> result;
    };
    net::Task<void> fly(std::shared_ptr<Flight> flight, std::string key,
                        core::Callback<net::Task<core::Result<T>>()> begin) {
        net::Task<core::Result<T>> work = begin();
        flight->result.emplace(co_await work);
        flights_.erase(key);
        flight->done.set();
    }

    net::Loop& loop_;
    net::Scope& scope_;
    std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace smackd::services::images
