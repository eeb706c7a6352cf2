// What a service manager is told of a daemon's life (sd_notify(3)): one datagram to the socket of
// $NOTIFY_SOCKET. Without one nothing is told.
#pragma once

#include <string>
#include <string_view>

namespace smackd::cmd {

/// What starts the node of that directory: the package's service where there is one.
std::string start_command(const std::string& data_dir);

class ServiceNotice {
 public:
    /// Takes the variable out of the environment: tasks and other children have nothing to say there. Before
    /// any thread.
    ServiceNotice();

    void ready() { tell("READY=1"); }
    void stopping() { tell("STOPPING=1"); }

 private:
    /// What cannot be told has no reader: the manager's own time limit then ends the wait.
    void tell(std::string_view state) const;

    std::string socket_;  // a path, or behind '@' an abstract name; empty: nobody listens
};

}  // namespace smackd::cmd
