// Store over PostgreSQL (12 or newer): one connection per Store; a schema holds one store, so that several share a
// database. Schema and tables are made when missing (docs/formats/store.md).
//
// A transaction is one of PostgreSQL's, REPEATABLE READ: its snapshot is taken by begin. Its changes go to the server
// in one round trip with the commit, which is durable (synchronous_commit is switched on where the server has it off).
// All commits of a store raise one number, the head: so they come one after another, and a commit whose snapshot is
// older than the newest commit fails: kConflict when that was a newer owner, else kUnavailable (repeat the
// transaction).
//
// When the connection is lost, whatever runs answers kUnavailable and the next begin (or table, acquire) connects anew.
// A commit during which it was lost is looked up over a new connection: it answers success when it had been done, and
// kUnavailable when not, after making sure that it never will be. When no new connection is to be had either, it
// answers kUnavailable and the next begin looks: if the commit had been done, that begin and every later one answer
// kConflict, because this process believes in a state that is not the store's; it must start again from what is stored.
#pragma once

#include "store/store.hpp"

namespace nuraghe::store {

struct PostgresOptions {
  std::string schema = "nuraghe";  // [a-z_][a-z0-9_]*, at most 63 characters
  bool read_only = false;          // every change is kDenied; missing tables are kNotFound
  bool durable = true;             // false only in benchmarks that say so
  // For connecting and for each answer of the server; then the connection counts as lost.
  Duration timeout = std::chrono::seconds(30);
  // How long a commit waits for another writer's. After that, acquire ends the sessions that hold it up.
  Duration lock_timeout = std::chrono::seconds(5);
};
// `connection`: a libpq connection string or URI (postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING). Poolers
// between this and the server must keep sessions. kInvalid for a malformed text, kUnavailable when the server does not
// let us in, kCorrupt when the schema is another program's, kConflict when a newer Nuraghe wrote its format,
// kUnsupported when the server is too old.
Result<std::unique_ptr<Store>> open_postgres(const std::string& connection, const PostgresOptions& options = {});

}  // namespace nuraghe::store
