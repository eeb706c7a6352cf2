// All handlers by the files that hold them; routes.cc says which path is whose.
#pragma once

#include "services/api/call.h"

namespace smackd::services::handlers {

using Answer = net::Task<core::Result<net::http::Response>>;

// health.cc
Answer ping(Call& call);
Answer health(Call& call);
Answer ready(Call& call);

// routes.cc
Answer list_routes(Call& call);

// session.cc
Answer login(Call& call);
Answer acs_login(Call& call);
Answer logout(Call& call);
Answer whoami(Call& call);

// status.cc
Answer status(Call& call);

// users.cc
Answer list_users(Call& call);
Answer show_user(Call& call);
Answer create_user(Call& call);
Answer put_user(Call& call);
Answer remove_user(Call& call);
Answer set_password(Call& call);
Answer user_keytab(Call& call);
Answer enable_user(Call& call);
Answer disable_user(Call& call);

// groups.cc
Answer list_groups(Call& call);
Answer show_group(Call& call);
Answer create_group(Call& call);
Answer put_group(Call& call);
Answer remove_group(Call& call);

// directory.cc
Answer list_directory_groups(Call& call);
Answer show_directory_group(Call& call);
Answer put_directory_group(Call& call);
Answer remove_directory_group(Call& call);

// machines.cc
Answer list_machines(Call& call);
Answer show_machine(Call& call);
Answer create_machine(Call& call);
Answer put_machine(Call& call);
Answer remove_machine(Call& call);
Answer machine_keytab(Call& call);
Answer machine_bundle(Call& call);
Answer list_pending_machines(Call& call);

// nodes.cc
Answer list_nodes(Call& call);
Answer remove_node(Call& call);
Answer read_hold(Call& call);
Answer put_hold(Call& call);
Answer drain_node(Call& call);
Answer undrain_node(Call& call);

// rules.cc
Answer list_rules(Call& call);
Answer show_rule(Call& call);
Answer create_rule(Call& call);
Answer put_rule(Call& call);
Answer remove_rule(Call& call);
Answer check_policy(Call& call);

// realm.cc
Answer realm(Call& call);
Answer list_principals(Call& call);

// inspect.cc
Answer sql(Call& call);
Answer audit(Call& call);
Answer refusals(Call& call);
Answer metrics(Call& call);

// backups.cc
Answer make_backup(Call& call);
Answer list_backups(Call& call);

// events.cc
Answer events(Call& call);
Answer marathon_event_stream(Call& call);

// tasks.cc
Answer task_log(Call& call);
Answer list_dns(Call& call);
Answer put_dns(Call& call);
Answer remove_dns(Call& call);

// exec.cc
Answer task_exec(Call& call);

// tenants.cc
Answer list_tenants(Call& call);
Answer put_tenant(Call& call);
Answer remove_tenant(Call& call);
Answer list_allowances(Call& call);
Answer put_allowance(Call& call);
Answer remove_allowance(Call& call);

// marathon_apps.cc
Answer list_apps(Call& call);
Answer show_app(Call& call);
Answer create_app(Call& call);
Answer put_apps(Call& call);
Answer put_app(Call& call);
Answer remove_app(Call& call);
Answer restart_app(Call& call);
Answer list_app_versions(Call& call);
Answer show_app_version(Call& call);

// marathon_groups.cc
Answer show_app_group(Call& call);
Answer list_group_apps(Call& call);
Answer list_group_versions(Call& call);
Answer show_group_version(Call& call);
Answer create_app_group(Call& call);
Answer put_app_group(Call& call);
Answer patch_app_group(Call& call);
Answer remove_app_group(Call& call);

// marathon_tasks.cc
Answer list_tasks(Call& call);
Answer list_app_tasks(Call& call);
Answer kill_app_tasks(Call& call);
Answer kill_app_task(Call& call);
Answer delete_tasks(Call& call);

// marathon_deployments.cc
Answer list_deployments(Call& call);
Answer remove_deployment(Call& call);
Answer list_queue(Call& call);
Answer reset_delay(Call& call);
Answer marathon_info(Call& call);
Answer marathon_leader(Call& call);

}  // namespace smackd::services::handlers
